"""Pictures of pipelines: the right boxes, no box over another, and forms that their readers accept."""

from __future__ import annotations

import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from agentlang import api
from agentlang.ir.drawing import FORMATS, Picture, picture
from agentlang.ir.drawing.layers import Layout, lay_out
from agentlang.stdlib.library import Library

ROOT = Path(__file__).parents[2]

BRANCHES = """
use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")
enum Wish { Lookup(query: Text), Talk }
tool search(query: Text) -> [Text] = python("web:search") effects [network]

pipeline answer(question: Text) -> stream Text {
  wish = writer.chat("What is wanted? {question}") into Wish
  facts = match wish {
    Lookup(query) => search(query) with timeout 800 ms, retry 1
    Talk          => []
  }
  return writer.chat("Facts: {text.join(facts, "; ")}. Answer: {question}")
}
"""


EMITS = """
use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

pipeline notes(question: Text) -> stream Text {
  emit text.upper(question)
  for part in text.words(question) { emit writer.chat(part) }
}

pipeline answer(question: Text) -> Text {
  said = notes(question)
  return text.trim(all(said))
}
"""


def drawn(path: str | None = None, pipeline: str = "answer", *, text: str = BRANCHES, stages: bool = False) -> Picture:
    if path is None:
        source, _ = api.decode("branches.agent", text.encode())
    else:
        source, _ = api.read(ROOT / path)
    assert source is not None
    checked = api.check(source)
    assert checked.program is not None, checked.problems
    compiled, _ = api.compile(checked.program, Library(ROOT))
    assert compiled is not None
    tiers = dict.fromkeys(("answer.chat.decode", "answer.chat.prefill"), "cpu")
    return picture(compiled.graph, pipeline, tiers, stages=stages)


def titles(found: Picture) -> list[str]:
    return [box.title for box in found.walk()]


def test_boxes_are_what_a_person_calls_them() -> None:
    found = drawn("examples/handbook/handbook.agent")
    assert titles(found) == [
        *("question", "text.redact", "find", "handbook.search", "judge.rerank"),
        *("text.join", "writer.chat", "result"),
    ]
    edges = {(e.source, e.target, e.name, e.stream) for e in found.edges}
    assert ("input.question", "answer.redact", "question", False) in edges
    assert ("answer.find.search", "answer.find.rerank", "hits", False) in edges
    assert ("answer.find.rerank", "answer.join", "notes", False) in edges
    assert ("answer.chat", "output", "", True) in edges


def test_what_decides_is_a_box_around_what_it_decides_on() -> None:
    found = drawn()
    (match,) = [box for box in found.walk() if box.title == "match"]
    assert [part.title for part in match.parts] == ["Lookup"]
    (policies,) = match.parts[0].parts
    assert policies.title == "with timeout 800 ms, retry 1"
    assert [(part.title, part.kind, part.detail) for part in policies.parts] == [("search", "tool", "network")]


def test_what_a_called_pipeline_emits_comes_out_of_its_stages() -> None:
    found = drawn(text=EMITS)
    assert titles(found) == [
        *("question", "notes", "text.upper", "text.words", "for part, 16 at once", "writer.chat"),
        *("text.trim", "result"),
    ]
    into_trim = {edge.source: edge.name for edge in found.edges if edge.target == "answer.trim"}
    assert into_trim == {"answer.notes.upper": "said", "answer.notes.part.chat": "said"}
    assert {edge.source for edge in found.edges if edge.target == "output"} == {"answer.trim"}


def test_a_plan_names_tiers_and_stages_can_be_told_apart() -> None:
    whole = next(box for box in drawn().walk() if box.id == "answer.chat")
    assert whole.tier == "cpu"
    assert titles(drawn(stages=True))[-6:] == [
        *("writer.tokenize", "writer.prefill", "kv_transfer", "writer.decode", "writer.detokenize"),
        "result",
    ]


@pytest.mark.parametrize("path", [None, "examples/handbook/handbook.agent"])
def test_no_box_stands_on_another_and_none_outside_of_its_own(path: str | None) -> None:
    def look(layout: Layout) -> int:
        boxes = [item for item in layout.items if item.box is not None]
        for number, one in enumerate(boxes):
            assert one.x >= 0 and one.y >= 0
            assert one.x + one.width <= layout.width + 0.5 and one.y + one.height <= layout.height + 0.5
            for other in boxes[number + 1 :]:
                apart = (
                    one.x + one.width <= other.x
                    or other.x + other.width <= one.x
                    or one.y + one.height <= other.y
                    or other.y + other.height <= one.y
                )
                assert apart, (one.key, other.key)
        return len(boxes) + sum(look(item.inside) for item in boxes if item.inside is not None)

    found = drawn(path)
    layout, edges = lay_out(found)
    assert look(layout) == len(titles(found))
    assert len(edges) <= len(found.edges)
    for item in (thread.items for thread in layout.threads):
        assert [one.layer for one in item] == sorted({one.layer for one in item})


def test_svg_is_sound_and_shows_every_title() -> None:
    found = drawn()
    root = ElementTree.fromstring(FORMATS["svg"](found))
    assert root.tag.endswith("svg")
    shown = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert shown >= set(titles(found))


def test_json_and_mermaid_hold_all_boxes_and_edges() -> None:
    found = drawn()
    read = json.loads(FORMATS["json"](found))
    assert len(read["edges"]) == len(found.edges)
    mermaid = FORMATS["mermaid"](found)
    assert mermaid.count("subgraph") == mermaid.count("  end\n") == sum(bool(box.parts) for box in found.walk())
    assert mermaid.count("-->") + mermaid.count("==>") == len(found.edges)


def test_graphviz_reads_the_dot_form() -> None:
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    text = FORMATS["dot"](drawn())
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nnode ") == sum(not box.parts for box in drawn().walk())
