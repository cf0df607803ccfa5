"""The process that decodes: caches come in from the other process, replies go out, a token each time one is asked for.

The engine computes one token ahead of who asks, so the way to the parent and back is hidden behind a step.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio
import msgspec

from ....base.problems import OutsideError
from ..families import CacheState
from ..protocol import Sampling, SequenceHandle
from ..workers.frames import Frame
from ..workers.inside import Connection
from ..workers.problems import cache_unusable
from ..workers.telling import problem_words
from ..xla.paged.model import PagedModel
from .forms import CacheForm
from .half import Half
from .inbound import Arrived, Inbound
from .settings import SplitSettings


class Decoding(Half):
    """Says `filled` of a cache that is here, `lost` where it broke off on its way, and `refused` where it cannot be
    used; answers each `more` by a `token`."""

    def __init__(self, model: PagedModel, connection: Connection, form: CacheForm, settings: SplitSettings) -> None:
        super().__init__(model, connection, form, settings)
        self._link: Inbound | None = None
        self._held: dict[int, Held] = {}
        self._expected: set[int] = set()
        """Whose caches are wanted, and have not come yet."""
        self._latest = 0
        """The last that was ever expected: the parent counts on."""
        self._early: dict[int, Callable[[], None]] = {}
        """What is known of caches that were faster than the parent's word of them."""

    def do(self, frame: Frame) -> None:
        words, number = frame.words, int(frame.words["sequence"])
        held = self._held.get(number)
        match words["do"]:
            case "link":
                if self._link is not None:
                    self._link.close()
                    self.was_cut(self._link)
                self._link = Inbound(socket.socket(fileno=frame.descriptors[0]), self.form, Hearing(self))
            case "expect":
                self._latest = number
                self._expected.add(number)
                if number in self._early:
                    self._early.pop(number)()
                elif self._link is None:
                    self.gone(number, "lost", {"cut": True})
            case "start":
                if held is not None and held.handle is not None:
                    sampling = msgspec.convert(words["sampling"], Sampling)
                    self.begin(self._reply, held, held.handle, sampling)
            case "more":
                if held is not None:
                    held.asked.release()
            case "end":
                self._expected.discard(number)
                if held is not None:
                    held.scope.cancel()
            case "export":
                self.begin(self._export, number, held)
            case "import":
                state = CacheState(self.model.facts.name, words["form"], tuple(words["tokens"]), frame.data)
                held = self._held[number] = Held(number)
                self.begin(self._hold, held, partial(self.model.import_cache, state), {})
            case "prepare":
                self.begin(self._prepare, number, words["sampling"])
            case "stats":
                self.begin(self.counted, number)
            case _:
                raise AssertionError(words["do"])

    def told(self, number: int, news: Callable[[], None]) -> None:
        """Something became known of a cache."""
        if number > self._latest:
            self._early[number] = news
        else:
            news()

    def arrived(self, cache: Arrived) -> None:
        if cache.number in self._expected:
            self._expected.discard(cache.number)
            held = self._held[cache.number] = Held(cache.number, cache.layers)
            adopt = partial(self.model.adopt, cache.tokens, cache.layers, cache.logits)
            self.begin(self._hold, held, adopt, {**cache.told, "arrived": cache.at})

    def gone(self, number: int, say: str, words: Mapping[str, Any]) -> None:
        """A cache that will not be here. Those that nobody wants any more are no news."""
        if number in self._expected:
            self._expected.discard(number)
            self.say(say, number, words)

    def was_cut(self, link: Inbound) -> None:
        if link is self._link:
            self._link = None
            for number in tuple(self._expected):
                self.gone(number, "lost", {"cut": True})

    async def _hold(self, held: Held, opened: Callable[[], Awaitable[SequenceHandle]], told: Mapping[str, Any]) -> None:
        """From the arrival of a cache to its release."""
        try:
            with held.scope:
                held.handle = await opened()
                held.came.clear()
                self.say("filled", held.number, {**told, "adopted": time.monotonic()})
                await anyio.sleep_forever()
        except OutsideError as error:
            self.say("refused", held.number, problem_words(error))
        finally:
            if held.handle is not None:
                with anyio.CancelScope(shield=True):
                    await self.model.release(held.handle)
            held.came.clear()
            held.over = True
            held.asked.release()
            del self._held[held.number]

    async def _reply(self, held: Held, handle: SequenceHandle, sampling: Sampling) -> None:
        tokens, told = aiter(self.model.decode(handle, sampling)), 0
        while True:
            await held.asked.acquire()
            if held.over:
                return
            token = await anext(tokens, None)
            finish = handle.finish
            words: dict[str, Any] = {"token": token, "finish": finish.value if finish is not None else None}
            if len(handle.logprobs) > told:
                words["likely"] = [(one.token, one.logprob, one.top) for one in handle.logprobs[told:]]
                told = len(handle.logprobs)
            self.say("token", held.number, words)
            if token is None or finish is not None:
                return

    async def _export(self, number: int, held: Held | None) -> None:
        try:
            if held is None or held.handle is None:
                raise ValueError("the sequence was released")
            state = await self.model.export_cache(held.handle)
        except ValueError:
            self.say("state", number, {"there": False})
        else:
            self.say("state", number, {"there": True, "form": state.form}, state.data)

    async def _prepare(self, number: int, sampling: Any) -> None:
        try:
            await self.model.prepare(msgspec.convert(sampling, Sampling))
        except OutsideError as error:
            self.say("refused", number, problem_words(error))
        else:
            self.say("prepared", number)


class Held:
    """A sequence here, from the arrival of its cache on."""

    def __init__(self, number: int, came: list[Any] | None = None) -> None:
        self.number = number
        self.came: list[Any] = [] if came is None else came
        """What its cache came in, until the engine has it."""
        self.scope = anyio.CancelScope()
        self.handle: SequenceHandle | None = None
        self.asked = anyio.Semaphore(0)
        """How many tokens the parent waits for."""
        self.over = False


class Hearing:
    """What the link tells of, brought into the event loop."""

    def __init__(self, half: Decoding) -> None:
        self._half = half

    def arrived(self, cache: Arrived) -> None:
        self._told(cache.number, partial(self._half.arrived, cache))

    def dropped(self, number: int) -> None:
        self._told(number, partial(self._half.gone, number, "lost", {"cut": False}))

    def unusable(self, number: int, why: str) -> None:
        error = OutsideError(cache_unusable(self._half.model.facts.name, why))
        self._told(number, partial(self._half.gone, number, "refused", problem_words(error)))

    def cut(self, link: Inbound) -> None:
        self._half.in_loop(self._half.was_cut, link)

    def _told(self, number: int, news: Callable[[], None]) -> None:
        self._half.in_loop(self._half.told, number, news)
