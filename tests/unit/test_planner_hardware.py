"""Measuring this machine, and keeping the measurement."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agentlang.planner import hardware
from agentlang.planner.devices import machine_text
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
