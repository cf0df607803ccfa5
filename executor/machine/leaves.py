"""The operations that a kind runs: stages, the stages of a chat, and the ends of channels to other islands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from ..channels import Channel
from .orders import HandleValue, LetGo, StartStage, StreamInput
from .prepared import Step
from .scopes import Scope, Task
from .stages import Port, Started


class Leaf(Task):
    """A stage that a kind runs. A stream argument is a port; a stream result is a channel that the stage fills."""

    __slots__ = ("channel", "started")

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.channel: Channel | None = None
        self.started: Started | None = None
        if step.result in scope.block.streams:
            self.channel = scope.channel(cast(int, step.result))
            self.channel.producer = self

    def more(self) -> None:
        """Room in the channel of a stage that has not started."""

    def unwanted(self) -> None:
        self.give_up()

    def let_go(self) -> None:
        if self.started is not None:
            self.run.machine.stop(self.started)

    def fire(self) -> None:
        scope, step, channel = self.scope, self.step, self.channel
        run, zone, operation = scope.run, scope.zone, step.operation
        machine = run.machine
        calls = self._calls()
        if not calls:
            self.give(())
            self.finish()
            return
        if run.handles_failed:
            for value in self.operands():
                if isinstance(value, HandleValue) and value.name in run.handles_failed:
                    zone.fail(run.handles_failed[value.name])
                    return
        self.started = started = Started(run, zone, operation.id, operation, channel)
        started.ended = self._ended
        arguments: dict[str, object] = {}
        uses = step.uses
        for position, name in enumerate(step.parameters):
            if position not in uses:
                arguments[name] = scope.value(step.operands[position])
            else:
                use = uses[position]
                port = Port(run, scope.channel(use.value), use.kept, started)
                started.ports += (port,)
                arguments[name] = StreamInput(port.number)
        limit = zone.deadline()
        # A stage that reads a stream lasts as long as the stream: only what encloses it bounds it.
        if not uses and not step.timed:
            started.limit = calls * machine.deployment.call_timeout
            own = started.deadline = machine.now + started.limit
            if limit is None or own < limit:
                limit = own
        due = None if run.dues is None else run.dues.begun(started, scope.index)
        order = StartStage(
            started.number,
            run.number,
            operation,
            scope.index,
            step.entry,
            arguments,
            channel is not None,
            started.granted,
            limit,
            run.session,
            bool(uses),
            run.times.started,
            due,
        )
        machine.start(started, order)
        for port in started.ports:
            port.notify()
        if channel is not None:
            self.give(channel)

    def _calls(self) -> int:
        """How many calls of the program it stands for: a batch for those of its list (`passes.batch_calls`), and one of
        no calls is none itself."""
        batch = cast("Mapping[str, str] | None", self.operation.attributes.get("batch"))
        if batch is None:
            return 1
        items = self.step.operands[self.step.parameters.index(batch["items"])]
        return len(cast("Sequence[object]", self.scope.value(items)))

    def _ended(self, value: object) -> None:
        if self.done:
            return
        if self.channel is None:
            self.give(value)
        else:
            self.channel.end()
        self.finish()


class Ahead(Leaf):
    """The beginning of several prompts, prefilled ahead, or its tokens (`passes.hoist_prefix`). Its scope does not wait
    for it, and lets go of it when all else is through. Where it fails, who would use it does without."""

    __slots__ = ("value",)

    def fire(self) -> None:
        self.value: object = None
        scope, failed = self.scope, self.run.handles_failed
        if scope.leaving is None:
            scope.leaving = []
        scope.leaving.append(self)
        operands = dict(zip(self.step.parameters, self.operands(), strict=True))
        model = operands["self"]
        if (isinstance(model, HandleValue) and model.name in failed) or operands.get("tokens", ()) is None:
            self.give(None)
        else:
            super().fire()
            if self.started is not None:
                self.started.forgiven = True
        scope.one_done()

    def _ended(self, value: object) -> None:
        if not self.done:
            self.value = value
            self.give(value)

    def let_go(self) -> None:
        super().let_go()
        # What is left when the run is over is let go of then.
        if self.value is not None and self.scope.parent is not None:
            self.run.machine.orders.append(LetGo(self.run.number, self.value))
        self.value = None

    def leave(self) -> None:
        if not self.done:
            self.done = True
            self.let_go()


class Receive(Leaf):
    """A stream from another island that nobody reads, or will, is received all the same, and stopped at once: whoever
    sends it has to hear of that."""

    __slots__ = ()

    def unwanted(self) -> None:
        if not self.done and self.started is None:
            self.missing = -1
            self.fire()
            if self.started is not None:
                self.run.machine.stop(self.started)

    def fire(self) -> None:
        if self.started is None:
            super().fire()
