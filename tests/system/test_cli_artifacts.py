"""`compile --emit artifacts`: the functions of a program's models with both figures, as a table and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_runs import EXAMPLES, agentlang

from agentlang.base.problems import OutsideError
from agentlang.stdlib import store

HANDBOOK = EXAMPLES / "handbook" / "handbook.agent"


@pytest.mark.models
def test_functions_and_what_they_need() -> None:
    for name in ("smollm2-135m-instruct", "all-minilm-l6-v2", "ms-marco-minilm-l12"):
        try:
            store.obtain(store.entry(name))
        except OutsideError as error:
            pytest.skip(error.problem.title)
    table = agentlang("compile", HANDBOOK, "--emit", "artifacts").out
    assert re.search(r"^writer: smollm2-135m-instruct, StableHLO [0-9.]+ by jaxlib [0-9.]+$", table, re.MULTILINE)
    assert re.search(r"^ +operations +286\.7 M +28\d\.\d M +1\.0\d x$", table, re.MULTILINE)
    # Everything is kept now: nothing is compiled for the same question in another form.
    document = json.loads(agentlang("compile", HANDBOOK, "--emit", "artifacts", "--json").out)
    functions = {each["name"]: each for each in document["artifacts"]}
    assert list(functions) == ["prefill_64_256", "decode_256", "encode_8_64", "score_128"]
    assert all(re.search(rf"^  {name}  ", table, re.MULTILINE) for name in functions)
    assert [each["handle"] for each in functions.values()] == ["writer", "writer", "encoder", "judge"]
    decode = functions["decode_256"]
    assert decode["terms"]["cache"] == {"formula": 11796480.0, "compiled": 11796480.0, "ratio": 1.0}
    assert decode["terms"]["temporary"]["formula"] is None
    assert decode["needs"]["aliased"] == 11796480.0
    assert len(decode["donated"]) == 60 and len(decode["sha256"]) == 64


def test_a_program_without_models(tmp_path: Path) -> None:
    path = tmp_path / "plain.agent"
    path.write_text("pipeline twice(text: Text) -> Text { return text + text }\n")
    assert agentlang("compile", path, "--emit", "artifacts").out == "the program declares no model\n"
    assert json.loads(agentlang("compile", path, "--emit", "artifacts", "--json").out)["artifacts"] == []


def test_a_model_that_is_known_by_its_shape_has_no_functions(tmp_path: Path) -> None:
    path = tmp_path / "large.agent"
    path.write_text(
        """use std/llm
model writer = llm.chat("llama-3-8b-instruct")
pipeline say(text: Text) -> stream Text { return writer.chat(text, max_tokens: 8) }
"""
    )
    done = agentlang("compile", path, "--emit", "artifacts")
    assert done.code == 3 and "model-shape-only" in done.err
