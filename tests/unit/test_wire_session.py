"""A session by itself: credit, epochs, ends, time, draining, and a peer that does what none may."""

from __future__ import annotations

from typing import Any

import pytest

from agentlang.executor.wire import events as ev
from agentlang.executor.wire import frames as f
from agentlang.executor.wire.framing import Decoder, encode
from agentlang.executor.wire.problems import WireProblem
from agentlang.executor.wire.session import Session
from agentlang.executor.wire.settings import Settings

TOKEN = bytes(range(16))
SMALL = Settings(items=4, size=1000, channels=3, kept_frames=20, kept_size=4000)


def said(session: Session) -> bytes:
    return b"".join(bytes(buffer) for buffers, _ in session.output() for buffer in buffers)


def frames_of(data: bytes) -> list[Any]:
    return [frame for frame, _ in Decoder().feed(data)]


class Pair:
    """Two sessions that hear each other at once."""

    def __init__(self, settings: Settings = SMALL) -> None:
        self.now = 0.0
        self.one = Session(TOKEN, initiator=True, settings=settings, name="one", about=b"1")
        self.two = Session(TOKEN, initiator=False, settings=settings, name="two", about=b"2")
        self.connect()

    def connect(self) -> list[ev.Event]:
        self.one.disconnected()
        self.two.disconnected()
        self.one.connected(self.now)
        (hello,) = frames_of(said(self.one))
        heard = self.two.connected(self.now, hello)
        return heard + self.one.received(said(self.two), self.now)

    def settle(self) -> tuple[list[ev.Event], list[ev.Event]]:
        """What each hears until both are silent."""
        heard: tuple[list[ev.Event], list[ev.Event]] = ([], [])
        while True:
            there, back = said(self.one), said(self.two)
            if not there and not back:
                return heard
            heard[1].extend(self.two.received(there, self.now))
            heard[0].extend(self.one.received(back, self.now))

    def opened(self) -> int:
        channel = self.one.open("x")
        self.settle()
        return channel


def bodies(heard: list[ev.Event]) -> list[bytes]:
    return [bytes(event.body) for event in heard if isinstance(event, ev.Came)]


def test_both_say_who_they_are() -> None:
    pair = Pair()
    first = pair.connect()
    assert first == [ev.Connected("one", b"1", True), ev.Connected("two", b"2", True)]


def test_credit_holds_a_writer_back_and_comes_back_when_items_are_used() -> None:
    pair = Pair()
    channel = pair.opened()
    assert [pair.one.send(channel, b"%d" % number) for number in range(6)] == [True] * 4 + [False] * 2
    assert len(bodies(pair.settle()[1])) == 4
    pair.two.consumed(channel, 1, 1)
    assert pair.settle()[0] == []
    pair.two.consumed(channel, 1, 1)
    assert pair.settle()[0] == [ev.Writable(channel)]
    assert [pair.one.send(channel, b"x") for _ in range(3)] == [True, True, False]


def test_a_writer_may_ask_for_less_credit_and_not_for_more() -> None:
    for wanted, given in ((1, 1), (3, 3), (0, 4), (99, 4)):
        pair = Pair()
        channel = pair.one.open("x", items=wanted)
        assert sum(pair.one.send(channel, b"x") for _ in range(20)) == given
        pair.settle()
        pair.two.consumed(channel, given, given)
        pair.settle()
        assert sum(pair.one.send(channel, b"x") for _ in range(20)) == given


def test_bytes_are_credit_too() -> None:
    pair = Pair()
    channel = pair.opened()
    assert pair.one.send(channel, b"x" * 900)
    assert pair.one.send(channel, b"x" * 900), "the item that passes the bound may be larger"
    assert not pair.one.send(channel, b"")
    pair.settle()
    pair.two.consumed(channel, 2, 1800)
    assert pair.settle()[0] == [ev.Writable(channel)]


def test_what_is_not_acknowledged_is_bounded_while_nobody_is_there() -> None:
    wide = Pair(Settings(items=1000, size=1 << 20, kept_frames=20, kept_size=4000))
    channel = wide.opened()
    wide.one.disconnected()
    sent = 0
    while wide.one.send(channel, b"x" * 100):
        sent += 1
    assert 15 <= sent <= 20
    assert ev.Roomy() in wide.connect()
    assert len(bodies(wide.settle()[1])) == sent
    assert wide.one.send(channel, b"one more")


