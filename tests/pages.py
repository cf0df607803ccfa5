"""Pages of the documentation as tests read them: which blocks they have, and what the words behind the fence mean.

| fence | is |
| --- | --- |
| `agent` | a whole program; it checks without a problem |
| `agent more` | goes on with the program before it |
| `agent SLUG …` | a program that has exactly these problems (`agent more SLUG`: together with the program before it) |
| `agent shop.agent`, `python tools.py`, … | a file of the page: it lies in the folder where the page's commands run |
| `console` | `$ …` are commands and `» …` inputs of one `agentlang repl`, each with what it prints below it |
| `console models` | the same, with models: runs where their weights are |
| `text`, `sh`, `toml` … | is shown and not run |

In what is printed, `…` stands for anything, and on a line of its own for any lines. A command ends with exit code 0,
unless an error stands in what it prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"^```(?P<kind>[a-z]+)(?: (?P<words>[^\n`]+))?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND, INPUT, GOES_ON = "$ ", "» ", "  … "


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is where its fence stands, from 1."""

    kind: str
    words: tuple[str, ...]
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The file that it is, if it is one."""
        return next((word for word in self.words if "." in word), None)

    @property
    def goes_on(self) -> bool:
        return "more" in self.words

    @property
    def slugs(self) -> frozenset[str]:
        """The problems that a program is said to have."""
        return frozenset(word for word in self.words if word != "more" and "." not in word)


@dataclass
class Entry:
    """Something typed, and what is printed then."""

    prompt: str
    typed: str
    printed: list[str] = field(default_factory=list[str])

    @property
    def expected(self) -> str:
        return "\n".join(self.printed)


def blocks(page: str) -> Iterator[Block]:
    for match in _FENCE.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        yield Block(match["kind"], tuple((match["words"] or "").split()), match["text"], line)


def entries(text: str) -> list[Entry]:
    """What is typed in a console block."""
    found: list[Entry] = []
    for line in text.splitlines():
        prompt = next((p for p in (COMMAND, INPUT) if line.startswith(p)), None)
        last = found[-1] if found else None
        if prompt is not None:
            found.append(Entry(prompt, line.removeprefix(prompt)))
        elif last is not None and last.prompt == INPUT and not last.printed and line.startswith(GOES_ON):
            last.typed += "\n" + line.removeprefix(GOES_ON)
        elif last is not None and last.prompt == COMMAND and not last.printed and last.typed.endswith("\\"):
            last.typed += "\n" + line
        else:
            assert last is not None, f"a console block begins with a prompt, not with {line!r}"
            last.printed.append(line)
    return found


def fits(expected: str, printed: str) -> bool:
    """Whether what was printed is what the page shows, apart from what `…` leaves out and space at ends of lines."""
    lines = [line.rstrip() for line in expected.strip("\n").splitlines()]
    pattern = ""
    for line in lines:
        if line == "…":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split("…")) + r"\n"
    shown = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, shown) is not None
