"""The catalogue of devices: its figures, its checks, what an hour costs, and devices side by side."""

import math
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlang.base.source import Source
from agentlang.planner import prices
from agentlang.planner.catalogue import (
    CatalogueError,
    Device,
    Link,
    catalogue,
    instead,
    links,
    read_catalogue,
    regions,
    whole,
    with_strangers,
)
from agentlang.planner.catalogue import (
    device as known_device,
)
from agentlang.planner.catalogue.reading import known_names, read_entries
from agentlang.planner.devices import catalogue_text, device_figures, device_text, link_figures, link_text, links_text
from agentlang.planner.figures import Basis
from agentlang.planner.rates import hourly

# --- the paper's devices ---------------------------------------------------------------------------------------------


PAPER = ("a40", "a100", "gaudi3", "mi300x", "h100", "b200")
RATIOS = {  # $ per TFLOP/s, $ per GB/s, $ per GB of the paper
    "a40": (40.0, 4.3, 62.5),
    "a100": (24.8, 3.9, 100.0),
    "b200": (17.8, 5.0, 208.0),
    "mi300x": (15.3, 3.8, 104.0),
    "h100": (12.6, 7.5, 312.0),
    "gaudi3": (7.4, 3.4, 97.7),
}


def bought(device: Device) -> float:
    assert device.price is not None
    return device.price.value


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_purchase_ratios(name: str) -> None:
    device = catalogue()[f"{name}_paper"]
    compute, bandwidth, memory = RATIOS[name]
    price = bought(device)
    assert price / (device.rate.value / 1e12) == pytest.approx(compute, rel=0.01)
    assert price / (device.bandwidth.value / 1e9) == pytest.approx(bandwidth, rel=0.02)
    assert price / (device.memory.value / 1e9) == pytest.approx(memory, rel=0.01)


@pytest.mark.parametrize("name", [name for name in PAPER if name != "h100"])
def test_the_papers_operating_column(name: str) -> None:
    device = catalogue()[f"{name}_paper"]
    assert device.reported is not None
    assert prices.paper(bought(device), device.power.value) == pytest.approx(device.reported.operating, abs=0.006)


def test_the_papers_h100_operating_cost_fits_only_another_price() -> None:
    device = catalogue()["h100_paper"]
    assert device.reported is not None
    assert prices.paper(bought(device), device.power.value) < 0.56
    assert prices.paper(30_000, device.power.value) == pytest.approx(device.reported.operating, abs=0.006)


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_devices_are_there_twice(name: str) -> None:
    dense, printed = catalogue()[name], catalogue()[f"{name}_paper"]
    assert dense.price == printed.price
    assert dense.rent == printed.rent
    assert dense.reported == printed.reported
    assert printed.reported is not None
    assert printed.rate.value == printed.reported.compute
    assert printed.rate.basis is Basis.PUBLISHED
    assert dense.links[: len(printed.links)] == printed.links


def test_the_papers_rates_are_not_all_dense() -> None:
    def beside(name: str) -> float:
        return catalogue()[f"{name}_paper"].rate.value / catalogue()[name].rate.value

    assert [round(beside(name), 2) for name in PAPER] == [0.5, 1.03, 0.91, 1.0, 2.0, 1.0]


def test_on_annuity_and_power_mi300x_has_the_cheapest_bandwidth() -> None:
    def bandwidth(name: str) -> float:
        device = catalogue()[f"{name}_paper"]
        return device.bandwidth.value / 1e9 / hourly(device, "annuity").value

    assert [round(bandwidth(name), -1) for name in ("mi300x", "a100", "gaudi3", "b200")] == [5470, 4770, 4760, 4600]


def test_formats_that_a_device_lacks_are_absent() -> None:
    assert "fp8" not in catalogue()["a100"].compute
    assert "fp8" in catalogue()["a40"].lacks
    assert catalogue()["h100"].compute["fp8"].value == pytest.approx(2 * catalogue()["h100"].rate.value, rel=0.01)