def test_a_reset_drops_what_is_on_its_way_from_either_end() -> None:
    for resets in ("writer", "reader"):
        pair = Pair()
        channel = pair.opened()
        pair.one.send(channel, b"old")
        if resets == "writer":
            pair.one.reset(channel)
            pair.one.send(channel, b"new")
            heard = pair.settle()[1]
            # Who reads hears of the old one before, and is told to drop it.
            assert bodies(heard) == [b"old", b"new"]
            assert heard[1] == ev.WasReset(channel, 1)
        else:
            pair.two.reset(channel)
            old = said(pair.one)
            heard = pair.two.received(old, 0.0)
            assert bodies(heard) == []
            assert [event.item.body for event in heard if isinstance(event, ev.Dropped)] == [b"old"]
            assert ev.WasReset(channel, 1) in pair.settle()[0]
            pair.one.send(channel, b"new")
            assert bodies(pair.settle()[1]) == [b"new"]


def test_resets_that_cross_are_one() -> None:
    pair = Pair()
    channel = pair.opened()
    assert pair.one.reset(channel) == pair.two.reset(channel) == 1
    assert pair.settle() == ([], [])
    assert pair.one.epoch(channel) == pair.two.epoch(channel) == 1


def test_dropped_items_give_their_credit_back() -> None:
    pair = Pair()
    channel = pair.opened()
    for _ in range(10):
        while pair.one.send(channel, b"x"):
            pass
        pair.two.reset(channel)
        assert bodies(pair.settle()[1]) == []
    assert pair.one.may_send(channel)


def test_a_channel_is_closed_when_it_has_ended_and_all_was_read() -> None:
    pair = Pair()
    for number in range(50):  # far more than may be open at once
        channel = pair.one.open(f"{number}")
        pair.one.send(channel, b"x")
        pair.one.fail(channel, "timeout", b"why") if number % 2 else pair.one.end(channel)
        heard = pair.settle()[1]
        assert heard[-1] == (ev.Ended(channel, "timeout", b"why") if number % 2 else ev.Ended(channel))
        pair.two.consumed(channel, 1, 1)
        assert pair.settle()[0] == [ev.Left(channel, "")]
        with pytest.raises(WireProblem, match="nobody reads"):
            pair.one.send(channel, b"x")


def test_a_reader_may_leave_early() -> None:
    pair = Pair()
    channel = pair.opened()
    pair.one.send(channel, b"on its way")
    pair.two.leave(channel, "enough")
    assert bodies(pair.two.received(said(pair.one), 0.0)) == []
    assert ev.Left(channel, "enough") in pair.settle()[0]
    assert [pair.opened() for _ in range(3)], "its place is free again"


def test_no_more_channels_than_the_other_side_takes() -> None:
    pair = Pair()
    for _ in range(3):
        pair.one.open("x")
    assert not pair.one.may_open
    with pytest.raises(WireProblem) as raised:
        pair.one.open("x")
    assert raised.value.name == "no-room"


def test_what_is_sent_again_says_what_is_left_of_its_deadline() -> None:
    pair = Pair()
    channel = pair.opened()
    pair.one.disconnected()
    pair.one.send(channel, b"x", deadline=5.0)
    pair.now = 3.0
    pair.connect()
    (item,) = [event for event in pair.settle()[1] if isinstance(event, ev.Came)]
    assert item.deadline == pytest.approx(2.0)


def test_whoever_is_silent_is_asked_and_then_given_up() -> None:
    pair = Pair()
    quiet = SMALL.heartbeat
    assert pair.one.tick(quiet * 0.5) == []
    assert said(pair.one) == b""
    now = quiet * 0.5
    happened: list[ev.Event] = []
    while now < SMALL.silence + 1.0 and not happened:
        now += SMALL.tick
        happened = pair.one.tick(now)
        if quiet < now < quiet + 0.3:
            assert [type(frame) for frame in frames_of(said(pair.one))] == [f.Ping]
    assert isinstance(happened[0], ev.Broken)
    assert happened[0].problem.name == "silent"
    assert now == pytest.approx(SMALL.silence, abs=0.5)
    assert not pair.one.over


def test_a_ping_is_answered() -> None:
    pair = Pair()
    pair.two.received(b"".join(map(bytes, encode(f.Ping(7)))), 0.0)
    assert frames_of(said(pair.two)) == [f.Pong(7)]


