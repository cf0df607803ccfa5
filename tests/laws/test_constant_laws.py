"""A constant is what the machine would find: the same expression as `let` and in a pipeline has one value."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from program_runs import compiled, ran

DECLARED = """
enum Kind { Fast, Slow(times: Int = 2, why: Text? = none), Other }
enum Colour { Red, Green }
type Inner { names: [Text] = ["a", "b"], table: {Text: Float} = {"z": 1, "a": 2.5} }
type Limits { top: Int = 5, wait: Duration = 3 s, kind: Kind = Fast, inner: Inner = Inner(), note: Text? = none }
"""


class Writer:
    """Writes expressions that mean something: no division by what may be zero, no index that may be outside."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def write(self, kind: str, depth: int) -> str:
        forms = getattr(self, f"_{kind}")(depth) if depth > 0 else ()
        return self.chance.choice([self.plain(kind), *forms])

    def plain(self, kind: str) -> str:
        pick = self.chance.choice
        return {
            "int": lambda: str(self.chance.randint(-9, 9)),
            "float": lambda: pick(["0.5", "-1.25", "3", "1e3"]),
            "bool": lambda: pick(["true", "false"]),
            "text": lambda: pick(['""', '"tent"', '"a {{b}}"', '"ü"']),
            "money": lambda: pick(["$1.50", "$0", "$20"]),
            "ints": lambda: pick(["[1]", "[3, -2]", "[0, 0, 7]"]),
            "table": lambda: pick(['{"z": 1, "a": 2.5}', '{"b": 0.5}']),
            "kind": lambda: pick(["Fast", "Kind.Other", "Slow()"]),
            "limits": lambda: "Limits()",
        }[kind]()

    def _int(self, d: int) -> list[str]:
        a, b = self.write("int", d - 1), self.write("int", d - 1)
        return [
            *(f"({a} {sign} {b})" for sign in "+-*"),
            f"({a} % 7)",
            f"(-{a})",
            f"len({self.write('text', d - 1)})",
            f"len({self.write('ints', d - 1)})",
            f"len({self.write('table', d - 1)})",
            f"{self.write('limits', d - 1)}.top",
            f"{self.write('ints', d - 1)}[0]",
        ]

    def _float(self, d: int) -> list[str]:
        a, b = self.write("float", d - 1), self.write("float", d - 1)
        return [f"({a} + {b})", f"({a} * {b})", f"({a} / 4)", f"({self.write('int', d - 1)} / 3)", f"({a} % 2)"]

    def _bool(self, d: int) -> list[str]:
        kind = self.chance.choice(["int", "text", "money", "ints", "table", "kind", "limits"])
        a, b = self.write(kind, d - 1), self.write(kind, d - 1)
        return [
            f"({a} == {b})",
            f"({a} != {b})",
            f"({self.write('int', d - 1)} < {self.write('float', d - 1)})",
            f"({self.write('money', d - 1)} >= {self.write('money', d - 1)})",
            f"({self.write('bool', d - 1)} and {self.write('bool', d - 1)})",
            f"({self.write('bool', d - 1)} or not {self.write('bool', d - 1)})",
            f"({self.write('ints', d - 1)} contains {self.write('int', d - 1)})",
            f"({self.write('text', d - 1)} contains {self.write('text', d - 1)})",
        ]

    def _text(self, d: int) -> list[str]:
        held = self.chance.choice(["int", "float", "bool", "text", "money"])
        return [
            f'"<{{ {self.write(held, d - 1)} }}>"',
            f'"{{ {self.write("limits", d - 1)} as Json }}"',
            f'"{{ {self.write("table", d - 1)}["z"] as Json }} {{Colour.Red}}"',
            f"({self.write('text', d - 1)} + {self.write('text', d - 1)})",
            f"{self.write('limits', d - 1)}.inner.names[1]",
        ]

    def _money(self, d: int) -> list[str]:
        a, b = self.write("money", d - 1), self.write("money", d - 1)
        return [f"({a} + {b})", f"({a} * {self.write('int', d - 1)})", f"({a} / 2)", f"(-{a})"]

    def _ints(self, d: int) -> list[str]:
        return [f"({self.write('ints', d - 1)} + [{self.write('int', d - 1)}])"]

    def _table(self, d: int) -> list[str]:
        key = self.chance.choice(['""', '"z"', '"a b"'])
        return [
            f'{{"y": {self.write("float", d - 1)}, {key}: {self.write("float", d - 1)}}}',
            f"{self.write('limits', d - 1)}.inner.table",
        ]

    def _kind(self, d: int) -> list[str]:
        return [f"Slow(times: {self.write('int', d - 1)}, why: {self.write('text', d - 1)})"]

    def _limits(self, d: int) -> list[str]:
        top, note = self.write("int", d - 1), self.write("text", d - 1)
        return [
            f"Limits(top: {top}, kind: {self.write('kind', d - 1)}, note: {note})",
            f"Limits(inner: Inner(table: {self.write('table', d - 1)}))",
            f"[{self.write('limits', d - 1)}, {self.write('limits', d - 1)}][1]",
        ]


KINDS = ("int", "float", "bool", "text", "money", "ints", "table", "kind", "limits")


@pytest.mark.parametrize("seed", range(6))
def test_a_constant_is_what_the_machine_finds(seed: int, tmp_path: Path) -> None:
    writer = Writer(random.Random(seed))
    written = [writer.write(kind, 4) for kind in KINDS for _ in range(6)]
    lines = [DECLARED]
    lines += [f"let c{n} = {expression}" for n, expression in enumerate(written)]
    lines += [
        f"pipeline p{n}() -> Json {{\n  other = {expression}\n  return [c{n}, other] as Json\n}}"
        for n, expression in enumerate(written)
    ]
    path = tmp_path / "constants.agent"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    done = compiled(path)
    for n, expression in enumerate(written):
        given = ran(done, f"p{n}", {})
        assert given.failed is None, (expression, given.failed)
        constant, found = given.value
        assert repr(constant) == repr(found), expression
