"""The live view: what is heard and looked at becomes a picture, and a picture becomes lines."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import get_args

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.cli.console import Console
from agentlang.cli.watching import lines, watched
from agentlang.executor.backends.null import Answer, NullBackend, by_name
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import Item
from agentlang.executor.promises import Promise, Promises
from agentlang.executor.shell import open_shell
from agentlang.executor.watching.live import How, Live, Picture, Row
from agentlang.ir.graph import Graph, GraphPipeline, Operation, Region, Value
from agentlang.lang.types import TEXT, StreamType

PICTURE = Picture(
    "answer",
    *(1, 0, 3.25, 16.75, 2),
    rows=(
        Row("answer.embed", "done", 0, 3, 0, 0, None, False),
        Row("answer.chat.decode", "running", 1, 0, 132, 4, 41.23, True),
        Row("answer.sentences", "held", 1, 2, 1234, 64, 0.0, False, "edge"),
        Row("answer.check", "failed", 0, 1, 0, 0, None, False),
    ),
    opening=("reranker",),
)


def test_a_picture_is_drawn() -> None:
    assert lines(PICTURE, 70, 20) == [
        "answer · 3.2 s · 16.8 s left · 41.2 tokens/s · 2 unread",
        "… opening reranker",
        "▸ answer.chat.decode      running              132 41.2/s 4 wait",
        "‖ answer.sentences @edge  held 1, 2 over     1,234  64 wait",
        "✓ answer.embed            done 3",
        "✗ answer.check            failed",
    ]


def test_of_more_than_there_is_room_for_those_that_run_are_drawn() -> None:
    late = replace(PICTURE, left=-1.5, runs=3, over=12)
    assert lines(late, 40, 4) == [
        "answer 3 running, 12 over · 3.2 s · 1.5…",
        "… opening reranker",
        "▸ answer.chat.decode  running          …",
        "  and 3 more",
    ]


@settings(max_examples=60)
@given(
    width=st.integers(1, 200),
    height=st.integers(1, 12),
    rows=st.lists(
        st.builds(
            Row,
            st.text("abc._0", max_size=60),
            st.sampled_from(("opening", "running", "held", "done", "failed", "stopped")),
            *(st.integers(0, 9), st.integers(0, 10**6), st.integers(0, 10**9), st.integers(0, 999)),
            st.none() | st.floats(0, 1e9),
            st.booleans(),
            st.none() | st.sampled_from(("edge", "h100")),
        ),
        max_size=20,
    ),
    colour=st.booleans(),
)
def test_it_never_leaves_its_place(width: int, height: int, rows: list[Row], colour: bool) -> None:
    made = lines(replace(PICTURE, rows=tuple(rows)), width, height, colour)
    assert len(made) <= height
    plain = [re.sub(r"\x1b\[\d*m", "", line) for line in made]
    assert all(len(line) <= width and line.isprintable() for line in plain)
    assert colour or plain == made


def graph(tier: str | None = None) -> Graph:
    stream = StreamType(TEXT)
    tokens, pieces = Value(1, stream), Value(2, stream)
    made = Operation("p.decode", "agent.stage", (), (tokens,), {"entry": "llm:decode", "parameters": ()})
    attributes = {"entry": "llm:detokenize", "parameters": ("of",)}
    read = Operation("p.detokenize", "agent.stage", (tokens,), (pieces,), attributes)
    last = Operation("p.return", "agent.return", (pieces,), (), {})
    body = Region((), (made, read, last))
    return Graph("", (), (), (GraphPipeline("p", (), stream, body),), tier=tier)


def test_a_run_is_seen_while_it_runs() -> None:
    """Two tokens a second, of which nobody reads the texts after the third second."""
    live = Live()
    seen: dict[float, Picture] = {}

    async def watch() -> None:
        assert live.picture() is None
        answers = by_name(
            {
                "llm:decode": Answer(items=tuple(range(40)), seconds=0.5, gap=0.5),
                "llm:detokenize": Answer(items=tuple(map(str, range(40)))),
            }
        )
        deployment = Deployment(graph(), promises=(Promises("p", (Promise("finish", 30.0, {}),)),))
        async with open_shell(deployment, NullBackend(answers), observers=[live]) as shell:
            running = shell.start("p", {}, timeout=25.0)
            async for frame in running:
                if isinstance(frame, Item):
                    await anyio.sleep(0.5)
                    picture = live.picture()
                    assert picture is not None
                    seen[round(anyio.current_time(), 1)] = picture
        picture = live.picture()
        assert picture is not None
        seen[99.0] = picture

    anyio.run(watch, backend_options={"loop_factory": VirtualEventLoop})
    first, last = seen[min(seen)], seen[99.0]
    assert first.pipeline == "p" and first.runs == 1 and first.left is not None
    assert round(first.since + first.left, 3) == 25.0  # the timeout comes before what is promised
    decode = next(row for row in seen[5.0].rows if row.stage == "p.decode")
    assert (decode.how, decode.running, decode.over, decode.tokens) == ("running", 1, 0, True)
    assert decode.items == 10 and round(seen[5.0].tokens, 3) == 2.0
    assert (last.runs, last.over, last.left) == (0, 1, None)
    assert {row.how for row in last.rows} == {"done"} and {row.items for row in last.rows} == {40}


def test_without_a_terminal_a_note_says_so() -> None:
    out, err = io.StringIO(), io.StringIO()
    with watched(Live(), Console(out, err), 3):
        pass
    assert (out.getvalue(), err.getvalue()) == ("", "--watch draws on a terminal, and standard error is none\n")


@pytest.mark.parametrize("how", get_args(How))
def test_whatever_a_stage_does_has_a_sign(how: How) -> None:
    row = Row("s", how, 1, 0, 0, 0, None, False)
    assert lines(replace(PICTURE, rows=(row,), opening=()), 80, 9)[1][0] in "…▸‖✓✗·"


@pytest.mark.parametrize("width", [20, 200])
def test_names_are_cut_from_their_beginning(width: int) -> None:
    row = Row("a." + "b" * 150 + ".decode", "running", 1, 0, 0, 0, None, False)
    (line,) = lines(replace(PICTURE, rows=(row,), opening=()), width, 9)[1:]
    assert line.startswith("▸ …bbb") and (width < 30 or ".decode" in line)
