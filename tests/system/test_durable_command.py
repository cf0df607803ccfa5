"""Durable runs as real processes: killed at any moment, stopped by hand, met by a full disk, resumed by several."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_runs import COMMAND, EXAMPLES, Done, agentlang, fresh_home
from endpoint_servers import serving, words

pytestmark = pytest.mark.slow

SHOP = '''
import json, pathlib, time

FOLDER = pathlib.Path(__file__).parent


def look(id: int) -> str:
    time.sleep(0.15)
    return f"item {id}"


def send(id: int) -> str:
    """Twice is once."""
    done = FOLDER / f"sent-{id}"
    time.sleep(0.05)
    done.touch()
    time.sleep(0.05)
    return f"sent {id}"


def pay(id: int) -> str:
    """Twice is twice."""
    with (FOLDER / "paid.txt").open("a") as file:
        file.write(f"{id}\\n")
    time.sleep(0.1)
    return f"paid {id}"
'''

PROGRAM = """
tool look(id: Int) -> Text = python("shop:look") effects [reads "orders"]
tool send(id: Int) -> Text = python("shop:send") effects [writes "mail"] idempotent by id
tool pay(id: Int) -> Text = python("shop:pay") effects [writes "payments"]

pipeline serve(ids: [Int]) -> stream Text {
  for id in ids, at most 2 at once {
    emit look(id)
    emit send(id)
    emit pay(id) otherwise on may_have_acted "perhaps paid {id}"
  }
  emit look(99)
}

pipeline ask(id: Int) -> Text {
  found = look(id)
  return pay(id) with approve "Pay {id} for {found}?"
}
"""
IDS = [1, 2, 3, 4]
SERVED = [text for id in IDS for text in (f"item {id}", f"sent {id}", f"paid {id}")] + ["item 99"]


_STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "shop.agent").write_text(PROGRAM)
    fresh_home(tmp_path / "home")
    yield tmp_path
    while _STARTED:
        process = _STARTED.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def begun(
    folder: Path, *words: str, before: Callable[[], None] | None = None, **environment: str
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [COMMAND, "run", *words, "--json"],
        cwd=folder,
        env={**os.environ, "AGENTLANG_HOME": str(folder / "home"), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=before,
    )
    _STARTED.append(process)
    return process


def resume(folder: Path, run: str, *words: str, **environment: str) -> Done:
    home = str(folder / "home")
    return agentlang("run", "--resume", run, *words, "--json", cwd=folder, AGENTLANG_HOME=home, **environment)


def frames(text: str) -> list[dict[str, Any]]:
    """What was written whole: the last line of a killed process may be cut."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def journals(folder: Path) -> list[Path]:
    return sorted((folder / "home" / "private" / "journals").glob("*.journal"))


def waiting(process: subprocess.Popen[str]) -> str:
    """Reads what it says until it waits for a person; its run."""
    assert process.stderr is not None and process.stdout is not None
    for line in process.stderr:
        if "waits for an answer" in line:
            return line.partition("--resume ")[2].split()[0]
    raise AssertionError(f"it did not wait: {process.stdout.read()}")


