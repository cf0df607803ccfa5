"""Frames as bytes: which they are, that plain MessagePack reads them, and that nothing else is taken for one."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgpack
import pytest

from agentlang.executor.wire import frames as f
from agentlang.executor.wire.framing import JOINED, Decoder, encode
from agentlang.executor.wire.problems import WireProblem

TOKEN = bytes(range(16))
TRACE = bytes(range(25))
NOTHING: Any = b""

# What each frame is on the wire, behind its prefix. A change here needs another VERSION.
GOLDEN: dict[str, tuple[Any, str]] = {
    "hello": (
        f.Hello(TOKEN, True, 7, 16, 1048576, 4096, "gpu1", b"\x01"),
        "9901c410000102030405060708090a0b0c0d0e0fc30710ce00100000cd1000a467707531c40101",
    ),
    "open": (f.Open(1, 0, 1, "answer", 4, 0.5, None, b""), "9902010001a6616e7377657204cb3fe0000000000000c0c400"),
    "item": (
        f.Item(2, 1, 1, 3, 0, None, TRACE, b"", memoryview(b"abc")),
        "9a030201010300c0c419000102030405060708090a0b0c0d0e0f101112131415161718c400c403616263",
    ),
    "end": (f.End(3, 1, 1), "9404030101"),
    "fail": (f.Fail(4, 1, 1, "timeout", b""), "9605040101a774696d656f7574c400"),
    "credit": (f.Credit(5, 1, 2, 24, 3145728), "960605010218ce00300000"),
    "reset": (f.Reset(6, 1, 2, 1), "950706010201"),
    "leave": (f.Leave(7, 1, 2, ""), "9508070102a0"),
    "free": (f.Free(8, 1, (1, 300)), "940908019201cd012c"),
    "drain": (f.Drain(9, 1), "930a0901"),
    "ping": (f.Ping(4), "920b04"),
    "pong": (f.Pong(4), "920c04"),
    "ack": (f.Ack(4), "920d04"),
    "goodbye": (f.Goodbye("drained"), "920ea7647261696e6564"),
}


def written(frame: Any, descriptors: int = 0) -> bytes:
    return b"".join(map(bytes, encode(frame, descriptors)))


def framed(document: bytes, *, version: int = 1, descriptors: int = 0, length: int | None = None) -> bytes:
    """A frame as somebody else would write it."""
    size = len(document) if length is None else length
    return struct.pack(">2sBBII", b"aw", version, descriptors, size, zlib.crc32(document, descriptors)) + document


def read(data: bytes, most: int = 1 << 20) -> list[Any]:
    return [frame for frame, _ in Decoder(most).feed(data)]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_frame_is_these_bytes(name: str) -> None:
    frame, digits = GOLDEN[name]
    document = bytes.fromhex(digits)
    assert written(frame).hex() == framed(document).hex()
    assert read(framed(document)) == [frame]


@pytest.mark.parametrize("name", GOLDEN)
def test_plain_messagepack_reads_it(name: str) -> None:
    frame, _ = GOLDEN[name]
    plain: Any = msgpack.unpackb(written(frame)[12:], use_list=False)
    fields = tuple(getattr(frame, field) for field in frame.__struct_fields__)
    assert plain[1:] == fields
    assert plain[0] == frame.__struct_config__.tag


def test_every_frame_has_its_golden_bytes() -> None:
    assert {type(frame) for frame, _ in GOLDEN.values()} == set(f.Any.__args__)


@pytest.mark.parametrize("size", [0, JOINED, JOINED + 1, 3 * JOINED])
@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
def test_bodies_of_all_sizes_in_pieces_of_all_sizes(size: int, step: int) -> None:
    if step == 1 and size > JOINED:
        pytest.skip("the same as in pieces of 7")
    body = memoryview(bytes(range(256)) * (size // 256) + bytes(size % 256))
    frame = f.Item(1, 0, 1, 0, 0, 1.5, None, b"head", body)
    data = written(frame) + written(f.End(2, 0, 1))
    assert msgpack.unpackb(data[12 : 12 + int.from_bytes(data[4:8], "big")])[-1] == body
    decoder = Decoder()
    found = [each for start in range(0, len(data), step) for each, _ in decoder.feed(data[start : start + step])]
    assert found == [frame, f.End(2, 0, 1)]
    assert decoder.held == 0


def packed(*parts: object) -> bytes:
    made = msgpack.packb(parts)
    assert isinstance(made, bytes)
    return made


END = written(f.End(3, 1, 1))
WRONG = {
    "other bytes": (b"GET / HTTP/1.1\r\n\r\n", "not-frames"),
    "one other byte": (b"x", "not-frames"),
    "another version": (framed(packed(4, 3, 1, 1), version=2), "other-version"),
    "longer than may be": (framed(b"", length=(1 << 20) + 1), "oversized"),
    "of four gigabytes": (framed(b"", length=0xFFFFFFFF), "oversized"),
    "damaged": (END[:-1] + b"\x02", "checksum"),
    "another count of descriptors": (END[:3] + b"\x01" + END[4:], "checksum"),
    "too many descriptors": (framed(b"", descriptors=9), "oversized"),
    "without its descriptors": (written(GOLDEN["item"][0], 1), "malformed"),
    "empty": (framed(b""), "malformed"),
    "no array": (framed(b"\x04"), "malformed"),
    "a map": (framed(b"\x81\x04\x01"), "malformed"),
    "an unknown tag": (framed(packed(15, 1)), "malformed"),
    "a tag in words": (framed(packed("End", 3, 1, 1)), "malformed"),
    "a field too few": (framed(packed(4, 3, 1)), "malformed"),
    "a field too many": (framed(packed(4, 3, 1, 1, 1)), "malformed"),
    "bytes behind it": (framed(packed(4, 3, 1, 1) + b"\x00"), "malformed"),
    "cut off": (framed(packed(4, 3, 1, 1)[:-1]), "malformed"),
    "a negative sequence": (framed(packed(4, -1, 1, 1)), "malformed"),
    "a sequence of 0": (framed(packed(4, 0, 1, 1)), "malformed"),
    "a float for a number": (framed(packed(4, 3.0, 1, 1)), "malformed"),
    "true for a number": (framed(packed(4, True, 1, 1)), "malformed"),
    "a number beyond 62 bits": (framed(packed(4, 1 << 63, 1, 1)), "malformed"),
    "text for bytes": (framed(packed(2, 1, 0, 1, "x", 0, None, None, "x")), "malformed"),
    "text that is none": (framed(b"\x92\x0e\xa1\xff"), "malformed"),
    "a deadline of no number": (framed(packed(2, 1, 0, 1, "x", 0, float("nan"), None, b"")), "malformed"),
    "an endless deadline": (framed(packed(2, 1, 0, 1, "x", 0, float("inf"), None, b"")), "malformed"),
    "a short trace": (framed(packed(2, 1, 0, 1, "x", 0, None, b"x", b"")), "malformed"),
    "a long name": (framed(packed(2, 1, 0, 1, "x" * 513, 0, None, None, b"")), "malformed"),
    "nested deep": (framed(b"\x91" * 100_000), "malformed"),
    "nested deep in a field": (framed(b"\x94\x04" + b"\x91" * 100_000 + b"\x01\x01"), "malformed"),
    "an array of four billion": (framed(b"\xdd\xff\xff\xff\xff"), "malformed"),
    "bytes of four billion": (framed(b"\x9a\x03\x01\x00\x01\x00\x00\xc0\xc0\xc4\x00\xc6\xff\xff\xff\xff"), "malformed"),
    "an extension": (framed(b"\x92\x0d\xd4\x00\x01"), "malformed"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_frame_is_named_and_nothing_else_gets_out(what: str) -> None:
    data, name = WRONG[what]
    with pytest.raises(WireProblem) as raised:
        read(data)
    assert raised.value.name == name
    assert raised.value.__cause__ is None, "what the codec says may quote what was sent"


def test_what_came_before_it_is_kept() -> None:
    found: list[Any] = []
    with pytest.raises(WireProblem):
        for frame, _ in Decoder().feed(written(f.Ping(1)) + b"nonsense-------"):
            found.append(frame)
    assert found == [f.Ping(1)]


def test_a_frame_that_is_announced_takes_no_more_memory_than_it_may() -> None:
    decoder = Decoder(1 << 16)
    assert not list(decoder.feed(framed(b"", length=1 << 16)))
    assert not list(decoder.feed(b"x" * 100))
    assert decoder.held <= 1 << 16
    with pytest.raises(WireProblem, match="may be sent"):
        list(Decoder(1 << 16).feed(framed(b"", length=(1 << 16) + 1)))


def test_open_files_are_given_with_their_frame() -> None:
    frame = GOLDEN["item"][0]
    decoder = Decoder()
    data = written(f.Ping(1)) + written(frame, 2) + written(frame, 1)
    assert [given for _, given in decoder.feed(data, (10, 11, 12))] == [(), (10, 11), (12,)]
    with pytest.raises(WireProblem):
        list(decoder.feed(b"", tuple(range(100))))
