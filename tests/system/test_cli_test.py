"""`agentlang test` as users run it: real processes, real tools, cassettes on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from cli_runs import COMMAND, Done, agentlang, fresh_home, models_here

TOOLS = """
import pathlib, time
def order(id):
    if id == 9:
        raise ValueError("there is no order 9")
    with open("calls.txt", "a") as file:
        file.write(f"{id}\\n")
    count = len(pathlib.Path("calls.txt").read_text().splitlines())
    return {"id": id, "item": f"teapot, call {count}"}
def customer(id): return {"name": f"Ada Lovelace {id}", "mail": "ada@example.org"}
def slow(seconds):
    time.sleep(seconds)
    return "slow"
"""
HEAD = """use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")
type Order { id: Int, item: Text }
type Customer { name: Text, mail: Text }
tool order(id: Int) -> Order = python("tools:order") effects [reads "orders"]
tool customer(id: Int) -> Customer @pii = python("tools:customer") effects [reads "customers"]
tool slow(seconds: Float) -> Text = python("tools:slow") effects []

pipeline window() -> Text { return "You have 30 days." }
pipeline answer(question: Text, id: Int) -> stream Text {
  found = order(id)
  return writer.chat("{question} It is a {found.item}.", max_tokens: 6)
}
pipeline greet(id: Int) -> Text {
  found = customer(id)
  return "Dear {found.name}"
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "shop"
    place.mkdir()
    (place / "tools.py").write_text(TOOLS)
    return place


def outcome(folder: Path, text: str, *words: str, name: str = "shop.agent", **environment: str) -> Done:
    """Write the file and test it, in its folder."""
    (folder / name).write_text(HEAD + text)
    return agentlang("test", name, *words, cwd=folder, stdin=b"", **environment)


def calls(folder: Path) -> int:
    """How often the tool `order` really ran."""
    file = folder / "calls.txt"
    return len(file.read_text().splitlines()) if file.exists() else 0


def lines(tape: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in tape.read_text().splitlines()]


# --- passing, failing ------------------------------------------------------------------------------------------------


def test_one_line_for_each_test_and_a_summary(folder: Path) -> None:
    done = outcome(
        folder, 'test "window" { expect window() contains "30 days" }\ntest "order" { expect order(1).id == 1 }'
    )
    assert done.code == 0, done.err
    first, window, order, summary = done.out.splitlines()
    assert first == "shop.agent"
    assert window.split()[:2] == ["passed", "window"] and order.split()[:2] == ["passed", "order"]
    assert summary.startswith("2 passed in ")
    assert "error" not in done.err


def test_every_expectation_that_does_not_hold_shows_its_values(folder: Path) -> None:
    done = outcome(
        folder,
        """
test "window" {
  found = order(3)
  expect window() == "You have 14 days."
  expect window() contains "days"
  expect found.id > 4 and text.matches(found.item, "kettle")
  expect not (window() contains "30")
  turns = for n in [1, 2] {
    expect n == 1
    n
  }
  expect len(turns) == 2
}
""",
    )
    assert done.code == 1
    assert "FAILED" in done.out and "1 failed" in done.out
    assert done.err.count("error[expectation-failed]") == 4
    said = [" ".join(line.split()) for line in done.err.splitlines()]
    assert '| got "You have 30 days."' in said and '| wanted "You have 14 days."' in said
    assert "| found.id is 3" in said
    assert '| found.item is "teapot, call 1"' in said
    assert '| window() is "You have 30 days."' in said
    assert "| got 2" in said and "| wanted 1" in said
    line = 1 + (folder / "shop.agent").read_text().splitlines().index('  expect window() == "You have 14 days."')
    assert f'{line} | expect window() == "You have 14 days."' in said


def test_long_texts_show_where_they_part(folder: Path) -> None:
    text = "a" * 500
    done = outcome(folder, f'test "long" {{ expect "{text}b" == "{text}c" }}')
    assert done.code == 1
    assert "they part at character 501" in done.err
    assert max(map(len, done.err.splitlines())) < 500


def test_what_fails_otherwise_is_an_error_and_tells_what_was_not_reached(folder: Path) -> None:
    text = """
test "broken" {
  expect window() != ""
  found = order(9)
  expect found.id == 9
}
test "after" { expect window() contains "30" }
"""
    done = outcome(folder, text)
    assert done.code == 3
    assert "ERROR" in done.out and "1 passed, 1 could not run" in done.out
    assert "there is no order 9" in done.err
    done = outcome(folder, text, "--json")
    assert done.code == 3
    document = json.loads(done.out)
    broken, after = document["tests"]
    assert (broken["status"], after["status"]) == ("error", "passed")
    assert broken["reason"] == "tool_error"
    assert [one["holds"] for one in broken["expected"]] == [True, None]
    assert (document["passed"], document["failed"], document["error"]) == (1, 0, 1)
    # A failing expectation counts for more than a broken tool.
    assert outcome(folder, text + 'test "no" { expect 1 == 2 }').code == 1


def test_a_fault_in_the_file_runs_nothing(folder: Path) -> None:
    (folder / "good.agent").write_text(HEAD + 'test "good" { expect order(1).id == 1 }')
    (folder / "bad.agent").write_text('test "bad" { expect windw() }')
    done = agentlang("test", "good.agent", "bad.agent", cwd=folder)
    assert done.code == 1
    assert done.out == "" and "bad.agent:1" in done.err
    assert calls(folder) == 0
    assert agentlang("test", "gone.agent", cwd=folder).code == 2


def test_several_files_no_tests_and_a_filter(folder: Path) -> None:
    (folder / "none.agent").write_text(HEAD)
    done = agentlang("test", "none.agent", cwd=folder)
    assert (done.code, done.out) == (0, "")
    assert "none.agent has no tests" in done.err
    text = 'test "the window" { expect window() != "" }\ntest "the order" { expect order(1).id == 1 }'
    done = outcome(folder, text, "none.agent", "--filter", "WINDOW")
    assert done.code == 0
    assert "the window" in done.out and "the order" not in done.out
    assert calls(folder) == 0
    done = outcome(folder, text, "--filter", "windw")
    assert done.code == 2
    assert "error[no-such-test]" in done.err and "'the window'" in done.err


def test_a_test_that_takes_too_long(folder: Path) -> None:
    done = outcome(folder, 'test "slow" { expect slow(20.0) == "slow" }', "--timeout", "1s")
    assert done.code == 3
    assert "error[run-timeout]" in done.err


def test_given_answers_run_no_tool_and_open_no_model(folder: Path, tmp_path: Path) -> None:
    text = """
test "given" {
  given order(1) = Order(id: 1, item: "kettle")
  given order = Order(id: 0, item: "any")
  given writer.chat("What? It is a kettle.", max_tokens: 6) = "It is a kettle."
  expect all(answer("What?", 1)) == "It is a kettle."
}
test "any" {
  given order = Order(id: 0, item: "any")
  given writer.chat = "Something else."
  expect all(answer("What?", 2)) contains "else"
}
test "pipeline" {
  given answer = "all of it"
  expect all(answer("What?", 1)) == "all of it"
}
"""
    home = fresh_home(tmp_path / "home")
    done = outcome(folder, text, AGENTLANG_HOME=str(home))
    assert done.code == 0, done.err
    assert calls(folder) == 0
    assert not (home / "models").exists()


# --- cassettes -------------------------------------------------------------------------------------------------------

TWICE = """
test "first" { expect order(1).item contains "call" }
test "twice" {
  before = order(2)
  after = order(before.id)
  expect before.item != after.item
}
"""


def test_what_was_recorded_is_answered_again_without_the_tools(folder: Path) -> None:
    done = outcome(folder, TWICE, "--record", "tape.jsonl")
    assert done.code == 0, done.err
    assert "3 calls recorded in tape.jsonl" in done.err
    assert calls(folder) == 3
    head, first, *others = lines(folder / "tape.jsonl")
    assert head["cassette"] == 1 and head["programs"] == ["shop.agent"]
    assert first["call"] == "order" and first["arguments"] == {"id": 1}
    assert first["value"] == {"id": 1, "item": "teapot, call 1"}
    assert [one["run"] for one in others] == ["test:twice", "test:twice"]
    # Without the tools at all, and one test alone as well.
    (folder / "tools.py").unlink()
    for words in ((), ("--filter", "twice"), ("--filter", "first")):
        done = outcome(folder, TWICE, "--replay", "tape.jsonl", *words)
        assert done.code == 0, done.err
    assert calls(folder) == 3


def test_failures_are_answered_again(folder: Path) -> None:
    text = 'test "caught" { expect (order(9) otherwise Order(id: 0, item: "none")).id == 0 }'
    assert outcome(folder, text, "--record", "tape.jsonl").code == 0
    assert lines(folder / "tape.jsonl")[1]["failed"]["reason"] == "tool_error"
    (folder / "tools.py").unlink()
    assert outcome(folder, text, "--replay", "tape.jsonl").code == 0


def test_a_call_that_is_not_on_the_tape_is_an_error_even_where_a_fallback_catches_it(folder: Path) -> None:
    outcome(folder, 'test "order" { expect order(12).id == 12 }', "--record", "tape.jsonl")
    for expected in ("order(13).id == 13", '(order(13) otherwise Order(id: 0, item: "")).id == 0'):
        done = outcome(folder, f'test "order" {{ expect {expected} }}', "--replay", "tape.jsonl")
        assert done.code == 3
        assert "error[not-recorded]: no answer is recorded for order(id: 13)" in done.err
        assert "the nearest that is recorded: order(id: 12)" in done.err
    assert calls(folder) == 1


def test_a_tape_of_another_program(folder: Path) -> None:
    outcome(folder, 'test "window" { expect customer(1).name != "" }', "--record", "tape.jsonl", name="other.agent")
    done = outcome(folder, 'test "order" { expect order(1).id == 1 }', "--replay", "tape.jsonl")
    assert done.code == 3
    assert "error[not-recorded]" in done.err
    assert "recorded from other.agent" in done.err


@pytest.mark.parametrize(("text", "slug"), [
    ("", "cassette-unreadable"), ("{}\n", "cassette-unreadable"), ("hello\n", "cassette-unreadable"),
    ('{"cassette": 7, "salt": ""}\n', "cassette-unreadable"), (None, "no-such-file"),
])  # fmt: skip
def test_what_is_no_tape_is_said_before_anything_runs(folder: Path, text: str | None, slug: str) -> None:
    if text is not None:
        (folder / "tape.jsonl").write_text(text)
    done = outcome(folder, TWICE, "--replay", "tape.jsonl")
    assert done.code == (2 if text is None else 1)
    assert f"error[{slug}]" in done.err and done.out == ""
    assert outcome(folder, TWICE, "--replay", "a", "--record", "b").code == 2
    assert outcome(folder, TWICE, "--record", "gone/tape.jsonl").code == 3
    assert calls(folder) == 0


PRIVATE = """
test "greets" { expect greet(4) contains "Ada" }
"""


def test_labelled_values_are_masked_and_not_replayed(folder: Path) -> None:
    assert outcome(folder, PRIVATE, "--record", "tape.jsonl").code == 0
    text = (folder / "tape.jsonl").read_text()
    assert "Lovelace" not in text and "ada@example.org" not in text
    assert lines(folder / "tape.jsonl")[1]["value"] == "<@pii>"
    done = outcome(folder, PRIVATE, "--replay", "tape.jsonl")
    assert done.code == 3
    assert "error[recorded-masked]" in done.err and "@pii" in done.err
    done = outcome(folder, PRIVATE, "--record", "tape.jsonl", "--keep-label", "pii")
    assert "Lovelace" in (folder / "tape.jsonl").read_text()
    assert outcome(folder, PRIVATE, "--replay", "tape.jsonl").code == 0


WITHIN = """
tool log(words: Text) -> Text = python("private:log") effects []
tool fail(words: Text) -> Text = python("private:fail") effects []
tool wrong(words: Text) -> Int = python("private:wrong") effects []
type Card { owner: Text @pii, number: Int }

pipeline relay(words: Text) -> Int {
  failed = fail(words) otherwise "no"
  other = wrong(words) otherwise 0
  return len(log("for {words}")) + len(failed) + other
}
pipeline main(mail: Text @pii, name: Text) -> Int { return relay(mail) + relay(Card(name, 3).owner) }
pipeline asked(words: Text) -> Int { return len(all(writer.chat("Say {words}", max_tokens: 4))) }
pipeline asking(mail: Text @pii) -> Int { return asked(mail) }
"""


def test_what_a_caller_labels_is_masked_in_the_calls_of_what_it_calls(folder: Path) -> None:
    (folder / "private.py").write_text(
        "def log(words): return words.upper()\n"
        "def fail(words): raise ValueError(f'cannot take {words}')\n"
        "def wrong(words): return {'not': words}\n"
    )
    (folder / "private.agent").write_text(HEAD + WITHIN)
    inputs = ("mail=ada.lovelace@example.org", "name=Grace Hopper")
    words = ("run", "private.agent:main", *inputs, "--record", "tape.jsonl", "--json", "--quiet")
    done = agentlang(*words, cwd=folder)
    assert done.code == 0, done.err + done.out
    tape = (folder / "tape.jsonl").read_bytes()
    assert len(tape.splitlines()) == 7 and tape.count(b'"<@pii>"') >= 12
    for sink in (tape, done.out.encode(), done.err.encode()):
        assert not [word for word in (b"lovelace", b"grace", b"hopper") if word in sink.lower()]


@pytest.mark.models
@pytest.mark.skipif(not models_here("smollm2-135m-instruct"), reason="the weights of the model are not here")
def test_what_a_caller_labels_is_masked_in_the_prompts_of_what_it_calls(folder: Path) -> None:
    (folder / "private.agent").write_text(HEAD + WITHIN)
    words = ("run", "private.agent:asking", "mail=ada.lovelace@example.org", "--record", "tape.jsonl", "--json")
    done = agentlang(*words, cwd=folder)
    assert done.code == 0, done.err + done.out
    tape = (folder / "tape.jsonl").read_text()
    assert "lovelace" not in tape.lower() + (done.out + done.err).lower()
    (line,) = lines(folder / "tape.jsonl")[1:]
    assert (line["arguments"]["prompt"], line["text"]) == ("<@pii>", "<@pii>")


class _Echo(BaseHTTPRequestHandler):
    """A shop that answers with the key that it was asked with."""

    def do_GET(self) -> None:
        body = json.dumps({"key": self.headers.get("Authorization", "")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@pytest.fixture
def shop() -> Generator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_secrets_never_reach_a_tape(folder: Path, shop: int) -> None:
    (folder / "agentlang.toml").write_text('[tools]\nallow = ["127.0.0.1"]\n')
    text = f"""
use std/http
type Answer {{ key: Text }}
tool ask(id: Int) -> Answer = http.get("http://127.0.0.1:{shop}/{{id}}", key: secret("SHOP_KEY")) effects [network]
test "key" {{ expect ask(1).key contains "very" }}
"""
    (folder / "echo.agent").write_text(text)
    done = agentlang("test", "echo.agent", "--record", "tape.jsonl", cwd=folder, SHOP_KEY="very-secret-value")
    assert done.code == 0, done.err
    tape = (folder / "tape.jsonl").read_text()
    assert "very-secret-value" not in tape
    assert lines(folder / "tape.jsonl")[1]["value"] == {"key": "Bearer [secret SHOP_KEY]"}


# --- interrupted -----------------------------------------------------------------------------------------------------

SLOW = """
test "quick" { expect order(1).id == 1 }
test "slow" { expect slow(60.0) == "slow" }
test "after" { expect order(2).id == 2 }
"""


def begun(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The tests, running in the slow one."""
    (folder / "slow.agent").write_text(HEAD + SLOW)
    process = subprocess.Popen(
        [COMMAND, "test", "slow.agent", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    end = time.monotonic() + 30
    while calls(folder) == 0 and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.7)
    return process


def test_an_interrupt_ends_the_run_and_keeps_what_was_recorded_beside_the_old_tape(folder: Path) -> None:
    (folder / "tape.jsonl").write_text("the old one")
    process = begun(folder, "--record", "tape.jsonl", "--json")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    document = json.loads(out)
    assert [one["status"] for one in document["tests"]] == ["passed", "interrupted"]
    assert (folder / "tape.jsonl").read_text() == "the old one"
    done = agentlang("test", "slow.agent", "--filter", "quick", "--replay", "tape.jsonl.part", cwd=folder)
    assert done.code == 0, done.err
    assert calls(folder) == 1


def test_a_killed_recording_is_good_up_to_there(folder: Path) -> None:
    process = begun(folder, "--record", "tape.jsonl")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert not (folder / "tape.jsonl").exists()
    done = agentlang("test", "slow.agent", "--filter", "quick", "--replay", "tape.jsonl", cwd=folder)
    assert done.code == 2 and "tape.jsonl.part" in done.err
    done = agentlang("test", "slow.agent", "--filter", "quick", "--replay", "tape.jsonl.part", cwd=folder)
    assert done.code == 0, done.err


def test_what_ran_too_long_does_so_again(folder: Path) -> None:
    text = 'test "slow" { expect (slow(30.0) with timeout 1 s otherwise on timeout "gave up") == "gave up" }'
    assert outcome(folder, text, "--record", "tape.jsonl").code == 0
    assert lines(folder / "tape.jsonl")[1]["stopped"] is True
    (folder / "tools.py").unlink()
    done = outcome(folder, text, "--replay", "tape.jsonl")
    assert done.code == 0, done.err


# --- reports ---------------------------------------------------------------------------------------------------------


def test_the_report_is_well_formed(folder: Path) -> None:
    text = """
test "passes <&>" { expect 1 == 1 }
test "fails" { expect "a\\u{1}<b>" == "]]>" }
test "breaks" { expect order(9).id == 9 }
"""
    done = outcome(folder, text, "--junit", "out/report.xml")
    assert done.code == 1
    root = Xml.parse(folder / "out" / "report.xml").getroot()
    assert root.tag == "testsuites"
    assert {name: root.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    (suite,) = root.findall("testsuite")
    assert suite.get("name") == "shop.agent"
    passes, fails, breaks = suite.findall("testcase")
    assert passes.get("name") == "passes <&>" and list(passes) == []
    failure, error = fails.find("failure"), breaks.find("error")
    assert failure is not None and failure.get("type") == "expectation-failed"
    assert "]]>" in (failure.text or "") and "wanted" in (failure.text or "")
    assert error is not None and "there is no order 9" in (error.text or "")
    assert all(float(str(case.get("time"))) >= 0 for case in (passes, fails, breaks))
    assert breaks.get("line") == str(1 + (HEAD + text).splitlines().index('test "breaks" { expect order(9).id == 9 }'))
    (folder / "taken").write_text("")
    done = outcome(folder, text, "--junit", "taken/report.xml")
    assert done.code == 3 and "error[report-unwritable]" in done.err


# --- runs, and the real model ----------------------------------------------------------------------------------------


def test_a_run_is_recorded_and_replayed(folder: Path) -> None:
    (folder / "shop.agent").write_text(HEAD + 'pipeline item(id: Int) -> Text { return order(id).item otherwise "?" }')
    done = agentlang("run", "shop.agent:item", "id=3", "--record", "tape.jsonl", cwd=folder)
    assert done.code == 0, done.err
    assert "1 call recorded in tape.jsonl" in done.err
    (folder / "tools.py").unlink()
    again = agentlang("run", "shop.agent:item", "id=3", "--replay", "tape.jsonl", cwd=folder)
    assert (again.code, again.out) == (0, done.out)
    other = agentlang("run", "shop.agent:item", "id=4", "--replay", "tape.jsonl", cwd=folder)
    assert other.code == 3 and "error[not-recorded]" in other.err


needs_model = pytest.mark.skipif(
    not models_here("smollm2-135m-instruct"), reason="needs: agentlang models pull smollm2-135m-instruct"
)


@pytest.mark.models
@needs_model
def test_a_chat_is_replayed_without_its_model(folder: Path, tmp_path: Path) -> None:
    text = """
test "answers" {
  said = all(answer("What is it?", 1))
  expect len(text.words(said)) > 2
  expect said == all(answer("What is it?", 1))
  verdict = writer.chat("Is it good? {said}", max_tokens: 40) into llm.Verdict otherwise llm.Verdict(why: "", ok: false)
  expect verdict.ok or not verdict.ok
}
"""
    (folder / "tools.py").write_text(TOOLS.replace(", call {count}", ""))
    done = outcome(folder, text, "--record", "tape.jsonl")
    assert done.code == 0, done.err
    chats = [line for line in lines(folder / "tape.jsonl")[1:] if line["call"] == "writer.chat"]
    assert chats[0]["arguments"]["prompt"] == "What is it? It is a teapot."
    assert sum(chats[0]["pieces"]) == len(chats[0]["text"])
    home = fresh_home(tmp_path / "home")
    words = {"AGENTLANG_HOME": str(home), "AGENTLANG_MODELS": str(home / "models")}
    done = outcome(folder, text, "--replay", "tape.jsonl", **words)
    assert done.code == 0, done.err
    assert not (home / "models").exists()


@pytest.mark.models
@needs_model
def test_a_model_judges(folder: Path) -> None:
    text = 'test "judged" { expect writer.agrees(window(), "it names a number of days", max_tokens: 80) }'
    done = outcome(folder, text, "--json")
    document = json.loads(done.out)
    (tested,) = document["tests"]
    # Whatever so small a model finds, it finds in the form that was asked for, or is cut off by name.
    if tested["status"] == "error":
        assert tested["problems"][0]["slug"] == "reply-truncated"
    else:
        (expected,) = tested["expected"]
        verdict = json.loads(expected["shown"][0].rpartition(" is ")[2])
        assert set(verdict) == {"why", "ok"} and verdict["ok"] is expected["holds"]
