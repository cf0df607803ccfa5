"""Measuring this machine, keeping the measurement, and the catalogue of devices."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agentlang.planner import hardware, prices
from agentlang.planner.catalogue import CatalogueError, catalogue, read_catalogue
from agentlang.planner.devices import catalogue_text, device_text, machine_text
from agentlang.planner.figures import Basis, Figure


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> hardware.Machine:
    return hardware.measure(scratch=tmp_path_factory.mktemp("disk"))


def test_measures_positive_rates_with_their_basis(machine: hardware.Machine) -> None:
    figures = (machine.bandwidth, machine.compute, machine.launch, machine.disk, machine.memory)
    assert all(figure.value > 0 and math.isfinite(figure.value) for figure in figures)
    assert {figure.basis for figure in figures} == {Basis.MEASURED}
    assert all(figure.source and figure.date for figure in figures)
    # Slower than a floppy disk or faster than any machine there is: then the probe is wrong, not the machine.
    assert 1e8 < machine.bandwidth.value < 2e13
    assert 1e8 < machine.compute.value < 1e15
    assert "bandwidth" in machine_text(machine)


def test_a_kept_measurement_comes_back(machine: hardware.Machine, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "hardware.json"
    rates = hardware.EngineRates("xla", machine.compute, machine.bandwidth, machine.launch)
    kept = replace(machine, engines=(rates,))
    hardware.save(kept, path)
    assert hardware.load(path) == kept
    assert kept.engine("xla") == rates
    assert kept.engine("other") is None


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"key": 3}', "[" * 100_000])
def test_a_damaged_measurement_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "hardware.json"
    path.write_text(text)
    assert hardware.load(path) is None


def test_a_measurement_of_another_machine_is_none(machine: hardware.Machine, tmp_path: Path) -> None:
    path = tmp_path / "hardware.json"
    hardware.save(replace(machine, key="another|64|1"), path)
    assert hardware.load(path) is None


def test_measured_once_then_read(machine: hardware.Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    calls: list[str] = []

    def measure(*_: object) -> hardware.Machine:
        calls.append("measured")
        return machine

    monkeypatch.setattr(hardware, "measure", measure)
    assert hardware.load_or_measure() == hardware.load_or_measure() == machine
    assert calls == ["measured"]


def test_probes_of_engines_are_kept() -> None:
    figure = Figure(1e9, "B/s", Basis.MEASURED)
    rates = hardware.EngineRates("mine", figure, figure, figure)
    said: list[str] = []
    found = hardware.measure(said.append, [lambda: rates])
    assert found.engine("mine") is rates
    assert said == ["memory bandwidth", "multiplication rate", "launch overhead", "disk", "engine"]


def test_the_second_best_is_kept_and_the_median_is_the_error() -> None:
    assert hardware.robust([10.0, 9.0, 8.0, 1.0, 8.0], higher=True) == (9.0, pytest.approx(1 / 9))
    assert hardware.robust([1.0, 2.0, 4.0], higher=False) == (2.0, 0.0)
    assert hardware.robust([3.0], higher=True) == (3.0, 0.0)


def test_the_bandwidth_probe_counts_the_bytes_of_all_threads() -> None:
    """With a clock that advances one second a look, the rate is the bytes read: a quarter of the memory."""

    def clock() -> Callable[[], float]:
        ticks = itertools.count()
        return lambda: float(next(ticks))

    assert hardware.read_rates(1, 1 << 28, clock(), repeats=2) == [1 << 26] * 2
    assert hardware.read_rates(2, 1 << 28, clock(), repeats=2) == [1 << 26] * 2
    assert hardware.gemm_rates(clock(), width=16, repeats=2) == [2 * 16**3] * 2


# --- the catalogue ---------------------------------------------------------------------------------------------------

PAPER = ("a40", "a100", "gaudi3", "mi300x", "h100", "b200")
RATIOS = {  # $ per TFLOP/s, $ per GB/s, $ per GB of the paper
    "a40": (40.0, 4.3, 62.5),
    "a100": (24.8, 3.9, 100.0),
    "b200": (17.8, 5.0, 208.0),
    "mi300x": (15.3, 3.8, 104.0),
    "h100": (12.6, 7.5, 312.0),
    "gaudi3": (7.4, 3.4, 97.7),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_purchase_ratios(name: str) -> None:
    device = catalogue()[name]
    assert device.reported is not None
    compute, bandwidth, memory = RATIOS[name]
    price = device.price.value
    assert price / (device.reported.compute / 1e12) == pytest.approx(compute, rel=0.01)
    assert price / (device.bandwidth.value / 1e9) == pytest.approx(bandwidth, rel=0.02)
    assert price / (device.memory.value / 1e9) == pytest.approx(memory, rel=0.01)


@pytest.mark.parametrize("name", [name for name in PAPER if name != "h100"])
def test_the_papers_operating_column(name: str) -> None:
    device = catalogue()[name]
    assert device.reported is not None
    assert prices.paper(device.price.value, device.power.value) == pytest.approx(device.reported.operating, abs=0.006)


def test_the_papers_h100_operating_cost_fits_only_another_price() -> None:
    device = catalogue()["h100"]
    assert device.reported is not None
    assert prices.paper(device.price.value, device.power.value) < 0.56
    assert prices.paper(30_000, device.power.value) == pytest.approx(device.reported.operating, abs=0.006)


def test_on_annuity_and_power_mi300x_has_the_cheapest_bandwidth() -> None:
    def bandwidth(name: str) -> float:
        device = catalogue()[name]
        return device.bandwidth.value / 1e9 / prices.annuity(device.price.value, device.power.value)

    assert [round(bandwidth(name), -1) for name in ("mi300x", "a100", "gaudi3", "b200")] == [5470, 4770, 4760, 4600]


def test_formats_that_a_device_lacks_are_absent() -> None:
    assert "fp8" not in catalogue()["a100"].compute
    assert "fp8" not in catalogue()["a40"].compute
    assert catalogue()["h100"].compute["fp8"].value == pytest.approx(2 * catalogue()["h100"].rate.value, rel=0.01)


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
        ('basis = "assumed", source = "test", date = "2025-01" }\npower', 'basis = "hoped" }\npower', "hoped"),
        ('1000, unit = "$", basis = "assumed", source = "test"', '1000, unit = "$", basis = "assumed"', "source"),
        ("value = 1e-5", 'value = "fast"', "fast"),
        ("[toy.compute]", "[toy.computer]", "computer has no value"),
        ("[toy]", "[toy", "not TOML"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(old: str, new: str, says: str) -> None:
    assert old in ENTRY
    with pytest.raises(CatalogueError, match=says):
        read_catalogue(ENTRY.replace(old, new))


def test_price_conventions_differ_and_say_how() -> None:
    assert prices.capex(35_040) == pytest.approx(1.0)
    assert prices.annuity(0, 1000) == pytest.approx(0.40)
    # A loan is dearer than the purchase spread out, and than its interest alone.
    assert prices.annuity(10_000, 0) > prices.capex(10_000)
    assert prices.annuity(10_000, 0) > prices.paper(10_000, 0)
    assert prices.explain("annuity", 1200, 45) == "$1,200 over 4 years at 8%, 45 W at $0.40 per kWh"
