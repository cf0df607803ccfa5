"""`agentlang fmt` as a user runs it: files in place, `--check`, `--diff`, and standard input."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_runs import agentlang

UNTIDY = "let   a=1 # one\n## Of b.\nlet b =2\n"
TIDY = "let a = 1  # one\n## Of b.\nlet b = 2\n"


@pytest.fixture
def untidy(tmp_path: Path) -> Path:
    file = tmp_path / "p.agent"
    file.write_text(UNTIDY)
    file.chmod(0o640)
    return file


def test_a_file_is_written_in_place_and_then_stays(untidy: Path) -> None:
    first = agentlang("fmt", untidy)
    assert (first.code, first.out) == (0, "") and "formatted" in first.err
    assert untidy.read_text() == TIDY
    assert untidy.stat().st_mode & 0o777 == 0o640
    again = agentlang("fmt", untidy)
    assert (again.code, again.out, again.err) == (0, "", "")


def test_a_link_stays_a_link(untidy: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.agent"
    link.symlink_to(untidy)
    assert agentlang("fmt", link).code == 0
    assert link.is_symlink()
    assert untidy.read_text() == TIDY


def test_check_changes_nothing_and_says_which(untidy: Path, tmp_path: Path) -> None:
    tidy = tmp_path / "tidy.agent"
    tidy.write_text(TIDY)
    done = agentlang("fmt", "--check", untidy, tidy)
    assert done.code == 1
    assert "p.agent: not in canonical form" in done.err
    assert "tidy.agent" not in done.err
    assert untidy.read_text() == UNTIDY
    assert agentlang("fmt", "--check", tidy).code == 0


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no `patch` here")
def test_diff_is_a_patch_that_applies(untidy: Path, tmp_path: Path) -> None:
    untidy.write_text(UNTIDY.rstrip("\n"))  # the missing newline at the end is part of it
    done = agentlang("fmt", "--diff", "p.agent", cwd=tmp_path)
    assert done.code == 0
    assert "-let   a=1 # one\n" in done.out and "+let a = 1  # one\n" in done.out
    assert "\\ No newline at end of file\n" in done.out
    assert untidy.read_text() == UNTIDY.rstrip("\n")
    patch = subprocess.run(["patch", "p.agent"], cwd=tmp_path, input=done.out.encode(), check=False)
    assert patch.returncode == 0
    assert untidy.read_text() == TIDY


def test_check_and_diff_together(untidy: Path) -> None:
    done = agentlang("fmt", "--check", "--diff", untidy)
    assert done.code == 1 and "+let b = 2\n" in done.out
    assert untidy.read_text() == UNTIDY


def test_standard_input_goes_to_standard_output() -> None:
    done = agentlang("fmt", "-", stdin=UNTIDY.encode())
    assert (done.code, done.out, done.err) == (0, TIDY, "")
    assert agentlang("fmt", "-", stdin=TIDY.encode()).out == TIDY
    assert agentlang("fmt", "-", stdin=b"\xef\xbb\xbflet a = 1\r\n").out == "let a = 1\n"
    assert agentlang("fmt", "-", stdin=b"").out == ""


def test_standard_input_with_check_and_diff() -> None:
    check = agentlang("fmt", "--check", "-", stdin=UNTIDY.encode())
    assert (check.code, check.out) == (1, "")
    diff = agentlang("fmt", "--diff", "-", stdin=UNTIDY.encode())
    assert diff.code == 0 and diff.out.startswith("--- -\n")


@pytest.mark.parametrize("text", [b"pipeline {", b"let a = \xff", b"\0", b"#" * 3_000_000])
def test_bad_standard_input_is_a_problem_and_writes_nothing(text: bytes) -> None:
    done = agentlang("fmt", "-", stdin=text)
    assert (done.code, done.out) == (1, "")
    assert "error[" in done.err


def test_a_file_with_errors_is_left_and_the_others_are_formatted(untidy: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.agent"
    broken.write_text("let  x = (\n")
    done = agentlang("fmt", broken, untidy)
    assert done.code == 1 and "broken.agent:1" in done.err
    assert broken.read_text() == "let  x = (\n"
    assert untidy.read_text() == TIDY


def test_json_says_what_changed(untidy: Path) -> None:
    done = agentlang("fmt", "--json", "--check", untidy)
    assert json.loads(done.out) == {"files": [{"file": str(untidy), "changed": True}], "problems": []}
    piped = agentlang("fmt", "--json", "-", stdin=UNTIDY.encode())
    assert json.loads(piped.out)["files"] == [{"file": "-", "changed": True, "text": TIDY}]


def test_json_of_good_and_bad_files_is_one_document(untidy: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.agent").write_text("let  x = (\n")
    done = agentlang("fmt", "--json", "broken.agent", "none.agent", "p.agent", cwd=tmp_path)
    document = json.loads(done.out)
    assert done.code == 2
    assert [problem["span"]["path"] for problem in document["problems"] if problem.get("span")] == ["broken.agent"]
    assert [entry["file"] for entry in document["files"]] == ["p.agent"]
    assert untidy.read_text() == TIDY
