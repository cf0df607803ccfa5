"""What the containers run: the words of `agentlang` for a worker and for the coordinator, and where they meet."""

from __future__ import annotations

from collections.abc import Sequence

PORT = 7411
"""Where the coordinator listens for workers."""
WORKER_PORT = 7412
"""Where a worker listens for other workers."""
PAPERS = "/run/agentlang/papers"
PACKAGE = "/package"
INPUT = "/run/agentlang/input"
"""Holds `input.json`, where the pipeline takes anything."""


def _papers() -> list[str]:
    names = {"--certificate": "tls.crt", "--key": "tls.key", "--authority": "ca.crt"}
    return [word for option, name in names.items() for word in (option, f"{PAPERS}/{name}")]


def worker(coordinator: str, tier: str, own: str) -> Sequence[str]:
    """A worker of a tier, which dials the host `coordinator` and is dialled by others at the host `own`."""
    joins = ["--join", f"tcp://{coordinator}:{PORT}", "--tier", tier, "--listen", f"tcp://{own}:{WORKER_PORT}"]
    return ["agentlang", "worker", *joins, *_papers()]


def coordinator(folder: str, pipeline: str, asks: bool) -> Sequence[str]:
    """The coordinator, which waits for workers, and gives them what is to run."""
    # Its hash was looked at before: it is the package that the deployment was made for.
    runs = ["--trust", "--on", "workers", "--listen", f"tcp://0.0.0.0:{PORT}"]
    return ["agentlang", "run", f"{PACKAGE}/{folder}:{pipeline}", *given(asks), *runs, *_papers()]


def given(asks: bool) -> list[str]:
    """Where the inputs of a run come from, if it has any."""
    return ["--input", f"{INPUT}/input.json"] if asks else []
