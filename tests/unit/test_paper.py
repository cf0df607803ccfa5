"""The paper computed again: its printed figures come out, its orderings hold where the page says so, and the page is
what the command prints."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import combinations, product
from math import inf
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agentlang.planner.catalogue import catalogue

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks.paper import devices, example, figures, formulation, ours, pairs, report, results, sides  # noqa: E402
from benchmarks.paper.__main__ import PARTS, filled  # noqa: E402

sys.path.remove(str(ROOT))

DENSE = [times for times in sides.TIMES if "dense" in times]
SPLIT = results.ORDERED[0]


def cells(times: list[str], conventions: tuple[str, ...] = pairs.CONVENTIONS) -> list[results.Cell]:
    return [
        cell
        for promised in (True, False)
        for cell in results.cells(promised)
        if cell.times in times and cell.convention in conventions
    ]


def held(times: list[str], conventions: tuple[str, ...] = pairs.CONVENTIONS) -> list[results.Claims]:
    found = [results.claims(cell) for cell in cells(times, conventions)]
    return [claims for claims in found if claims is not None]


# --- the worked example ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("letter", "seconds", "dollars"), [("A", 0.105, 0.110), ("B", 0.120, 0.095), ("C", 0.160, 0.060)]
)
def test_the_placements_come_to_what_the_paper_says(letter: str, seconds: float, dollars: float) -> None:
    found = formulation.placed(example.example(), example.PLACEMENTS[letter])
    assert (found.seconds, found.dollars) == (pytest.approx(seconds), pytest.approx(dollars))


@pytest.mark.parametrize(
    ("price", "each", "chosen"),
    [(inf, False, "B"), (2.0, False, "B"), (0.5, False, "C"), (inf, True, "B"), (2.0, True, "C"), (5.0, True, "B")],
)
def test_b_is_chosen_and_a_small_price_of_misses_takes_c(price: float, each: bool, chosen: str) -> None:
    given = example.example(price=price, each=each)
    found = formulation.solved(given)
    assert example.name(found) == chosen == example.name(formulation.enumerated(given))


def test_the_solver_and_trying_all_agree() -> None:
    for promise, price, each in product((0.05, 0.1, 0.11, 0.125, 0.15, 0.2), (inf, 3.0, 0.3), (False, True)):
        given = example.example(promise, price, each)
        one, other = formulation.solved(given), formulation.enumerated(given)
        assert (one is None) == (other is None)
        if one and other:
            assert one.objective == pytest.approx(other.objective, abs=1e-9)
            shared = formulation.solved(given, whole=False)
            assert shared is not None and shared.objective <= one.objective + 1e-9


def test_our_planners_problem_comes_to_the_same() -> None:
    for promise, price in product((0.1, 0.12, 0.15, 0.2), (inf, 2.0, 0.5)):
        given = example.example(promise, price)
        problem = ours.as_problem(given)
        for on in product(given.classes, repeat=2):
            where = dict(zip(given.tasks, on, strict=True))
            said, found = formulation.placed(given, where), ours.outcome(problem, where)
            assert found.dollars == pytest.approx(said.dollars)
            assert found.reached["finish p50"] == pytest.approx(said.seconds)
            assert found.holds == (said.objective < inf)
            if found.holds:
                assert found.objective == pytest.approx(said.objective)
        best = formulation.enumerated(given)
        assert ours.chosen(problem) == (dict(list(best.shares)) if best else None)


def test_what_a_problem_has_no_word_for_is_refused() -> None:
    with pytest.raises(ValueError, match="not part of a problem"):
        ours.as_problem(example.example(each=True))


def test_shares_keep_a_promise_on_the_average_alone() -> None:
    given = example.example(0.130)
    shared = formulation.solved(given, whole=False)
    assert shared is not None and not shared.whole
    assert shared.seconds == pytest.approx(0.130)
    assert shared.dollars < 0.095


def test_a_class_holds_no_more_than_it_can() -> None:
    given = example.example(1.0)
    full = formulation.Formulation(
        **{
            name: getattr(given, name)
            for name in ("tasks", "classes", "seconds", "dollars", "edges", "moves", "promise")
        },
        demand={("prefill", "CO", "memory"): 3.0, ("decode", "CO", "memory"): 2.0},
        capacity={("CO", "memory"): 4.0},
    )
    assert example.name(formulation.solved(given)) == "C"
    assert example.name(formulation.solved(full)) == example.name(formulation.enumerated(full)) != "C"


# --- the tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", sides.DEVICES)
def test_ratios_of_dollars_are_the_printed_ones(device: str) -> None:
    for said, found in zip(devices.PRINTED_RATIOS[device], devices.ratios(device, True), strict=True):
        # Printed with one decimal; those above 100 with none.
        assert found == pytest.approx(said, abs=0.55 if said >= 100 else 0.055)


def test_operating_costs_hold_for_five_and_for_a_dearer_h100() -> None:
    printed = {device: pairs.dollars(device, "column", True) for device in sides.DEVICES}
    off = [device for device in sides.DEVICES if abs(devices.operating(device) - printed[device]) > 0.01]
    assert off == ["h100"]
    assert devices.operating("h100", devices.H100_PRICE) == pytest.approx(printed["h100"], abs=0.005)


def test_the_cheapest_bandwidth_depends_on_the_convention() -> None:
    best = {
        convention: max(sides.DEVICES, key=lambda device, c=convention: devices.bandwidth_for(device, c))
        for convention in ("capex", "annuity", "paper")
    }
    assert best == {"capex": "gaudi3", "annuity": "mi300x", "paper": "mi300x"}


def test_caches_and_the_network_are_as_printed() -> None:
    assert devices.cache_of("8B", 2.0, 1) == 128 * 1024
    assert devices.cache_of("70B", 2.0, 1) == 320 * 1024
    long = devices.cache_of("70B", 2.0, 32_768)
    assert round(long / 1e9, 1) == 10.7
    assert round(devices.egress(long) / 1e9) == 344
    assert devices.ingress(long, 4) == pytest.approx(8 * long / 0.08)


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_a_group_keeps_memory_and_promise_and_physics() -> None:
    for request, device, times in product(results.requests(True), sides.DEVICES, DENSE):
        first, second = sides.prefill_side(request, device, times), sides.decode_side(request, device, times)
        memory = catalogue()[device].memory.value
        for side, positions in ((first, request.prompt), (second, request.prompt + request.reply)):
            if side is not None:
                held = request.shape.parameters * request.shape.weight_bytes
                held += side.batch * positions * sides.cache_bytes(request.shape)
                assert held <= side.tensor * memory
        if first is not None:
            assert first.seconds + first.batch * request.moved / sides.network(device, first.tensor) <= 0.250
        if second is not None:
            assert second.seconds <= 0.020
            weights = request.shape.active_parameters * request.shape.weight_bytes
            assert second.seconds >= weights / second.tensor / catalogue()[device].bandwidth.value


def test_fp8_is_stored_where_it_is_not_multiplied() -> None:
    for device, gain in (("a40", 1.0), ("a100", 1.0), ("gaudi3", 1.0), ("h100", 2.0), ("b200", 2.0), ("mi300x", 2.0)):
        for printed in (True, False):
            wide, narrow = (sides.group(device, precision, printed, 1) for precision in sides.PRECISIONS)
            assert narrow.compute / wide.compute == pytest.approx(gain, rel=1e-3)


def test_both_sides_keep_pace() -> None:
    for cell in cells(["roofline, dense"], ("annuity",)):
        for made in cell.pairs.values():
            rates = made.groups[0] * made.prefill.rate, made.groups[1] * made.decode.rate
            assert made.tokens == pytest.approx(min(rates) * cell.request.reply)
            assert max(made.groups) <= pairs.MOST
            # No more than a group of one side stands idle, unless the other side can be no larger.
            if pairs.MOST not in made.groups and 1 not in made.groups:
                assert max(rates) / min(rates) < 1.5


def test_orderings_hold_where_the_page_says_so() -> None:
    dense = held(DENSE)
    assert len(dense) == 150 and all(claims.above for claims in dense)
    assert all(claims.best_of_four for claims in held(["roofline, dense"], ("capex",)))
    assert not any(claims.best_of_four for claims in held(list(sides.TIMES), ("paper", "column")))
    for cell in cells(DENSE, ("paper", "column")):
        if results.claims(cell) is None:
            continue
        assert max((*results.ORDERED, pairs.BASELINE), key=lambda one, of=cell: of.worth(one) or 0.0) == (
            "b200",
            "b200",
        )
    for cell in cells(["roofline, dense"], ("capex",)):
        assert cell.best == ("gaudi3", "gaudi3")
    # With the H100's sparse rate, B200::Gaudi3 is ahead of no pair where prompts are long.
    for cell in cells(["roofline, printed"]):
        if cell.request.prompt == 4096:
            assert (cell.worth(SPLIT) or 0.0) < (cell.worth(("h100", "gaudi3")) or 0.0)


def test_smaller_groups_make_the_baseline_worse() -> None:
    from dataclasses import replace

    request = next(r for r in results.requests(False) if (r.model, r.precision, r.prompt) == ("70B", "FP8", 512))
    worths = [
        results.cell(replace(request, most=most), "roofline, dense", "capex").worth(SPLIT) or 0.0 for most in (2, 4, 8)
    ]
    assert worths == sorted(worths, reverse=True) and worths[0] > 3.0


def test_all_of_the_six_have_a_rent_and_are_counted_once() -> None:
    assert set(sides.DEVICES) < set(results.let())
    assert not [name for name in results.let() if name.endswith("_paper")]
    assert not {"epyc", "xeon", "laptop"} & set(results.let())


def test_by_rent_and_dense_rates_b200_and_gaudi3_are_the_best_of_the_four() -> None:
    found = held(["roofline, dense"], ("rent",))
    assert len(found) == 16
    assert all(claims.best_of_four and not claims.best_of_all for claims in found)
    assert pairs.dollars("b200", "rent", True) == pairs.dollars("b200", "rent", False)


def test_rents_that_are_given_are_compared_with_the_papers_baseline() -> None:
    page = report.rent_page({"l4": 0.8, "h100": 4.0})
    assert page.startswith("l4 $0.80 an hour; H100 $4.00 an hour.")
    assert "| H100::H100 |" in page
    assert "| l4::l4 |" in report.rent_page({"l4": 0.8})


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_is_what_the_command_prints(update: bool) -> None:
    page = ROOT / "docs" / "paper.md"
    if update:
        page.write_text(filled(page.read_text(), PARTS))
    assert filled(page.read_text(), PARTS) == page.read_text()


@pytest.mark.parametrize(("name", "drawn"), figures.FIGURES.items(), ids=list(figures.FIGURES))
def test_figures_are_drawn_from_the_same_numbers(name: str, drawn: Callable[[], str], update: bool) -> None:
    file = ROOT / "docs" / "paper" / name
    if update:
        file.write_text(drawn())
    assert file.read_text() == drawn()
    root = ElementTree.fromstring(drawn())
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes: list[tuple[float, float, float, float, str]] = []
    for found in root.iter("{http://www.w3.org/2000/svg}text"):
        if "transform" in found.attrib:
            continue
        size, words = float(found.attrib["font-size"]), found.text or ""
        wide = 0.56 * size * len(words)
        left = float(found.attrib["x"]) - wide * {"start": 0.0, "middle": 0.5, "end": 1.0}[found.attrib["text-anchor"]]
        low = float(found.attrib["y"])
        assert left >= 0 and left + wide <= width and size <= low <= height, words
        boxes.append((left, low - 0.8 * size, left + wide, low, words))
    for one, other in combinations(boxes, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one[4], other[4])