WANTED = (
    *("laptop", "epyc", "xeon", "a40", "l40s", "l4", "a10g", "a100", "h100", "h200", "gh200", "b200", "rtx4090"),
    *("rtxpro6000", "mi300x", "mi325x", "gaudi2", "gaudi3", "tpu_v5e", "tpu_v6e", "trainium2"),
)


def test_the_catalogue_is_whole_and_ours_is_sound() -> None:
    assert set(WANTED) <= set(catalogue())
    assert not whole().problems
    assert known_names(Source("ours", ""), catalogue(), links(), regions()) == (catalogue(), ())
    assert {"nvlink4", "pcie5", "roce400", "ethernet", "internet"} <= set(links())
    assert links()["roce400"].bandwidth.value == pytest.approx(400e9 / 8)
    assert regions()["france"].carbon.value < regions()["world"].carbon.value


@pytest.mark.parametrize("name", WANTED)
def test_every_figure_says_where_it_comes_from(name: str) -> None:
    device = catalogue()[name]
    for figure in device_figures(device).values():
        assert figure.source
        assert figure.date
        # Nobody remembers a datasheet for certain: it was held against the document, or the entry says it was not.
        assert figure.basis is not Basis.DATASHEET or "compared" in figure.source
    assert device.links
    assert device.host_cores is not None or device.kind == "cpu"


@pytest.mark.parametrize("name", [name for name in WANTED if name != "laptop"])
def test_whatever_is_let_has_a_rent_that_somebody_published(name: str) -> None:
    rent = catalogue()[name].rent
    assert rent is not None
    assert rent.basis is Basis.PUBLISHED
    assert rent.source.endswith("compared")


def test_nobody_lets_this_machine() -> None:
    assert catalogue()["laptop"].rent is None


def test_a_machine_of_several_is_paid_for_by_the_device() -> None:
    """What the source has is the rent of the whole machine; it is told beside the share."""
    shares = {"gaudi2": (10.40, 8), "gaudi3": (19.92, 8), "trainium2": (35.76, 16), "xeon": (3.62, 2)}
    for name, (whole_machine, many) in shares.items():
        rent = catalogue()[name].rent
        assert rent is not None
        assert rent.value == pytest.approx(whole_machine / many)
        assert f"${whole_machine:.2f} for" in rent.source
    epyc = catalogue()["epyc"].rent
    assert epyc is not None
    assert epyc.value == pytest.approx(192 * 0.015 + 768 * 0.0045)


@pytest.mark.parametrize("name", links())
def test_every_link_says_where_its_figures_come_from(name: str) -> None:
    link = links()[name]
    for figure in link_figures(link).values():
        assert figure.source
        assert figure.date
        assert figure.basis is not Basis.DATASHEET or "compared" in figure.source
        assert figure.source in link_text(link, catalogue())
        assert figure.source in links_text(links())
    assert any(name in device.links for device in catalogue().values())


def test_a_link_names_the_devices_that_have_it() -> None:
    assert link_text(links()["nvlink4"], catalogue()).endswith("of h100, h200, h100_paper")
    assert "nvlink4   NVLink of the H100 and H200" in device_text(catalogue()["h100"])


def test_every_device_shows_its_figures_and_their_basis() -> None:
    for name, device in catalogue().items():
        text = device_text(device)
        assert name in text
        assert device.memory.source in text
        assert name in catalogue_text(catalogue())


ENTRY = """
[toy]
kind = "gpu"
title = "a toy"
price = { value = 1000, unit = "$", basis = "assumed", source = "test", date = "2025-01" }
power = { value = 100, unit = "W", basis = "assumed", source = "test", date = "2025-01" }
memory = { value = 1e10, unit = "B", basis = "assumed", source = "test", date = "2025-01" }
bandwidth = { value = 1e11, unit = "B/s", basis = "assumed", source = "test", date = "2025-01" }
launch = { value = 1e-5, unit = "s", basis = "assumed", source = "test", date = "2025-01" }
[toy.compute]
f32 = { value = 1e12, unit = "FLOP/s", basis = "assumed", source = "test", date = "2025-01" }
f16 = { value = 2e12, unit = "FLOP/s", basis = "assumed", source = "test", date = "2025-01" }
"""


