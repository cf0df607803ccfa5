"""A durable run of several islands, killed after every record of its one journal and resumed: nothing is lost on the
way from one to another, and what acts on the world does so as often as it may."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from agent_sources import ROOT, checked
from durable_runs import ActingBackend, Acts
from ir_programs import SmallLibrary
from island_runs import divided, leaves

from agentlang.executor.backends import Call
from agentlang.executor.backends.calls import PLAIN
from agentlang.executor.backends.null import Answer, NullBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.frames import End, Item
from agentlang.executor.journal.file import Head, create, open_journal
from agentlang.executor.journal.islands import island_heads, one_head, open_durable_islands, read_islands
from agentlang.executor.journal.log import MemoryLog
from agentlang.ir import compile as irc
from agentlang.ir.graph import Graph

TOOLS = """
tool count(n: Int) -> stream Int = python("shop:count") effects []
tool look(id: Int) -> Int = python("shop:look") effects [reads "orders"]
tool send(id: Int) -> Text = python("shop:send") effects [writes "mail"] idempotent by id
tool pay(id: Int) -> Text = python("shop:pay") effects [writes "payments"]
tool find(name: Text) -> Text = python("shop:find") effects [reads "people"]
"""
PROGRAM = """
pipeline main(n: Int) -> stream Text {
  for id in count(n) {
    emit send(look(id))
    emit pay(look(id)) otherwise on may_have_acted "perhaps"
  }
  emit send(look(99))
}

