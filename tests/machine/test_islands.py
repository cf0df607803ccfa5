"""Islands run together: what crosses, what stays together, and how failure and stopping get from one to another. On the
null backend, on both event loops, on virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from agent_sources import ROOT, checked
from ir_programs import SmallLibrary
from island_runs import divided

from agentlang.executor.backends import Backend, Call
from agentlang.executor.backends.null import Answer, NullBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Item, ProblemFrame
from agentlang.executor.islands import Islands, Whole, open_islands
from agentlang.executor.shell import open_shell
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Graph

pytestmark = pytest.mark.anyio


def ready(text: str) -> Module:
    program, problems = checked(text)
    assert program is not None, [problem.title for problem in problems]
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, SmallLibrary(), passes=["inline_pipelines", "split_llm"])
    assert module is not None, problems
    return module


@dataclass
class Told:
    """What the stages of all islands were asked, and how many ran at once, by stage."""

    calls: list[tuple[str, str, tuple[int, ...]]] = field(default_factory=list[tuple[str, str, tuple[int, ...]]])
    running: Counter[str] = field(default_factory=Counter[str])
    most: Counter[str] = field(default_factory=Counter[str])
    stopped: list[str] = field(default_factory=list[str])


class Watched(NullBackend):
    """A null backend that tells what runs."""

    def __init__(self, told: Told, tier: str, answers: Callable[[Call], Answer | None]) -> None:
        super().__init__(answers)
        self._told = told
        self._tier = tier

    async def run(self, call: Call) -> object:
        told, stage = self._told, call.operation.id
        told.calls.append((self._tier, stage, call.index))
        told.running[stage] += 1
        told.most[stage] = max(told.most[stage], told.running[stage])
        try:
            return await super().run(call)
        except anyio.get_cancelled_exc_class():
            told.stopped.append(stage)
            raise
        finally:
            told.running[stage] -= 1


def together(graphs: Mapping[str, Graph], told: Told, answers: Callable[[Call], Answer | None]) -> Islands:
    backends: dict[str, Backend] = {tier: Watched(told, tier, answers) for tier in graphs}
    return open_islands(graphs, backends)


@dataclass
class Ran:
    items: list[object]
    end: End
    problems: list[str]

    @property
    def result(self) -> tuple[object, ...]:
        outcome = self.end.outcome
        return (outcome.status, outcome.value, outcome.reason, self.items)


async def heard(run: Whole) -> Ran:
    items: list[object] = []
    problems: list[str] = []
    async for frame in run:
        match frame:
            case Item():
                items.append(frame.output)
            case ProblemFrame():
                problems.append(frame.problem.slug)
            case End():
                return Ran(items, frame, problems)
            case _:
                pass
    raise AssertionError("a run has no end")


async def whole(graph: Graph, pipeline: str, inputs: Mapping[str, Any], answers: Any) -> Ran:
    """The program in one place."""
    items: list[object] = []
    async with open_shell(Deployment(graph), NullBackend(answers)) as shell:
        async for frame in shell.start(pipeline, inputs):
            if isinstance(frame, Item):
                items.append(frame.output)
            elif isinstance(frame, End):
                return Ran(items, frame, [])
    raise AssertionError("a run has no end")


def text_of(call: Call) -> str:
    return str(call.arguments["text"])


def shouting(call: Call) -> Answer:
    return Answer(f"{text_of(call)}!", seconds=0.1)


# --- programs --------------------------------------------------------------------------------------------------------

HANDBOOK = (ROOT / "examples" / "handbook" / "handbook.agent").read_text("utf-8")
SPLIT = {"answer.chat.prefill": "gpu1", "answer.chat.decode": "gpu2"}


def handbook(call: Call) -> Answer:
    passage = {"path": "a.md", "line": 1, "text": "Notes.", "score": 1.0}
    return {
        "text:redact": Answer("clean", seconds=0.01),
        "search:search": Answer((passage,) * 8, seconds=0.05),
        "search:rerank": Answer((passage,) * 3, seconds=0.2),
        "text:join": Answer("- Notes."),
        "llm:tokenize": Answer((1, 2, 3)),
        "llm:prefill": Answer("kv", seconds=0.5, usage={"tokens_in": 3}),
        "llm:transfer": Answer("kv"),
        "llm:decode": Answer(items=(7, 8, 9), seconds=0.1, gap=0.1, usage={"tokens_out": 3}),
        "llm:detokenize": Answer(items=("It ", "is ", "so.")),
    }[call.entry]


async def test_the_handbook_runs_on_three_tiers_as_on_one() -> None:
    module = ready(
        HANDBOOK.replace(
            "tier cpu",
            "tier gpu1 = catalog.l40s\n  tier gpu2 = catalog.l40s\n  link * <-> * 1 Gbit/s, 1 ms\n  tier cpu",
        )
    )
    made = divided(module, SPLIT)
    assert set(made.islands) == {"cpu", "gpu1", "gpu2"}
    inputs = {"question": "Where?"}
    before = await whole(module.graph(), "answer", inputs, handbook)
    sent = await whole(made.sent.graph(), "answer", inputs, handbook)
    told = Told()
    async with together(made.graphs(), told, handbook) as islands:
        after = await heard(islands.start("answer", inputs))
    assert after.result == sent.result == before.result == ("done", None, None, ["It ", "is ", "so."])
    assert after.end.usage == before.end.usage == {"tokens_in": 3.0, "tokens_out": 3.0}
    # Being apart takes no time of its own here, so it takes as long.
    assert after.end.timings.finish == pytest.approx(before.end.timings.finish)
    assert after.end.timings.first_item == pytest.approx(before.end.timings.first_item)
    where = {stage: tier for tier, stage, _ in told.calls}
    assert where["answer.chat.prefill"] == "gpu1"
    assert where["answer.chat.decode"] == "gpu2"
    assert where["answer.chat.detokenize"] == "cpu"
    assert "answer.chat.transfer" not in where


async def test_a_pipeline_that_is_at_home_alone_runs_there_alone() -> None:
    module = ready(
        HANDBOOK.replace(
            "tier cpu",
            "tier gpu1 = catalog.l40s\n  tier gpu2 = catalog.l40s\n  link * <-> * 1 Gbit/s, 1 ms\n  tier cpu",
        )
    )
    told = Told()
    async with together(divided(module, SPLIT).graphs(), told, handbook) as islands:
        ran = await heard(islands.start("sources", {"question": "Where?"}))
        with pytest.raises(KeyError):
            islands.start("nothing", {})
    assert ran.end.outcome.status == "done"
    assert {tier for tier, _, _ in told.calls} == {"cpu"}


LOOP = """
use std/text