def test_a_sound_entry_reads() -> None:
    assert read_catalogue(ENTRY)["toy"].rate.value == 1e12


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kind", "kindd", "kind"),
        ('"gpu"', '"tpu"', "kind 'tpu' is not one of"),
        ("value = 1e10", "value = 80", "memory"),
        ('1e11, unit = "B/s"', '1e11, unit = "GB/s"', "bandwidth is in GB/s"),
        ("value = 1e11", "value = 1e13", "operations of"),
        ("f32 = { value = 1e12", "f32 = { value = 3e12", "wider number format"),
        ("f16", "f17", "number format 'f17'"),
        (
            'basis = "assumed", source = "test", date = "2025-01" }\npower',
            'basis = "hoped", source = "test", date = "2025-01" }\npower',
            "hoped",
        ),
        ('1000, unit = "$", basis = "assumed", source = "test"', '1000, unit = "$", basis = "assumed"', "source"),
        ("value = 1e-5", 'value = "fast"', "fast"),
        ("[toy.compute]", "[toy.computer]", "unknown key 'computer'"),
        ("value = 1e-5", "value = nan", "launch of"),
        ("value = 1000", "value = -1000", "price of"),
        ("value = 1000", "error = nan, value = 1000", "price has the relative error nan"),
        ('value = 1e10, unit = "B"', "value = 1e10", "memory has no unit"),
        ("[toy.compute]", 'lacks = ["f16"]\n[toy.compute]', "is lacking, and has a rate"),
        ("[toy.compute]", 'links = ["nvlink9"]\n[toy.compute]', "no link is called 'nvlink9'"),
        ("[toy.compute]", 'region = "mars"\n[toy.compute]', "no region is called 'mars'"),
        ("[toy.compute]", "cores = true\n[toy.compute]", "cores is not a whole number"),
        ("[toy]", "[toy", "not TOML"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(old: str, new: str, says: str) -> None:
    assert old in ENTRY
    with pytest.raises(CatalogueError, match=says):
        read_catalogue(ENTRY.replace(old, new))


def test_everything_wrong_is_a_problem_at_its_line() -> None:
    text = ENTRY.replace("launch =", "lunch =").replace("value = 1e10, ", "").replace(
        '"FLOP/s"', '"TFLOP/s"'
    ) + ENTRY.replace("toy", "sound")
    found, problems = read_entries(Source("theirs.toml", text), Device)
    assert list(found) == ["sound"]
    lines = text.splitlines()
    said = {
        (lines[problem.span.line - 1].split(" = ")[0], problem.title, problem.hint)
        for problem in problems
        if problem.span
    }
    assert {slug.slug for slug in problems} == {"catalogue-unsound"}
    assert ("lunch", "device toy: unknown key 'lunch'", "did you mean launch?") in said
    assert ("[toy]", "device toy: launch is missing", None) in said
    assert ("memory", "device toy: memory has no value", None) in said
    assert len(said) == len(problems) == 3  # the units are looked at once the entry is whole


PARTS = (
    "nan",
    "inf",
    "-1",
    "true",
    "[]",
    "{}",
    '""',
    "1e400",
    "9" * 400,
    "9" * 5000,
    "2026-01-01",
    "\n",
    "[",
    "]",
    "=",
)


@given(st.lists(st.tuples(st.integers(0, len(ENTRY) - 1), st.sampled_from((0, 1, 8, 30)), st.sampled_from(PARTS))))
def test_whatever_a_text_holds_it_is_read_or_told(changes: list[tuple[int, int, str]]) -> None:
    """Entries or problems, never an exception; what is read has only figures that can be counted with."""
    text = ENTRY
    for at, length, part in changes:
        text = text[:at] + part + text[at + length :]
    found, problems = read_entries(Source("theirs.toml", text), Device)
    assert found or problems or "[toy]" not in text
    for device in found.values():
        assert all(math.isfinite(figure.value) and figure.value > 0 for figure in device_figures(device).values())
    assert all(problem.span is None or problem.span.end <= len(text) for problem in problems)


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "1e400", "9" * 400, "true", '"much"'])
@pytest.mark.parametrize("old", ["value = 1000", "value = 1e11", "value = 2e12"])
def test_a_number_that_is_none_is_told(old: str, number: str) -> None:
    found, (problem,) = read_entries(Source("theirs.toml", ENTRY.replace(old, f"value = {number}")), Device)
    assert not found
    assert problem.span is not None