def test_who_stood_still_does_not_blame_the_other_side() -> None:
    pair = Pair()
    assert pair.one.tick(1000.0) == []
    assert [type(frame) for frame in frames_of(said(pair.one))] == [f.Ping]
    pair.one.received(b"".join(map(bytes, encode(f.Pong(0)))), 1000.1)
    assert pair.one.tick(1000.2) == []


def test_a_drain_lets_what_is_open_come_to_its_end() -> None:
    pair = Pair()
    channel = pair.opened()
    pair.one.drain()
    assert pair.settle()[1] == [ev.Draining()]
    for side in (pair.one, pair.two):
        with pytest.raises(WireProblem) as raised:
            side.open("late")
        assert raised.value.name == "draining"
    pair.one.send(channel, b"last")
    pair.one.end(channel)
    assert bodies(pair.settle()[1]) == [b"last"]
    pair.two.consumed(channel, 1, 4)
    pair.two.tick(1.0)
    one, two = pair.settle()
    pair.two.tick(1.1)
    later = pair.settle()
    assert ev.Over(None) in one + later[0]
    assert ev.Over(None) in two + later[1]


def test_a_drain_that_lost_its_goodbye_ends_well() -> None:
    pair = Pair()
    pair.one.drain()
    pair.two.received(said(pair.one), 0.0)
    pair.two.disconnected()
    assert pair.two.lost() == [ev.Over(None)]


def broken_by(pair: Pair, *wrong: Any) -> list[ev.Event]:
    return pair.two.received(b"".join(b"".join(map(bytes, encode(frame))) for frame in wrong), 0.0)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("unknown-channel", f.Item(2, 0, 9, 0, 0, None, None, b"", memoryview(b""))),
        ("unknown-channel", f.End(2, 0, 9)),
        ("unknown-channel", f.Credit(2, 0, 2, 1, 1)),
        ("unknown-channel", f.Open(2, 0, 2, "x", 0, None, None, b"")),
        ("unknown-channel", f.Open(2, 0, 1, "x", 0, None, None, b"")),
        ("unexpected", f.Item(2, 0, 1, 5, 0, None, None, b"", memoryview(b""))),
        ("unexpected", f.Ack(99)),
    ],
)
def test_a_peer_that_does_what_none_may_ends_the_session(name: str, wrong: Any) -> None:
    pair = Pair()
    pair.opened()
    (over,) = broken_by(pair, wrong)
    assert isinstance(over, ev.Over)
    assert over.problem is not None
    assert over.problem.name == name
    assert [type(frame) for frame in frames_of(said(pair.two))] == [f.Goodbye]
    assert pair.two.received(b"anything", 0.0) == []


def test_more_than_credit_allows_ends_the_session() -> None:
    pair = Pair()
    pair.opened()
    items = [f.Item(2 + number, 0, 1, 0, 0, None, None, b"", memoryview(b"x")) for number in range(5)]
    heard = broken_by(pair, *items)
    assert len(bodies(heard)) == 4
    assert isinstance(heard[-1], ev.Over)
    assert heard[-1].problem is not None
    assert heard[-1].problem.name == "beyond-credit"


def test_more_channels_than_may_be_open_end_the_session() -> None:
    pair = Pair()
    opens = [f.Open(1 + number, 0, 1 + 2 * number, "x", 0, None, None, b"") for number in range(4)]
    over = broken_by(pair, *opens)[-1]
    assert isinstance(over, ev.Over)
    assert over.problem is not None
    assert over.problem.name == "too-many-channels"


def test_a_peer_that_has_forgotten_is_not_taken_for_the_same() -> None:
    pair = Pair()
    pair.opened()
    pair.two.open("y")
    pair.settle()
    pair.one.tick(1.0)
    pair.settle()
    pair.two.disconnected()
    over = pair.two.connected(1.0, f.Hello(TOKEN, True, 0, 4, 1000, 3, "one", b""))[-1]
    assert isinstance(over, ev.Over)
    assert over.problem is not None
    assert over.problem.name == "unresumable"


@pytest.mark.parametrize("wrong", [{"items": 0}, {"tick": 3.0}, {"heartbeat": 9.0}, {"most_body": 1 << 40}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|has at most"):
        Settings(**wrong)
