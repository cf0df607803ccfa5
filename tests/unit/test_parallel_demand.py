"""What the shards of a model need: their sums are what the whole model needs, but for what is there more than once."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import pytest
from planned import plan
from planner_graphs import machine
from spread_programs import ready, shape_of, spread, stage, through

from agentlang.ir.demand import llm, parallel
from agentlang.ir.demand.data import NAMES
from agentlang.ir.demand.parallel import Layout
from agentlang.ir.formula import Formula, variable
from agentlang.ir.graph import Demand
from agentlang.ir.library import ModelShape
from agentlang.planner.calibrate import Calibration
from agentlang.planner.place import Options

EXACT = 1e-12

SIZES = {"n": 700.0, "m": 90.0}
N, M = variable("n"), variable("m")


def plain(shape: ModelShape) -> ModelShape:
    """The shape without norms, biases and routers: what is left is divided without a rest."""
    return replace(shape, active_parameters=shape.active_parameters - round(around(shape)))


def around(shape: ModelShape) -> float:
    """Weights of all layers that are in none of the large products, counted here again."""
    heads = 2 * shape.d_model * (shape.heads + shape.kv_heads) * shape.head_dim
    blocks = max(1, shape.active_experts) * 3 * shape.d_model * shape.ffn
    return shape.active_parameters - shape.vocab * shape.d_model - shape.layers * (heads + blocks)


def value(given: Demand, name: str) -> float:
    formula: Formula = getattr(given, name)
    return formula.value(SIZES)


LAYOUTS = [
    ("smollm2-135m-instruct", 3, 1),
    ("llama-3-8b-instruct", 4, 1),
    ("llama-3-70b-instruct", 8, 1),
    ("gpt-oss-120b", 1, 8),
    ("gpt-oss-120b", 8, 8),
    ("gpt-oss-120b", 8, 2),
]


@pytest.mark.parametrize(("model", "tensor", "expert"), LAYOUTS)
def test_shards_add_up_to_the_whole(model: str, tensor: int, expert: int) -> None:
    """Where nothing is held twice: exactly, but for the hidden states that each device moves."""
    shape, layout = plain(shape_of(model)), Layout(tensor, expert)
    whole, parts = llm.decode(shape, N, M), parallel.decode(shape, layout, N, M)
    for name in ("compute", "traffic", "footprint", "tokens_out"):
        assert value(parts, name) == pytest.approx(value(whole, name), rel=EXACT), name
    whole, parts = llm.prefill(shape, N), parallel.prefill(shape, layout, N)
    for name in ("compute", "footprint", "tokens_in"):
        assert value(parts, name) == pytest.approx(value(whole, name), rel=EXACT), name
    states = 2 * shape.d_model * shape.cache_bytes * shape.layers * SIZES["n"]
    moved = (tensor - 1) * states + (layout.slices - 1) * max(1, shape.active_experts) * states
    assert value(parts, "traffic") - value(whole, "traffic") == pytest.approx(moved, rel=1e-9, abs=1e-3)


@pytest.mark.parametrize(("model", "tensor", "expert"), LAYOUTS)
def test_norms_and_routers_are_on_every_device(model: str, tensor: int, expert: int) -> None:
    shape, layout = shape_of(model), Layout(tensor, expert)
    routing = 1 if layout.dispatches else layout.devices
    again = around(shape) * (tensor + routing - 2) / 2
    steps = SIZES["m"] - 1
    whole, parts = llm.decode(shape, N, M), parallel.decode(shape, layout, N, M)
    assert value(parts, "compute") - value(whole, "compute") == pytest.approx(2 * steps * again, rel=1e-6, abs=1)
    moved = value(parts, "traffic") - value(whole, "traffic")
    assert moved == pytest.approx(steps * again * shape.weight_bytes, rel=1e-6, abs=1)
    held = sum(parallel.weight_bytes(shape, layout))
    assert held == pytest.approx((shape.parameters + again) * shape.weight_bytes, rel=EXACT)


def test_a_head_that_two_shards_hold_counts_twice() -> None:
    shape = plain(shape_of("llama-3-8b-instruct"))
    once, twice = parallel.decode(shape, Layout(8), N, M), parallel.decode(shape, Layout(16), N, M)
    assert value(twice, "footprint") == 2 * value(once, "footprint") == 2 * value(llm.decode(shape, N, M), "footprint")
    kept = shape.layers * 2 * shape.d_model * shape.kv_heads * shape.head_dim
    assert value(twice, "compute") - value(once, "compute") == pytest.approx(2 * kept * (SIZES["m"] - 1), rel=1e-9)


@pytest.mark.parametrize(
    ("model", "tensor", "expert"), [*LAYOUTS, ("llama-3-8b-instruct", 1, 1), ("gpt-oss-120b", 1, 1)]
)
def test_devices_add_up_to_the_stage_and_the_step(model: str, tensor: int, expert: int) -> None:
    shape, layout = shape_of(model), Layout(tensor, expert)
    devices = parallel.by_device(shape, layout, parallel.prefilling(shape, N))
    whole = parallel.prefill(shape, layout, N)
    for name in set(NAMES) - {"tokens_in"}:
        assert sum(value(each, name) for each in devices) == pytest.approx(value(whole, name), rel=EXACT)
    if layout.devices == 1:
        for name in NAMES:
            assert value(whole, name) == pytest.approx(value(llm.prefill(shape, N), name), rel=EXACT)
        return
    # The parts of the step, those of a layer as often as there are layers, are the stage at the step's sizes.
    (step,) = spread(ready(model), tensor, expert).graph().steps
    sizes = {"tokens": SIZES["n"], "past": 0.0}
    for name in ("compute", "traffic", "footprint", "network"):
        found = 0.0
        for each in step.body.operations:
            found += 0.0 if each.demand is None else getattr(each.demand, name).value(sizes)
            for inner in (one for region in each.regions for one in region.operations if one.demand is not None):
                found += shape.layers * getattr(inner.demand, name).value(sizes)
        assert found == pytest.approx(value(whole, name), rel=1e-8), name


def test_an_all_reduce_is_a_ring() -> None:
    """Each of n devices sends 2 (n - 1) / n times the states, after attention and after the block, in each layer."""
    shape = shape_of("llama-3-8b-instruct")
    for count in (2, 4, 8):
        each = parallel.by_device(shape, Layout(count), parallel.prefilling(shape, N))[1]
        states = SIZES["n"] * shape.d_model * shape.cache_bytes
        assert value(each, "network") == pytest.approx(2 * shape.layers * 2 * (count - 1) / count * states)


def test_tokens_are_sent_once_to_each_device_with_an_expert_of_theirs() -> None:
    shape = replace(shape_of("gpt-oss-120b"), experts=6, active_experts=2)
    layout = Layout(1, 3)
    sent = parallel.dispatch(shape, layout, parallel.prefilling(shape, N)).network.value({"n": 1.0})
    # Of the 15 pairs of experts, 9 have one on a given device of two experts.
    pairs = [(a, b) for a in range(6) for b in range(a)]
    here = sum(1 for pair in pairs if {0, 1} & set(pair)) / comb(6, 2)
    assert sent == pytest.approx(2 * here * shape.layers * shape.d_model * shape.cache_bytes)


def test_a_spread_stage_says_what_all_devices_need() -> None:
    module = spread(ready("llama-3-8b-instruct"), 4)
    graph, before = module.graph(), ready("llama-3-8b-instruct").graph()
    decode, whole = stage(graph, "decode"), stage(before, "decode")
    assert decode.times == whole.times and decode.demand is not None and whole.demand is not None
    sizes = {"hello.output": 32.0, "name.tokens": 3.0}
    assert decode.demand.compute.value(sizes) > whole.demand.compute.value(sizes)
    assert decode.demand.network.value(sizes) > 0.0 == whole.demand.network.value(sizes)
    # Annotating again changes nothing.
    assert through(module, ["annotate_demand"]).graph().pipelines == graph.pipelines


def test_what_a_step_needs_outlives_other_passes() -> None:
    before = spread(ready(), 3)
    after = through(before, ["fold_constants", "annotate_demand"])
    assert after.graph().steps == before.graph().steps


def test_a_plan_is_made_of_what_the_shards_need() -> None:
    """Here all devices' work is done by one machine."""
    large = machine(memory=replace(machine().memory, value=1e12))
    found: dict[int, float] = {}
    for count in (1, 8):
        module = spread(ready("llama-3-8b-instruct"), count)
        graph = module.graph()
        made, problems = plan(
            graph, "hello", large, goal=None, fleet=None, calibration=Calibration("toy"), program="", options=Options()
        )
        assert made is not None, problems
        stage_plan = made.stage("hello.chat.prefill")
        assert stage_plan.tensor_parallel == count
        found[count] = stage_plan.time.value
    assert found[1] < found[8] < 1.01 * found[1]
