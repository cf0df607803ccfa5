"""What runs in an actor: it starts one worker on its machine, and ends with it.

The worker is a process of its own, as on one machine: a model that takes the process down takes no actor with it, and
what bounds its cores and memory is the same everywhere. It ends when the actor does.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from ..workers.places import Joining, Place
from ..workers.processes import LaunchedProcess, ProcessLauncher


class Seat:
    """An actor of Ray; all of it is called from elsewhere. Arguments are plain."""

    def __init__(self) -> None:
        self._launched: LaunchedProcess | None = None

    async def names(self, host: str, port: int) -> list[str]:
        """By which names others may reach this machine: its own in the cluster, and that on its way to the host."""
        import ray.util  # pyright: ignore[reportMissingImports]

        own = str(ray.util.get_node_ip_address())  # pyright: ignore
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(where)
            return [own, str(probe.getsockname()[0]), "localhost"]

    async def start(
        self,
        tier: str,
        instance: int,
        cores: float | None,
        memory: int | None,
        environment: Mapping[str, str],
        joining: bytes,
    ) -> int:
        """The process id of the worker. Raises `OutsideError`."""
        place = Place(tier, instance, cores, memory, environment)
        # Who may start an actor may run anything here.
        self._launched = await ProcessLauncher(trust=True).launch(place, Joining.read(joining))
        return self._launched.process

    async def ended(self) -> str:
        """How the worker ended, when it has."""
        assert self._launched is not None, "after `start`"
        return await self._launched.ended()

    async def stop(self, grace: float) -> None:
        if self._launched is not None:
            await self._launched.stop(grace)
