"""The processes of the engines, as seen from the one that measures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv-transformers" / "bin" / "python"
"""The environment that has transformers and PyTorch; `make bench-engines` makes it."""


class Child:
    """A process that answers lines of JSON; its first line says what it is."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self._answer()

    def ask(self, do: str, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **asked}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return cast("dict[str, Any]", json.loads(line))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def ours(name: str, file: Path, *weights: str) -> Child:
    return Child([sys.executable, "-m", "benchmarks.engines.worker", name, str(file), *weights])


def reading() -> Child:
    return Child([sys.executable, "-m", "benchmarks.engines.worker", "reading"])


def peer(folder: Path, kind: str) -> Child:
    return Child([str(PEERS), "-W", "ignore", str(HERE / "torch_peer.py"), str(folder), kind])


def save_half(folder: Path, out: Path) -> None:
    """Write the weights of a folder in bfloat16, so that nothing is converted while loading is measured."""
    command = [str(PEERS), "-W", "ignore", str(HERE / "torch_peer.py"), str(folder), "bfloat16", "--save", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
