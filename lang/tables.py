"""The LALR(1) tables of `grammar.lark`, as plain data.

Lark checks the grammar and computes the tables (`build`); what ships is `grammar.json`, written by
`python -m agentlang.lang.tables`. Reading it takes a few milliseconds, needs neither lark nor pickle nor a writable
folder, and so most of a kernel start is saved. The file carries a checksum of the grammar it was made from: where that
differs, as while the grammar is being changed, the tables are built in memory instead.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from ..base.frozen import frozen

END = "$END"


@frozen
class Rule:
    """One alternative of a rule. `keep` says which symbols its action gets; `splice` that its parts go to its parent.

    `plain` marks a spliced rule of one symbol, which only renames what is on the stack.
    """

    origin: str
    action: str
    length: int
    keep: tuple[bool, ...]
    splice: bool
    plain: bool


@frozen
class Tables:
    """`states[n][symbol]` is the next state (0 or more, for shifts and gotos), or a rule `r` to reduce by (-1 - r).

    The state after the whole declaration maps END to None. `literals` says how a keyword or sign is written.
    """

    states: tuple[Mapping[str, int | None], ...]
    rules: tuple[Rule, ...]
    literals: Mapping[str, str]


@cache
def tables() -> Tables:
    """The tables of the language."""
    # Not by `importlib.resources`: that costs every command more than reading the tables does.
    return load(Path(__file__).parent)


def load(folder: Path) -> Tables:
    """The tables of the grammar in a folder: those beside it if they fit it, else built now."""
    grammar = (folder / "grammar.lark").read_text("utf-8")
    try:
        data = json.loads((folder / "grammar.json").read_text("utf-8"))
        if data["checksum"] == checksum(grammar):
            return read(data)
    except (OSError, ValueError, KeyError, TypeError):
        # Missing or damaged: the grammar itself is the authority.
        pass
    return read(build(grammar))


def checksum(grammar: str) -> int:
    """Enough to notice that the grammar was edited; nobody is to be kept from anything."""
    return zlib.crc32(grammar.encode())


def read(data: Mapping[str, Any]) -> Tables:
    """Tables from what `build` gave."""
    rules = tuple(
        Rule(origin, action, len(keep), tuple(mark == "1" for mark in keep), splice, splice and keep == "1")
        for origin, action, keep, splice in cast("list[tuple[str, str, str, bool]]", data["rules"])
    )
    rows = cast("list[dict[str, int | None]]", data["rows"])
    return Tables(tuple(rows[row] for row in cast("list[int]", data["states"])), rules, data["literals"])


def build(grammar: str) -> dict[str, Any]:
    """Compiles a grammar with lark, which refuses conflicts. States are numbered in the order of a walk from the start,
    so that equal grammars give equal data."""
    from lark import Lark
    from lark.lexer import Lexer, PatternStr
    from lark.parsers.lalr_analysis import Shift

    class NoLexer(Lexer):
        """Tokens come from the scanner; lark never lexes."""

        __future_interface__ = 2

        def __init__(self, lexer_conf: Any) -> None:
            pass

        def lex(self, lexer_state: Any, parser_state: Any) -> Any:
            raise NotImplementedError

    compiled: Any = Lark(grammar, parser="lalr", lexer=NoLexer, strict=True, maybe_placeholders=False)
    table = compiled.parser.parser._parse_table
    order: dict[int, int] = {table.start_states["start"]: 0}
    waiting = list(order)
    for state in waiting:
        for _, (action, target) in sorted(table.states[state].items()):
            if action is Shift and target not in order:
                order[target] = len(order)
                waiting.append(target)

    def key(rule: Any) -> tuple[str, list[str]]:
        return rule.origin.name, [symbol.name for symbol in rule.expansion]

    used = sorted(
        {arg for state in order for action, arg in table.states[state].values() if action is not Shift}, key=key
    )
    number = {rule: index for index, rule in enumerate(used)}
    rows: list[dict[str, int | None]] = []
    for state in order:
        row: dict[str, int | None] = {
            name: order[arg] if action is Shift else -1 - number[arg]
            for name, (action, arg) in sorted(table.states[state].items())
        }
        if state == table.end_states["start"]:
            row[END] = None
        rows.append(row)
    unique = list({json.dumps(row): row for row in rows}.values())
    return {
        "checksum": checksum(grammar),
        "literals": {t.name: t.pattern.value for t in compiled.terminals if isinstance(t.pattern, PatternStr)},
        "rules": [_rule(rule) for rule in used],
        "states": [unique.index(row) for row in rows],
        "rows": unique,
    }


def _rule(rule: Any) -> tuple[str, str, str, bool]:
    name = str(rule.origin.name)
    # `?start` passes its one child through, as spliced rules do; so do the helpers that lark makes for `*`.
    splice = name.startswith("_") or name in ("start", "type")
    keep = "".join(
        "1" if rule.options.keep_all_tokens or not (symbol.is_term and symbol.filter_out) else "0"
        for symbol in rule.expansion
    )
    action = str(rule.alias or name)
    return name, action, keep, splice and rule.alias is None


def text(data: Mapping[str, Any]) -> str:
    """The data as the file holds it: a line per rule and row, so that a change can be read."""
    lines = [f' "{name}": {json.dumps(data[name])},' for name in ("checksum", "literals", "states")]
    for name in ("rules", "rows"):
        parts = ",\n  ".join(json.dumps(part, separators=(",", ":")) for part in data[name])
        lines.append(f' "{name}": [\n  {parts}\n ],')
    return "{\n" + "\n".join(lines).removesuffix(",") + "\n}\n"


def main() -> None:
    """Writes `grammar.json` beside the grammar."""
    from ..base.store import write_atomic

    folder = Path(__file__).parent
    data = build((folder / "grammar.lark").read_text("utf-8"))
    write_atomic(folder / "grammar.json", text(data).encode())


if __name__ == "__main__":
    main()