def test_a_wrong_unit_and_a_broken_text_are_at_their_line() -> None:
    text = ENTRY.replace('2e12, unit = "FLOP/s"', '2e12, unit = "TFLOP/s"')
    _, (problem,) = read_entries(Source("theirs.toml", text), Device)
    assert problem.span is not None
    assert problem.span.line == 1 + text[: text.index("f16")].count("\n")
    _, (problem,) = read_entries(Source("theirs.toml", ENTRY + "[next\n"), Device)
    assert problem.span is not None
    assert problem.span.line == 1 + ENTRY.count("\n")


def test_a_link_is_checked_too() -> None:
    text = (
        "[wire]\ntitle = 'a wire'\n"
        "bandwidth = { value = 1e9, unit = 'bit/s', basis = 'assumed', source = 'test', date = '2026-01' }\n"
        "latency = { value = 1e-6, unit = 's', basis = 'assumed', source = 'test', date = '2026-01' }\n"
    )
    found, (problem,) = read_entries(Source("links.toml", text), Link)
    assert not found
    assert problem.title == "link wire: bandwidth is in bit/s, not in B/s"
    assert problem.span is not None
    assert problem.span.line == 3


def test_an_unknown_link_leaves_the_device_out() -> None:
    text = ENTRY.replace("[toy.compute]", 'links = ["nvlink44"]\n[toy.compute]')
    source = Source("theirs.toml", text)
    read, problems = read_entries(source, Device)
    assert not problems
    sound, (problem,) = known_names(source, read, links(), regions())
    assert not sound
    assert problem.hint == "did you mean nvlink4?"


# --- devices of packages ---------------------------------------------------------------------------------------------

MORE, BROKEN, SAME = ENTRY, ENTRY.replace("1e10", "80"), ENTRY.replace("[toy", "[h100")


def more() -> str:
    return ENTRY.replace("toy", "made")


def point(name: str) -> EntryPoint:
    return EntryPoint(name.lower(), f"{__name__}:{name}", "agentlang.devices")


def test_packages_bring_devices_and_their_mistakes_cost_only_those() -> None:
    names = ("MORE", "more", "BROKEN", "SAME", "RATIOS", "nothing")
    found = with_strangers(catalogue(), [point(name) for name in names])
    assert set(found.devices) - set(catalogue()) == {"toy", "made"}
    assert found.devices["h100"] == catalogue()["h100"]
    titles = sorted(problem.title.removeprefix(f"{__name__}:") for problem in found.problems)
    assert [title.split(":")[0].split(" does")[0] for title in titles] == [
        "RATIOS is neither a text nor gives one",
        "SAME",
        "device toy",
        "nothing",
    ]
    broken = next(problem for problem in found.problems if "device toy" in problem.title)
    assert broken.span is not None
    assert broken.span.path in found.sources


def test_an_older_catalogue_counts_while_it_is_looked_at() -> None:
    now = known_device("h100")
    assert now is not None and now.price is not None
    then = replace(now, price=replace(now.price, value=now.price.value + 1000.0))
    with instead({"h100": then, "h99": replace(then, name="h99")}):
        assert known_device("h100") == then == catalogue()["h100"]
        assert known_device("h99") is not None
    assert known_device("h100") == now == catalogue()["h100"]
    assert known_device("h99") is None
