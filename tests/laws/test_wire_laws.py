"""Whatever becomes of the bytes between two sessions, what was sent arrives once, in order, and no more than was
allowed is ever in memory."""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentlang.executor.wire import events as ev
from agentlang.executor.wire import frames
from agentlang.executor.wire.framing import PREFIX, Decoder, encode
from agentlang.executor.wire.problems import WireProblem
from agentlang.executor.wire.session import Session
from agentlang.executor.wire.settings import Settings

SMALL = Settings(items=3, size=200, channels=4, kept_frames=12, kept_size=2000)
TOKEN = bytes(range(16))


@dataclass
class Side:
    """One end: its session, what it is to send on two channels, and what it heard."""

    session: Session
    wants: dict[str, list[bytes]]
    sent: dict[str, int] = field(default_factory=dict[str, int])
    channels: dict[str, int] = field(default_factory=dict[str, int])
    names: dict[int, str] = field(default_factory=dict[int, str])
    heard: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])
    waiting: dict[int, list[bytes]] = field(default_factory=dict[int, list[bytes]])
    ended: set[str] = field(default_factory=set[str])
    broken: bool = False

    def hear(self, happened: list[ev.Event]) -> None:
        for event in happened:
            match event:
                case ev.Opened(channel=channel, name=name):
                    self.names[channel] = name
                    self.heard[name] = []
                    self.waiting[channel] = []
                case ev.Came(channel=channel, body=body):
                    self.heard[self.names[channel]].append(bytes(body))
                    self.waiting[channel].append(bytes(body))
                    # Credit is never exceeded.
                    held = self.waiting[channel]
                    assert len(held) <= SMALL.items
                    assert sum(map(len, held[:-1])) < SMALL.size
                case ev.Ended(channel):
                    self.ended.add(self.names[channel])
                case ev.Broken():
                    self.broken = True
                case ev.Over(problem):
                    raise AssertionError(f"the session is over: {problem!r}")
                case _:
                    pass

    def act(self, luck: Random) -> None:
        """Something that an application might do now."""
        session = self.session
        for name, bodies in self.wants.items():
            if name not in self.channels:
                if session.may_open:
                    self.channels[name] = session.open(name, items=luck.randint(0, 5))
                    self.sent[name] = 0
                continue
            channel, done = self.channels[name], self.sent[name]
            if done < len(bodies):
                if session.may_send(channel):
                    session.send(channel, bodies[done], deadline=luck.choice((None, 1.5)))
                    self.sent[name] += 1
            elif done == len(bodies):
                session.end(channel)
                self.sent[name] += 1
        for channel, held in self.waiting.items():
            if held and luck.random() < 0.6:
                taken = held[: luck.randint(1, len(held))]
                del held[: len(taken)]
                session.consumed(channel, len(taken), sum(map(len, taken)))
        kept = session._kept  # pyright: ignore[reportPrivateUsage]
        assert len(kept) <= SMALL.kept_frames + 8, "what is not acknowledged is bounded"

    @property
    def done(self) -> bool:
        return all(self.sent.get(name) == len(bodies) + 1 for name, bodies in self.wants.items())


class Pair:
    """Two sides, and the bytes between them, which `spoil` may change."""

    def __init__(self, seed: int, one: dict[str, list[bytes]], two: dict[str, list[bytes]]) -> None:
        self.luck = Random(seed)
        self.now = 0.0
        self.one = Side(Session(TOKEN, initiator=True, settings=SMALL), one)
        self.two = Side(Session(TOKEN, initiator=False, settings=SMALL), two)
        self.ways: list[bytearray] = []
        self.greeted = False
        self.connections = 0

    def connect(self) -> None:
        self.connections += 1
        self.ways = [bytearray(), bytearray()]
        self.greeted = False
        self.one.broken = self.two.broken = False
        self.one.session.disconnected()
        self.two.session.disconnected()
        self.one.hear(self.one.session.connected(self.now))

    def deliver(self, way: int, data: bytes) -> None:
        if way == 0 and not self.greeted:
            # The acceptor reads who it is before it knows the session.
            try:
                (hello, _), *rest = Decoder(frames.MOST_HELLO).feed(data)
            except (WireProblem, ValueError):
                self.two.broken = True
                return
            if not isinstance(hello, frames.Hello) or hello.session != TOKEN:
                self.two.broken = True
                return
            self.greeted = True
            self.two.hear(self.two.session.connected(self.now, hello))
            self.two.broken |= bool(rest)  # nobody says more before it is answered
            return
        side = (self.two, self.one)[way]
        side.hear(side.session.received(data, self.now))

    def step(self, spoil: float) -> None:
        luck = self.luck
        if not self.ways or self.one.broken or self.two.broken:
            self.connect()
        self.now += 0.01
        self.one.act(luck)
        self.two.act(luck)
        for way, side in ((0, self.one), (1, self.two)):
            said = [b"".join(map(bytes, buffers)) for buffers, _ in side.session.output()]
            if said and luck.random() < spoil:
                misplace(said, luck)
            self.ways[way] += b"".join(said)
            held = self.ways[way]
            if not held:
                continue
            if luck.random() < spoil:
                damage(held, luck)
                if luck.random() < 0.3:
                    self.one.broken = True  # and the transport is gone too
                if not held:
                    continue
            count = len(held) if way == 0 and not self.greeted else luck.randint(1, len(held))
            data = bytes(held[:count])
            del held[:count]
            self.deliver(way, data)
        if self.connections and luck.random() < 0.05:
            for side in (self.one, self.two):
                side.hear(side.session.tick(self.now))
        # A side that waits for bytes that were cut away hears nothing; the heartbeat finds that.
        self.now += 0.01


