"""Placing stages on tiers: what follows from a placement, and what one may not say."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from agent_sources import checked
from ir_programs import SmallLibrary
from island_runs import divided, leaves

from agentlang.base.problems import Severity
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Operation, walk
from agentlang.ir.islands import islands
from agentlang.ir.place import placed, placement_of

FLEET = """
fleet pair {
  tier cpu = catalog.laptop { count 1 }
  tier gpu = catalog.l40s { count 1 }
  link cpu <-> gpu 10 Gbit/s, 1 ms
}
"""

CHAT = f"""
use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

pipeline answer(question: Text @pii) -> Text {{
  clean = text.redact(question)
  return all(writer.chat("Answer: {{clean}}", max_tokens: 8))
}}
{FLEET}
"""


def ready(text: str, *passes: str) -> Module:
    program, problems = checked(text)
    assert program is not None, [problem.title for problem in problems]
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(
        module, SmallLibrary(), passes=["inline_pipelines", "split_llm", *passes, "annotate_demand"]
    )
    assert module is not None, problems
    return module


def operations(module: Module) -> dict[str, Operation]:
    return {operation.id: operation for pipeline in module.graph().pipelines for operation in walk(pipeline.body)}


def tiers(module: Module) -> dict[str, object]:
    return {name: operation.attributes.get("tier") for name, operation in operations(module).items()}


def test_what_is_not_named_is_at_home_and_plain_operations_go_where_they_are_used() -> None:
    made, problems = placed(ready(CHAT), {"answer.chat.tokenize": "gpu", "answer.chat.prefill": "gpu"})
    assert made is not None
    assert problems == ()
    found = tiers(made)
    assert found["answer.redact"] == "cpu"
    assert found["answer.chat.prompt"] == "gpu"
    assert found["answer.chat.decode"] == "cpu"
    assert found["answer.collect"] == "cpu"
    assert found["answer.return"] is None
    assert made.graph().home == "cpu"


def test_a_placement_comes_of_a_plan() -> None:
    @dataclass(frozen=True)
    class Stage:
        id: str
        tier: str

    @dataclass(frozen=True)
    class Plan:
        stages: tuple[Stage, ...]

    plan = Plan((Stage("answer.redact", "cpu"), Stage("answer.chat.decode", "gpu")))
    assert placement_of(plan) == {"answer.redact": "cpu", "answer.chat.decode": "gpu"}


@pytest.mark.parametrize(
    ("text", "placement", "home", "slug", "line"),
    [
        (CHAT, {"answer.redakt": "cpu"}, None, "place-unknown-stage", None),
        (CHAT, {"answer.collect": "cpu"}, None, "place-unknown-stage", None),
        (CHAT, {"answer.redact": "tpu"}, None, "place-unknown-tier", 8),
        (CHAT, {}, "tpu", "place-unknown-tier", None),
        (
            CHAT.replace("text.redact(question)", "text.redact(question) with place on cpu"),
            {"answer.redact": "gpu"},
            None,
            "placed-elsewhere",
            8,
        ),
        (CHAT + "goal answer { keep @pii on [cpu] }", {"answer.redact": "gpu"}, None, "label-leaves-tier", 8),
        (CHAT.replace(FLEET, ""), {}, None, "place-which-home", None),
    ],
)
def test_what_a_placement_may_not_say(
    text: str, placement: dict[str, str], home: str | None, slug: str, line: int | None
) -> None:
    made, problems = placed(ready(text), placement, home=home)
    assert made is None
    assert [problem.slug for problem in problems] == [slug]
    assert (problems[0].span.line if problems[0].span else None) == line


def test_what_carries_no_label_may_go_anywhere() -> None:
    kept = CHAT + "goal answer { keep @pii on [cpu] }"
    made, problems = placed(ready(kept), {"answer.chat.decode": "gpu"})
    assert made is not None, problems


def test_what_stands_under_place_on_is_there_without_a_word() -> None:
    text = CHAT.replace("text.redact(question)", "text.redact(question) with place on gpu")
    made, problems = placed(ready(text), {})
    assert made is not None, problems
    assert tiers(made)["answer.redact"] == "gpu"
    # All of the call is on one tier, so it is that tier's.
    (guard,) = [each for each in operations(made).values() if each.name == "agent.guard"]
    assert guard.attributes["tier"] == "gpu"


def test_a_kv_cache_that_moves_is_sent_with_its_layout_and_its_bytes() -> None:
    before = operations(ready(CHAT))["answer.chat.transfer"]
    made = divided(ready(CHAT), {"answer.chat.prefill": "gpu"})
    found = operations(made.sent)
    send = found["answer.chat.transfer"]
    assert send.name == "agent.send"
    assert send.attributes["to"] == "cpu"
    assert send.attributes["dtype"] == "f32"
    assert "kv_heads" in str(send.attributes["layout"])
    assert send.demand is not None
    assert before.demand is not None
    assert send.demand.network == before.demand.network
    assert send.times is not None


def test_on_one_tier_nothing_is_sent_and_the_transfer_stays() -> None:
    made = divided(ready(CHAT), dict.fromkeys(leaves(ready(CHAT)), "cpu"))
    names = {operation.name for operation in operations(made.sent).values()}
    assert "agent.send" not in names
    assert "agent.kv_transfer" in names
    assert set(made.islands) == {"cpu"}


def test_a_text_is_sent_with_four_bytes_a_token() -> None:
    made = divided(ready(CHAT), {"answer.redact": "gpu"})
    found = operations(made.sent)
    (send,) = [each for each in found.values() if each.name == "agent.send" and each.attributes["to"] == "gpu"]
    assert send.demand is not None
    assert str(send.demand.network) == "4*question.tokens"


def test_what_is_received_has_the_labels_of_what_was_sent() -> None:
    made = divided(ready(CHAT), {"answer.redact": "gpu"})
    found = operations(made.islands["gpu"])
    (receive,) = [each for each in found.values() if each.name == "agent.receive"]
    assert receive.attributes["labels"] == ("pii",)


SHARED = f"""
use std/text

