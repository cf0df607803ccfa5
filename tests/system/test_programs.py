"""Programs of every kind, run as they are written: what each pipeline must give, by the language's own description.

None needs a model. Each must also stand in canonical form, compile, be drawn, and be explained line by line.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from agent_sources import ROOT
from program_runs import compiled, ran

from agentlang.api import Compiled, check, compile, read
from agentlang.cli.main import main
from agentlang.lang.format import format_source
from agentlang.stdlib.library import Library

FOLDER = ROOT / "tests" / "system" / "programs"
FILES = sorted(path.stem for path in FOLDER.glob("*.agent"))

AB = [{"n": 1, "score": 0.5}, {"n": 2, "score": None}]
TOOL = {"failed": ["tool_error", "tool-raised"]}

CALLS: dict[str, list[tuple[str, Mapping[str, object], Any]]] = {
    "units": [
        ("load_time", {}, 5.0),
        ("load_time", {"size": 2**30}, 0.5),
        ("total", {"hours": 10.0, "wage": 9.5}, 95.0),
        ("total", {"hours": 10, "wage": 20}, 180.0),
        ("text", {}, "1.5 s | $0.40 | 80 GiB | 3 s | $1.40 | 40 GiB | -1.5 s"),
        ("ratio", {"a": 3.0, "b": 2.0}, 1.5),
        ("numbers", {"n": 7, "x": 0.5}, ["3.5", "1", "3.5", "0.125", "-7", "8", "-0.5", "1000000", "0.001"]),
        ("compare", {"a": 1.0}, [False, True, True, False, False]),
        ("energy", {}, 720_000.0),
    ],
    "matching": [
        ("area", {"shape": "Point"}, 0.0),
        ("area", {"shape": {"Box": {"width": 2.0, "height": 3.0}}}, 6.0),
        ("main", {}, ["a: big 12.0 - Middle", "b: small 7.0 WIDE High", "c: nothing - Middle"]),
        ("levels", {"level": "High"}, 3),
        ("same", {"a": {"Circle": {"radius": 1.0}}, "b": {"Circle": {"radius": 1}}}, True),
        ("same", {"a": {"Circle": {"radius": 1.0}}, "b": "Point"}, False),
        ("nested", {"value": "12"}, "number 12.0"),
        ("nested", {"value": "x"}, "word x"),
        ("nested", {"value": None}, "word last"),
    ],
    "loops": [
        ("grid", {"rows": 2, "columns": 3}, [["0.0", "0.2"], ["1.1"]]),
        ("double", {"start": 3, "limit": 20}, 12),
        ("never_stops", {"start": 0}, 4),
        ("state", {}, [1, 1, 2, 3, 5, 8, 13, 21]),
        ("in_loops", {"words": ["a", "", "aaaa"]}, ["aaa", "aaa", "aaaa"]),
        ("empty", {}, []),
        ("flat", {"words": ["b a", "c b", ""]}, ["a", "b", "c"]),
        ("shadow", {"items": [1, 2]}, 14),
    ],
    "streams": [
        ("twice", {"lines": ["a", "b"]}, "ab|<a><b>"),
        ("upper", {"lines": ["a", "b", "c"]}, ["A", "C"]),
        ("emits", {"lines": ["a", "b"]}, ["start", "a", "b", "(a)", "a!", "b!"]),
        ("emits", {"lines": []}, ["start"]),
        ("chosen", {"kinds": ["a", "b", "c", "d"]}, ["A", "b", "c", "C"]),
        ("nested", {"lines": ["a", "b"]}, ["aa", "ab", "ba", "bb"]),
        ("sentences", {"lines": ["One. Tw", "o! Three"]}, ["One.", "Two!", "Three"]),
        ("held", {"lines": ["a", "b"]}, ["a", "b"]),
        ("late", {"lines": ["a", "b", "c"]}, TOOL),
        ("held_late", {"lines": ["a", "b", "c"]}, ["a", "b", "c"]),
        ("caught", {"lines": ["a", "b", "c"]}, ["a", "caught", "c"]),
        ("in_order", {"words": [str(n) for n in range(30)]}, [*(str(n) for n in range(30)), "last"]),
    ],
    "emitting": [
        ("letters", {"line": "a b"}, ["<", "a", "b", ">"]),
        ("collected", {"line": "a b"}, "<ab> 9"),
        ("twice", {"line": "a"}, "<<aa>><a>"),
        ("behind", {"line": "a"}, ["start", "<", "a", ">"]),
        ("on", {"line": "a"}, ["<", "a", ">", "first", "<", "A", ">"]),
        ("many", {"lines": ["a b", "", "c"]}, ["<ab>", "<>", "<c>"]),
        ("flat", {"lines": ["a", "b"]}, ["<", "a", ">", "<", "b", ">"]),
        ("chosen", {"line": ""}, None),
        ("chosen", {"line": "a"}, ["<", "a", ">"]),
        ("begun", {"line": "a"}, ["<", "a", ">"]),
        ("begun", {"line": "a stop"}, TOOL),
        ("held", {"line": "a stop"}, ["first", "<", "X", ">"]),
        ("whole", {"line": "a stop b"}, "nothing"),
        ("whole", {"line": "a b"}, "<ab>"),
        ("raced", {"line": "a"}, ["<", "a", ">"]),
        ("kept", {"lines": ["a", "a", "b"]}, ["<a>", "<a>", "<b>"]),
        ("repeated", {"line": "a"}, "<<a>>"),
        ("unread", {"line": "a"}, "unread"),
        ("unread", {"line": ""}, "<>"),
    ],
    "failures": [
        ("any", {"text": "x"}, "caught"),
        ("named", {"text": "x"}, "tool"),
        ("not_this", {"text": "x"}, TOOL),
        ("bad", {"text": "x"}, "bad"),
        ("late", {"text": "x"}, "late"),
        ("chain", {"text": "x"}, "x"),
        ("in_loop", {"words": ["a", "x", "b"]}, ["a", "failed x", "b"]),
        ("one_fails", {"words": ["a", "x", "b"]}, TOOL),
        ("one_fails", {"words": ["a", "b"]}, ["a", "b"]),
        ("raced", {"text": "x"}, "x quick"),
        ("all_lose", {"text": "x"}, "none won"),
        ("outside", {"items": [1], "at": 1}, {"failed": ["bad_value", "index-outside"]}),
        ("outside", {"items": [1], "at": -1}, {"failed": ["bad_value", "index-outside"]}),
        ("outside_caught", {"items": [1], "at": 1}, -1),
        ("zero", {"n": 0}, {"failed": ["bad_value", "division-by-zero"]}),
        ("zero_caught", {"n": 0}, 0.0),
        ("rest", {"n": 0}, {"failed": ["bad_value", "division-by-zero"]}),
        ("retried", {"text": "x"}, "three times"),
    ],
    "json": [
        ("typed", {"query": "q a"}, {"title": "Q A", "hits": AB, "next": None}),
        ("looked", {"query": "q"}, '"Q" [{"n":1,"score":0.5},{"n":2,"score":null}] Q'),
        ("wrong", {"query": "q"}, {"failed": ["bad_value", "conversion-failed"]}),
        ("wrong_caught", {"query": "q"}, {"id": 0, "paid": 0.0, "item": "none"}),
        ("back", {"id": 1}, {"id": 1, "paid": 19.9, "item": "teapot"}),
        ("text_of", {"id": 2}, '{"id":2,"paid":5.0,"item":"cup"}'),
        ("map", {}, {"one": 1, "two": 2}),
        ("lookup", {"counts": {"a": 3}, "key": "a"}, 3),
        ("lookup", {"counts": {"a": 3}, "key": "b"}, 0),
        ("deep", {}, {"a": [{"b": [1, 2, 3]}], "c": [{"b": [0]}]}),
    ],
    "shop": [("cheap", {"id": 2}, True), ("state", {"id": 1}, "Open")],
    "imports": [
        ("main", {"ids": [1, 2]}, ["teapot $19.90 open dear", "cup $5.00 cheap cheap"]),
        ("made", {}, {"id": 9, "paid": 1.5, "item": "spoon"}),
        ("given", {"state": {"Closed": {"reason": "why"}}}, "why"),
        ("shop.cheap", {"id": 1}, False),
    ],
    "texts": [
        ("braces", {"x": "X"}, '{X} {} "X" \t\U0001f600 a; b'),
        ("lines", {"x": "a"}, 'One: a\n  Two: "IN A IN"\n\nThree.'),
        ("größen", {}, "größer 世界"),
        ("größen", {"名前": "é"}, "größer é"),
        ("length", {"x": "世界é"}, 3),
        ("parts", {"x": " A,b  C "}, ["a", "b", "c"]),
        ("found", {"x": "abc"}, [True, True, True, True, False]),
        ("compare", {"a": "a", "b": "b"}, [True, False, False, False, False]),
        ("chosen", {"flag": True}, "yes"),
    ],
    "policies": [
        ("quick", {"text": "q"}, "q"),
        ("cached", {"text": "q"}, True),
        ("many", {"words": [str(n) for n in range(20)]}, [str(n) for n in range(20)]),
        ("buffered_lines", {"lines": ["a", "b", "c", "d"]}, ["a", "b", "c", "d"]),
        ("breaks", {"words": ["a", "b", "c", "d"]}, ["failed", "failed", "open", "open"]),
        ("heard", {"lines": ["a", "b"]}, ["a", "b"]),
    ],
}
RUNS = [(name, *call) for name, calls in CALLS.items() for call in calls]


@cache
def program(name: str) -> Compiled:
    return compiled(FOLDER / f"{name}.agent")


def test_every_program_is_run() -> None:
    assert sorted(CALLS) == FILES


@pytest.mark.parametrize(
    ("name", "pipeline", "inputs", "expected"), RUNS, ids=[f"{r[0]}-{r[1]}-{n}" for n, r in enumerate(RUNS)]
)
def test_a_pipeline_gives_what_it_says(name: str, pipeline: str, inputs: Mapping[str, object], expected: Any) -> None:
    assert ran(program(name), pipeline, inputs).shown == expected


@pytest.mark.parametrize("name", FILES)
def test_a_program_is_canonical(name: str) -> None:
    source, _ = read(FOLDER / f"{name}.agent")
    assert source is not None
    assert format_source(source) == (source.text, ())


@pytest.mark.parametrize("name", FILES)
def test_a_program_is_drawn_planned_and_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = FOLDER / f"{name}.agent"
    for number, pipeline in enumerate(program(name).program.pipelines[:3]):
        forms = ("svg", "json", "mermaid", "dot")
        for words in (("--format", forms[(number + turn) % 4]) for turn in range(2)):
            assert main(["graph", f"{path}:{pipeline.name}", *words]) == 0
            assert "result" in capsys.readouterr().out
        assert main(["plan", str(path), pipeline.name, "--json"]) == 0
        assert pipeline.name in capsys.readouterr().out
    for stage in ("syntax", "program", "mlir"):
        assert main(["compile", str(path), "--emit", stage]) == 0
        assert capsys.readouterr().out
    explained = 0
    for line in range(1, path.read_text().count("\n") + 1, 4):
        code = main(["explain", f"{path}:{line}", "--no-plan"])
        said = capsys.readouterr()
        assert code == 0 or (code == 2 and "[nothing-to-explain]" in said.err), said.err
        explained += code == 0
    assert explained


@pytest.mark.parametrize(
    ("calls", "count", "says"),
    [("p{n}(x)", 2000, "deeper than 100"), ("p{n}(x) + p{n}(x)", 40, "more than 20,000 operations")],
)
def test_calls_in_calls_grow_only_so_far(tmp_path: Path, calls: str, count: int, says: str) -> None:
    lines = [f"pipeline p{n}(x: Int) -> Int {{ {calls.format(n=n + 1)} }}\n" for n in range(count)]
    path = tmp_path / "p.agent"
    path.write_text("".join(lines) + f'pipeline p{count}(x: Int) -> Int {{ x }}\ntest "t" {{ expect p0(1) == 1 }}\n')
    source, _ = read(path)
    assert source is not None
    program = check(source).program
    assert program is not None
    done, problems = compile(program, Library(tmp_path))
    assert done is None
    assert [problem.slug for problem in problems] == ["beyond-limits"]
    assert says in problems[0].title
