"""The routed engine: a chat model in several processes of this machine, each with its share of the cores, and a router
before them (`executor/routing`).

On an accelerator each process needs a device of its own: `environment` says which it sees.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from ....base.problems import OutsideError
from .. import engine
from ..families import Counted
from ..problems import model_does_not_load
from ..protocol import Capabilities, ChatModelSource, ChatTokenizer, Engine, ModelFacts, ModelSpec
from ..workers.process import Worker
from ..workers.recipes import Recipe, Remade
from .model import CountedRoutedModel, RoutedModel
from .process import ProcessModel
from .replicas import Instance, ProcessStarting, Start, begun
from .settings import Load, RoutedSettings


class RoutedEngine:
    """An `Engine`. Settings: see `RoutedSettings`. `environment` is added to that of an instance's process."""

    def __init__(
        self,
        settings: RoutedSettings | None = None,
        environment: Callable[[int], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self._settings = settings or RoutedSettings()
        self._environment = environment
        self._inner = engine(self._settings.engine)

    @property
    def name(self) -> str:
        return "routed"

    @property
    def capabilities(self) -> Capabilities:
        return routed_capabilities(self._inner, self._settings)

    async def load(self, spec: ModelSpec) -> RoutedModel:
        source = spec.source
        if source is None or not isinstance(source, Remade):
            why = "instances open the model's files in processes of their own, and this model has none"
            raise OutsideError(model_does_not_load(spec.name, why))
        # Opened here first: what has to be prepared on disk is prepared once.
        tokenizer, facts = await anyio.to_thread.run_sync(_open, source)
        if spec.context is not None:
            facts = replace(facts, context=min(facts.context, spec.context))
        recipe = source.recipe

        def made(worker: Worker, words: dict[str, Any]) -> ProcessModel:
            own = replace(facts, context=min(facts.context, int(words["context"])))
            return ProcessModel(own, tokenizer, worker)

        async def start(number: int) -> ProcessStarting:
            return await begun(self._load(spec, recipe, number), made, dict(self._environment(number)))

        return await routed(facts, tokenizer, start, self._settings, self._inner.capabilities.sequences_per_step)

    def _load(self, spec: ModelSpec, recipe: Recipe, number: int) -> Load:
        own = self._settings
        return Load(
            spec.name,
            recipe.maker,
            dict(recipe.arguments),
            spec.context,
            own.engine,
            cores_of(number, own),
            own.host_bytes / own.instances,
            own.disk_bytes,
            own.cache_bytes if own.cache_bytes is None else own.cache_bytes / own.instances,
        )


def routed_capabilities(inner: Engine, settings: RoutedSettings) -> Capabilities:
    known = inner.capabilities
    return replace(known, sequences_per_step=settings.instances * known.sequences_per_step, spreads=False)


def cores_of(number: int, settings: RoutedSettings) -> tuple[int, ...]:
    """The cores of an instance: its share of those that this process may run on, one behind the other."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    known = sorted(os.sched_getaffinity(0))
    share = settings.threads or max(1, len(known) // settings.instances)
    return tuple(known[(number * share + place) % len(known)] for place in range(min(share, len(known))))


async def routed(
    facts: ModelFacts, tokenizer: ChatTokenizer | None, start: Start, settings: RoutedSettings, rows: int
) -> RoutedModel:
    """A model of so many instances, all of them there. They are begun at once, so that they load beside each other."""
    instances = [Instance(number, start) for number in range(settings.instances)]
    try:
        async with anyio.create_task_group() as group:
            for instance in instances:
                group.start_soon(partial(instance.tend, wait=True))
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            for instance in instances:
                await instance.close()
        why = next((instance.why for instance in instances if instance.why is not None), None)
        if why is not None and isinstance(error, Exception):
            raise why from error
        raise
    least = min(instance.model.facts.context for instance in instances if instance.model is not None)
    facts = replace(facts, context=min(facts.context, least))
    # What an instance caches is its own affair; this is what it needs for full rows, and it says when it has less.
    counted = all(isinstance(instance.model, Counted) for instance in instances)
    made = CountedRoutedModel if counted else RoutedModel
    return made(facts, tokenizer, instances, settings, rows, rows * facts.context)


def _open(source: ChatModelSource) -> tuple[ChatTokenizer, ModelFacts]:
    return source.tokenizer(), source.facts()
