"""Bad input to the command: each ends with one clear problem, the right exit code, and nothing half written.

No weights are needed here: an empty home and no network stand in for a fresh machine.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path

import pytest
from cli_runs import EXAMPLES, agentlang, fresh_home

from agentlang.cli.main import COMMANDS

HELLO = EXAMPLES / "hello" / "hello.agent"
OTHERS = "(or check, test, plan …)"
SUMMARISE = EXAMPLES / "summarise" / "summarise.agent"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "p.agent"
    file.write_text(
        "use std/llm\n"
        'model writer = llm.chat("smollm2-135m-instruct")\n'
        "pipeline p(x: Text, n: Int = 1) -> stream Text {\n"
        '  return writer.chat("{x} {n}", max_tokens: 4)\n'
        "}\n"
    )
    return file


def written(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return name


@pytest.mark.parametrize(
    ("words", "code", "slug", "says"),
    [
        (["check", "nope.agent"], 2, "no-such-file", "nope.agent"),
        (["run", "nope.agent"], 2, "no-such-file", "nope.agent"),
        (["run", "nowhere/p.agent"], 2, "no-such-file", "nowhere"),
        (["check", "."], 2, "not-a-file", "is a folder"),
        (["run", "p.agent"], 2, "argument-missing", "'x'"),
        (["run", "p.agent", "hi"], 2, "argument-unnamed", "name=value"),
        (["run", "p.agent", "x=a", "x=b"], 2, "input-twice", "'x'"),
        (["run", "p.agent", "x=a", "z=b"], 2, "argument-unknown", "'z'"),
        (["run", "p.agent", "x=a", "n=many"], 2, "argument-type", "Int"),
        (["run", "p.agent", "x=a", "n=1.5"], 2, "argument-type", "Int"),
        (["run", "p.agent", "x=@nofile.txt"], 2, "no-such-file", "nofile.txt"),
        (["run", "p.agent", "--input", "nofile.json"], 2, "no-such-file", "nofile.json"),
        (["run", "p.agent:q", "x=a"], 2, "no-such-pipeline", "'q'"),
        (["run", "p.agent", "x=a", "--timeout", "3"], 2, "not-a-time", "--timeout"),
        (["run", "p.agent", "x=a", "--plan", "none.json"], 1, "no-such-file", "none.json"),
        (["plan", "p.agent", "--fleet", "moon"], 2, "plan-unknown-fleet", "moon"),
        (["compile", "p.agent", "--after", "split_lm"], 2, "unknown-pass", "split_llm"),
        (["models", "pull", "smollm2"], 2, "model-unknown", "smollm2"),
        (["models", "where", "llama-3-8b-instruct"], 2, "model-shape-only", "shape"),
        (["models", "remove", "all-minilm-l6-v2"], 3, "model-not-here", "all-minilm-l6-v2"),
        (["models", "pull", "all-minilm-l6-v2"], 3, "model-not-here", "AGENTLANG_OFFLINE"),
        (["run", "p.agent", "x=a"], 3, "model-not-here", "smollm2-135m-instruct"),
        (["hardware", "show", "h1000"], 2, "unknown-device", "h100"),
        (["frobnicate"], 2, "usage", "frobnicate"),
        (["check"], 2, "usage", "FILE"),
        (["run", "p.agent", "x=a", "--bogus"], 2, "usage", "--bogus"),
    ],
)
def test_one_problem_and_its_code(
    program: Path, words: list[str], code: int, slug: str, says: str, tmp_path: Path
) -> None:
    home = fresh_home(tmp_path / "home")
    done = agentlang(*words, cwd=program.parent, AGENTLANG_HOME=str(home), AGENTLANG_OFFLINE="1")
    assert done.code == code, done.err
    assert f"[{slug}]" in done.err
    assert says in done.err
    assert done.err.count("error[") == 1
    assert "next: " in done.err
    assert done.out == ""
    left = [p.name for p in home.rglob("*") if p.is_file() and not p.name.startswith((".", "hardware"))]
    assert not [name for name in left if name.endswith((".part", ".whl", ".gguf"))]


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b"", "empty-file"),
        (b"\n\n# nothing but words\n", "empty-file"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00", "not-text"),
        (b'pipeline p() -> Text { return "\xff" }', "not-text"),
        (b"# padding\n" * 520_000, "source-too-large"),
        (b"pipeline p() -> Int { return " + b"(" * 200_000, "too-deep"),
        (b"pipeline p() -> Int { return 1" + b" + 1" * 100_000 + b" }", "too-deep"),
    ],
    ids=["empty", "comments", "binary", "not UTF-8", "5 MB", "deep", "long sum"],
)
@pytest.mark.parametrize("command", ["check", "run", "plan", "compile", "fmt"])
def test_sources_that_are_none(tmp_path: Path, content: bytes, slug: str, command: str) -> None:
    if command == "fmt" and slug == "empty-file":
        pytest.skip("an empty file has a canonical form: itself")
    written(tmp_path, "bad.agent", content)
    done = agentlang(command, "bad.agent", cwd=tmp_path)
    assert done.code == 1, done.err
    assert f"error[{slug}]" in done.err
    assert len(done.err) < 5_000
    assert (tmp_path / "bad.agent").read_bytes() == content


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b"{", "input-not-json"),
        (b"[1, 2]", "input-not-json"),
        (b"\xff\xfe", "not-text"),
        (b"[" * 100_000, "input-not-json"),
        (b'{"documents": 3}', "argument-type"),
        (b'{"documents": ["a", null]}', "argument-type"),
        (b'{"document": ["a"]}', "argument-"),
    ],
)
def test_inputs_that_do_not_fit(content: bytes, slug: str) -> None:
    done = agentlang("run", SUMMARISE, "--input", "-", stdin=content)
    assert done.code == 2, done.err
    assert f"error[{slug}" in done.err


def test_check_looks_at_the_world_only_when_asked(tmp_path: Path) -> None:
    source = (EXAMPLES / "handbook" / "handbook.agent").read_text()
    swapped = source.replace('llm.chat("smollm2-135m-instruct")', 'llm.chat("all-minilm-l6-v2")')
    written(tmp_path, "h.agent", swapped.replace("ms-marco-minilm-l12", "ms-marco-minilm-112").encode())
    assert agentlang("check", "h.agent", cwd=tmp_path).code == 0
    done = agentlang("check", "--online", "--format", "concise", "h.agent", cwd=tmp_path)
    assert done.code == 1
    slugs = [line.split("error[")[1].split("]")[0] for line in done.err.splitlines()]
    assert slugs == ["wrong-role", "model-unknown", "no-documents"]
    assert agentlang("run", "h.agent", "question=why", cwd=tmp_path).code == 1


def test_check_json_is_one_document(tmp_path: Path) -> None:
    written(tmp_path, "bad.agent", b"use std/llm\npipeline p() -> Text { return nam }\n")
    done = agentlang("check", "--json", "bad.agent", cwd=tmp_path)
    assert done.code == 1
    problems = json.loads(done.out)
    assert {"unknown-name", "unused"} <= {p["slug"] for p in problems}
    assert all(p["span"]["path"] == "bad.agent" for p in problems)


def test_concise_lines_are_for_editors(tmp_path: Path) -> None:
    written(tmp_path, "bad.agent", b"pipeline p() -> Text {\n  return nam\n}\n")
    done = agentlang("check", "--format", "concise", "bad.agent", cwd=tmp_path)
    assert done.err.splitlines()[0].startswith("bad.agent:2:10: error[unknown-name]: ")


def test_json_failures_are_documents_too(tmp_path: Path) -> None:
    done = agentlang("run", "nope.agent", "--json", cwd=tmp_path)
    assert done.code == 2
    assert json.loads(done.out)["problems"][0]["slug"] == "no-such-file"


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    done = agentlang("check", HELLO, AGENTLANG_HOME=str(file / "home"))
    assert done.code == 0, done.err
    done = agentlang("models", "pull", "all-minilm-l6-v2", AGENTLANG_HOME=str(file / "home"))
    assert done.code == 3
    assert "error[store-unusable]" in done.err


def test_a_home_that_is_no_folder_costs_only_what_would_be_kept(tmp_path: Path) -> None:
    (tmp_path / "p.agent").write_text("pipeline p(x: Duration) -> Duration {\n  return x * 2\n}\n")
    (tmp_path / "home").write_text("")
    for words in (["check", "p.agent"], ["run", "p.agent", "x=2 s", "--quiet"], ["plan", "p.agent"]):
        done = agentlang(*words, cwd=tmp_path, AGENTLANG_HOME=str(tmp_path / "home"))
        assert done.code == 0, done.err
        assert words[0] != "run" or done.out == "4 s\n"


@pytest.mark.parametrize(
    ("words", "says", "following"),
    [
        (["rnu", "p.agent"], "'rnu' is no command of agentlang", "agentlang run …"),
        (
            ["p.agent", "x=1"],
            "'p.agent' is a program, and no command",
            f"agentlang run p.agent {OTHERS}",
        ),
        (["p.agent:p"], "'p.agent:p' is a program, and no command", f"agentlang run p.agent:p {OTHERS}"),
        (["zzzz"], "'zzzz' is no command of agentlang; there are init, check, ", "agentlang --help"),
        (["models", "lst"], "'lst' is no command of agentlang models", "agentlang models list …"),
        (["compile", "p.agent", "--emit", "mlr"], "'mlr' is no value of --emit", "--emit mlir"),
        (["run", "p.agent", "--quite"], "agentlang run has no option --quite", "--quiet"),
        (["run", "p.agent", "--timout=3s"], "agentlang run has no option --timout", "--timeout=3s"),
        (["run", "p.agent", "--zzzz"], "agentlang run has no option --zzzz", "agentlang run --help"),
        (["doctor", "now"], "agentlang doctor takes no 'now'", "agentlang doctor --help"),
    ],
)
def test_a_line_that_cannot_be_read_says_what_was_meant(
    program: Path, words: list[str], says: str, following: str
) -> None:
    done = agentlang(*words, cwd=program.parent)
    wrong, last = done.err.splitlines()
    assert (done.code, done.out) == (2, "")
    assert wrong.startswith(f"error[usage]: {says}") and last == f"  = next: {following}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_word_of_a_command_is_explained(command: str) -> None:
    parser = argparse.ArgumentParser()
    import_module(f"agentlang.cli.{command}").configure(parser)
    waiting = [parser]
    while waiting:
        for action in waiting.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()
            else:
                assert action.help, f"{command}: {action.option_strings or action.metavar}"
