"""What golden pages show of a placed program. The placement is written in comments: `# answer.chat.prefill on gpu`."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent_sources import checked
from ir_programs import SmallLibrary
from island_runs import divided

from agentlang.base.problems import has_errors
from agentlang.base.source import Source
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module

_PLACED = re.compile(r"^# (\S+) on (\w+)$", re.MULTILINE)
_BODIES = re.compile(r"^pipeline .*?(?=^pipeline |^goal |^fleet |\Z)", re.MULTILINE | re.DOTALL)


def ready(source: Source) -> Module:
    """The module that is placed."""
    program, problems = checked(source.text, source.path)
    assert program is not None and not has_errors(problems), problems
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, SmallLibrary(), passes=["inline_pipelines", "split_llm"])
    assert module is not None, problems
    return module


def placement(source: Source) -> dict[str, str]:
    return dict(_PLACED.findall(source.text))


def pipelines(module: Module) -> str:
    """The readable form of the pipelines alone."""
    return "\n".join(_BODIES.findall(module.text(pretty=True))).strip("\n")


def sent(source: Source) -> str:
    return pipelines(divided(ready(source), placement(source)).sent)


def islands(source: Source) -> str:
    made = divided(ready(source), placement(source)).islands
    return "\n\n".join(f"island {name}\n\n{pipelines(module)}" for name, module in made.items())


SHOWN: dict[str, Callable[[Source], str]] = {"sent": sent, "islands": islands}
