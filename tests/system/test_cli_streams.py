"""Streams from outside: files, pipes that are still written, and lines that cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import fresh_home

PROGRAM = """use std/text

pipeline shout(words: stream Text, mark: Text = "!") -> stream Text {
  return for word in words { "{text.upper(word)}{mark} " }
}

pipeline doubled(numbers: stream Int) -> stream Int {
  return for number in numbers { number * 2 }
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.agent").write_text(PROGRAM)
    return tmp_path


def run(folder: Path, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentlang", "run", "--quiet", *words]
    environment = {**os.environ, "AGENTLANG_HOME": str(fresh_home(folder / "home"))}
    return subprocess.run(command, input=given, capture_output=True, text=True, cwd=folder, env=environment)


def test_lines_of_a_file_and_json_lines(folder: Path) -> None:
    (folder / "words.txt").write_text("one\ntwo three\n")
    (folder / "words.jsonl").write_text('"one"\n\n"two\\nthree"\n')
    assert run(folder, "s.agent:shout", "words=@words.txt").stdout == "ONE! TWO THREE! \n"
    assert run(folder, "s.agent:shout", "--input", "words.jsonl", "mark=?").stdout == "ONE? TWO\nTHREE? \n"
    assert run(folder, "s.agent:doubled", "--input", "-", given="1\n2\n").stdout == "2\n4\n"


def test_a_line_that_cannot_be_read_ends_the_run_after_those_before_it(folder: Path) -> None:
    done = run(folder, "s.agent:doubled", "--input", "-", given='1\n"two"\n3\n')
    assert (done.returncode, done.stdout) == (3, "2\n")
    assert "error[stream-line]" in done.stderr and "line 2" in done.stderr
    done = run(folder, "s.agent:shout", "words=@-", given="")
    assert (done.returncode, done.stdout) == (0, "")
    done = run(folder, "s.agent:shout", "words=@missing.txt")
    assert done.returncode == 2 and "error[no-such-file]" in done.stderr


def test_items_leave_while_the_stream_is_still_written(folder: Path) -> None:
    command = [sys.executable, "-m", "agentlang", "run", "--json", "s.agent:shout", "words=@-"]
    environment = {**os.environ, "AGENTLANG_HOME": str(fresh_home(folder / "home"))}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
    )
    assert process.stdin is not None and process.stdout is not None
    with process:
        assert json.loads(process.stdout.readline())["type"] == "start"
        for word in ("a", "b"):
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["output"] == f"{word.upper()}! "
        process.stdin.close()
        assert json.loads(process.stdout.readline())["outcome"] == "done"
    assert process.returncode == 0
