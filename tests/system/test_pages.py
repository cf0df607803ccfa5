"""What the documentation shows of commands and of the loop is what they print: it is typed, in a folder that holds the
files of the page.

`pages` says how a page is written. Commands run by a shell, as a reader would run them; inputs of the loop go to one
loop for the whole page.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import COMMAND as AGENTLANG
from cli_runs import LIMIT, ROOT, fresh_home, models_here
from pages import COMMAND, INPUT, Block, Entry, blocks, entries, fits

from agentlang.base.paths import models_home, private
from agentlang.cli.console import Console
from agentlang.cli.repl.loop import Loop
from agentlang.cli.repl.session import Session

MODELS = ("smollm2-135m-instruct", "all-minilm-l6-v2", "ms-marco-minilm-l12")
# The pages of examples show what a model says as the reader will see it, and are run by tests of their own.
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def consoles(page: Path, models: bool) -> list[Block]:
    found = [block for block in blocks(page.read_text()) if block.kind == "console"]
    return [block for block in found if ("models" in block.words) == models]


def typed(models: bool) -> list[Path]:
    """The pages on which something is typed."""
    return [page for page in PAGES if consoles(page, models)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home without models, which no page can fill or damage; what was measured of this machine is known there."""
    return fresh_home(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("page", typed(models=False), ids=name)
def test_what_is_typed_prints_what_is_shown(
    page: Path, tmp_path: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(bare))
    monkeypatch.setenv("AGENTLANG_OFFLINE", "1")
    follow(page, tmp_path, models=False)


@pytest.mark.models
@pytest.mark.parametrize("page", typed(models=True), ids=name)
def test_what_is_typed_prints_what_is_shown_with_models(
    page: Path, tmp_path: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not models_here(*MODELS):
        pytest.skip("the models of the pages are not on this machine")
    # Weights and what is compiled are shared; sessions and indexes of the pages are not left behind.
    (bare / "private").mkdir(mode=0o700)
    (bare / "private" / "xla").symlink_to(private("xla"))
    (bare / "models").symlink_to(models_home())
    monkeypatch.setenv("AGENTLANG_HOME", str(bare))
    monkeypatch.setenv("AGENTLANG_OFFLINE", "1")
    follow(page, tmp_path, models=True)


def follow(page: Path, folder: Path, models: bool) -> None:
    """Write the files of a page and type what it shows, from the top down."""
    repl = Typist(folder)
    wrong: list[str] = []
    last: str | None = None
    for block in blocks(page.read_text()):
        if block.kind == "console" and ("models" in block.words) == models:
            wrong += typing(block, folder, repl, page)
        elif block.file:
            last = block.file
            (folder / last).parent.mkdir(exist_ok=True)
            (folder / last).write_text(block.text)
        elif block.kind == "agent" and block.goes_on and last and not block.slugs:
            (folder / last).write_text(f"{(folder / last).read_text()}\n{block.text}")
    assert not wrong, "\n\n".join(wrong)


def typing(block: Block, folder: Path, repl: Typist, page: Path) -> list[str]:
    """What is printed otherwise than the block shows."""
    wrong: list[str] = []
    found = entries(block.text)
    inputs = [entry for entry in found if entry.prompt == INPUT]
    answers = dict(zip(map(id, inputs), repl.type([entry.typed for entry in inputs]) if inputs else (), strict=True))
    for entry in found:
        code, printed = command(entry, folder) if entry.prompt == COMMAND else (0, answers[id(entry)])
        ends_well = code == 0 or "error[" in entry.expected
        if not fits(entry.expected, printed) or not ends_well:
            place = f"{page.name}:{block.line}: {entry.prompt}{entry.typed} (exit code {code})"
            wrong.append(f"{place}\n--- shown\n{entry.expected}\n--- printed\n{printed}")
    return wrong


def command(entry: Entry, folder: Path) -> tuple[int, str]:
    path = f"{Path(AGENTLANG).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", entry.typed],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    printed = done.stdout.decode()
    assert "Traceback" not in printed and "error[bug]" not in printed, printed
    return done.returncode, printed


class Typist:
    """Types into one loop, and reads what it prints after each input."""

    def __init__(self, folder: Path) -> None:
        self._out = io.StringIO()
        self._loop = Loop(Session(folder), Console(out=self._out, err=self._out))
        self._inputs: Iterator[str] = iter(())
        self._printed: list[str] = []

    def type(self, inputs: list[str]) -> list[str]:
        """What each input prints."""
        self._inputs, self._printed = iter(inputs), []
        self._loop.run(self)
        # The first time the loop asks, nothing was typed yet.
        return self._printed[1:]

    async def next(self) -> str | None:
        """The next input. The loop asks for it when it has done the one before, and has printed what that one gives."""
        self._printed.append(self._out.getvalue())
        self._out.seek(0)
        self._out.truncate()
        return next(self._inputs, None)
