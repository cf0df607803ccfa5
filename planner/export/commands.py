"""What the containers run: the words of `agentlang` for a worker and for who gives it work, and where they meet."""

from __future__ import annotations

from collections.abc import Sequence

from .deployment import PLAN, Deployment, Group

PORT = 7411
"""Where a worker listens."""
PAPERS = "/run/agentlang/papers"
PROGRAM = "/program"
INPUT = "/run/agentlang/input"
"""Holds `input.json`, where the pipeline takes anything."""


def workers_name(deployment: Deployment, group: Group) -> str:
    return f"{deployment.name}-{group.name}"


def host(deployment: Deployment, group: Group, number: int | str) -> str:
    """The name by which a worker is dialled, and which its certificate has."""
    workers = workers_name(deployment, group)
    return f"{workers}-{number}.{workers}"


def worker(group: Group, own: str) -> Sequence[str]:
    """A worker of a tier, which listens at the host `own`. It runs what it is sent: only who has a certificate of this
    program's authority can send anything."""
    return [
        *("agentlang", "worker", "--tier", group.tier, "--listen", f"tcp://{own}:{PORT}"),
        *("--credentials", PAPERS, "--trust"),
    ]


def coordinator(deployment: Deployment) -> Sequence[str]:
    """One run, whose stages are in the workers."""
    words = [*run(deployment), "--on", "processes", "--credentials", PAPERS]
    for group in deployment.groups:
        if group.tier != deployment.home:
            for number in range(group.instances):
                words += ["--worker", f"{group.tier}=tcp://{host(deployment, group, number)}:{PORT}"]
    return words


def run(deployment: Deployment) -> list[str]:
    """A run of the program by its plan."""
    shipped = deployment.about.shipped
    folder = f"{PROGRAM}/{shipped.folder}"
    given = ["--input", f"{INPUT}/input.json"] if deployment.about.asks else []
    return [
        "agentlang",
        "run",
        f"{folder}/{shipped.program}:{deployment.pipeline}",
        "--plan",
        f"{folder}/{PLAN}",
        *given,
    ]
