"""What a trace says of the work: rates, sizes, what prompts share, pauses; and what cannot be read, at its line."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO, RawIOBase
from random import Random
from typing import IO, cast

import pytest
from recorded import HEAD, SIZES, azure, load, reader, two_minutes

from agentlang.base.problems import Severity
from agentlang.base.render import terminal
from agentlang.planner.traces import Named, Reader, load_of


def test_means_percentiles_and_rates() -> None:
    found = load(two_minutes())
    assert (found.file, found.requests) == ("requests.csv", 180)
    assert found.digest == sha256(two_minutes()).hexdigest()
    assert found.seconds == pytest.approx(119.5)
    assert found.rate == pytest.approx(179 / 119.5)
    assert found.busiest == 2.0
    assert found.place == "requests.csv:62:1"
    assert found.means == {"prompt.tokens": pytest.approx(760.0), "chat.output": pytest.approx(28.0)}
    assert [size.variance for size in found.sizes] == [pytest.approx(0.09 * 3600**2 / 760**2), pytest.approx(576 / 784)]
    assert found.slow(90) == {"prompt.tokens": 760.0, "chat.output": 28.0}
    assert found.slow(95) == {"prompt.tokens": 4000.0, "chat.output": 100.0}
    assert found.slow(96) == found.slow(98)


def test_a_percentile_is_a_number_that_was_met() -> None:
    prompts = load(azure([(float(at), at + 1, 1) for at in range(100)])).sizes[0]
    assert [prompts.at(percentile) for percentile in (50, 95, 99, 99.5, 100)] == [50.0, 95.0, 99.0, 100.0, 100.0]


def test_less_than_a_minute_has_its_mean_for_the_busiest() -> None:
    found = load(azure([(0.0, 1, 1), (1.0, 1, 1), (4.0, 1, 1)]))
    assert found.rate == found.busiest == pytest.approx(0.5)


def test_replies_end_where_the_program_ends_them() -> None:
    found = load(azure([(0.0, 5, 100), (1.0, 5, 300)]), Named("prompt.tokens", "chat.output", 200.0))
    assert found.means["chat.output"] == 150.0
    assert found.cut == 1


def test_what_the_pipeline_does_not_have_is_told() -> None:
    found = load(two_minutes(), Named(None, "chat.output"))
    assert list(found.means) == ["chat.output"]
    assert ["prompts" in note for note in found.notes] == [True]
    assert load(two_minutes()).notes == ()


def test_what_prompts_share_is_of_their_tokens() -> None:
    lines = [
        '{"timestamp": 0, "input_length": 1000, "output_length": 1, "hash_ids": [1, 2]}',
        '{"timestamp": 10, "input_length": 1000, "output_length": 1, "hash_ids": [1, 3]}',
        # What stands behind something new is new.
        '{"timestamp": 20, "input_length": 1000, "output_length": 1, "hash_ids": [4, 2]}',
        '{"timestamp": 30, "input_length": 600, "output_length": 1, "hash_ids": [1, 2]}',
    ]
    found = load("\n".join(lines).encode())
    assert found.again == pytest.approx((512 + 600) / 3600)
    assert load(two_minutes()).again is None


def test_a_pause_that_the_rate_does_not_explain_is_told_with_both_ends() -> None:
    rows = [(float(at) + (3600.0 if at >= 300 else 0.0), 10, 1) for at in range(600)]
    read = reader(azure(rows))
    assert load_of(read, SIZES) is not None
    (problem,) = read.problems
    assert (problem.slug, problem.severity) == ("trace-gap", Severity.WARNING)
    assert problem.span is not None and problem.span.line == 301
    assert [each.span.line for each in problem.related] == [302]
    assert "1 per s without the 1 h" in str(problem.hint)
    shown = terminal(problem, {"requests.csv": read.source()})
    assert f"301 | {azure(rows).decode().splitlines()[300]}" in shown
    assert f"302 | {azure(rows).decode().splitlines()[301]}" in shown


def test_random_arrivals_have_no_such_pause() -> None:
    draw, at, rows = Random(1), 0.0, list[tuple[float, int, int]]()
    for _ in range(3000):
        at += draw.expovariate(2.0)
        rows.append((at, 10, 1))
    read = reader(azure(rows))
    assert load_of(read, SIZES) is not None
    assert read.problems == ()


@pytest.mark.parametrize("rows", [[(5.0, 10, 2)], [(5.0, 10, 2), (5.0, 20, 2)]])
def test_of_one_moment_no_rate_follows(rows: list[tuple[float, int, int]]) -> None:
    read = reader(azure(rows))
    found = load_of(read, SIZES)
    assert found is not None and found.rate is None and found.busiest is None
    assert found.means["chat.output"] == 2.0
    assert [problem.slug for problem in read.problems] == ["trace-short"]


@pytest.mark.parametrize(
    ("data", "slug", "line", "word"),
    [
        (b"\x7fELF\0\0\0", "not-text", 1, "zero"),
        (f"{HEAD}\n".encode() + b"2025-03-01 00:00:00,\xff\xfe,3\n", "not-text", 2, "byte 21"),
        (f"{HEAD}\n2025-03-01 00:00:00,{'1' * 2_000_000},3\n".encode(), "trace-line", 2, "1,048,576 bytes"),
        (f"{HEAD}\n2025-03-01 00:00:00,{'1' * 200_000},3\n".encode(), "trace-line", 2, "CSV"),
        (f"{HEAD}\n2025-03-01 00:00:00,20000000,3\n".encode(), "trace-line", 2, "10,000,000"),
        (b'{"timestamp": 1, "input_length": 1' + b"0" * 400 + b', "output_length": 1}\n', "trace-line", 1, "100"),
        (b'{"timestamp": 1, "input_length": ' + b"[" * 100_000 + b"\n", "trace-line", 1, "JSON"),
        (b'{"timestamp": 1e400, "input_length": 1, "output_length": 1}\n', "trace-line", 1, "inf"),
        (b'{"timestamp": true, "input_length": 1, "output_length": 1}\n', "trace-line", 1, "timestamp"),
        (b"\n\n\n", "trace-empty", None, "no request"),
    ],
)
def test_what_is_no_trace_is_a_problem_at_its_line(data: bytes, slug: str, line: int | None, word: str) -> None:
    read = reader(data)
    assert load_of(read, SIZES) is None
    problem = read.problems[0]
    assert problem.slug == slug
    assert (problem.span.line if problem.span else None) == line
    assert word in problem.title
    assert problem.hint
    assert len(terminal(problem, {"requests.csv": read.source()})) < 2000


def test_who_has_many_faults_hears_of_five() -> None:
    read = reader((HEAD + "\n" + "2025-03-01 00:00:00,x,1\n" * 500).encode())
    assert load_of(read, SIZES) is None
    assert len(read.problems) == 5


class _Endless(RawIOBase):
    """Lines that nobody holds: so many requests, made when they are read."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._lines = self._made(count)

    @staticmethod
    def _made(count: int) -> Iterator[bytes]:
        yield f"{HEAD}\n".encode()
        for at in range(count):
            yield f"2025-03-01 {at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d},1000,100{' ' * 400}\n".encode()

    def readline(self, size: int | None = -1, /) -> bytes:
        del size
        return next(self._lines, b"")


def test_memory_is_of_what_is_kept() -> None:
    tracemalloc.start()
    try:
        found = load_of(Reader("long.csv", cast("IO[bytes]", _Endless(20_000))), SIZES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None and found.requests == 20_000
    # Five numbers of each request, and a few lines; the lines themselves are nine million bytes.
    assert peak < 3e6


def test_a_reader_of_bytes_that_end_badly() -> None:
    class Broken(BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    read = Reader("lost.csv", Broken())
    assert load_of(read, SIZES) is None
    assert [problem.slug for problem in read.problems] == ["unreadable-file"]
