"""What `fuse_stages` puts together, what it leaves apart, and what whoever asks about stages is told of it."""

from __future__ import annotations

from collections.abc import Sequence

import ir_programs as P
import pytest
from agent_sources import checked
from ir_meaning import keeps_meaning, passed, run

from agentlang.base.problems import has_errors
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.fused import FUSED, inside, taken, unfused
from agentlang.ir.graph import Operation, walk
from agentlang.ir.labels import labels_of
from agentlang.ir.passes import OPTIMISING, PASSES
from agentlang.ir.place import placed
from agentlang.lang.program import Program

HEAD = """
use std/llm
use std/text
model writer = llm.chat("smollm2-135m-instruct")

tool look(id: Text) -> Text = python("shop:look") effects [reads "shop"]

type Page { title: Text, count: Int }

"""


def program(text: str) -> Program:
    made, problems = checked(HEAD + text)
    assert made is not None and not has_errors(problems), [problem.title for problem in problems]
    return made


def answer(body: str, takes: str = "question: Text, number: Int, texts: [Text]", gives: str = "Text") -> str:
    return f"pipeline answer({takes}) -> {gives} {{\n{body}\n}}\n"


def put(text: str) -> Module:
    before, after = passed(program(text), "fuse_stages")
    keeps_meaning(before, after)
    return after


def groups(text: str) -> list[list[str]]:
    """What each fused operation does the work of, by its ids behind the pipeline's name."""
    return [
        [o.id.removeprefix("answer.") for o in inside(each) if o.name != "agent.constant"] for each in fused(put(text))
    ]


def fused(module: Module) -> list[Operation]:
    return [each for each in walk(module.graph().pipeline("answer").body) if each.name == FUSED]


def test_a_chain_and_what_leads_to_it() -> None:
    assert groups(answer('return "{text.lower(text.redact(question))}: {len(texts) + number}"')) == [
        ["redact", "lower", "template.length", "template.binary", "template"]
    ]


def test_what_is_used_elsewhere_stands_before() -> None:
    found = groups(
        answer("""
  low = text.lower(text.redact(question))
  said = all(writer.chat("{low}", max_tokens: 3))
  return "{low} {said}"
""")
    )
    assert found == [["redact", "lower"]]


def test_what_gives_nothing_waits_or_acts_is_left_alone() -> None:
    found = groups(
        answer("""
  said = writer.chat(text.lower("{question}!"), max_tokens: 3)
  shop = look(text.lower("{question}?"))
  return "{all(said)} {shop}"
""")
    )
    assert found == [["lower.text", "lower"], ["lower_2.text", "lower_2"]]


def test_a_body_is_its_own() -> None:
    """What is outside of it is computed whether the body is entered or not."""
    found = groups(
        answer("""
  low = text.lower("{question}.")
  return if number > 2 { text.lower("{low}{low}") } else { "{low}" }
""")
    )
    assert found == [["lower.text", "lower"], ["if.then.lower.text", "if.then.lower"]]


@pytest.mark.parametrize(
    ("body", "together"),
    [
        # All that the group takes is there when the division would fail.
        ('share = 1.0 / number\n  return text.lower("{share} {question}")', True),
        ('said = all(writer.chat(question, max_tokens: 3))\n  share = len(said) / number\n  return "{share}"', True),
        # The reply comes later, and a failure does not wait for it.
        ('said = all(writer.chat(question, max_tokens: 3))\n  share = 1.0 / number\n  return "{share} {said}"', False),
        ('said = all(writer.chat(question, max_tokens: 3))\n  one = texts[number]\n  return "{one} {said}"', False),
        # Of two, one uses what the other gives.
        ('return "{texts[len(texts) % number]}"', True),
    ],
)
def test_a_failure_is_never_later(body: str, together: bool) -> None:
    def can_fail(each: Operation) -> bool:
        return each.name == "agent.index" or each.attributes.get("operator") == "/"

    held = [any(map(can_fail, inside(each))) for each in fused(put(answer(body)))]
    assert any(held) == together


def test_what_nobody_reads_runs_and_fails_as_before() -> None:
    text = answer("  unread = text.lower(texts[9])\n  return question")
    before, *_, after = passed(program(text), *OPTIMISING)
    keeps_meaning(before, after)
    assert fused(after)
    assert run(after.graph(), "answer", {"question": "q", "number": 3, "texts": ()}).result == ("failed", "bad_value")


def test_two_that_can_fail_and_do_not_use_each_other_are_apart() -> None:
    (one,) = fused(put(answer('return "{texts[number]} {texts[number + 1]}"')))
    assert [o.name for o in inside(one)].count("agent.index") == 1


