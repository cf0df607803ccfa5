"""What `overlap_streams` changes and leaves alone, on programs as people write them."""

from __future__ import annotations

from pathlib import Path

import ir_programs as P
import pytest
from agent_sources import checked
from ir_meaning import keeps_meaning, passed

from agentlang.base.problems import has_errors
from agentlang.ir import compile as irc
from agentlang.ir.graph import Operation, walk
from agentlang.ir.live import gathers
from agentlang.ir.passes import PASSES
from agentlang.ir.sizes import resolve
from agentlang.lang.program import Program
from agentlang.lang.types import ListType

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAD = """
use std/llm
use std/text
model writer = llm.chat("smollm2-135m-instruct")

tool post(text: Text) -> Text = python("blog:post") effects [writes "blog"]

pipeline parts(film: Text) -> stream [Text] {
  emit text.split(film, tokens: 2)
  emit text.split(film, tokens: 3)
  return for part in text.sentences(writer.chat(film, max_tokens: 9)) { text.split(part, tokens: 1) }
}

"""


def program(text: str) -> Program:
    made, problems = checked(HEAD + text)
    assert made is not None and not has_errors(problems), [problem.title for problem in problems]
    return made


def loops(text: str) -> list[Operation]:
    """The loops of `answer` that begin with the first item; what it means stays the same."""
    before, after = passed(program(text), "overlap_streams")
    keeps_meaning(before, after)
    return [each for each in walk(after.graph().pipeline("answer").body) if gathers(each)]


def test_a_loop_over_all_items_begins_with_the_first() -> None:
    (loop,) = loops("""
pipeline answer(film: Text) -> Text {
  scenes = all(parts(film))
  notes = for scene in scenes where len(scene) > 1, at most 4 at once {
    all(writer.chat(text.join(scene, " "), max_tokens: 3))
  }
  return text.join(notes, " ")
}
""")
    assert loop.attributes["at_most"] == 4 and isinstance(loop.results[0].type, ListType)


def test_what_else_uses_the_list_keeps_it() -> None:
    text = """
pipeline answer(film: Text) -> Text {
  scenes = all(parts(film))
  notes = for scene in scenes { text.join(scene, " ") }
  return "{text.join(notes, " ")} {len(scenes)}"
}
"""
    assert len(loops(text)) == 1
    _, after = passed(program(text), "overlap_streams")
    assert [o.results[0].name for o in walk(after.graph().pipeline("answer").body) if o.name == "agent.collect"] == [
        "scenes"
    ]


@pytest.mark.parametrize(
    "text",
    [
        # A turn acts on the world.
        'return text.join(for scene in all(parts(film)) { post(text.join(scene, " ")) }, " ")',
        # Its policies would count a call more.
        """return text.join(for scene in all(parts(film)) {
          all(writer.chat(text.join(scene, " "), max_tokens: 3)) with retry 1
        }, " ")""",
        # In a branch, which may not be taken.
        """scenes = all(parts(film))
        notes = if film == "x" { [""] } else { for scene in scenes { text.join(scene, " ") } }
        return text.join(notes, " ")""",
        # Somebody else reads the stream as it comes.
        """scenes = parts(film)
        heard = for each in scenes { text.join(each, " ") }
        notes = for scene in all(scenes) { text.join(scene, " ") }
        return "{all(heard)} {text.join(notes, " ")}\"""",
        # The items of a text are no stream's.
        'return text.join(for word in text.split(all(writer.chat(film)), tokens: 2) { "<{word}>" }, " ")',
    ],
)
def test_what_could_be_noticed_waits(text: str) -> None:
    assert loops(f"pipeline answer(film: Text) -> Text {{ {text} }}") == []


def test_what_is_assumed_of_the_list_holds() -> None:
    text = """
pipeline answer(film: Text) -> Text {
  scenes = all(parts(film))
  notes = for scene in scenes { text.join(scene, " ") }
  return text.join(notes, " ")
}
"""
    found: list[float] = []
    for optimised in (False, True):
        module, problems = irc.lower(program(text))
        assert module is not None, problems
        passes = PASSES if optimised else [name for name in PASSES if name != "overlap_streams"]
        module, problems = irc.run_passes(module, P.SmallLibrary(), passes=passes)
        assert module is not None, problems
        pipeline = module.graph().pipeline("answer")
        sizes, unknown = resolve(pipeline.sizes, {"scenes.items": 7.0})
        assert not unknown
        found.append({size.name: size.value for size in sizes}["notes.items"])
    assert found == [7.0, 7.0]


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.agent")), ids=lambda path: path.stem)
def test_programs_that_read_their_streams_are_left_alone(path: Path) -> None:
    """Each example overlaps as it is written: nothing in it waits for more than it needs."""
    made, problems = checked(path.read_text(encoding="utf-8"), path.name)
    if made is None or has_errors(problems):
        pytest.skip("needs its folder")
    before, after = passed(made, "overlap_streams")
    assert after.graph().pipelines == before.graph().pipelines
