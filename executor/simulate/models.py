"""Prompts and replies of models that pools serve, through the scheduler of the engines (`replicas`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ...base.problems import Problem as Said
from ..machine import events
from .clock import VirtualClock
from .replicas import Request, Serving
from .sending import Sending
from .sized import Sized
from .stages import Cache, Execution, Pieces


class Models:
    """`serving` are the pools that serve a model, by name; `together` as in `Sending`."""

    def __init__(
        self, clock: VirtualClock, sending: Sending, serving: Mapping[str, Serving], together: frozenset[str]
    ) -> None:
        self.serving = serving
        self._clock, self._sending, self._together = clock, sending, together
        self.missing: Callable[[Execution, str], None] = _never
        """Hears of a stage whose cache was lost."""

    def cache(self, execution: Execution, request: Request | None) -> Cache:
        option = execution.option
        made = Cache(request, option.pool if option else "", execution.run.record.number)
        execution.run.caches.append(made)
        return made

    def prefill(self, execution: Execution, stage: Sized) -> None:
        run = execution.run
        tokens = max(1, round(stage.tokens_in(run.sizes)))
        keys, run.keys = run.keys, ()
        request = Request(tokens, execution.factor, keys, run.tenant)
        execution.request = request
        option = execution.option
        assert option is not None

        def computed() -> None:
            execution.began = request.began
            self._sending.end(execution, self.cache(execution, request))

        request.computed = computed
        request.refused = partial(self._refused, execution)
        request.stage = execution.name
        self.serving[option.pool].arrive(request)

    def _refused(self, execution: Execution, reason: str) -> None:
        if execution.over:
            return
        execution.over = True
        execution.began = execution.ended = self._clock.now
        words = Said("prompt-too-long", f"{execution.name} does not fit into the memory of its pool")
        self._sending.tell(events.StageFailed(self._clock.now, execution.number, reason, words))

    def decode(self, execution: Execution, stage: Sized) -> None:
        option, cache = execution.option, execution.value
        assert option is not None
        if isinstance(cache, Cache) and cache.request is not None and cache.request.lost:
            self.missing(execution, "its cache is lost")
            return
        if isinstance(cache, Cache) and cache.request is not None and cache.pool == option.pool:
            self._reply(execution, stage, cache.request)
            return
        # Its cache is computed, and comes from elsewhere: what stays there is let go of.
        length = max(1, round(stage.tokens_in(execution.run.sizes)))
        if isinstance(cache, Cache) and cache.request is not None:
            length = cache.request.length
            self.let_go(cache)
        request = Request(length, moved=True, tenant=execution.run.tenant)
        request.computed = partial(self._reply, execution, stage, request)
        request.refused = partial(self._refused, execution)
        request.stage, execution.request = execution.name, request
        self.cache(execution, request)
        self.serving[option.pool].arrive(request)

    def _reply(self, execution: Execution, stage: Sized, request: Request) -> None:
        """The first token is chosen from the prompt's logits; each other one takes a step."""
        now = self._clock.now
        execution.request, execution.began = request, now
        request.reply_factor, request.stage = execution.factor, execution.name
        count = max(1, round(stage.tokens_out(execution.run.sizes)))
        first = now + stage.first * execution.factor
        self._sending.at(first, partial(self._sending.send, execution, Pieces([first])))
        if count == 1:
            self._sending.at(first, partial(self._sending.close, execution))
            return
        replica = request.replica
        assert replica is not None
        request.fine = execution.name not in self._together

        def token() -> None:
            self._sending.send(execution, Pieces([self._clock.now]))

        def ended() -> None:
            if not request.fine:
                self._sending.send(execution, Pieces(request.times))
            self._sending.close(execution)

        request.token = token if request.fine else None
        request.ended = ended
        replica.reply(request, count - 1)

    def let_go(self, value: object) -> None:
        if isinstance(value, Cache) and value.request is not None:
            request, value.request = value.request, None
            if request.replica is not None:
                request.replica.leave(request)


def _never(execution: Execution, why: str) -> None:
    raise RuntimeError(f"{execution.name}: {why}, and nothing was lost")
