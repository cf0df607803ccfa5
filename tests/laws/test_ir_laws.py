"""Laws of the compiler, on programs at random: what is written comes back, and a pass keeps what a program means."""

from __future__ import annotations

import ir_programs as P
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_back import comes_back
from ir_oracle import outcome
from ir_random import programs

from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.demand.data import NAMES, demand, demand_data, demand_from
from agentlang.ir.formula import Formula, constant, parse, variable
from agentlang.ir.graph import Graph, GraphPipeline, Region, walk
from agentlang.ir.passes import PASSES
from agentlang.ir.sizes import resolve
from agentlang.lang import program as p
from agentlang.lang.types import TEXT

lawful = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def steps(program: p.Program) -> list[Module]:
    """The module as lowered, and after each pass."""
    module, problems = irc.lower(program, tests=True)
    assert module is not None, [problem.title for problem in problems]
    found = [module]
    last, problems = irc.run_passes(module, P.SmallLibrary(), after=lambda _, made: found.append(made))
    assert last is not None, [problem.title for problem in problems]
    assert [made.passes for made in found] == [PASSES[:n] for n in range(len(PASSES) + 1)]
    return found


def values(graph: Graph, pipeline: GraphPipeline) -> object:
    inputs = {i.name: i.name if i.type == TEXT else (i.name, f"{i.name}. 2") for i in pipeline.inputs}
    return outcome(graph, pipeline.name, inputs)


def order(region: Region, known: frozenset[int]) -> None:
    """Definitions come before uses, and each value is defined once."""
    seen = set(known) | {argument.id for argument in region.arguments}
    for operation in region.operations:
        assert {operand.id for operand in operation.operands} <= seen
        for inner in operation.regions:
            order(inner, frozenset(seen))
        assert not {result.id for result in operation.results} & seen
        seen |= {result.id for result in operation.results}


@lawful
@given(programs())
def test_what_is_written_comes_back(program: p.Program) -> None:
    for module in steps(program):
        comes_back(module)


@lawful
@given(programs())
def test_a_pass_keeps_what_a_program_means(program: p.Program) -> None:
    lowered, *passed = [module.graph() for module in steps(program)]
    for pipeline in lowered.pipelines:
        expected = values(lowered, pipeline)
        for graph in passed:
            assert values(graph, pipeline) == expected
            order(graph.pipeline(pipeline.name).body, frozenset())


@lawful
@given(programs(), st.data())
def test_every_demand_can_be_told(program: p.Program, data: st.DataObject) -> None:
    """Every formula names sizes of its pipeline only; sizes have defaults; nothing that a run needs is negative."""
    graph = steps(program)[-1].graph()
    for pipeline in graph.pipelines:
        names = [size.name for size in pipeline.sizes]
        shares = {size.name for size in pipeline.sizes if size.bound == constant(1.0)}
        assert len(set(names)) == len(names)
        assumed = {n: data.draw(st.floats(0, 1) if n in shares else st.integers(1, 9)) for n in names[::2]}
        resolved, unused = resolve(pipeline.sizes, assumed)
        assert unused == ()
        numbers = {size.name: size.value for size in resolved}
        assert {name: numbers[name] for name in assumed} == assumed
        for operation in walk(pipeline.body):
            assert operation.times is not None
            assert operation.times.value(numbers) >= 0
            if operation.demand is not None:
                for formula in (getattr(operation.demand, name) for name in NAMES):
                    # A decode of `m` tokens has `m - 1` steps, and a share may leave less than one token.
                    assert formula.value(numbers) >= 0 or min(numbers.values()) < 1


@pytest.mark.parametrize("name", P.ALL)
def test_the_example_programs_keep_all_laws(name: str) -> None:
    for module in steps(P.ALL[name]()):
        comes_back(module)


formulas = st.recursive(
    st.one_of(
        st.sampled_from(["a.tokens", "b", "c.d.items"]).map(variable),
        st.integers(-9, 9).map(lambda n: constant(float(n))),
    ),
    lambda inner: st.tuples(inner, inner, st.booleans()).map(lambda t: t[0] + t[1] if t[2] else t[0] * t[1]),
    max_leaves=8,
)


@given(formulas, formulas, st.tuples(*(st.integers(-9, 9) for _ in range(3))))
def test_formulas_are_a_ring(left: Formula, right: Formula, numbers: tuple[int, int, int]) -> None:
    sizes = dict(zip(("a.tokens", "b", "c.d.items"), map(float, numbers), strict=True))
    assert (left + right).value(sizes) == left.value(sizes) + right.value(sizes)
    assert (left * right).value(sizes) == left.value(sizes) * right.value(sizes)
    assert left + right == right + left and left * right == right * left
    assert (left + right) * left == left * left + right * left
    assert parse(str(left)) == left


@given(st.dictionaries(st.sampled_from(NAMES), formulas))
def test_demands_come_back(terms: dict[str, Formula]) -> None:
    made = demand(**terms)
    assert demand_from(demand_data(made)) == made
