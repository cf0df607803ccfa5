"""Values through the real command: constants and defaults of any type, data from outside, quantities for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import Done, agentlang

PROGRAM = """
type Line { what: Text, count: Int }
type Order { id: Int, lines: [Line], paid: Money? }
type Bill { total: Money, waits: [Duration] = [5 s, 250 ms], by: {Text: Bytesize} = {"x": 3 MiB}, kind: Kind = Late() }
enum Kind { Paid, Late(by: Duration = 2 h) }

let usual = Bill(total: $6)
let shown = "{usual.total} for {len(usual.waits)}"

pipeline order(raw: Json) -> Order {
  return raw as Order
}

pipeline bill(given: Bill = Bill(total: $5, kind: Paid)) -> [Bill] {
  return [given, usual]
}

pipeline words() -> Text {
  return shown
}

pipeline waits() -> stream Duration {
  for wait in usual.waits, at most 1 at once { emit wait }
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "values.agent"
    path.write_text(PROGRAM.lstrip(), "utf-8")
    return path


def result(done: Done) -> object:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_people_see_units_and_programs_numbers(program: Path) -> None:
    shown = {"total": "$6.00", "waits": ["5 s", "250 ms"], "by": {"x": "3 MiB"}, "kind": {"Late": {"by": "2 h"}}}
    given, usual = json.loads(agentlang("run", f"{program}:bill").out)
    assert usual == shown and given == {**shown, "total": "$5.00", "kind": "Paid"}
    last = json.loads(agentlang("run", "--json", f"{program}:bill").out.splitlines()[-1])
    assert last["value"][1] == {
        "total": 6.0,
        "waits": [5.0, 0.25],
        "by": {"x": 3145728.0},
        "kind": {"Late": {"by": 7200.0}},
    }
    # What is shown to people can be given back.
    given = {**shown, "total": "$7.00"}
    again = agentlang("run", f"{program}:bill", f"given={json.dumps(given)}")
    assert json.loads(again.out)[0] == given
    assert agentlang("run", f"{program}:waits").out == "5 s\n250 ms\n"
    assert agentlang("run", f"{program}:words").out == "$6.00 for 2\n"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"id": 1, "lines": [], "extra": 2}, "it has a field 'extra' that Order does not have"),
        ({"id": 1, "lines": [{"what": "x", "cuont": 3}]}, "lines[0] has a field 'cuont' that Line does not have"),
        ({"lines": []}, "it lacks the field 'id' (Int) of Order"),
        ({"id": 1, "lines": [{"what": "x", "count": "3"}]}, 'lines[0].count must be Int, not Text "3"'),
        ([1], "it must be Order, not"),
    ],
)
def test_data_that_does_not_fit_is_refused_by_field(program: Path, raw: object, told: str) -> None:
    done = agentlang("run", f"{program}:order", f"raw={json.dumps(raw)}")
    assert done.code == 3 and f"this data is no Order: {told}" in done.err
    # On the line of the conversion, as written.
    assert "return raw as Order" in done.err


def test_optional_fields_may_be_missing(program: Path) -> None:
    done = agentlang("run", f"{program}:order", 'raw={"id": 1, "lines": []}')
    assert result(done) == {"id": 1, "lines": [], "paid": None}


def test_constants_pass_every_command(program: Path) -> None:
    assert agentlang("check", program).err.endswith("no problems\n")
    assert agentlang("fmt", "--check", program).code == 0
    assert agentlang("compile", program).code == 0
    assert agentlang("graph", f"{program}:bill").code == 0
    typed = (
        'type Shop { name: Text, prices: {Text: Money} = {"tent": $180} }\n'
        'let shop = Shop(name: "Hut {1 + 1}")\n'
        'shop.prices["tent"]\nshop.name\n[shop]\n'
    )
    done = agentlang("repl", stdin=typed.encode())
    assert done.out == '$180.00\nHut 2\n[{"name": "Hut 2", "prices": {"tent": "$180.00"}}]\n'