pipeline clean(texts: [Text]) -> [Text] {
  return for part in texts where part != "b", at most 2 at once {
    once = text.redact(part)
    text.redact("{text.redact("{once}?")}.")
  }
}
"""


async def test_a_loop_on_two_tiers_keeps_its_order_its_filter_and_its_bound() -> None:
    module = ready(LOOP)
    # The inner of two calls that are written on one line is far, and so is what comes before.
    found = dict.fromkeys(_leaves(module)[:2], "far")
    told = Told()
    inputs = {"texts": tuple("abcdef")}

    def answers(call: Call) -> Answer:
        # Who comes later is quicker, so that order is not given by time.
        return Answer(f"{text_of(call)}!", seconds=0.1 * (7 - "abcdef".index(text_of(call)[0])))

    async with together(divided(module, found).graphs(), told, answers) as islands:
        ran = await heard(islands.start("clean", inputs))
    assert ran.result == (await whole(module.graph(), "clean", inputs, answers)).result
    assert ran.end.outcome.value == tuple(f"{letter}!?!.!" for letter in "acdef")
    assert max(told.most.values()) == 2
    assert len(told.calls) == 3 * 5
    turns = [index for _, _, index in told.calls]
    # No more than two turns are under way, over all islands: the third begins when one of two is through.
    third = turns.index((3,))
    assert 3 in (turns[:third].count((0,)), turns[:third].count((2,)))


def _leaves(module: Module) -> list[str]:
    from island_runs import leaves

    return leaves(module)


STREAM = """
use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

