"""`run --watch` on a real terminal: drawn while the run goes on, gone when it is over, and not in its output."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from cli_runs import COMMAND, agentlang, fresh_home
from terminals import Terminal

PROGRAM = """use std/text

pipeline shout(words: stream Text) -> stream Text {
  return for word in words { "{text.upper(word)}! " }
}
"""
MARGIN = re.compile(rb"\x1b\[1;(\d+)r")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.agent").write_text(PROGRAM)
    os.mkfifo(tmp_path / "words")
    return tmp_path


def opened(folder: Path) -> Terminal:
    environment = {**os.environ, "AGENTLANG_HOME": str(fresh_home(folder / "home"))}
    return Terminal([COMMAND, "run", "--quiet", "--watch", "s.agent", "words=@words"], folder, environment)


def test_a_run_is_drawn_and_the_terminal_left_as_it_was(folder: Path) -> None:
    with opened(folder) as terminal, (folder / "words").open("r+b", buffering=0) as words:
        words.write(b"one\n")
        terminal.expect("ONE! ")
        terminal.expect("shout · ")
        words.write(b"two\n")
        terminal.expect("TWO! ")
        words.close()
        assert terminal.ends() == 0
        raw = terminal.raw
    (margin,) = MARGIN.findall(raw)
    assert int(margin) < 40  # of as many rows
    # The margins go, and what was drawn; nothing is drawn after that.
    end = raw.index(b"\x1b[r")
    assert raw.index(b"\x1b[J", end) > end and not MARGIN.search(raw, end) and b"\x1b[2K" not in raw[end:]
    # Every drawing leaves the cursor where it was, so what the run writes stands together.
    drawn = re.sub(rb"\x1b7.*?\x1b8", b"", raw, flags=re.DOTALL)
    assert b"ONE! TWO! " in re.sub(rb"\x1bD|\x1b\[\d+A", b"", drawn)


def test_an_interrupt_leaves_the_terminal_as_it_was(folder: Path) -> None:
    with opened(folder) as terminal, (folder / "words").open("r+b", buffering=0) as words:
        words.write(b"one\n")
        terminal.expect("shout · ")
        os.kill(terminal.process.pid, signal.SIGINT)
        assert terminal.ends() == 130
        assert terminal.raw.rindex(b"\x1b[r") > terminal.raw.rindex(b"\x1b[2K")


def test_without_a_terminal_the_run_goes_on(folder: Path) -> None:
    (folder / "lines").write_text("one\n")
    home = str(fresh_home(folder / "home"))
    done = agentlang("run", "--quiet", "--watch", "s.agent", "words=@lines", cwd=folder, AGENTLANG_HOME=home)
    assert (done.code, done.out) == (0, "ONE! \n")
    assert done.err == "--watch draws on a terminal, and standard error is none\n"
