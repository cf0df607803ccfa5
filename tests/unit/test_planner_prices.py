"""What an hour of a device costs by each convention, who may state it, and devices side by side."""

import re
from dataclasses import replace

import pytest
from planned import plan
from planner_graphs import chat_graph, fleet, machine

from agentlang.base.units import MONEY_RATE, Quantity
from agentlang.planner import prices
from agentlang.planner.catalogue import catalogue
from agentlang.planner.catalogue.entries import FORMATS
from agentlang.planner.devices import device_text, hours
from agentlang.planner.place import Options
from agentlang.planner.rates import PRICE_VARIABLE, conventions, hourly
from agentlang.planner.side_by_side import Comparison, Row, comparison_text, side_by_side


@pytest.fixture(autouse=True)
def _no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRICE_VARIABLE, raising=False)


def test_price_conventions_differ_and_say_how() -> None:
    assert prices.capex(35_040) == pytest.approx(1.0)
    assert prices.annuity(0, 1000) == pytest.approx(0.40)
    # A loan is dearer than the purchase spread out, and than its interest alone.
    assert prices.annuity(10_000, 0) > prices.capex(10_000)
    assert prices.annuity(10_000, 0) > prices.paper(10_000, 0)
    power = "45 W at $0.40 per kWh, $0.018"
    assert prices.explain("annuity", 1200, 45) == f"$1,200 in 48 instalments at 8% a year, $0.040, and {power}"
    assert prices.explain("paper", 1200, 45) == f"$1,200 x (e^0.32 - 1) / 35,040 h, $0.013, and {power}"
    assert prices.explain("capex", 1200, 45) == "$1,200 / 35,040 h"


@pytest.mark.parametrize("name", catalogue())
def test_the_arithmetic_of_an_hour_adds_up(name: str) -> None:
    """The printed parts are the printed whole: what reads `$0.836, and …, $0.280` costs 1.116."""
    for convention, price in hours(catalogue()[name]).items():
        if convention in ("annuity", "paper"):
            parts = [float(part) for part in re.findall(r", \$([0-9.]+)", price.source)]
            assert len(parts) == 2
            assert sum(parts) == pytest.approx(price.value, abs=0.0011)


def test_what_is_not_sold_has_no_price_by_purchase() -> None:
    device = catalogue()["tpu_v5e"]
    assert conventions(device) == ("rent",)
    assert hourly(device, "rent").value == pytest.approx(1.2)
    with pytest.raises(ValueError, match="needs a price"):
        hourly(device, "annuity")
    assert "no price by annuity, capex, paper" in device_text(device)
    assert conventions(catalogue()["laptop"]) == ("annuity", "capex", "paper")
    assert "no price by rent" in device_text(catalogue()["laptop"])


def test_the_fleets_price_counts_under_every_convention() -> None:
    lab = fleet(("gpu", "h100", 1, 1))
    priced = replace(lab, tiers=(replace(lab.tiers[0], settings={"price": Quantity(1.8 / 3600.0, MONEY_RATE)}),))
    for convention in ("annuity", "rent"):
        found, problems = plan(chat_graph(), "answer", machine(), fleet=priced, options=Options(convention=convention))
        assert found is not None, problems
        assert (found.tiers[0].price.value, found.cost.convention) == (pytest.approx(1.8), "given")
        assert found.tiers[0].price.source == "tier gpu of the fleet"


def test_the_catalogues_rent_is_a_price_where_it_has_one() -> None:
    for device, convention, known in (("a10g", "rent", True), ("a10g", "annuity", False), ("tpu_v5e", "capex", False)):
        given = fleet(("gpu", device, 1, 1))
        found, problems = plan(chat_graph(), "answer", machine(), fleet=given, options=Options(convention=convention))
        if known:
            assert found is not None, problems
            assert (found.tiers[0].price.value, found.cost.convention) == (pytest.approx(1.006), "rent")
        else:
            assert found is None
            assert [problem.slug for problem in problems] == ["plan-needs-price"]
            assert device in problems[0].title
            assert problems[0].span is not None


# --- side by side ----------------------------------------------------------------------------------------------------


def compared(*names: str) -> tuple[Comparison, dict[str, Row]]:
    found = side_by_side([catalogue()[name] for name in names])
    return found, {row.name: row for row in found.rows}


def test_ratios_are_to_the_first_device() -> None:
    found, rows = compared("a100", "h100", "tpu_v6e")
    assert (found.devices, found.format) == (("a100", "h100", "tpu_v6e"), "bf16")
    bandwidth = rows["bandwidth"].cells
    assert [cell.ratio for cell in bandwidth] == [1.0, pytest.approx(3350 / 2039), pytest.approx(1638 / 2039)]
    assert [cell.why for cell in rows["compute fp8"].cells] == ["not native", "", "not native"]
    assert rows["compute f32"].cells[2].why == "not stated"
    assert rows["by rent"].cells[2].ratio == pytest.approx(2.70 / 1.79)
    assert rows["by annuity"].cells[2].value is None
    # Where the first has none there is nothing to compare with.
    assert compared("tpu_v6e", "a100")[1]["by annuity"].cells[1].ratio is None
    assert {f"compute {form}" for form in FORMATS} > {name for name in rows if name.startswith("compute ")}


def test_what_a_dollar_buys_is_the_quotient() -> None:
    _, rows = compared("gaudi3_paper", "mi300x_paper")
    per_hour = rows["bandwidth a dollar by annuity"]
    assert per_hour.unit == "B/s per $/h"
    assert [cell.value for cell in per_hour.cells] == [
        pytest.approx(4.76e12, rel=1e-3),
        pytest.approx(5.47e12, rel=1e-3),
    ]
    # By purchase Gaudi 3 has the cheapest bandwidth, by the hour MI300X: the convention decides.
    assert rows["bandwidth a dollar of purchase"].cells[1].ratio == pytest.approx(0.895, abs=0.01)
    assert per_hour.cells[1].ratio == pytest.approx(1.149, abs=0.01)


def test_rates_of_different_formats_are_not_compared() -> None:
    found, rows = compared("a100_paper", "tpu_v5e")
    assert found.format is None
    assert not [name for name in rows if name.startswith(("f16 a dollar", "bf16 a dollar"))]
    assert compared("h100_paper", "h100")[0].format == "f16"


def test_the_comparison_marks_assumptions_and_shows_the_arithmetic() -> None:
    text = comparison_text(compared("h100", "tpu_v6e")[0])
    assert "300 W* (x 0.43)" in text
    assert "h100 by capex: $0.713 per h = $25,000 / 35,040 h" in text
    assert "no price" in text
