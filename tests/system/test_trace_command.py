"""Durable and recorded runs looked at: `agentlang trace show`, `agentlang runs`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli_runs import COMMAND, Done, agentlang, fresh_home

from agentlang.api import Compiled
from agentlang.cli.stepping import Steps, application
from agentlang.executor.journal.file import open_journal
from agentlang.executor.journal.replay import Replayed
from agentlang.journals import view

PROGRAM = """
use std/text

tool send(id: Int) -> Text = python("shop:send") effects [writes "mail"]

pipeline ask(name: Text @pii, ids: [Int]) -> Text {
  short = text.lower(text.redact(name))
  sums = for id in ids { id * 10 }
  return send(len(sums)) with approve "Send {short}?"
}

tool count(to: Int) -> stream Int = python("shop:count") effects []
tool look(id: Int) -> Text = python("shop:look") effects [reads "orders"]

pipeline words(to: Int) -> stream Text {
  for id in count(to) { emit look(id) }
}
"""
SHOP = """
import time


def send(id: int) -> str:
    return f"sent {id}"


def look(id: int) -> str:
    time.sleep(0.02)
    return f"item {id}"


def count(to: int):
    yield from range(to)
"""
NAME = "name=ada@example.org Lovelace"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trace")
    (folder / "shop.agent").write_text(PROGRAM)
    (folder / "shop.py").write_text(SHOP)
    fresh_home(folder / "home")
    return folder


def call(folder: Path, *words: str) -> Done:
    return agentlang(*words, cwd=folder, AGENTLANG_HOME=str(folder / "home"))


def waiting(folder: Path) -> str:
    """A durable run that was killed while it waits for a person."""
    process = subprocess.Popen(
        [COMMAND, "run", "shop.agent:ask", NAME, "ids=[1, 2]", "--durable"],
        cwd=folder,
        env={**os.environ, "AGENTLANG_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    run = next(line.partition("--resume ")[2].split()[0] for line in process.stderr if "waits for an answer" in line)
    second = call(folder, "runs", "drop", run, "--yes")
    assert (second.code, "journal-in-use" in second.err) == (3, True)
    assert call(folder, "runs").out.splitlines()[1].split()[:2] == [run, "running"]
    process.kill()
    process.communicate()
    return run


@pytest.mark.slow
def test_runs_that_wait_are_listed_looked_at_and_dropped(folder: Path) -> None:
    run = waiting(folder)
    (row,) = json.loads(call(folder, "runs", "--json").out)
    # What is personal is not in the journal, so without it nobody can say where the run stands.
    assert (row["state"], row["pipeline"], row["acted"]) == ("cut off", "ask", 0)
    assert row["next"] == f"agentlang run --resume {run} name=…"
    missing = call(folder, "trace", "show", run)
    assert (missing.code, "input-again" in missing.err) == (2, True)
    shown = call(folder, "trace", "show", run, NAME)
    assert shown.code == 0, shown.err
    assert "it is not over; it asks: a question about" in shown.out or "Send" in shown.out
    assert "ada@example.org" not in shown.out + shown.err
    assert "<@pii>" in call(folder, "trace", "show", run, NAME, "--at", "1").out
    told = call(folder, "trace", "show", run, NAME, "--at", "1", "--keep-label", "pii")
    assert "ada@example.org" in told.out
    assert call(folder, "trace", "show", run, NAME, "--at", "999").code == 2
    unasked = call(folder, "runs", "drop", run)
    assert (unasked.code, "drop-unasked" in unasked.err) == (2, True)
    assert call(folder, "trace", "show", run, "--step").code == 2
    dropped = call(folder, "runs", "drop", run, "--yes", "--json")
    assert (dropped.code, json.loads(dropped.out)["dropped"]) == (0, run)
    assert json.loads(call(folder, "runs", "--json").out) == []
    assert call(folder, "runs", "drop", run, "--yes").code == 2


def recorded(folder: Path) -> Path:
    path = folder / "run.journal"
    if not path.is_file():
        done = call(folder, "run", "shop.agent:words", "to=6", "--record", "run.journal", "--json")
        assert done.code == 0, done.err
    return path


@pytest.mark.slow
def test_a_recorded_run_is_shown_and_stepped_back_and_forth(folder: Path, compiled_words: Compiled) -> None:
    path = recorded(folder)
    shown = call(folder, "trace", "show", "run.journal")
    assert shown.code == 0, shown.err
    assert shown.out.splitlines()[0].split() == ["stage", "turn", "start", "end", "records", "items", "how", "value"]
    assert shown.out.rstrip().endswith("done")
    document: dict[str, Any] = json.loads(call(folder, "trace", "show", "run.journal", "--at", "2", "--json").out)
    assert document["moment"]["number"] == 2
    journal = open_journal(path)
    journal.release()
    seen = view(journal, compiled_words, {})
    forwards = [seen.at(number) for number in range(len(seen) + 1)]
    assert [seen.at(number) for number in reversed(range(len(seen) + 1))] == forwards[::-1]
    assert forwards[-1].over == "done"
    # The same machine as that of a replay: what had been given, and what ran, is what that says.
    replayed = Replayed(compiled_words.graph, journal.head, journal.lines)
    for moment in forwards:
        state = replayed.at(moment.number)
        assert [ran.stage for ran in moment.running] == list(state.running)
        assert (moment.at, len(moment.asked), bool(moment.over)) == (state.at, len(state.asked), state.over)
    assert any(moment.waiting for moment in forwards)


@pytest.fixture
def compiled_words(folder: Path) -> Compiled:
    from program_runs import compiled

    return compiled(folder / "shop.agent")


@pytest.mark.slow
def test_keys_go_from_record_to_record(folder: Path, compiled_words: Compiled) -> None:
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    journal = open_journal(recorded(folder))
    journal.release()
    seen = view(journal, compiled_words, {})
    steps = Steps(len(seen))
    with create_pipe_input() as keys:
        keys.send_text("nnnp" + "3g" + "n" + "q")
        application(seen, steps, input=keys, output=DummyOutput()).run()
    assert steps.number == 4
    for key, number in (
        ("e", len(seen)),
        ("n", len(seen)),
        ("b", 0),
        ("p", 0),
        ("N", min(10, len(seen))),
        ("x", min(10, len(seen))),
    ):
        assert steps.press(key) and steps.number == number
    assert not steps.press("q")