def test_what_stands_alone_is_not_fused() -> None:
    assert fused(put(answer('return "{question}!"'))) == []


def test_a_long_chain_is_several() -> None:
    body = "\n".join(f"  a{n} = text.lower({'question' if not n else f'a{n - 1}'})" for n in range(600))
    sizes = [len(inside(each)) for each in fused(put(answer(f"{body}\n  return a599")))]
    assert sorted(sizes) == [88, 256, 256]


def test_one_feeds_another_where_both_run_one_by_one() -> None:
    module = put(
        answer("""
  low = text.lower(text.redact(question))
  first = "{low} one {number}"
  second = "{text.lower("{low} two")} {first}"
  return "{second}{low}"
""")
    )
    graph = module.graph()
    alone = unfused(graph, lambda _: True)
    made = {value.id for o in walk(alone.pipeline("answer").body) for value in o.results}
    made |= {value.id for value in alone.pipeline("answer").body.arguments}
    assert not any(o.name == FUSED for o in walk(alone.pipeline("answer").body))
    assert all(value.id in made for o in walk(alone.pipeline("answer").body) for value in o.operands)


# --- what is known of it ---------------------------------------------------------------------------------------------

MARKED = """
pipeline answer(question: Text @pii, number: Int) -> Text {
  note = text.lower("{question} {number}")
  said = all(writer.chat("{note} {text.lower("{number}!")}", max_tokens: 3))
  return "{text.redact(said)} {number + 1} {note}"
}
"""


def test_labels_names_and_places_of_all_inside_stay() -> None:
    before, after = passed(program(MARKED), "fuse_stages")
    old, new = before.graph(), after.graph()
    held, now = labels_of(old), labels_of(new)
    assert {stage: now[stage] for stage in held} == dict(held)
    known = {o.id: o for o in walk(old.pipeline("answer").body)}
    for operation in walk(new.pipeline("answer").body):
        if operation.id in known:
            assert operation.span == known[operation.id].span
            assert [v.name for v in operation.results] == [v.name for v in known[operation.id].results]
    (note,) = (o for o in walk(new.pipeline("answer").body) if o.id == "answer.lower.fused")
    assert note.results[0].name == "note"


def annotated(text: str, passes: Sequence[str]) -> Module:
    module, problems = irc.lower(program(text))
    assert module is not None, problems
    module, problems = irc.run_passes(module, P.SmallLibrary(), passes=passes)
    assert module is not None, problems
    return module


def test_sizes_are_the_same_and_its_needs_those_of_all_inside() -> None:
    without = [name for name in PASSES if name != "fuse_stages"]
    one, other = (annotated(MARKED, passes).graph().pipeline("answer") for passes in (without, PASSES))
    assert other.sizes == one.sizes
    needs = {o.id: o.demand for o in walk(one.body) if o.demand is not None}
    for each in (o for o in walk(other.body) if o.name == FUSED):
        known = [needs[o.id] for o in inside(each) if o.id in needs]
        assert each.demand is not None and known
        values = {size.name: 1.0 + at for at, size in enumerate(one.sizes)}
        for name in ("cpu", "footprint", "compute"):
            total = sum(getattr(need, name).value(values) for need in known)
            assert getattr(each.demand, name).value(values) == pytest.approx(total)
        assert all(o.demand == needs.get(o.id) for o in inside(each))
    every = [o.times for o in walk(other.body)]
    assert None not in every


def test_it_takes_what_is_used_in_it() -> None:
    (one,) = fused(put(answer('return "{text.lower(question)} {number + 1} {question}"')))
    assert [value.name for value in taken(one)] == ["question", "number"]


def test_where_a_fused_stage_is_placed_all_in_it_are() -> None:
    fleet = """
fleet pair {
  tier cpu = catalog.laptop { count 1 }
  tier gpu = catalog.l40s { count 1 }
  link cpu <-> gpu 10 Gbit/s, 1 ms
}
"""
    module = annotated(MARKED + fleet, PASSES)
    stage = next(each.id for each in fused(module) if "answer.lower" in [o.id for o in inside(each)])
    made, problems = placed(module, {stage: "gpu"})
    assert made is not None, problems
    tiers = {o.id: o.attributes.get("tier") for o in walk(made.graph().pipeline("answer").body)}
    assert tiers["answer.lower"] == "gpu" and tiers["answer.redact"] == "cpu"
    assert not fused(made)
    again, problems = irc.run_passes(made, P.SmallLibrary(), passes=["insert_transfers", "partition"])
    assert again is not None, problems


def test_a_second_time_there_is_nothing_left() -> None:
    _, once, twice = passed(program(MARKED), "fuse_stages", "fuse_stages")
    assert twice.graph().pipelines == once.graph().pipelines
