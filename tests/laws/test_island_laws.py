"""Laws of placed modules, on programs at random with their stages on tiers at random: what is sent and received is the
same program, and so are its islands, run together."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace

import ir_programs as P
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_meaning import arguments, run
from ir_oracle import outcome
from ir_random import programs
from island_runs import divided, leaves, run_islands

from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.emit import emit_module
from agentlang.ir.graph import Graph, Region, walk
from agentlang.ir.live import live, only_live
from agentlang.ir.passes import PASSES, PLAIN
from agentlang.ir.read import read_graph
from agentlang.ir.verify import verify
from agentlang.lang import program as p

TIERS = ("cpu", "gpu", "far")

lawful = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def ready(program: p.Program, *more: str) -> Module:
    """The module as it is placed, without the `place on` of its policies, which would say where all of it runs. `more`
    are passes that it goes through beside those that it needs."""
    module, problems = irc.lower(program)
    assert module is not None, [problem.title for problem in problems]
    chosen = [name for name in PASSES if name in (*PLAIN, *more)]
    module, problems = irc.run_passes(module, P.SmallLibrary(), passes=chosen)
    assert module is not None, [problem.title for problem in problems]
    anywhere, problems = irc.parse(re.sub(r'place = "cpu", ', "", module.text()))
    assert anywhere is not None, [problem.title for problem in problems]
    return anywhere


def somewhere(module: Module, data: st.DataObject) -> dict[str, str]:
    stages = leaves(module)
    tiers = data.draw(st.lists(st.sampled_from(TIERS), min_size=len(stages), max_size=len(stages)))
    return dict(zip(stages, tiers, strict=True))


def comes_back(module: Module) -> None:
    """Through text, bytecode and the frozen graph, with its places. (Which of two equal places is named first is not
    kept.)"""
    text, code, graph = module.text(), module.bytecode(), module.graph()
    for written, digest in ((text, None), (code, hashlib.sha256(code).hexdigest())):
        back, problems = irc.parse(written, digest, module.sources)
        assert back is not None, [problem.title for problem in problems]
        assert back.text(locations=False) == module.text(locations=False)
        assert back.graph() == graph
        assert _places(back.graph()) == _places(graph)
    made = emit_module(graph)
    assert verify(made, module.passes) == ()
    assert read_graph(made, module.sources) == graph


def _places(graph: Graph) -> list[object]:
    return [(o.span, o.callers) for pipeline in graph.pipelines for o in walk(pipeline.body)]


def _what_runs(graph: Graph) -> Graph:
    """The oracle computes all, and what nobody uses may fail."""
    return replace(graph, pipelines=tuple(replace(p, body=only_live(p.body, live(p.body))) for p in graph.pipelines))


@lawful
@given(programs(), st.data())
def test_what_is_sent_and_received_means_the_same(program: p.Program, data: st.DataObject) -> None:
    module = ready(program)
    made = divided(module, somewhere(module, data))
    before, after = _what_runs(module.graph()), made.sent.graph()
    for pipeline in before.pipelines:
        inputs = arguments(pipeline)
        assert outcome(after, pipeline.name, inputs) == outcome(before, pipeline.name, inputs)


@lawful
@given(programs(), st.data())
def test_islands_are_modules_that_come_back(program: p.Program, data: st.DataObject) -> None:
    module = ready(program)
    made = divided(module, somewhere(module, data))
    for each in (made.placed, made.sent, *made.islands.values()):
        comes_back(each)


@lawful
@given(programs(), st.data())
def test_islands_together_do_what_the_whole_does(program: p.Program, data: st.DataObject) -> None:
    _alike_together(ready(program), data)


@lawful
@given(programs(), st.data())
def test_so_they_do_where_calls_are_batches(program: p.Program, data: st.DataObject) -> None:
    _alike_together(ready(program, "batch_calls"), data)


def _alike_together(module: Module, data: st.DataObject) -> None:
    made = divided(module, somewhere(module, data))
    whole, graphs = module.graph(), made.graphs()
    for pipeline in whole.pipelines:
        if any(operation.name == "agent.race" and len(operation.regions) > 1 for operation in walk(pipeline.body)):
            continue  # which branch wins is a matter of time
        if _size(pipeline.body) > 2_000:
            continue  # loops in loops in loops take minutes
        inputs = arguments(pipeline)
        before = run(whole, pipeline.name, inputs)
        after = run_islands(graphs, pipeline.name, inputs)
        assert after.result == before.result, pipeline.name
        if not before.failed:
            # Parts of a chat may have begun by the time that it is known that nobody reads it.
            told = [Counter({k: n for k, n in each.calls.items() if k[0][:4] != "llm:"}) for each in (before, after)]
            assert told[0] == told[1], (pipeline.name, told[0] - told[1], told[1] - told[0])


def _size(region: Region) -> int:
    """How much a run may do, roughly: loops in loops have a few turns each."""
    total = 0
    for operation in region.operations:
        turns = 10 if operation.name in ("agent.map", "agent.repeat") else 1
        total += 1 + turns * sum(map(_size, operation.regions))
    return total