def kill(process: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> tuple[str, str]:
    os.killpg(process.pid, how)
    return process.communicate(timeout=30)


def test_killed_at_ten_moments_nothing_is_lost_and_nothing_is_done_twice(folder: Path) -> None:
    moments, kills = random.Random(11), 0
    # Two kills for each run, at moments of starting up as of running.
    while kills < 10:
        for old in (*folder.glob("sent-*"), folder / "paid.txt"):
            old.unlink(missing_ok=True)
        process = begun(folder, "shop.agent:serve", f"ids={IDS}", "--durable", "--quiet")
        assert process.stdout is not None
        start = json.loads(process.stdout.readline())
        run, seen = start["resume"], dict[int, str]()
        left, done = 2, False
        while not done:
            if left:
                time.sleep(moments.uniform(0.0, 1.5))
                out, err = kill(process)
            else:
                out, err = process.communicate(timeout=60)
            assert "Traceback" not in err, err
            told = frames(out)
            done = any(frame["type"] == "end" for frame in told)
            kills, left = kills + (left > 0 and not done), left - (left > 0)
            for frame in told:
                if frame["type"] == "item":
                    # At most what was on its way when it was killed is given once more, and is the same.
                    assert seen.setdefault(frame["seq"], frame["output"]) == frame["output"]
            if not done:
                process = begun(folder, "--resume", run, "--quiet")
        outputs = [seen[number] for number in sorted(seen)]
        perhaps = {f"perhaps paid {id}": f"paid {id}" for id in IDS}
        assert [perhaps.get(output, output) for output in outputs] == SERVED
        paid = (folder / "paid.txt").read_text().split()
        assert len(paid) == len(set(paid)), "something was paid twice"
        assert {f"paid {id}" for id in paid} >= {output for output in outputs if output.startswith("paid")}
        assert {path.name for path in folder.glob("sent-*")} == {f"sent-{id}" for id in IDS}
        assert journals(folder) == [] or resume(folder, run).code == 0


def test_triage_is_killed_while_it_waits_for_approval_and_resumed(folder: Path) -> None:
    shutil.copytree(EXAMPLES / "triage", folder / "triage")
    program = folder / "triage" / "triage.agent"
    fleet = 'fleet office {\n  tier cloud = endpoint(secret("FAR_URL")) { serves ["smollm2-135m-instruct"] }\n}\n'
    program.write_text(program.read_text() + fleet)
    (folder / "triage" / "refunds.json").unlink(missing_ok=True)
    mail = "mail=I am Ada, ada@example.org. The tea of order 3 is stale. My $20 back!"
    with serving(words('{"Refund": {"order": 3, ', '"amount": 20}}')) as far:
        there = {"FAR_URL": far.url}
        process = begun(folder, "triage/triage.agent:triage", mail, "--durable", **there)
        run = waiting(process)
        kill(process)
        asked = len(far.bodies)
        (journal,) = journals(folder)
        assert journal.stat().st_mode & 0o077 == 0
        text = b"".join(path.read_bytes() for path in journal.parent.iterdir())
        assert b"ada@example.org" not in text
        # What is personal is not in the journal, so it is given again; something else is not taken for it.
        missing = resume(folder, run, "--approve", "yes", **there)
        assert (missing.code, json.loads(missing.out)["problems"][0]["slug"]) == (2, "input-again")
        other = resume(folder, run, "mail=Another mail", "--approve", "yes", **there)
        assert (other.code, json.loads(other.out)["problems"][0]["slug"]) == (2, "input-again")
        # Killed again while it waits, and asked again.
        process = begun(folder, "--resume", run, mail, **there)
        assert waiting(process) == run
        kill(process)
        done = resume(folder, run, mail, "--approve", "yes", **there)
        assert done.code == 0, done.out + done.err
        assert frames(done.out)[-1]["value"] == "Refunded $20.00 for order 3."
        assert len(far.bodies) == asked, "what the model said is in the journal"
    assert list(json.loads((folder / "triage" / "refunds.json").read_text())) == ["3"]
    assert journals(folder) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_by_hand_can_be_resumed(folder: Path, how: signal.Signals) -> None:
    process = begun(folder, "shop.agent:ask", "id=5", "--durable")
    run = waiting(process)
    out, err = kill(process, how)
    assert process.returncode == 130
    assert frames(out)[-1]["outcome"] == "interrupted"
    assert "Traceback" not in err
    done = resume(folder, run, "--approve", "no")
    assert (done.code, frames(done.out)[-1]["reason"]) == (3, "denied")
    assert resume(folder, run).code == 2


def test_one_process_at_a_time(folder: Path) -> None:
    process = begun(folder, "shop.agent:ask", "id=5", "--durable")
    run = waiting(process)
    second = resume(folder, run, "--approve", "yes")
    assert (second.code, json.loads(second.out)["problems"][0]["slug"]) == (3, "journal-in-use")
    kill(process)
    assert resume(folder, run, "--approve", "yes").code == 0
    assert (folder / "paid.txt").read_text() == "5\n"


def slug_of(done: Done) -> tuple[int, str]:
    return done.code, json.loads(done.out)["problems"][0]["slug"]


def test_a_journal_that_does_not_fit_is_refused_by_name(folder: Path) -> None:
    process = begun(folder, "shop.agent:ask", "id=5", "--durable")
    run = waiting(process)
    kill(process)
    (journal,) = journals(folder)
    assert slug_of(resume(folder, run[:-1] + "0")) == (2, "no-such-run")
    assert slug_of(resume(folder, "../../x")) == (2, "no-such-run")
    assert slug_of(resume(folder, run, "--durable")) == (2, "resumed-as-begun")
    (folder / "shop.agent").write_text(PROGRAM.replace("Pay {id}", "Spend {id}"))
    assert slug_of(resume(folder, run)) == (2, "journal-program")
    (folder / "shop.agent").write_text(PROGRAM)

    def changed(statement: str) -> Done:
        kept = folder / "kept"
        shutil.copytree(journal.parent, kept)
        database = sqlite3.connect(journal)
        database.execute(statement)
        database.commit()
        database.close()
        done = resume(folder, run, "--approve", "no")
        shutil.rmtree(journal.parent)
        kept.rename(journal.parent)
        return done

    assert slug_of(changed("PRAGMA user_version = 7")) == (3, "journal-version")
    assert slug_of(changed("PRAGMA application_id = 7")) == (3, "journal-damaged")
    assert slug_of(changed("DELETE FROM records WHERE number = 1")) == (3, "journal-damaged")
    assert slug_of(changed("UPDATE records SET said = replace(said, '5', '6') WHERE number = 1")) == (
        3,
        "journal-damaged",
    )
    assert slug_of(changed("UPDATE head SET said = replace(said, '0.1.0', '0.0.9')")) in (
        (3, "journal-version"),
        (3, "journal-damaged"),
    )
    data = bytearray(journal.read_bytes())
    data[:64] = bytes(64)
    kept = journal.read_bytes()
    journal.write_bytes(data)
    assert slug_of(resume(folder, run)) == (3, "journal-damaged")
    journal.write_bytes(kept)
    assert resume(folder, run, "--approve", "yes").code == 0


def test_a_full_disk_stops_the_run_by_name_and_loses_nothing(folder: Path) -> None:
    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (48_000, 48_000))

    ids = list(range(40))
    process = begun(folder, "shop.agent:serve", f"ids={ids}", "--durable", "--quiet", before=little)
    out, err = process.communicate(timeout=60)
    told = frames(out)
    assert process.returncode == 3, err
    assert told[-1]["reason"] == "not_journaled"
    assert any(frame.get("slug") == "journal-not-written" for frame in told)
    given = [frame["output"] for frame in told if frame["type"] == "item"]
    paid = (folder / "paid.txt").read_text().split()
    done = resume(folder, told[0]["resume"])
    assert done.code == 0, done.err
    more = [frame for frame in frames(done.out) if frame["type"] == "item"]
    # That the last item was read could not be written either, so it may be given again.
    first = more[0]["seq"]
    assert first in (len(given), len(given) - 1)
    outputs = given[:first] + [frame["output"] for frame in more]
    assert given == outputs[: len(given)]
    assert len(outputs) == 3 * len(ids) + 1
    after = (folder / "paid.txt").read_text().split()
    assert after[: len(paid)] == paid and len(after) == len(set(after))


def test_a_recorded_run_replays_to_the_same_frames(folder: Path) -> None:
    home = str(folder / "home")
    recorded = agentlang(
        "run", "shop.agent:serve", f"ids={IDS}", "--record", "run.journal", "--json", cwd=folder, AGENTLANG_HOME=home
    )
    assert recorded.code == 0, recorded.err
    (folder / "shop.py").unlink()
    again = agentlang("run", "shop.agent:serve", "--replay", "run.journal", "--json", cwd=folder, AGENTLANG_HOME=home)
    assert again.code == 0, again.err
    first, second = frames(recorded.out), frames(again.out)
    assert first[:-1] == second[:-1]
    for part in ("outcome", "timings"):
        assert first[-1].get(part) == second[-1].get(part)
