"""Models that several devices share: the step that `split_parallel` makes, what its parts need, what cannot be divided,
and what becomes of it on tiers. That shards compute what the whole does is in `test_shards`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import ir_programs as P
import pytest
from agent_sources import checked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_meaning import keeps_meaning
from ir_random import programs
from island_runs import divided, leaves
from spread_programs import HELLO, ready, shape_of, split, spread, stage, through

from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.demand import parallel
from agentlang.ir.demand.parallel import Layout
from agentlang.ir.dialect import parallel as dialect
from agentlang.ir.dialect.spec import OPERATIONS
from agentlang.ir.emit import emit_module
from agentlang.ir.graph import walk
from agentlang.ir.verify import verify
from agentlang.lang import program as p

# --- the step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "tensor", "expert"),
    [
        ("smollm2-135m-instruct", 3, 1),
        ("llama-3-8b-instruct", 16, 1),
        ("llama-3-70b-instruct", 8, 1),
        ("gpt-oss-120b", 1, 8),
        ("gpt-oss-120b", 8, 8),
        ("gpt-oss-120b", 8, 2),
    ],
)
def test_a_step_reads_back_as_it_is(model: str, tensor: int, expert: int) -> None:
    module = spread(ready(model), tensor, expert)
    text = module.text()
    again, problems = irc.parse(text)
    assert again is not None and problems == () and again.text() == text
    graph = module.graph()
    emitted = emit_module(graph)
    assert verify(emitted, module.passes) == ()
    assert Module(emitted, {}, module.passes).graph() == replace(graph, digest=irc.Module(emitted, {}).graph().digest)
    (step,) = graph.steps
    assert (step.tensor, step.expert, len(step.weights)) == (tensor, expert, max(tensor, expert))
    names = [each.name.removeprefix("agent.") for each in walk(step.body)]
    assert names.count("attention") == tensor
    assert names.count("experts") + names.count("feed_forward") == max(tensor, expert)
    assert (names.count("dispatch"), names.count("combine")) == ((1, 1) if tensor == 1 else (0, 0))
    for word in ("prefill", "decode"):
        said = stage(graph, word).attributes
        assert (said["tensor"], said["expert"], said["step"]) == (tensor, expert, step.name)


def test_every_operation_of_the_dialect_is_in_some_step() -> None:
    """All of `ir.dialect.parallel`, as these steps verify."""
    made = [spread(ready("gpt-oss-120b"), 1, 8), spread(ready("gpt-oss-120b"), 8, 2), spread(ready(), 3)]
    found = {each.name for module in made for step in module.graph().steps for each in walk(step.body)}
    words = {name for name, spec in OPERATIONS.items() if spec.verify.__module__ == dialect.__name__}
    assert found == {f"agent.{word}" for word in words - {"step"}}


def test_heads_of_keys_and_values_may_be_held_twice() -> None:
    (step,) = spread(ready("llama-3-8b-instruct"), 16).graph().steps
    shards = [each for each in walk(step.body) if each.name == "agent.attention"]
    assert {(each.attributes["heads"], each.attributes["kv_heads"]) for each in shards} == {(2, 1)}


def test_all_calls_of_a_model_share_a_step() -> None:
    text = """use std/llm
