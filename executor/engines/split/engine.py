"""The split engine: a chat model in two processes, of which one prefills and the other decodes.

Both run the XLA engine on the same files, which the system maps once. Their caches meet in memory that both share, or
over a socket; nothing of it has a name, so nothing stays behind however a process ends.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial

import anyio
import anyio.to_thread

from ....base.problems import OutsideError
from ..problems import model_does_not_load
from ..protocol import Capabilities, ChatModelSource, ChatTokenizer, ModelFacts, ModelSpec
from ..workers.process import Gone, Worker, start_worker
from ..workers.recipes import Remade
from ..workers.telling import told_problem
from ..xla.engine import XlaEngine
from ..xla.together import together
from .model import SplitModel
from .pair import Pair, Role
from .settings import Load, SplitSettings

ENVIRONMENT: Mapping[str, str] = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""On a GPU neither process takes all memory at its start: there are two of them."""


class SplitEngine:
    """An `Engine`. Settings: see `SplitSettings`. `keep_programs` is as for the XLA engine."""

    def __init__(self, settings: SplitSettings | None = None, keep_programs: bool = True) -> None:
        self._settings = settings or SplitSettings()
        self._keep_programs = keep_programs

    @property
    def name(self) -> str:
        return "split"

    @property
    def capabilities(self) -> Capabilities:
        inner = XlaEngine().capabilities
        return replace(inner, spreads=False, exact=inner.exact and self._settings.dtype == "float32")

    async def load(self, spec: ModelSpec) -> SplitModel:
        source = spec.source
        if source is None or not isinstance(source, Remade):
            why = "the split engine opens the model's files in processes of its own, and this model has none"
            raise OutsideError(model_does_not_load(spec.name, why))
        # Opened here first: what has to be prepared on disk is prepared once.
        tokenizer, facts = await anyio.to_thread.run_sync(_open, source)
        if spec.context is not None:
            facts = replace(facts, context=min(facts.context, spec.context))
        recipe = source.recipe

        async def start(role: Role) -> Worker:
            arguments = dict(recipe.arguments)
            load = Load(role, spec.name, recipe.maker, arguments, spec.context, self._keep_programs, self._settings)
            return await _started(load)

        workers: dict[str, Worker] = {}

        async def put(role: Role) -> None:
            workers[role] = await start(role)

        try:
            await together(partial(put, "prefill"), partial(put, "decode"))
        except BaseException:
            with anyio.CancelScope(shield=True):
                for worker in workers.values():
                    await worker.close()
            raise
        pair = Pair(workers["prefill"], workers["decode"], start, self.connect)
        return SplitModel(facts, tokenizer, pair)

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """The two ends of a link, of which each process gets one. Blocks."""
        return joined_by_memory() if self._settings.transport == "memory" else joined_by_tcp()


async def _started(load: Load) -> Worker:
    """A process with its half loaded. Raises `OutsideError`."""
    worker = await anyio.to_thread.run_sync(start_worker, f"{__package__}.worker", ENVIRONMENT)
    try:
        inbox = worker.inbox(-1)
        worker.send({"load": asdict(load)})
        try:
            frame = await worker.receive(inbox)
        except Gone as error:
            why = f"the process that was to {load.role} came to its end on it ({error})"
            raise OutsideError(model_does_not_load(load.name, why, error.said or None)) from error
        assert frame is not None
        if frame.words["say"] != "ready":
            raise told_problem(load.name, frame.words)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await worker.close()
        raise
    return worker


def joined_by_memory() -> tuple[socket.socket, socket.socket]:
    """Two ends of a link over which memory can be handed."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def joined_by_tcp() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection. Only one's own other end is taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        try:
            while True:
                far, address = server.accept()
                if address == near.getsockname():
                    break
                far.close()
        except BaseException:
            near.close()
            raise
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def _open(source: ChatModelSource) -> tuple[ChatTokenizer, ModelFacts]:
    return source.tokenizer(), source.facts()
