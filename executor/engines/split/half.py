"""What both processes of a split model have in common: a model, a connection to the parent, and work under numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from anyio.abc import TaskGroup

from ..workers.frames import Frame
from ..workers.inside import Connection
from ..xla.paged.model import PagedModel
from .forms import CacheForm
from .settings import SplitSettings


class InLoop(Protocol):
    """Has a function called in the event loop, from any thread."""

    def __call__(self, function: Callable[..., object], *arguments: Any) -> object: ...


class Half(ABC):
    """One of the two processes, from inside. `form` is that of the model's caches as the engine gives and takes them,
    with as many positions as there can be."""

    def __init__(self, model: PagedModel, connection: Connection, form: CacheForm, settings: SplitSettings) -> None:
        self.model = model
        self.form = form
        self.settings = settings
        self._connection = connection
        self._group: TaskGroup
        self.in_loop: InLoop

    def use(self, group: TaskGroup, in_loop: InLoop) -> None:
        """From now on work may begin."""
        self._group, self.in_loop = group, in_loop

    @abstractmethod
    def do(self, frame: Frame) -> None:
        """What the parent asks, in the event loop. Must not wait."""
        ...

    def say(self, what: str, number: int, words: Mapping[str, Any] | None = None, data: bytes = b"") -> None:
        """To the parent, about what it calls `number`."""
        more = dict(words or {})
        self._connection.say({"say": what, "sequence": number, "compiled": self.model.compiled, **more}, data)

    def begin(self, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        self._group.start_soon(function, *arguments)

    async def counted(self, number: int) -> None:
        """What the model has done so far."""
        stats = await self.model.stats()
        words = {"steps": stats.steps, "prefilled": stats.prefilled_tokens, "decoded": stats.decoded_tokens}
        self.say("stats", number, {**words, "open": stats.open_sequences})