pipeline clean(mail: Text) -> Text {{
  return text.redact("{{text.redact(mail)}}!") with cache 1 min
}}

pipeline listen(parts: stream Text) -> stream Text {{
  for part in parts {{ interruptible {{ emit text.redact(part) }} }}
}}
{FLEET}
"""


def test_what_cannot_be_shared_goes_home_and_a_note_says_so() -> None:
    made, problems = placed(ready(SHARED), {"clean.redact": "gpu"})
    assert made is not None
    assert {problem.slug for problem in problems} == {"placed-at-home"}
    assert all(problem.severity is Severity.NOTE and problem.span is not None for problem in problems)
    assert any("cached" in problem.title for problem in problems)
    assert {tier for tier in tiers(made).values() if tier} == {"cpu"}


def test_what_a_newer_item_interrupts_may_be_elsewhere_and_home_decides_it() -> None:
    made, problems = placed(ready(SHARED), {"listen.part.redact": "gpu"})
    assert made is not None
    assert problems == ()
    assert tiers(made)["listen.part.redact"] == "gpu"
    assert tiers(made)["listen.part.interruptible"] == "cpu"


def test_all_of_a_cached_call_may_be_elsewhere() -> None:
    made, problems = placed(ready(SHARED), {"clean.redact": "gpu", "clean.redact_2": "gpu"})
    assert made is not None
    assert problems == ()
    assert tiers(made)["clean.with"] == "gpu"


def test_an_opened_model_does_not_cross() -> None:
    text = """
    use std/llm
    use std/text
    model a = llm.chat("smollm2-135m-instruct")
    pipeline ask(mail: Text) -> Text {
      return all(a.chat(text.redact(mail), max_tokens: 4))
    }
    """
    made = divided(ready(text), {"ask.chat.prefill": "gpu", "ask.chat.decode": "far"})
    for tier in ("cpu", "gpu", "far"):
        opened = [each for each in operations(made.islands[tier]).values() if each.name == "agent.open"]
        assert len(opened) == 1
        assert [handle.name for handle in made.islands[tier].graph().handles] == ["a"]


def test_partition_wants_a_placed_module() -> None:
    made, problems = irc.run_passes(ready(CHAT), SmallLibrary(), passes=["partition"])
    assert made is None
    assert [problem.slug for problem in problems] == ["not-placed"]
    assert islands(ready(CHAT)) == ({}, ())


def test_the_passes_take_the_placement_from_the_module_as_it_is_written() -> None:
    first, _ = placed(ready(CHAT), {"answer.chat.prefill": "gpu"})
    assert first is not None
    read, problems = irc.parse(first.text())
    assert read is not None, problems
    made, problems = irc.run_passes(read, SmallLibrary(), passes=["insert_transfers", "partition"])
    assert made is not None, problems
    found, problems = islands(made)
    assert problems == ()
    assert list(found) == ["cpu", "gpu"]
