"""Programs as tools: real commands, their answers and their failures, and what a run leaves behind."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from tool_calls import BACKENDS, call, context, failure, library, run, value

from agentlang.executor.kinds import Context
from agentlang.lang.types import INT, TEXT, ListType, Primitive, Type
from agentlang.stdlib.tools.network import no_network


def hole(name: str) -> dict[str, Any]:
    return {"parts": ({"argument": name},)}


def of(*command: Any, result: Type = TEXT, effects: tuple[str, ...] = ("process",), **more: Any) -> Context:
    return context({"command": command, **more}, result, tool="command", effects=effects)


@pytest.mark.parametrize("backend", BACKENDS)
def test_arguments_reach_the_program_as_they_are(tmp_path: Path, backend: str) -> None:
    wild = 'a b; $(touch x) `y` "z" *\n'
    assert (
        call(library(tmp_path), "process:run", of("printf", "%s|", hole("x"), "end"), backend, x=wild) == f"{wild}|end|"
    )
    assert list(tmp_path.iterdir()) == []


def test_results_by_their_declared_type(tmp_path: Path) -> None:
    assert call(library(tmp_path), "process:run", of("echo", "[1, 2]", result=ListType(INT))) == (1, 2)
    assert call(library(tmp_path), "process:run", of("printf", r"\377", result=Primitive("Bytes"))) == b"\xff"


def test_a_program_reads_its_input_while_it_writes(tmp_path: Path) -> None:
    text = "line\n" * 100_000
    assert call(library(tmp_path), "process:run", of("cat", input=hole("x")), x=text) == text
    assert call(library(tmp_path), "process:run", of("head", "-n", "1", input=hole("x")), x=text) == "line\n"
    assert call(library(tmp_path), "process:run", of("cat")) == ""


def test_it_runs_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("found")
    assert call(library(tmp_path), "process:run", of("cat", hole("p")), p="page.txt") == "found"


@pytest.mark.parametrize("path", ["../page.txt", "inside/../../page.txt", "/etc/passwd", "link", "link/new", "../new"])
def test_a_path_in_an_argument_stays_in_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "page.txt").write_text("outside")
    (tmp_path / "project" / "inside").mkdir(parents=True)
    (tmp_path / "project" / "link").symlink_to(tmp_path)
    failed = failure(library(tmp_path / "project"), "process:run", of("cat", hole("p")), p=path)
    assert (failed.reason, failed.problem.slug) == ("denied", "tool-outside-folder")


@pytest.mark.parametrize("path", ["../page.txt", "/etc/passwd", "link"])
@pytest.mark.parametrize("before", ["--file=", "-f", "@", "--a=b,", "--exclude-from="])
def test_a_path_behind_an_option_stays_in_the_folder(tmp_path: Path, before: str, path: str) -> None:
    (tmp_path / "page.txt").write_text("outside")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "link").symlink_to(tmp_path)
    (tmp_path / "project" / "page.txt").write_text("inside")
    shop = library(tmp_path / "project")
    word = {"parts": (before, hole("p"))}
    failed = failure(shop, "process:run", of("echo", word), p=path)
    assert (failed.reason, failed.problem.slug) == ("denied", "tool-outside-folder")
    if before[0] == "-" and "," not in before:
        assert failure(shop, "process:run", of("echo", hole("p")), p=before + path).reason == "denied"
    assert call(shop, "process:run", of("echo", word), p="page.txt") == f"{before}page.txt\n"


@pytest.mark.parametrize(
    "word",
    [
        "a b",
        "q\"u'o",
        "new\nline",
        "; touch hacked",
        "$(touch hacked)",
        "`id`",
        "*",
        "~",
        "",
        "-n",
        "--help",
        "ü\U0001f600",
    ],
)
def test_whatever_an_argument_holds_is_one_argument(tmp_path: Path, word: str) -> None:
    script = "import json, sys; print(json.dumps(sys.argv[1:]))"
    shop = library(tmp_path)
    made = of(sys.executable, "-c", script, hole("p"), result=ListType(TEXT))
    assert call(shop, "process:run", made, p=word) == (word,)
    assert not list(tmp_path.iterdir())


def test_a_command_that_an_argument_leaves_empty(tmp_path: Path) -> None:
    failed = failure(library(tmp_path), "process:run", of(hole("p")), p="")
    assert failed.problem.slug == "tool-not-started" and "empty" in failed.problem.title


@pytest.mark.parametrize("word", ["/help", "a/b", "x..y", "https://example.com/../x", "-n", "a" * 5000])
def test_a_word_that_is_no_path_passes(tmp_path: Path, word: str) -> None:
    assert call(library(tmp_path), "process:run", of("printf", "%s", hole("p")), p=word) == word


@pytest.mark.parametrize(
    ("command", "result", "reason", "slug", "says"),
    [
        (("sh", "-c", "echo no such table >&2; exit 4"), TEXT, "tool_error", "command-failed", "exit code 4"),
        (("sh", "-c", "kill -SEGV $$"), TEXT, "tool_error", "tool-died", "signal 11"),
        (("no-such-program",), TEXT, "tool_error", "tool-not-started", "No such file"),
        (("echo", "three"), INT, "bad_output", "tool-wrong-result", "not JSON"),
        (("echo", '"three"'), INT, "bad_output", "tool-wrong-result", "must be Int"),
        (("yes", "y" * 1000), TEXT, "tool_error", "tool-result-too-large", "64 MiB"),
    ],
)
def test_it_fails_by_name(tmp_path: Path, command: Any, result: Type, reason: str, slug: str, says: str) -> None:
    failed = failure(library(tmp_path), "process:run", of(*command, result=result))
    assert (failed.reason, failed.problem.slug) == (reason, slug)
    assert says in failed.problem.title


def test_a_failure_shows_what_was_printed(tmp_path: Path) -> None:
    failed = failure(library(tmp_path), "process:run", of("sh", "-c", "echo no such table >&2; exit 4"))
    assert "no such table" in (failed.problem.detail or "")


def test_a_memory_hog_ends(tmp_path: Path) -> None:
    failed = failure(library(tmp_path), "process:run", of(sys.executable, "-c", "x = bytearray(3 << 30)"))
    assert failed.problem.slug == "command-failed" and "MemoryError" in (failed.problem.detail or "")


def test_printing_without_end_neither_blocks_nor_fills_the_disk(tmp_path: Path) -> None:
    noisy = "import os\nfor _ in range(500): os.write(2, b'x' * 99_999 + b'\\n')\nprint('done')"
    assert call(library(tmp_path), "process:run", of(sys.executable, "-c", noisy)) == "done\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancelled_command_ends_with_everything_it_started(tmp_path: Path, backend: str) -> None:
    script = f"setsid sleep 1000 & echo $! > {tmp_path}/child; sleep 1000 & echo $! >> {tmp_path}/child; sleep 1000"
    folder = library(tmp_path)

    async def work() -> float:
        async with anyio.create_task_group() as group:
            group.start_soon(value, folder, "process:run", of("sh", "-c", script))
            while not (tmp_path / "child").exists() or len((tmp_path / "child").read_text().split()) < 2:
                await anyio.sleep(0.01)
            began = time.monotonic()
            group.cancel_scope.cancel()
        return time.monotonic() - began

    assert run(folder, work, backend) < 2.0
    for process in (tmp_path / "child").read_text().split():
        assert not Path(f"/proc/{process}").exists()


def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    script = "(setsid sleep 1000 >/dev/null 2>&1 & echo $!)"
    process = call(library(tmp_path), "process:run", of("sh", "-c", script)).strip()
    assert process.isdigit() and not Path(f"/proc/{process}").exists()


@pytest.mark.skipif(no_network() is None, reason="this system cannot close the network to a process")
@pytest.mark.parametrize(("effects", "end"), [(("process",), "closed"), (("process", "network"), "open")])
def test_network_only_where_it_is_declared(tmp_path: Path, effects: tuple[str, ...], end: str) -> None:
    script = (
        "import socket\ntry: socket.socket(); print('open', end='')\nexcept PermissionError: print('closed', end='')"
    )
    assert call(library(tmp_path), "process:run", of(sys.executable, "-c", script, effects=effects)) == end
    wrapped = of("sh", "-c", f'"{sys.executable}" -c "$0"', script, effects=effects)
    assert call(library(tmp_path), "process:run", wrapped) == end


def test_a_secret_is_handed_over_and_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "very-secret-value")
    script = "echo the key is $0 >&2; exit 1"
    failed = failure(library(tmp_path), "process:run", of("sh", "-c", script, {"secret": "SHOP_KEY"}))
    assert "the key is [secret SHOP_KEY]" in (failed.problem.detail or "")
    assert "very-secret-value" not in str(failed.problem)
    monkeypatch.delenv("SHOP_KEY")
    missing = failure(library(tmp_path), "process:run", of("sh", "-c", script, {"secret": "SHOP_KEY"}))
    assert (missing.reason, missing.problem.slug) == ("denied", "secret-missing")
