"""Golden pages: Markdown with prose, an `agent` block, and blocks of what the toolchain makes of it.

`pytest --update tests/golden` rewrites the expected blocks; read the difference before it is committed. A new kind of
block is one line in `SHOWN`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ir_shown
import placed_shown
import pytest
import spread_shown
from agent_sources import INTERFACES, blocks, checked

from agentlang.base.render import terminal
from agentlang.base.source import Source
from agentlang.lang.checker import expand_agents
from agentlang.lang.parser import parse
from agentlang.lang.printer import show
from agentlang.lang.syntax import File
from agentlang.stdlib.interfaces import interface

FOLDER = Path(__file__).parent
PAGES = sorted(FOLDER.rglob("*.md"))


def problems(source: Source) -> str:
    """Every problem as a terminal shows it, without colours."""
    _, found = checked(source.text, source.path)
    sources = {source.path: source, **INTERFACES}
    return "\n\n".join(terminal(problem, sources) for problem in found) or "no problems"


def agents(source: Source) -> str:
    """What each agent of a file stands for."""
    file, _ = parse(source)
    loops = expand_agents(file, source, interface)
    shown = (show(File(None, declarations, span=file.span)) for declarations in loops.values())
    # A `#` keeps the comment that would open the file from being the file's.
    return "\n\n".join(text.removeprefix("#\n").strip("\n") for text in shown)


# What each kind of block shows of the `agent` block before it.
SHOWN: dict[str, Callable[[Source], str]] = {
    "problems": problems,
    "agents": agents,
    **ir_shown.SHOWN,
    **placed_shown.SHOWN,
    **spread_shown.SHOWN,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(FOLDER)))
def test_page(page: Path, update: bool) -> None:
    written = page.read_text("utf-8")
    source: Source | None = None
    shown = 0
    now: list[str] = []
    end = 0
    for kind, text, match in blocks(written):
        if kind == "agent":
            source = Source(f"{page.stem}.agent", text)
            continue
        assert kind in SHOWN, f"{page.name}: no rule shows `{kind}` blocks"
        assert source is not None, f"{page.name}: a `{kind}` block before any `agent` block"
        now += [written[end : match.start()], f"```{kind}\n{SHOWN[kind](source)}\n```"]
        end = match.end()
        shown += 1
    assert shown, f"{page.name} expects nothing"
    fresh = "".join([*now, written[end:]])
    if update and fresh != written:
        page.write_text(fresh, "utf-8")
    else:
        assert fresh == written