pipeline say(question: Text) -> stream Text {
  return text.sentences(writer.chat(question, max_tokens: 8))
}
"""


@pytest.mark.parametrize("count", [3, 200])
async def test_a_stream_may_cross_twice(count: int) -> None:
    module = ready(STREAM)
    items = tuple(str(number) for number in range(count))

    def answers(call: Call) -> Answer:
        match call.entry:
            case "llm:decode":
                return Answer(items=tuple(range(count)), gap=0.01)
            case "llm:detokenize" | "text:sentences":
                return Answer(items=items)
            case _:
                return Answer("x")

    made = divided(module, {"say.chat.decode": "gpu", "say.chat.detokenize": "far"})
    async with together(made.graphs(), Told(), answers) as islands:
        ran = await heard(islands.start("say", {"question": "?"}))
    assert ran.result == ("done", None, None, list(items))


async def test_a_slow_reader_holds_a_stream_back_across_tiers() -> None:
    made = 0

    def answers(call: Call) -> Answer:
        match call.entry:
            case "llm:decode":
                return Answer(items=tuple(range(10_000)))
            case "llm:detokenize" | "text:sentences":
                return Answer(items=("x",) * 10_000)
            case _:
                return Answer("x")

    module = ready(STREAM)
    graphs = divided(module, {"say.chat.decode": "gpu", "say.chat.detokenize": "far"}).graphs()
    async with together(graphs, Told(), answers) as islands:
        run = islands.start("say", {"question": "?"})
        async for frame in run:
            if isinstance(frame, Item):
                made += 1
                if made == 5:
                    break
        await anyio.sleep(10.0)
        run.cancel()
        end = await run.result()
    decoded = next(stage for stage in end.timings.stages if stage.stage == "say.chat.decode")
    assert end.outcome.status == "cancelled"
    assert decoded.items < 1_000


async def test_a_reader_that_has_enough_stops_who_makes_the_stream() -> None:
    module = ready(STREAM)

    def answers(call: Call) -> Answer:
        match call.entry:
            case "llm:decode":
                return Answer(items=tuple(range(10_000)), gap=1.0)
            case "llm:detokenize":
                return Answer(items=("a", "b"))
            case "text:sentences":
                return Answer(items=("ab",))
            case _:
                return Answer("x")

    told = Told()
    async with together(divided(module, {"say.chat.decode": "gpu"}).graphs(), told, answers) as islands:
        ran = await heard(islands.start("say", {"question": "?"}))
    assert ran.result == ("done", None, None, ["ab"])
    assert "say.chat.decode" in told.stopped
    assert ran.end.timings.finish < 100.0


REPEAT = """
use std/text

pipeline grow(mail: Text) -> Text {
  return repeat state = mail, at most 4 times {
    longer = text.redact(text.redact(state))
    if longer == "a!!!!" { stop longer } else { next longer }
  }
}
"""


async def test_the_turns_of_a_repeat_follow_one_another_on_all_tiers() -> None:
    module = ready(REPEAT)
    first, *_ = _leaves(module)
    told = Told()
    async with together(divided(module, {first: "far"}).graphs(), told, shouting) as islands:
        stopped = await heard(islands.start("grow", {"mail": "a"}))
        bounded = await heard(islands.start("grow", {"mail": "b"}))
    assert stopped.end.outcome.value == "a!!!!"
    assert bounded.end.outcome.value == "b!!!!!!!!"
    turns = [index for _, _, index in told.calls]
    assert turns == [(0,), (0,), (1,), (1,), *((turn,) for turn in range(4) for _ in range(2))]


# --- failure ---------------------------------------------------------------------------------------------------------

SAFE = """
use std/text