model writer = llm.chat("{model}")
pipeline both(name: Text) -> Text {{
  first = all(writer.chat("One: {{name}}"))
  second = all(writer.chat("Two: {{first}}"))
  return second
}}
"""
    graph = spread(ready(text=text), 3).graph()
    assert [step.name for step in graph.steps] == ["writer.step_3"]
    stages = [o for o in walk(graph.pipeline("both").body) if o.name in ("agent.prefill", "agent.decode")]
    assert len(stages) == 4 and {each.attributes["step"] for each in stages} == {"writer.step_3"}


def test_what_is_not_spread_stays_and_a_second_time_nothing_changes() -> None:
    module = ready()
    assert spread(module).graph().steps == ()
    once = spread(module, 3)
    assert spread(once, 3).text() == once.text()


def test_a_stage_says_itself_how_it_is_spread() -> None:
    text = re.sub(r'entry = "llm:(prefill|decode)"', r"expert = 1 : i64, tensor = 3 : i64, \g<0>", ready().text())
    module, problems = irc.parse(text)
    assert module is not None, problems
    assert spread(module).graph().steps[0].tensor == 3


def test_the_declaration_tells_whoever_opens_the_model() -> None:
    arguments = spread(ready(), 3).graph().handle("writer").arguments
    assert (arguments["tensor"], arguments["expert"]) == (3, 1)
    assert "tensor" not in spread(ready()).graph().handle("writer").arguments


# --- what cannot be divided ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "tensor", "expert", "why"),
    [
        ("smollm2-135m-instruct", 2, 1, "9 heads cannot be divided by 2"),
        ("smollm2-135m-instruct", 9, 1, "an inner width of 1536 cannot be divided by 9"),
        ("llama-3-8b-instruct", 2, 2, "it has no experts"),
        ("llama-3-8b-instruct", 32, 1, "32 devices are more than 16"),
        ("llama-3-8b-instruct", 0, 1, "0 is no number of devices"),
        ("gpt-oss-120b", 1, 3, "128 experts cannot be divided by 3"),
        ("gpt-oss-120b", 2, 4, "2 shards cannot be shared evenly by 4 groups of experts"),
    ],
)
def test_what_cannot_be_divided_is_said_at_the_call(model: str, tensor: int, expert: int, why: str) -> None:
    made, problems = split(ready(model), tensor, expert)
    assert made is None
    assert {problem.slug for problem in problems} == {"cannot-spread"}
    assert why in problems[0].title
    assert problems[0].span is not None and (problems[0].span.path, problems[0].span.line) == ("hello.agent", 5)


def test_the_hint_names_what_would_do() -> None:
    shape = shape_of("llama-3-8b-instruct")
    _, problems = split(ready("llama-3-8b-instruct"), 3)
    assert problems[0].hint == "llama-3-8b-instruct can be divided into 2, 4, 8, 16 shards"
    assert all(parallel.obstacle(shape, Layout(count)) is None for count in (2, 4, 8, 16))
    narrow = replace(shape, kv_heads=6, heads=12)
    assert parallel.obstacle(narrow, Layout(4)) == "6 key-value heads cannot be spread over 4 shards evenly"


def test_a_model_of_unknown_shape_is_not_divided() -> None:
    program, _ = checked(HELLO.format(model="smollm2-135m-instruct"), "hello.agent")
    assert program is not None
    module, _ = irc.lower(program)
    assert module is not None
    module = through(module, ["inline_pipelines", "split_llm"])
    text = module.text().replace('"smollm2-135m-instruct"', '"nobody-knows"')
    other, _ = irc.parse(text)
    assert other is not None
    _, problems = split(other, 2)
    assert [problem.slug for problem in problems] == ["spread-shape-unknown"] * 2


def test_a_tier_holds_a_model_in_one_way() -> None:
    text = re.sub(r'entry = "llm:prefill"', r"expert = 1 : i64, tensor = 3 : i64, \g<0>", ready().text())
    module, _ = irc.parse(text)
    assert module is not None
    _, problems = split(module)
    assert [problem.slug for problem in problems] == ["spread-twice"]


# --- rules of the dialect --------------------------------------------------------------------------------------------


def broken(pattern: str, instead: str, tensor: int = 3, expert: int = 1, model: str = "smollm2-135m-instruct") -> str:
    text = spread(ready(model, demand=False), tensor, expert).text(locations=False)
    changed = re.sub(pattern, instead, text, count=1)
    assert changed != text, "nothing was changed"
    module, problems = irc.parse(changed)
    assert module is None
    return " / ".join(problem.title for problem in problems)


MIXTURE: dict[str, Any] = {"tensor": 1, "expert": 2, "model": "gpt-oss-120b"}


@pytest.mark.parametrize(
    ("pattern", "instead", "said", "options"),
    [
        (r"group = \[0, 1, 2\]", "group = [0, 1]", "sums what the devices [0, 1, 2] add, in the group [0, 1]", {}),
        (r"group = \[0, 1, 2\]", "group = [0, 1, 1]", "is of a group that is not devices", {}),
        (r"device = 2 : i64, id", "device = 5 : i64, id", "sums what the devices [0, 1, 5] add", {}),
        (r"shard = 2 : i64", "shard = 3 : i64", "is shard 3 of 3", {}),
        (r"heads = 3 : i64, id", "heads = 0 : i64, id", "has 0 heads that cannot share 1", {}),
        (r"count = 30 : i64", "count = 0 : i64", "has 0 layers", {}),
        (r"width = 512 : i64", "width = 0 : i64", "is 0 wide", {}),
        (
            r'model = "writer", name = "writer.step_3"',
            'model = "other", name = "writer.step_3"',
            "takes tokens<other>",
            {},
        ),
        (r'name = "writer.step_3"', 'name = "other"', "'writer.step_3' is no declared step", {}),
        (r'(id = "hello.chat.decode".*?)tensor = 3', r"\1tensor = 2", "it is not spread as the step", {}),
        (
            r'id = "writer.step_3.attention.1"',
            'id = "writer.step_3.attention.0"',
            "two operations have the stage id",
            {},
        ),
        (r'("agent.leave".*?)device = 0', r"\1device = 7", "is on the device 7, and the step has fewer", {}),
        (r'id = "writer.step_3.leave"', 'binding = "it"', "'agent.leave' has no stage id", {}),
        (r"weights = \[[^,]*, ", "weights = [", "says of 2 devices what they hold", {}),
        (r"active = 4 : i64", "active = 999 : i64", "sends tokens to 999 of 128 experts", MIXTURE),
        (r"count = 64 : i64", "count = 0 : i64", "holds no experts", MIXTURE),
    ],
)
def test_each_rule_is_checked(pattern: str, instead: str, said: str, options: dict[str, Any]) -> None:
    assert said in broken(pattern, instead, **options)


def test_a_summand_does_not_pass_for_a_state() -> None:
    """What only some devices added is not what the next block may take."""
    said = broken(
        r'"agent.feed_forward"\(%\d+\)(.*?)\(!agent.hidden<"writer">\)',
        r'"agent.feed_forward"(%3#0)\1(!agent.partial<"writer">)',
    )
    assert "takes a hidden, not partial<writer>" in said


# --- meaning, and tiers ----------------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_it_keeps_what_a_program_means(program: p.Program) -> None:
    """The shards of a stage are one stage to whoever runs the module."""
    module, problems = irc.lower(program)
    assert module is not None, problems
    library = P.SmallLibrary()
    before, problems = irc.run_passes(module, library, passes=["inline_pipelines", "split_llm"])
    assert before is not None, problems
    options = {"split_parallel": {"tensor": 3}}
    after, problems = irc.run_passes(before, library, passes=["split_parallel"], options=options)
    assert after is not None, [problem.title for problem in problems]
    keeps_meaning(before, after)


def test_shards_stay_on_the_island_of_their_tier() -> None:
    module = ready(demand=False)
    placement = {"hello.chat.prefill": "fast", "hello.chat.decode": "wide"}
    text = re.sub(r'entry = "llm:prefill"', r"expert = 1 : i64, tensor = 3 : i64, \g<0>", module.text())
    given_by_hand, problems = irc.parse(text)
    assert given_by_hand is not None, problems
    made = divided(spread_placed(given_by_hand, placement), placement)
    graphs = made.graphs()
    assert {name: [step.name for step in graph.steps] for name, graph in graphs.items()} == {
        "cpu": [],
        "fast": ["writer.step_3"],
        "wide": [],
    }
    assert graphs["fast"].handle("writer").arguments.get("tensor") == 3
    assert "tensor" not in graphs["wide"].handle("writer").arguments
    assert stage(graphs["fast"], "prefill").attributes["step"] == "writer.step_3"
    assert "step" not in stage(graphs["wide"], "decode").attributes


def spread_placed(module: Module, placement: dict[str, str]) -> Module:
    """Placed before it is spread, as a plan would have it: then each tier spreads the model in its own way."""
    from agentlang.ir.place import placed

    first, problems = placed(module, placement, home="cpu")
    assert first is not None, [problem.title for problem in problems]
    return spread(first)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.data())
def test_any_program_is_still_divided(program: p.Program, data: st.DataObject) -> None:
    module, problems = irc.lower(program)
    assert module is not None, problems
    library = P.SmallLibrary()
    before, problems = irc.run_passes(module, library, passes=["inline_pipelines", "split_llm"])
    assert before is not None, problems
    options = {"split_parallel": {"tensor": 3}}
    after, problems = irc.run_passes(before, library, passes=["split_parallel"], options=options)
    assert after is not None, problems
    # Without the `place on` of its policies, which would say where all of it runs.
    after, problems = irc.parse(re.sub(r'place = "cpu", ', "", after.text()))
    assert after is not None, problems
    placement = {stage: data.draw(st.sampled_from(("cpu", "gpu")), label=stage) for stage in leaves(after)}
    steps = {step.name for step in after.graph().steps}
    used = {name for graph in divided(after, placement).graphs().values() for name in (s.name for s in graph.steps)}
    assert used <= steps
