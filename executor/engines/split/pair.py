"""The two processes as one thing that is there: what died is begun again, and both are joined anew."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Literal

import anyio
import anyio.to_thread

from ..workers.process import Worker

Role = Literal["prefill", "decode"]


class Pair:
    """`start` begins a process with its half of the model; `connect` makes the two ends of a link."""

    def __init__(
        self,
        prefill: Worker,
        decode: Worker,
        start: Callable[[Role], Awaitable[Worker]],
        connect: Callable[[], tuple[socket.socket, socket.socket]],
    ) -> None:
        self.prefill = prefill
        self.decode = decode
        self._start = start
        self._connect = connect
        self._lock = anyio.Lock()
        self._joined: tuple[Worker, Worker] | None = None

    async def ready(self) -> tuple[Worker, Worker]:
        """Both processes, running and joined. What the one that is left computes goes on. Raises `OutsideError`."""
        async with self._lock:
            if not self.prefill.alive:
                await self.prefill.bury()
                self.prefill = await self._start("prefill")
            if not self.decode.alive:
                await self.decode.bury()
                self.decode = await self._start("decode")
            both = self.prefill, self.decode
            if self._joined != both:
                await self._join()
            return both

    def parted(self, prefill: Worker, decode: Worker) -> None:
        """The link between these two was cut: they need another one."""
        if self._joined == (prefill, decode):
            self._joined = None

    async def _join(self) -> None:
        ends = await anyio.to_thread.run_sync(self._connect)
        # Each is closed here once it was sent.
        for worker, end in zip((self.prefill, self.decode), ends, strict=True):
            worker.send({"do": "link", "sequence": -1}, descriptors=(end.detach(),))
        self._joined = self.prefill, self.decode

    async def close(self) -> None:
        await self.prefill.close()
        await self.decode.close()
