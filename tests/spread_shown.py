"""What golden pages show of a program whose model is spread over devices: how is written in a comment, `# spread 2` or
`# spread 1x4` (shards, and groups of experts)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent_sources import checked

from agentlang.base.problems import has_errors
from agentlang.base.source import Source
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.stdlib.library import Library

_SPREAD = re.compile(r"^# spread (\d+)(?:x(\d+))?$", re.MULTILINE)
_NEED = re.compile(
    r"^ +\| +(?:times|compute|traffic|footprint|network|disk|cpu|tokens_in|tokens_out) .*\n", re.MULTILINE
)
_BODIES = re.compile(
    r"^(?:step|pipeline|model) .*?(?=^step |^pipeline |^model |^goal |^fleet |\Z)", re.MULTILINE | re.DOTALL
)


def split(source: Source) -> Module:
    """The module after `split_llm`, `annotate_demand` and `split_parallel`."""
    program, problems = checked(source.text, source.path)
    assert program is not None and not has_errors(problems), problems
    found = _SPREAD.search(source.text)
    assert found is not None, "the page does not say how the model is spread"
    options = {"split_parallel": {"tensor": int(found[1]), "expert": int(found[2] or 1)}}
    module, problems = irc.lower(program)
    assert module is not None, problems
    passes = ["inline_pipelines", "split_llm", "annotate_demand", "split_parallel"]
    module, problems = irc.run_passes(module, Library(Path()), passes=passes, options=options)
    assert module is not None, problems
    return module


def shards(source: Source, needs: bool) -> str:
    """The readable form, with what the parts need or without."""
    text = split(source).text(pretty=True)
    shown = "\n".join(_BODIES.findall(text if needs else _NEED.sub("", text))).strip("\n")
    return re.sub(r"\n{3,}", "\n\n", shown)


SHOWN: dict[str, Callable[[Source], str]] = {
    "shards": partial(shards, needs=False),
    "shard-needs": partial(shards, needs=True),
}
