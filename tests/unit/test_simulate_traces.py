"""Recorded requests: what is read of them, and what is wrong with a trace, at its line."""

from io import BytesIO

import pytest

from agentlang.base.problems import Problems
from agentlang.executor.simulate.traces import Trace, arrivals
from agentlang.planner.traces import Named, Reader

SIZES = Named("prompt.tokens", "chat.output")
AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
"""
SESSIONS = """agent,session,step,timestamp_us,input_chars,output_chars,prefix_shared_with_prev_input_chars
swe,one,0,2000000,400,40,0
swe,one,1,3000000,800,40,400
swe,two,0,1000000,400,80,0
"""


def read_bytes(data: bytes) -> tuple[Trace | None, Problems]:
    reader = Reader("t", BytesIO(data))
    return arrivals(reader, SIZES), reader.problems


def read(text: str) -> Trace:
    trace, found = read_bytes(text.encode())
    assert trace is not None, found
    return trace


def test_a_trace_of_azure() -> None:
    first, second = read(AZURE).arrivals
    assert first.at == 0.0
    assert second.at == pytest.approx(0.052, abs=1e-5)
    assert second.sizes == {"prompt.tokens": 3180.0, "chat.output": 8.0}


def test_a_trace_of_mooncake_names_its_blocks() -> None:
    text = '{"timestamp": 1000, "input_length": 1030, "output_length": 6, "hash_ids": [1, 2]}\n'
    trace = read(text + '{"timestamp": 1500, "input_length": 512, "output_length": 1, "hash_ids": [1]}\n')
    assert trace.page == 512
    assert [(arrival.at, arrival.keys) for arrival in trace.arrivals] == [(0.0, (1, 2)), (0.5, (1,))]


def test_sessions_come_in_order_of_time_and_share_what_they_say() -> None:
    trace = read(SESSIONS)
    assert [arrival.session for arrival in trace.arrivals] == ["two", "one", "one"]
    _, before, after = trace.arrivals
    assert after.sizes == {"prompt.tokens": 200.0, "chat.output": 10.0}
    assert before.keys == after.keys[: len(before.keys)]
    assert len(after.keys) == 200 // 16


@pytest.mark.parametrize(
    ("text", "slug", "line", "word"),
    [
        ("", "trace-empty", None, "no request"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "trace-empty", None, "no request"),
        ("time,tokens\n1,2\n", "trace-columns", 1, "TIMESTAMP"),
        (AZURE + "2023-11-16 18:17:05,,3\n", "trace-line", 4, "ContextTokens"),
        (AZURE + "2023-11-16 18:17:05\n", "trace-line", 4, "ContextTokens"),
        (AZURE + "2023-11-16 18:17:05,nan,3\n", "trace-line", 4, "nan"),
        (AZURE + "2023-11-16 18:17:05,12,-3\n", "trace-line", 4, "-3"),
        (AZURE + "2023-11-16 18:17:05,many,3\n", "trace-line", 4, "many"),
        (AZURE + "soon,12,3\n", "trace-line", 4, "soon"),
        (AZURE + "2023-11-16 18:17:03,12,3\n", "trace-unsorted", 4, "before"),
        ('{"timestamp": 5, "input_length": 9}\n', "trace-line", 1, "output_length"),
        ('{"timestamp": 5, "input_length": 9, "output_length": 1}\n{"x"\n', "trace-line", 2, "JSON"),
        ('{"timestamp": -5, "input_length": 9, "output_length": 1}\n', "trace-line", 1, "-5"),
        ('{"timestamp": 5, "input_length": 9, "output_length": Infinity}\n', "trace-line", 1, "inf"),
        ('{"timestamp": 5, "input_length": 9, "output_length": 1, "hash_ids": 3}\n', "trace-line", 1, "hash_ids"),
        ('{"timestamp": 5, "input_length": 9, "output_length": 1, "hash_ids": [null]}\n', "trace-line", 1, "hash_ids"),
        (SESSIONS + "swe,,2,5000000,10,10,0\n", "trace-line", 5, "session"),
    ],
)
def test_what_is_wrong_stands_at_its_line(text: str, slug: str, line: int | None, word: str) -> None:
    trace, found = read_bytes(text.encode())
    assert trace is None
    assert {problem.slug for problem in found} == {slug}
    problem = found[0]
    assert (problem.span.line if problem.span else None) == line
    assert word in problem.title
    assert problem.hint