def misplace(said: list[bytes], luck: Random) -> None:
    """Drop, double or move a whole frame."""
    chosen = said.pop(luck.randrange(len(said)))
    match luck.randrange(3):
        case 0:
            said[:] = [chosen, chosen, *said]
        case 1:
            said.append(chosen)
        case _:
            pass


def damage(held: bytearray, luck: Random) -> None:
    """Cut, double, move or change some of the bytes."""
    start = luck.randrange(len(held))
    end = min(len(held), start + luck.choice((1, 5, 40, 200)))
    match luck.randrange(4):
        case 0:
            del held[start:end]
        case 1:
            held[end:end] = held[start:end]
        case 2:
            held[:] = held[:start] + held[end:] + held[start:end]
        case _:
            held[start] ^= 1 << luck.randrange(8)


BODIES = st.lists(st.integers(0, 120).map(bytes), min_size=4, max_size=20)


def marked(bodies: list[bytes]) -> list[bytes]:
    return [bytes([number]) + body for number, body in enumerate(bodies)]


@settings(max_examples=120)
@given(st.integers(0, 1 << 32), st.dictionaries(st.sampled_from("ab"), BODIES), BODIES)
@example(1, {"a": [], "b": [b"x"]}, [])
def test_everything_arrives_once_and_in_order(seed: int, one: dict[str, list[bytes]], back: list[bytes]) -> None:
    # Each body is another, so that a swap is seen.
    one, back = {name: marked(bodies) for name, bodies in one.items()}, marked(back)
    pair = Pair(seed, one, {"back": back})
    for number in range(6000):
        # Trouble for a while, then none, so that it can come to an end.
        pair.step(0.15 if number < 300 else 0.0)
        if number >= 300 and number % 50 == 0:
            pair.now += SMALL.silence  # what waits for lost bytes finds out
            for side in (pair.one, pair.two):
                side.hear(side.session.tick(pair.now - SMALL.heartbeat))
                side.hear(side.session.tick(pair.now))
            pair.one.broken = True
        if pair.one.done and pair.two.done and pair.two.ended == set(one) and pair.one.ended == {"back"}:
            break
    assert pair.two.heard == one
    assert pair.one.heard == {"back": back}


FRAMES: list[frames.Any] = [
    frames.Hello(TOKEN, True, 7, 16, 1 << 20, 4096, "gpu1", b"x"),
    frames.Open(1, 0, 1, "answer", 4, 0.5, bytes(25), b"x"),
    frames.Item(2, 1, 1, 3, 0, 0.5, bytes(25), b"head", memoryview(bytes(300))),
    frames.Item(2, 1, 1, 3, 0, None, None, b"", memoryview(bytes(40_000))),
    frames.Free(8, 1, (1, 300)),
    frames.Goodbye("drained"),
]


@pytest.mark.slow
@settings(max_examples=5_000)
@given(
    st.lists(st.sampled_from(FRAMES) | st.binary(max_size=400), max_size=4),
    st.randoms(use_true_random=False),
    st.integers(0, 6),
    st.booleans(),
)
def test_no_bytes_bring_the_decoder_to_anything_but_frames_and_its_problems(
    parts: list[frames.Any | bytes], luck: Random, harm: int, sealed: bool
) -> None:
    """Random bytes, damaged frames, and documents that are wrong under a checksum that is right."""
    data = bytearray()
    for part in parts:
        said = bytearray(part if isinstance(part, bytes) else b"".join(map(bytes, encode(part))))
        if sealed:
            document = said if isinstance(part, bytes) else said[12:]
            for _ in range(harm if document else 0):
                document[luck.randrange(len(document))] = luck.randrange(256)
            said = PREFIX.pack(b"aw", 1, 0, len(document), zlib.crc32(document)) + document
        data += said
    if data and not sealed:
        for _ in range(harm):
            damage(data, luck)
            if not data:
                break
    decoder = Decoder(1 << 17)
    with suppress(WireProblem):
        while data:
            count = luck.randint(1, len(data))
            for frame, given in decoder.feed(bytes(data[:count])):
                assert isinstance(frame, frames.Frame)
                assert not given
            assert decoder.held <= 1 << 17
            del data[:count]


@pytest.mark.slow
@settings(max_examples=1_000)
@given(st.lists(st.sampled_from(FRAMES[1:]) | st.builds(frames.Ack, st.integers(0, 9)), max_size=12), st.randoms())
def test_no_frames_bring_a_session_to_anything_but_its_events(said: list[frames.Any], luck: Random) -> None:
    pair = Pair(1, {}, {})
    pair.connect()
    for _ in range(20):
        pair.step(0.0)
    for number, frame in enumerate(said):
        if luck.random() < 0.7 and hasattr(frame, "sequence"):
            frame = msgspec.structs.replace(frame, sequence=number + 1, ack=luck.randint(0, 1))
        for event in pair.two.session.received(b"".join(map(bytes, encode(frame))), 1.0):
            assert isinstance(event, ev.Event)
