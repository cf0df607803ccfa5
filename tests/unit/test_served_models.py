"""How settings have models served: in instances, with room for what makes way; and whose prompts may lie on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import compiled

from agentlang.base.problems import OutsideError
from agentlang.base.source import Source
from agentlang.executor.engines.routed.engine import RoutedEngine
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.labels import unlabelled_prompts
from agentlang.stdlib.kinds.llm import served_as
from agentlang.stdlib.library import Library
from agentlang.stdlib.settings import read

SETTINGS = """
[models.small]
use = "smollm2-135m-instruct"
instances = 3
routing = "least_loaded"
cache = { memory = "1 GiB", disk = "4 GiB" }
"""

PROGRAM = """
use std/llm

model writer = llm.chat("smollm2-135m-instruct")

pipeline open(question: Text) -> Text {
  return all(writer.chat(question, max_tokens: 8))
}

pipeline closed(question: Text @pii) -> Text @pii {
  return all(writer.chat(question, max_tokens: 8))
}
"""


def test_settings_say_how_a_model_is_served() -> None:
    settings, problems = read(Source("agentlang.toml", SETTINGS))
    assert not problems
    serving = settings.serving("smollm2-135m-instruct")
    assert (serving.instances, serving.routing) == (3, "least_loaded")
    assert (serving.memory, serving.disk) == (2.0**30, 2.0**32)
    assert settings.serving("another").instances == 1
    environment = Library(Path(), settings=settings)._environment  # pyright: ignore[reportPrivateUsage]
    engine = served_as(environment, "smollm2-135m-instruct", XlaEngine())
    assert isinstance(engine, RoutedEngine) and engine.capabilities.sequences_per_step == 48
    plain = XlaEngine()
    assert served_as(environment, "another", plain) is plain
    with pytest.raises(OutsideError, match="puts no pages away"):
        served_as(environment, "smollm2-135m-instruct", RoutedEngine())


@pytest.mark.parametrize(
    "wrong", ["instances = 0", "instances = true", 'routing = "luck"', 'cache = { tape = "1 GiB" }', 'cache = "1 GiB"']
)
def test_what_cannot_be_is_said(wrong: str) -> None:
    _, problems = read(Source("agentlang.toml", f'[models.small]\nuse = "x"\n{wrong}\n'))
    assert len(problems) == 1
    assert problems[0].span is not None and problems[0].span.line == 3


def test_prompts_with_labels_lie_on_no_disk() -> None:
    graph = compiled(PROGRAM).graph
    free = unlabelled_prompts(graph)
    where = {name: [pipeline.name for pipeline in graph.pipelines if name.startswith(pipeline.name)] for name in free}
    assert len(free) == 1, free
    assert list(where.values()) == [["open"]]
