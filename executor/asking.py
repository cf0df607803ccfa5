"""Asking people on behalf of runs: what stands behind `approve`. The machine says when to ask and when nobody waits for
the answer any more; whoever started the run says how."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from .failures import approver_failed
from .machine import events, orders
from .problems import nobody_to_ask
from .running import Approver, Question

Spawn = Callable[[Callable[..., Coroutine[Any, Any, None]], orders.AskPerson, Approver], None]


class People:
    """The questions of one shell that are open. `tell` takes the answers to the machine."""

    def __init__(self, tell: Callable[[events.Event], None], now: Callable[[], float], spawn: Spawn) -> None:
        self._tell = tell
        self._now = now
        self._spawn = spawn
        self._approvers: dict[int, Approver] = {}
        self._asking: dict[int, anyio.CancelScope] = {}

    def begin(self, run: int, approver: Approver | None) -> None:
        """How the run asks; not at all without one."""
        if approver is not None:
            self._approvers[run] = approver

    def over(self, run: int) -> None:
        self._approvers.pop(run, None)

    def ask(self, order: orders.AskPerson) -> None:
        approver = self._approvers.get(order.run)
        if approver is None:
            problem = nobody_to_ask(order.stage, order.text)
            self._tell(events.Answered(self._now(), order.question, False, problem))
        else:
            self._asking[order.question] = anyio.CancelScope()
            self._spawn(self._ask, order, approver)

    def stop(self, order: orders.StopAsking) -> None:
        scope = self._asking.get(order.question)
        if scope is not None:
            scope.cancel()

    async def _ask(self, order: orders.AskPerson, approver: Approver) -> None:
        granted, problem = False, None
        try:
            with self._asking[order.question]:
                granted = await approver(Question(order.run, order.stage, order.text, order.session))
        except Exception as error:
            problem = approver_failed(error, order.stage)
        finally:
            del self._asking[order.question]
        self._tell(events.Answered(self._now(), order.question, granted, problem))