pipeline safe(mail: Text) -> Text {
  return text.redact("{text.redact(mail)} {text.redact("slow")}") otherwise on REASONS text.redact("fallback {mail}")
}
"""


def failing(call: Call) -> Answer | None:
    """Who is asked of `bad` fails, as `unreachable`; who is asked of `slow` takes long."""
    text = text_of(call)
    if text == "bad":
        return None
    return Answer(f"<{text}>", seconds=5.0 if text == "slow" else 0.1)


async def test_what_fails_elsewhere_is_mended_at_home() -> None:
    module = ready(SAFE.replace("REASONS", "unreachable"))
    stages = _leaves(module)
    for placement in _all_placements(stages):
        told = Told()
        async with together(divided(module, placement).graphs(), told, failing) as islands:
            bad = await heard(islands.start("safe", {"mail": "bad"}))
            good = await heard(islands.start("safe", {"mail": "good"}))
        assert bad.end.outcome.value == "<fallback bad>", placement
        assert good.end.outcome.value == "<<good> <slow>>", placement
        # The other call of the left side was stopped when the first failed, wherever it was.
        assert len(told.stopped) == 1, placement
        assert bad.end.timings.finish < 1.0, placement


def _all_placements(stages: list[str]) -> list[dict[str, str]]:
    tiers = ("cpu", "gpu", "far")
    found: list[dict[str, str]] = [{}]
    for stage in stages:
        found = [{**placement, stage: tier} for placement in found for tier in tiers]
    return found[::5]


async def test_what_nothing_mends_fails_the_run_and_blames_who_failed() -> None:
    module = ready(SAFE.replace("REASONS", "timeout"))
    bad = next(stage for stage in _leaves(module) if "mail" in _operand_names(module, stage))
    for tier in ("gpu", "cpu"):
        told = Told()
        placement = {stage: "far" if stage != bad else tier for stage in _leaves(module)}
        async with together(divided(module, placement).graphs(), told, failing) as islands:
            ran = await heard(islands.start("safe", {"mail": "bad"}))
            again = await heard(islands.start("safe", {"mail": "good"}))
        assert (ran.end.outcome.status, ran.end.outcome.reason) == ("failed", "unreachable")
        assert ran.end.outcome.stage == bad
        assert ran.problems == ["no-answer"]
        assert ran.end.timings.finish < 1.0, "the other stage of the left side is stopped"
        assert again.end.outcome.status == "done"


def _operand_names(module: Module, stage: str) -> list[str | None]:
    from agentlang.ir.graph import walk

    graph = module.graph()
    return [v.name for p in graph.pipelines for o in walk(p.body) if o.id == stage for v in o.operands]


async def test_a_caller_that_goes_away_stops_every_island() -> None:
    module = ready(SAFE.replace("REASONS", "timeout"))
    told = Told()
    placement = dict.fromkeys(_leaves(module), "far")
    async with together(divided(module, placement).graphs(), told, failing) as islands:
        run = islands.start("safe", {"mail": "slow"})
        await anyio.sleep(1.0)
        run.cancel()
        ran = await heard(run)
    assert ran.end.outcome.status == "cancelled"
    assert len(told.stopped) == 2
    assert not +told.running


async def test_the_deadline_of_a_run_holds_on_every_island() -> None:
    module = ready(SAFE.replace("REASONS", "denied"))
    told = Told()
    placement = dict.fromkeys(_leaves(module), "far")
    async with together(divided(module, placement).graphs(), told, failing) as islands:
        ran = await heard(islands.start("safe", {"mail": "good"}, timeout=1.0))
    assert (ran.end.outcome.status, ran.end.outcome.reason) == ("failed", "timeout")
    assert ran.end.timings.finish == pytest.approx(1.0)
    assert told.stopped


TRIED = """
use std/text

pipeline tried(mail: Text) -> Text {
  return text.redact(text.redact(mail)) with POLICY
}
"""


def fails_first(times: int, seconds: float = 0.1) -> Callable[[Call], Answer | None]:
    """The inner call fails so often, then it answers."""
    left = times

    def answers(call: Call) -> Answer | None:
        nonlocal left
        if text_of(call) == "a" and left > 0:
            left -= 1
            return None
        return Answer(f"{text_of(call)}!", seconds=seconds)

    return answers


@pytest.mark.parametrize("placed_on", [("gpu", "cpu"), ("cpu", "gpu"), ("gpu", "far")])
async def test_a_call_on_two_tiers_is_tried_again_on_both(placed_on: tuple[str, str]) -> None:
    module = ready(TRIED.replace("POLICY", "retry 2"))
    placement = dict(zip(_leaves(module), placed_on, strict=True))
    for times, value in ((0, "a!!"), (2, "a!!"), (3, None)):
        told = Told()
        async with together(divided(module, placement).graphs(), told, fails_first(times)) as islands:
            ran = await heard(islands.start("tried", {"mail": "a"}))
        assert ran.end.outcome.value == value
        assert ran.end.outcome.reason == (None if value else "unreachable")
        assert len(told.calls) == (times + 2 if value else 3)


async def test_the_clock_of_a_call_is_at_home_and_stops_it_elsewhere() -> None:
    module = ready(TRIED.replace("POLICY", "timeout 2 s"))
    placement = dict(zip(_leaves(module), ("gpu", "far"), strict=True))
    told = Told()
    async with together(divided(module, placement).graphs(), told, fails_first(0, seconds=1.5)) as islands:
        ran = await heard(islands.start("tried", {"mail": "a"}))
    assert (ran.end.outcome.status, ran.end.outcome.reason) == ("failed", "timeout")
    assert ran.end.timings.finish == pytest.approx(2.0)
    assert len(told.stopped) == 1


async def test_a_call_may_last_as_long_as_it_says_wherever_it_is() -> None:
    module = ready(TRIED.replace("POLICY", "timeout 500 s"))
    placement = dict(zip(_leaves(module), ("gpu", "far"), strict=True))
    async with together(divided(module, placement).graphs(), Told(), fails_first(0, seconds=100.0)) as islands:
        ran = await heard(islands.start("tried", {"mail": "a"}))
    assert ran.end.outcome.value == "a!!"


async def test_a_slow_attempt_is_hedged_on_all_tiers() -> None:
    module = ready(TRIED.replace("POLICY", "hedge after 1 s"))
    placement = dict(zip(_leaves(module), ("gpu", "far"), strict=True))
    asked = 0

    def answers(call: Call) -> Answer:
        nonlocal asked
        asked += 1
        return Answer(f"{text_of(call)}!", seconds=50.0 if asked == 1 else 0.1)

    told = Told()
    async with together(divided(module, placement).graphs(), told, answers) as islands:
        ran = await heard(islands.start("tried", {"mail": "a"}))
    assert ran.end.outcome.value == "a!!"
    assert ran.end.timings.finish == pytest.approx(1.2)
    assert len(told.stopped) == 1


RACE = """
use std/text