pipeline sum(n: Int) -> Text {
  found = for id in [1, 2, 3, n], at most 2 at once { look(id) }
  first = if len(found) > 3 { send(found[3]) } else { "none" }
  return send(look(len(first)) with retry 2, timeout 5 s)
}
"""
PERSONAL = """
pipeline personal(name: Text @pii) -> Text { return find(name) }
"""
PLACES = {"count": "gpu", "look": "far", "send": "cpu", "pay": "gpu", "find": "far"}


def graphs_of(text: str) -> dict[str, Graph]:
    program, problems = checked(TOOLS + text)
    assert program is not None, [problem.title for problem in problems]
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, SmallLibrary(), passes=["inline_pipelines", "split_llm"])
    assert module is not None, problems
    placement = {stage: PLACES.get(stage.rpartition(".")[2].rstrip("_0123456789"), "cpu") for stage in leaves(module)}
    return divided(module, placement).graphs()


def answer(call: Call) -> Answer | None:
    given = next(iter(call.arguments.values()), None)
    name = str(call.operation.attributes.get("tool", ""))
    if name == "count":
        return Answer(items=tuple(range(int(str(given)))), seconds=0.1, gap=0.1)
    if call.entry.partition(":")[0] in PLAIN:
        return None
    return Answer({"look": given, "send": f"sent {given}", "pay": f"paid {given}"}.get(name, given), seconds=0.1)


@dataclass
class Told:
    items: list[tuple[int, object]]
    ended: tuple[object, ...]
    lines: list[str]
    acts: list[str] = field(default_factory=list[str])


def life(
    graphs: dict[str, Graph], pipeline: str, inputs: dict[str, Any], lines: list[str], kept: Head | None = None
) -> Told:
    """From the beginning, or from what was written; `kept` is what the journal began with, where that is a file."""

    async def main() -> Told:
        acts, log = Acts(), MemoryLog()
        log.lines = list(lines)
        backends = {tier: ActingBackend(NullBackend(answer), acts) for tier in graphs}
        heads, records = read_islands(kept or one_head(heads_of(graphs, pipeline)), lines)
        opened = open_durable_islands(graphs, backends, log, heads, records=records, given=inputs)
        items: list[tuple[int, object]] = []
        last: Any = None
        with anyio.fail_after(1000.0):
            async with opened as islands:
                async for last in await islands.resume({}) if lines else islands.start(pipeline, inputs):
                    if isinstance(last, Item):
                        items.append((last.seq, last.output))
        assert isinstance(last, End)
        return Told(items, (last.outcome.status, last.outcome.reason, last.outcome.value), log.lines, acts.tools)

    return anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})


def heads_of(graphs: dict[str, Graph], pipeline: str) -> dict[str, Head]:
    heads, refused = island_heads(graphs, {tier: NullBackend(answer) for tier in graphs}, pipeline, "test", "0", seed=7)
    assert not refused, refused
    return heads


def begun(lines: list[str]) -> int:
    return sum('[\\"Begun\\"' in line for line in lines)


@pytest.mark.parametrize(
    ("pipeline", "inputs"), [pytest.param("main", {"n": 3}, marks=pytest.mark.slow), ("sum", {"n": 4})]
)
def test_killed_at_every_message_islands_go_on(pipeline: str, inputs: dict[str, Any]) -> None:
    graphs = graphs_of(PROGRAM)
    assert len(graphs) == 3
    whole = life(graphs, pipeline, inputs, [])
    assert whole.ended[0] == "done", whole.ended
    assert begun(whole.lines) == len(whole.acts) > 0
    for cut in range(1, len(whole.lines) + 1):
        again = life(graphs, pipeline, inputs, whole.lines[:cut])
        assert again.ended == whole.ended, cut
        acted = Counter([*whole.acts[: begun(whole.lines[:cut])], *again.acts])
        # What says that twice is once may be done once more for each that was under way; nothing else.
        assert acted["pay"] <= whole.acts.count("pay"), cut
        assert whole.acts.count("send") <= acted["send"] <= whole.acts.count("send") + 1, cut
        first = again.items[0][0] if again.items else len(whole.items)
        given = [*whole.items[:first], *again.items]
        assert [number for number, _ in given] == list(range(len(whole.items)))
        assert all(a == b or a[1] == "perhaps" for a, b in zip(given, whole.items, strict=True)), cut
        assert sum(a[1] == "perhaps" for a in given) <= 1


def test_what_was_resumed_may_be_killed_again() -> None:
    graphs = graphs_of(PROGRAM)
    lines = life(graphs, "main", {"n": 3}, []).lines
    told = life(graphs, "main", {"n": 3}, lines[: len(lines) // 4])
    for part in (2, 3):
        told = life(graphs, "main", {"n": 3}, told.lines[: len(told.lines) * part // 4])
    assert told.ended[0] == "done"


def test_the_journal_is_one_file(tmp_path: Path) -> None:
    graphs = graphs_of(PROGRAM)
    heads = heads_of(graphs, "sum")
    log = create(tmp_path / "run.journal", one_head(heads))

    async def main() -> None:
        islands = open_durable_islands(graphs, {tier: NullBackend(answer) for tier in graphs}, log, heads)
        async with islands:
            last = await islands.start("sum", {"n": 4}).result()
            assert last.outcome.status == "done"

    anyio.run(main)
    journal = open_journal(tmp_path / "run.journal")
    journal.release()
    for cut in (1, len(journal.lines) // 2, len(journal.lines)):
        assert life(graphs, "sum", {"n": 4}, list(journal.lines[:cut]), journal.head).ended[:2] == ("done", None)


def test_what_is_personal_is_not_written_on_any_island() -> None:
    graphs = graphs_of(PERSONAL)
    backends = {tier: NullBackend(answer) for tier in graphs}
    heads, refused = island_heads(graphs, backends, "personal", "test", "0", seed=7)
    assert (heads, [problem.slug for problem in refused]) == ({}, ["journal-masks"])


def test_what_only_a_process_can_hold_is_refused_by_name() -> None:
    program, _ = checked((ROOT / "examples" / "hello" / "hello.agent").read_text())
    assert program is not None
    module, _ = irc.lower(program)
    assert module is not None
    module, _ = irc.run_passes(module, SmallLibrary(), passes=["inline_pipelines", "split_llm"])
    assert module is not None
    far = {stage: "gpu" if stage.endswith("prefill") else "cpu" for stage in leaves(module)}
    graphs = divided(module, far).graphs()
    _, refused = island_heads(graphs, {tier: NullBackend(answer) for tier in graphs}, "hello", "test", "0")
    assert [problem.slug for problem in refused] == ["islands-not-durable"]
