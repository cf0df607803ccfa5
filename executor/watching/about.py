"""What the stages of a graph are, in the words of those who watch: calls of models, calls of tools, or neither."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ...ir.graph import Graph, Operation, walk
from ...lang.types import HandleType
from ..machine.semantics import LEAVES

What = Literal["chat", "tool", "embeddings", "other"]

_CHAT = {"llm:tokenize", "llm:prefill", "llm:transfer", "llm:sample", "llm:decode", "llm:detokenize"}
_NUMBERED = re.compile(r"_\d+$")


@dataclass(frozen=True, slots=True)
class About:
    """Of one operation: `call` is the id of the call of the program that it is a part of (`answer.chat` of
    `answer.chat.decode`), its own id where it is whole. `name` is the model's or the tool's. `agents` are the calls of
    agents around it, outermost first, by id."""

    what: What
    call: str
    name: str = ""
    agents: tuple[tuple[str, str], ...] = ()


class Abouts:
    """`agents` are the names of the program's agents."""

    def __init__(self, graph: Graph, agents: Iterable[str] = ()) -> None:
        self._graph = graph
        self._agents = frozenset(agents)

    def __getitem__(self, stage: str) -> About:
        return self._all.get(stage) or About("other", stage)

    @cached_property
    def _all(self) -> Mapping[str, About]:
        found: dict[str, About] = {}
        models = {handle.name: str(handle.arguments.get("name") or handle.name) for handle in self._graph.handles}
        for pipeline in self._graph.pipelines:
            opened = {
                operation.results[0].id: str(operation.attributes["name"])
                for operation in walk(pipeline.body)
                if operation.name == "agent.open"
            }
            for operation in walk(pipeline.body):
                found[operation.id] = self._of(operation, opened, models)
        return found

    def _of(self, operation: Operation, opened: Mapping[int, str], models: Mapping[str, str]) -> About:
        handle = next((o for o in operation.operands if isinstance(o.type, HandleType)), None)
        model = models.get(opened.get(handle.id, ""), "") if handle is not None else ""
        entry = str(operation.attributes.get("entry") or LEAVES.get(operation.name, ""))
        tool = operation.attributes.get("tool")
        agents = self._agents_of(operation.id)
        if entry in _CHAT:
            return About("chat", operation.id.rpartition(".")[0], model, agents)
        if tool is not None:
            return About("tool", operation.id, str(tool), agents)
        if entry.startswith("embed:"):
            return About("embeddings", operation.id, model, agents)
        return About("other", operation.id, model, agents)

    def _agents_of(self, stage: str) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        path = ""
        for part in stage.split("."):
            path = f"{path}.{part}" if path else part
            name = _NUMBERED.sub("", part)
            if name in self._agents:
                found.append((path, name))
        return tuple(found)
