"""What a call with labelled data says when it fails, as whole commands: the words may quote the data, so they are kept
back from the terminal and from `--json`; those of a call without labels are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import agentlang

TOOLS = """
def fail(words): raise ValueError(f"cannot take {words}")
def wrong(words): return {"not": words}
def data(words): return {"mail": words}
"""
PROGRAM = """
type Card { number: Int }
tool fail(words: Text) -> Text = python("private:fail") effects []
tool wrong(words: Text) -> Int = python("private:wrong") effects []
tool data(words: Text) -> Json = python("private:data") effects []
pipeline relay(words: Text) -> Text { return fail(words) }
pipeline raised(words: Text @pii) -> Text { return relay(words) }
pipeline misfit(words: Text @pii) -> Int { return wrong(words) }
pipeline misread(words: Text @pii) -> Int { return (data(words) as Card).number }
pipeline open(words: Text) -> Text { return fail(words) }
pipeline stranger(words: Text @untrusted) -> Text { return fail(words) }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "private.py").write_text(TOOLS)
    (tmp_path / "private.agent").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize(
    ("pipeline", "slug"),
    [("raised", "tool-raised"), ("misfit", "tool-wrong-result"), ("misread", "conversion-failed")],
)
def test_the_words_of_a_failure_do_not_quote_labelled_data(folder: Path, pipeline: str, slug: str) -> None:
    words = ("run", f"private.agent:{pipeline}", "words=ada.lovelace@example.org")
    plain = agentlang(*words, cwd=folder)
    told = agentlang(*words, "--json", cwd=folder)
    assert plain.code == told.code == 3
    assert f"error[{slug}]" in plain.err and "kept back" in plain.err and "@pii" in plain.err
    problem = next(line for line in map(json.loads, told.out.splitlines()) if line["type"] == "problem")
    assert problem["slug"] == slug
    for sink in (plain.out, plain.err, told.out, told.err):
        assert "lovelace" not in sink.lower()


@pytest.mark.parametrize("pipeline", ["open", "stranger"])
def test_without_a_label_that_keeps_them_they_are_told(folder: Path, pipeline: str) -> None:
    done = agentlang("run", f"private.agent:{pipeline}", "words=a plain word", cwd=folder)
    assert done.code == 3
    assert "cannot take a plain word" in done.err
