"""Operations with regions: what they share, those that enter one of several, and the one that makes a stream of what
is emitted in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...lang.types import OptionType
from .feed import Feed, Slot
from .prepared import Step
from .scopes import Scope, Task, Zone


class Regions(Task):
    """A group of slots for what is sent out inside, a feed where the result is a stream, and the holds on the streams
    from outside, which last until every region that uses them has been entered."""

    __slots__ = ("feed", "released", "sends")

    choosing = False

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.released = False
        self.sends: Slot | None = None
        if step.outputs and scope.sends is not None:
            self.sends = scope.sends.group(self.choosing)
            self.sends.cancel = self.unsent
        self.feed: Feed | None = None
        if step.result in scope.block.streams:
            self.feed = Feed(scope.channel(cast(int, step.result)), self.unwanted)

    @property
    def wanted(self) -> bool:
        """Whether there is still something to do here: an effect, a value to give, a stream that is read, or items to
        send out that are."""
        step, feed, sends = self.step, self.feed, self.sends
        if step.acts or (feed is None and step.result is not None):
            return True
        return (feed is not None and not feed.dead) or (sends is not None and not sends.feed.dead)

    def unsent(self) -> None:
        """Nobody reads what is sent out here."""
        if not self.done and not self.wanted:
            self.unwanted()

    def unwanted(self) -> None:
        """Nobody reads the result: what has no other effect stops here."""

    def let_go(self) -> None:
        self.release()

    def inner_scope(self, block: int, index: tuple[int, ...], zone: Zone | None = None) -> Scope:
        return Scope(self.scope.run, self.step.blocks[block], self.scope, index, zone or self.scope.zone)

    def release(self) -> None:
        if not self.released:
            self.released = True
            for use in self.step.inner:
                self.scope.channel(use.value).release(use.kept)

    def all_entered(self) -> None:
        """No region will be entered any more: what they send and give has its place, and what comes behind it need not
        wait until they are complete."""
        if self.sends is not None:
            self.sends.close()
        if self.feed is not None:
            self.feed.root.close()

    def left(self) -> None:
        """No region will be entered any more, and all that were are complete."""
        self.all_entered()
        self.finish()


class Branch(Regions):
    """Enters one of its regions; its result is what that region yields."""

    __slots__ = ()

    def unwanted(self) -> None:
        if not self.wanted and self.missing >= 0:
            self.give_up()

    def taken(self) -> tuple[int, tuple[object, ...]]:
        """Which region, and its arguments."""
        raise NotImplementedError

    def fire(self) -> None:
        taken, arguments = self.taken()
        if taken >= len(self.step.blocks):
            self.release()
            self.left()
            return
        inner = self.inner_scope(taken, self.scope.index)
        inner.values.update(zip(inner.block.arguments, arguments, strict=True))
        inner.complete = self.left
        if self.sends is not None:
            inner.sends = self.sends
        if self.feed is not None:
            inner.gives = self.feed.root.leaf()
        else:
            inner.result = self.give
        inner.enter()
        self.all_entered()
        self.release()
        if self.feed is not None:
            self.give(self.feed.target)


class Generator(Regions):
    """Fills its stream with what is emitted in its region, and then with the stream that the region yields."""

    __slots__ = ()

    def unwanted(self) -> None:
        if not self.step.acts and self.missing >= 0:
            self.give_up()

    def fire(self) -> None:
        assert self.feed is not None
        inner = self.inner_scope(0, self.scope.index)
        inner.sends = self.feed.root.group()
        if inner.block.result is not None:
            inner.gives = self.feed.root.leaf()
        inner.complete = self.left
        self.give(self.feed.target)
        inner.enter()
        inner.sends.close()
        self.all_entered()
        self.release()


class If(Branch):
    __slots__ = ()

    def taken(self) -> tuple[int, tuple[object, ...]]:
        return (0 if self.operands()[0] else 1), ()


class Match(Branch):
    """Over an enum or an option; the arms cover every case once, `_` what is left."""

    __slots__ = ()

    def taken(self) -> tuple[int, tuple[object, ...]]:
        subject = self.operands()[0]
        payload: tuple[object, ...] = ()
        if isinstance(self.operation.operands[0].type, OptionType):
            case = "none" if subject is None else "some"
            if subject is not None:
                payload = (subject,)
        elif isinstance(subject, str):
            case = subject
        else:
            ((case, fields),) = cast("Mapping[str, Mapping[str, object]]", subject).items()
            payload = tuple(fields.values())
        cases = cast("tuple[str, ...]", self.operation.attributes["cases"])
        if case in cases:
            return cases.index(case), payload
        return cases.index("_"), ()