pipeline quickest(mail: Text) -> Text {
  return race { text.redact(text.redact("slow")), text.redact(text.redact(mail)) }
}
"""


async def test_who_loses_a_race_is_stopped_wherever_it_runs() -> None:
    module = ready(RACE)
    stages = _leaves(module)
    placement = {stage: "far" if number % 2 else "gpu" for number, stage in enumerate(stages)}
    told = Told()
    async with together(divided(module, placement).graphs(), told, failing) as islands:
        ran = await heard(islands.start("quickest", {"mail": "good"}))
    assert ran.end.outcome.value == "<<good>>"
    assert ran.end.timings.finish == pytest.approx(0.2)
    assert len(told.stopped) == 1


async def test_runs_beside_each_other_do_not_mix() -> None:
    module = ready(LOOP)
    placement = {stage: ("far", "gpu", "cpu")[number % 3] for number, stage in enumerate(_leaves(module))}
    async with together(divided(module, placement).graphs(), Told(), shouting) as islands:
        runs = [islands.start("clean", {"texts": (f"{number}", f"x{number}")}) for number in range(5)]
        for number, run in enumerate(runs):
            ran = await heard(run)
            assert ran.end.outcome.value == (f"{number}!?!.!", f"x{number}!?!.!")


async def test_what_a_stage_holds_is_let_go_of_when_all_islands_are_through() -> None:
    module = ready(STREAM)
    released: list[float] = []

    class Cache:
        def release(self) -> None:
            released.append(anyio.current_time())

    def answers(call: Call) -> Answer:
        match call.entry:
            case "llm:prefill":
                return Answer(Cache())
            case "llm:decode":
                # It uses the cache long after the island that filled it has nothing more to do.
                return Answer(items=(1,), seconds=10.0)
            case "llm:detokenize" | "text:sentences":
                return Answer(items=("x",))
            case _:
                return Answer("x")

    graphs = divided(module, {"say.chat.prefill": "gpu", "say.chat.decode": "far"}).graphs()
    async with together(graphs, Told(), answers) as islands:
        began = anyio.current_time()
        ran = await heard(islands.start("say", {"question": "?"}))
        await anyio.sleep(1.0)
    assert ran.end.outcome.status == "done"
    # Both who made it and who received it let go of it.
    assert released
    assert min(released) - began >= 10.0


async def test_islands_that_are_left_stop_what_runs() -> None:
    module = ready(SAFE.replace("REASONS", "timeout"))
    told = Told()
    graphs = divided(module, dict.fromkeys(_leaves(module)[:2], "far")).graphs()
    with anyio.fail_after(60.0):
        async with together(graphs, told, failing) as islands:
            run = islands.start("safe", {"mail": "slow"})
            await anyio.sleep(0.5)
    assert run.over.is_set()
    assert not +told.running


async def test_these_must_be_islands_of_one_program() -> None:
    module = ready(LOOP)
    graphs = divided(module, dict.fromkeys(_leaves(module)[:1], "far")).graphs()
    for wrong in ({"far": graphs["far"]}, {"cpu": graphs["far"], "far": graphs["cpu"]}, {"cpu": module.graph()}):
        with pytest.raises(ValueError, match="not the islands"):
            open_islands(wrong, {tier: NullBackend(shouting) for tier in wrong})
