"""Laws of predictions and plans, on random graphs."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planner_graphs import chat_operations, demand, goal, graph, machine, op, term, value

from agentlang.ir.formula import variable
from agentlang.ir.graph import Graph, Operation, Region, Size, Value
from agentlang.lang.types import TEXT, ListType, StreamType
from agentlang.planner.calibrate import Calibration, Observation
from agentlang.planner.catalogue import catalogue
from agentlang.planner.figures import Figure, Prediction
from agentlang.planner.goals import term_text
from agentlang.planner.hardware import Machine
from agentlang.planner.moments import explain
from agentlang.planner.place import plan
from agentlang.planner.plan import from_json, to_json
from agentlang.planner.predict import Forecast, forecast
from agentlang.planner.rates import of_machine
from agentlang.planner.tails import waiting

ITEMS = Size("best.items", variable("question.tokens") * 0.1, None, "assumed")
amounts = st.floats(0.0, 10.0).map(lambda seconds: round(seconds, 3))
sizes = st.builds(
    lambda question, items, output: {"question.tokens": question, "best.items": items, "answer.output": output},
    st.integers(0, 2000).map(float),
    st.integers(0, 20).map(float),
    st.integers(1, 200).map(float),
)


@st.composite
def stages(draw: st.DrawFn, scope: str, known: list[Value], depth: int) -> tuple[list[Operation], list[Value]]:
    """A few operations over known values: light and heavy stages, chats, loops; and the values they give."""
    made: list[Operation] = []
    values = list(known)
    for number in range(draw(st.integers(1, 4))):
        name = f"{scope}.s{number}"
        operands = tuple(draw(st.lists(st.sampled_from(values), max_size=2))) if values else ()
        kind = draw(st.sampled_from(["cpu", "compute", "traffic", "stream", "chat", "map", "collect"]))
        if kind == "chat" and operands:
            reply = value(StreamType(TEXT))
            made += chat_operations(operands[0], name, reply)
            values.append(reply)
        elif kind == "map" and depth and operands:
            item, result = value(TEXT), value(ListType(TEXT))
            inner, inside = draw(stages(name, [item], depth - 1))
            body = Region((item,), (*inner, op("yield", f"{name}.yield", (inside[-1],))))
            made.append(
                op("map", name, (operands[0],), result, None, (body, Region((), ())), at_most=draw(st.integers(1, 5)))
            )
            values.append(result)
        elif kind == "collect" and operands:
            result = value(TEXT)
            made.append(op("collect", name, operands[:1], result))
            values.append(result)
        else:
            result = value(StreamType(TEXT) if kind == "stream" else TEXT)
            scale = {"compute": 100e9, "traffic": 10e9}.get(kind, 1.0)
            resource = kind if kind in ("compute", "traffic") else "cpu"
            needs = demand(
                **{resource: variable("question.tokens") * (draw(amounts) * scale * 1e-3), "tokens_out": 3.0}
            )
            made.append(op("stage", name, operands, result, needs, entry=f"toy:{kind}"))
            values.append(result)
    return made, values


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    question = value(TEXT, "question")
    operations, values = draw(stages("answer", [question], 2))
    result = values[-1]
    found = graph((*operations, op("return", "answer.return", (result,))), result.type, (question,))
    return replace(
        found,
        pipelines=(
            replace(found.pipelines[0], sizes=(found.pipelines[0].sizes[0], ITEMS, *found.pipelines[0].sizes[2:])),
        ),
    )


@st.composite
def gathered(draw: st.DrawFn) -> Graph:
    """A graph whose result waits for every value."""
    found = draw(graphs())
    body = found.pipelines[0].body
    result = value(TEXT)
    every = tuple(v for operation in body.operations for v in operation.results)
    last = op("stage", "answer.last", every, result, demand(cpu=0.0), entry="toy:last")
    operations = (*body.operations[:-1], last, op("return", "answer.return", (result,)))
    changed = replace(found.pipelines[0], body=Region(body.arguments, operations), result=TEXT)
    return replace(found, pipelines=(changed,))


def run(given_graph: Graph, at: dict[str, float], **changes: object) -> Forecast:
    rates = of_machine(machine(**changes), catalogue()["laptop"])
    return forecast(given_graph, "answer", at, rates, Calibration("toy"))


def faster(figure: Figure) -> Figure:
    return replace(figure, value=figure.value * 2)


def adds_up(prediction: Prediction) -> None:
    assert sum(t.value for t in prediction.terms) == pytest.approx(prediction.value, abs=1e-9)
    assert prediction.low <= prediction.value <= prediction.high


@given(graphs(), sizes)
def test_every_prediction_is_the_sum_of_its_terms(found: Graph, at: dict[str, float]) -> None:
    forecasted = run(found, at)
    for moment in (forecasted.first, forecasted.finish):
        prediction = explain("moment", moment, forecasted.times)
        adds_up(prediction)
        assert prediction.value == pytest.approx(moment.at, abs=1e-9)


@given(graphs(), sizes)
def test_the_first_item_leaves_before_the_end_and_nothing_beats_the_work(found: Graph, at: dict[str, float]) -> None:
    forecasted = run(found, at)
    assert forecasted.first.at <= forecasted.finish.at + 1e-9
    on_path = {part.stage for part in forecasted.finish.path}
    for stage in on_path:
        part = next(p for p in forecasted.finish.path if p.stage == stage)
        executions = forecasted.executions[stage]
        # No stage contributes more than all its executions one after the other.
        assert part.seconds <= max(1.0, executions) * forecasted.times[stage].seconds + 1e-9


@given(graphs(), sizes)
def test_a_run_is_never_slower_than_everything_one_after_the_other(found: Graph, at: dict[str, float]) -> None:
    forecasted = run(found, at)
    serial = sum(time.seconds * max(1.0, forecasted.executions[stage]) for stage, time in forecasted.times.items())
    assert forecasted.finish.at <= serial + 1e-9


@given(graphs(), sizes)
def test_more_to_do_never_ends_sooner(found: Graph, at: dict[str, float]) -> None:
    plain = run(found, at).finish.at
    more = {**at, "question.tokens": at["question.tokens"] + 10, "best.items": at["best.items"] + 1}
    assert run(found, more).finish.at >= plain - 1e-9


@given(graphs(), sizes, st.sampled_from(["bandwidth", "compute"]))
def test_a_faster_machine_never_ends_later_at_its_roofline(found: Graph, at: dict[str, float], what: str) -> None:
    quick: Machine = machine()
    changed = {what: faster(getattr(quick, what))}
    for stage, time in run(found, at, **changed).times.items():
        assert time.roofline <= run(found, at).times[stage].roofline + 1e-12


@given(gathered(), sizes)
def test_heavy_work_takes_turns(found: Graph, at: dict[str, float]) -> None:
    """Where the result waits for everything, the run lasts as long as all work of the whole machine."""
    forecasted = run(found, at)
    heavy = sum(seconds for stage, seconds in forecasted.busy.items() if forecasted.times[stage].heavy)
    assert heavy <= forecasted.finish.at + 1e-9


@given(graphs(), st.floats(0.001, 100.0), st.floats(0.001, 100.0), st.floats(0.001, 10.0))
def test_plans_survive_json_and_their_certificate_is_their_goal(
    found: Graph, finish: float, first: float, rate: float
) -> None:
    terms = (term("finish", finish, 95.0), term("first_item", first, 50.0), term("rate", rate), term("cost", 0.01))
    made, problems = plan(found, "answer", machine(), goal=goal(*terms))
    assert made is not None, problems
    assert from_json(to_json(made)) == made
    assert made.feasible == all(t.met for t in made.goals)
    assert made.feasible == (not problems)
    assert [line.name for line in made.certificate[1:]] == [term_text(t) for t in made.goals]
    for line in made.certificate:
        assert line.left is None or line.holds == (line.left <= line.right)
    for prediction in (*made.predictions, made.load, made.cost.per_run, made.energy, made.tiers[0].memory):
        adds_up(prediction)


@given(graphs(), st.floats(0.001, 10.0), st.floats(0.001, 3.0))
def test_no_stays_no(found: Graph, finish: float, rate: float) -> None:
    """A goal that is missed is missed under a stricter limit and under a higher rate too."""
    terms = (term("finish", finish, 95.0), term("rate", rate))
    stricter = (term("finish", finish / 2, 95.0), term("rate", rate))
    busier = (term("finish", finish, 95.0), term("rate", rate * 2))
    made, _ = plan(found, "answer", machine(), goal=goal(*terms))
    assert made is not None
    if not made.feasible:
        for other in (stricter, busier):
            again, _ = plan(found, "answer", machine(), goal=goal(*other))
            assert again is not None
            assert not again.feasible


@given(st.lists(st.floats(0.3, 40.0), min_size=1, max_size=40), st.floats(0.3, 40.0))
def test_factors_stay_within_what_was_seen_and_converge(before: list[float], truth: float) -> None:
    known = Calibration("toy").refined(Observation("k", 1.0, ratio) for ratio in before)
    factor = known.factor("k", "memory")
    assert min(before) <= factor.value <= max(before)
    assert factor.error >= 0.0
    after = known.refined(Observation("k", 2.0, 2.0 * truth) for _ in range(32)).factor("k", "memory")
    assert after.value == pytest.approx(truth)
    assert after.error == pytest.approx(0.5 / 33)


@given(st.floats(0.01, 10.0), st.floats(0.0, 0.99), st.floats(50.0, 99.9), st.floats(0.0, 0.5))
def test_waiting_grows_with_load_and_percentile(service: float, load: float, percentile: float, noise: float) -> None:
    rate = load / service
    wait = waiting(service, rate, percentile, noise)
    if wait is None:
        assert rate * service >= 1.0
        return
    busier = waiting(service, rate * 1.001, percentile, noise)
    assert busier is None or busier >= wait - 1e-9
    later = waiting(service, rate, percentile + 0.05, noise)
    assert later is not None
    assert later >= wait
