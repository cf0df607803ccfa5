"""`agentlang hardware` and `plan --cost` as a user runs them, with devices that an installed package brings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import agentlang, fresh_home

PROGRAM = """
use std/text

pipeline loud(words: Text) -> Text {{
  return text.upper(words)
}}

fleet lab {{
  tier gpu = catalog.{device}
}}
"""
CARD = """
[lab_card]
kind = "gpu"
title = "the card of our lab"
price = { value = 900, unit = "$", basis = "assumed", source = "what we paid", date = "2026-01" }
power = { value = 200, unit = "W", basis = "datasheet", source = "its maker", date = "2026-01" }
memory = { value = 16e9, unit = "B", basis = "datasheet", source = "its maker", date = "2026-01" }
bandwidth = { value = 448e9, unit = "B/s", basis = "datasheet", source = "its maker", date = "2026-01" }
launch = { value = 10e-6, unit = "s", basis = "assumed", source = "as others", date = "2026-01" }
[lab_card.compute]
f16 = { value = 40e12, unit = "FLOP/s", basis = "datasheet", source = "its maker, dense", date = "2026-01" }
"""


def installed(place: Path, text: str) -> str:
    """A package with devices, as an installer would leave it. The folder for the path of modules."""
    (place / "lab_devices.py").write_text(f"DEVICES = {text!r}\n")
    info = place / "lab_devices-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-devices\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[agentlang.devices]\nlab = lab_devices:DEVICES\n")
    return str(place)


def test_the_list_names_every_device() -> None:
    names = json.loads(agentlang("hardware", "list", "--json").out)
    text = agentlang("hardware", "list").out.splitlines()
    assert [line.split()[0] for line in text[1:]] == names
    assert {"h100", "h100_paper", "gh200", "mi325x", "tpu_v6e", "trainium2", "xeon"} <= set(names)


def test_links_are_shown_with_what_their_figures_rest_on() -> None:
    done = agentlang("hardware", "links")
    assert (done.code, done.err) == (0, "")
    assert "nvlink4" in done.out
    assert "assumed: a write to a neighbour through the switch, 2026-11" in done.out
    known = json.loads(agentlang("hardware", "links", "--json").out)
    assert known["pcie5"]["bandwidth"]["basis"] == "datasheet"
    one = agentlang("hardware", "show", "pcie5")
    assert (one.code, one.err) == (0, "")
    assert one.out.startswith("pcie5: PCIe 5, sixteen lanes, one way")
    assert json.loads(agentlang("hardware", "show", "pcie5", "--json").out) == known["pcie5"]
    meant = agentlang("hardware", "show", "pcie55")
    assert meant.code == 2
    assert "no device or link 'pcie55'" in meant.err
    assert "did you mean pcie5?" in meant.err


def test_devices_are_compared_as_text_and_as_json() -> None:
    done = agentlang("hardware", "compare", "a100", "h100")
    assert (done.code, done.err) == (0, "")
    rows = {line[:30].strip(): line for line in done.out.splitlines()}
    assert rows["bandwidth"].endswith("3.35 TB/s (x 1.64)")
    assert "not native" in rows["compute fp8"]
    document = json.loads(agentlang("hardware", "compare", "a100", "h100", "--json").out)
    assert (document["devices"], document["format"]) == (["a100", "h100"], "bf16")
    cells = next(row["cells"] for row in document["rows"] if row["name"] == "bandwidth")
    assert cells[1]["ratio"] == pytest.approx(cells[1]["value"] / cells[0]["value"])


def test_unknown_devices_are_named_with_what_was_meant() -> None:
    done = agentlang("hardware", "compare", "h10", "mi300", "a100")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("error[unknown-device]") == 2
    assert "did you mean h100?" in done.err
    assert "did you mean mi300x?" in done.err
    assert "DEVICE" in agentlang("hardware", "compare", "h100").err


@pytest.mark.parametrize(
    ("device", "convention", "price"),
    [
        (
            "h100",
            "annuity",
            "$1.12 per h (annuity, published: $25,000 in 48 instalments at 8% a year, $0.836, and 700 W",
        ),
        ("h100", "capex", "price $0.713 per h (capex, published: $25,000 / 35,040 h)"),
        ("h100", "paper", "price $0.549 per h (paper, published: $25,000 x (e^0.32 - 1) / 35,040 h, $0.269, and 700 W"),
        ("a10g", "rent", "price $1.01 per h (rent, published: "),
        ("h100 { count 1, price $1.80 per h }", "rent", "price $1.80 per h (given, given: tier gpu of the fleet)"),
        ("h100", "rent", "price $3.99 per h (rent, published: RunPod"),
        ("laptop", "rent", None),
        ("tpu_v6e", "annuity", None),
    ],
)
def test_a_plan_prints_the_arithmetic_of_an_hour(
    device: str, convention: str, price: str | None, tmp_path: Path
) -> None:
    (tmp_path / "loud.agent").write_text(PROGRAM.format(device=device))
    home = str(fresh_home(tmp_path / "home"))
    done = agentlang("plan", "loud.agent", "--cost", convention, cwd=tmp_path, AGENTLANG_HOME=home)
    if price is None:
        assert done.code == 1
        assert "error[plan-needs-price]" in done.err
        assert "loud.agent:9:" in done.err
    else:
        assert done.code == 0, done.err
        assert price in done.out


def test_an_installed_package_brings_a_device(tmp_path: Path) -> None:
    path = installed(tmp_path, CARD)
    shown = agentlang("hardware", "show", "lab_card", PYTHONPATH=path)
    assert shown.code == 0, shown.err
    assert "the card of our lab" in shown.out
    (tmp_path / "loud.agent").write_text(PROGRAM.format(device="lab_card"))
    home = str(fresh_home(tmp_path / "home"))
    planned = agentlang("plan", "loud.agent", cwd=tmp_path, PYTHONPATH=path, AGENTLANG_HOME=home)
    assert planned.code == 0, planned.err
    assert "the card of our lab (not this machine)" in planned.out


def test_a_mistake_in_a_packages_device_is_a_problem_at_its_line(tmp_path: Path) -> None:
    path = installed(tmp_path, CARD.replace("16e9", "nan"))
    listed = agentlang("hardware", "list", PYTHONPATH=path)
    assert listed.code == 0
    assert "lab_card" not in listed.out
    assert "warning[catalogue-unsound]" in listed.err
    assert "lab_devices:DEVICES:7:" in listed.err
    (tmp_path / "loud.agent").write_text(PROGRAM.format(device="lab_card"))
    home = str(fresh_home(tmp_path / "home"))
    planned = agentlang("plan", "loud.agent", cwd=tmp_path, PYTHONPATH=path, AGENTLANG_HOME=home)
    assert planned.code == 1
    # What is wrong with the entry stands beside the device that is missing.
    assert "warning[catalogue-unsound]" in planned.err
    assert "error[plan-unknown-device]" in planned.err
