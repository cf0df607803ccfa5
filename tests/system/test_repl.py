"""The interactive loop as a person meets it: a real terminal, real keys, real models."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import fresh_home
from terminals import Terminal

REPL = [sys.executable, "-m", "agentlang", "repl"]
MODEL = 'model writer = llm.chat("smollm2-135m-instruct")'


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = os.environ.get("AGENTLANG_HOME") or str(Path.home() / ".cache" / "agentlang")
    models = os.environ.get("AGENTLANG_MODELS") or str(Path(home) / "models")
    return {**os.environ, "AGENTLANG_HOME": str(fresh_home(tmp_path / "home")), "AGENTLANG_MODELS": models}


@pytest.fixture
def terminal(tmp_path: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    with Terminal(REPL, tmp_path, environment) as opened:
        opened.expect("»")
        yield opened


def test_expressions_definitions_and_values(terminal: Terminal) -> None:
    terminal.type("1 + 2\r")
    terminal.expect("\n3\n")
    terminal.type("pipeline twice(a: Int) -> Int {\r")
    terminal.expect("…")
    terminal.type("return a * 2\r}\r")
    terminal.expect("twice is defined")
    terminal.type("x = twice(4)\r")
    terminal.expect("x: Int")
    terminal.type("pipeline twice(a: Int) -> Int { return a * 3 }\r")
    terminal.expect("twice is defined")
    terminal.type("twice(x)\r")
    terminal.expect("\n24\n")
    terminal.type(":type [x]\r")
    terminal.expect("[Int]")


def test_a_mistake_is_shown_at_its_place_and_the_loop_goes_on(terminal: Terminal) -> None:
    terminal.type("xyzzy + 1\r")
    terminal.expect("error[unknown-name]")
    terminal.expect("^^^^^")
    terminal.type("2 * 3\r")
    terminal.expect("\n6\n")


def test_ctrl_c_drops_the_line_and_ctrl_d_ends(terminal: Terminal) -> None:
    terminal.type("1 +\x03")
    terminal.type("7 * 6\r")
    terminal.expect("\n42\n")
    terminal.expect("»")
    terminal.type("\x04")
    assert terminal.ends() == 0


def test_history_and_words(terminal: Terminal) -> None:
    terminal.type("40 + 2\r")
    terminal.expect("\n42\n")
    terminal.expect("»")
    terminal.type("\x1b[A\r")
    terminal.expect("\n42\n")
    terminal.expect("»")
    terminal.type(":he\t")
    terminal.expect("lp")  # a terminal is told what changes on its line, and no more
    terminal.type("\r")
    terminal.expect("its type, without running it")
    terminal.type(":quit\r")
    assert terminal.ends() == 0


def test_completion_knows_what_was_defined(terminal: Terminal) -> None:
    """Tab completes what only one word can be: a name, a field, an argument, a unit."""
    terminal.type("type Order { amount: Int, note: Text }\r")
    terminal.expect("Order is defined")
    terminal.type("pipeline raised(of: Int, margin: Int = 3) -> Int { of + margin }\r")
    terminal.expect("raised is defined")
    # What was typed is completed before the next key is pressed, as people do.
    terminal.type("first = Order(amo\t")
    terminal.expect("unt:")
    terminal.type('4, note: "x")\r')
    terminal.expect("first: Order")
    terminal.type("rais\t")
    terminal.expect("ed")
    terminal.type("(first.am\t")
    terminal.expect("ount")
    terminal.type(", marg\t")
    terminal.expect("in:")
    terminal.type("2)\r")
    terminal.expect("\n6\n")
    terminal.type("1 mi\t")
    terminal.expect("n")
    terminal.type(" / (30 s)\r")
    terminal.expect("\n2.0\n")


def test_save_load_reset(terminal: Terminal, tmp_path: Path) -> None:
    terminal.type("let n = 5\r")
    terminal.expect("n is defined")
    terminal.type(":save kept.agent\r")
    terminal.expect("wrote 1 definitions to kept.agent")
    assert (tmp_path / "kept.agent").read_text() == "let n = 5\n"
    terminal.type(":reset\r")
    terminal.expect("forgotten")
    terminal.type("n\r")
    terminal.expect("error[unknown-name]")
    terminal.type(":load kept.agent\r")
    terminal.expect("n is defined")
    terminal.type("n + 1\r")
    terminal.expect("\n6\n")


@pytest.mark.models
def test_ctrl_c_stops_what_runs_and_nothing_else(terminal: Terminal) -> None:
    terminal.type("use std/llm\r")
    terminal.expect("is defined")
    terminal.type(f"{MODEL}\r")
    terminal.expect("writer is defined")
    terminal.type('writer.chat("Tell a long story of a ship.", max_tokens: 2000)\r')
    terminal.expect("Once upon", 90.0)
    terminal.type("\x03")
    terminal.expect("interrupted")
    terminal.expect("»")
    terminal.type('x = writer.chat("Say hello.", max_tokens: 4)\r')
    terminal.expect("x: Text", 90.0)
    terminal.type("len(x) > 0\r")
    terminal.expect("\ntrue\n")


def test_inputs_from_a_pipe(tmp_path: Path, environment: dict[str, str]) -> None:
    text = "let n = 2\npipeline p(a: Int) -> Int {\n  return a + n\n}\np(3)\n"
    done = subprocess.run(REPL, input=text, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (0, "5\n")
    done = subprocess.run(REPL, input="1 +* 2\n3\n", capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (1, "3\n")
    assert "Traceback" not in done.stderr


def test_what_fails_while_it_runs_is_shown_at_its_place(tmp_path: Path, environment: dict[str, str]) -> None:
    text = (
        "type Order { ids: [Int] }\no = Order(ids: [1])\npipeline p(n: Int) -> Float { return 1 / n }\no.ids[5]\np(0)\n"
    )
    done = subprocess.run(REPL, input=text, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.stdout == '{"ids": [1]}\n'
    assert " --> input:1:1\n  |\n1 | o.ids[5]\n  | ^^^^^^^^\n" in done.stderr
    assert "{ return 1 / n }\n" in done.stderr


def test_quantities_are_shown_with_their_units_and_what_is_sent_as_a_value(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    lines = ("x = $4", "-x", "1 GiB / (1 GiB/s)", "emit 3", "(" * 10_000, "1 + 1")
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(REPL, input=text, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.stdout == "$4.00\n-$4.00\n1 s\n3\n2\n"
    assert done.stderr.count("error[too-deep]") == 1
