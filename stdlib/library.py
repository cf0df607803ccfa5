"""The library as one value: what the compiler asks (shapes, demands) and what the executor asks (kinds, openers).

Lower layers never import the standard library; they are handed this. Nothing is loaded until it is asked for. Kinds of
strangers come in by the entry point group `agentlang.kinds`: a name before the colon of an entry, and a module with the
same two tables as ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ..base.problems import OutsideError, Problem
from ..executor.engines import UnknownEngine, engine
from ..executor.engines.packaged import PackagedModel
from ..executor.engines.protocol import Engine
from ..executor.kinds import Kind, Opener
from ..ir.graph import Demand, Graph, Handle
from ..ir.library import Batch, Called, ModelShape, Part, Sized
from ..lang.types import Type
from . import problems
from .catalogue import catalogue
from .demand import stage_demand, stage_size
from .extras import need_models
from .kinds import Environment
from .parts import parts_of
from .settings import Settings
from .store import entry, obtain
from .store.steps import Progress, silent

if TYPE_CHECKING:
    from ..ir.artifact import Artifact

OURS = ("embed", "given", "http", "list", "llm", "mcp", "memory", "process", "python", "search", "speech", "text")
ENTRY_POINTS = "agentlang.kinds"

# How our engines hold weights in memory: XLA in f32, ONNX Runtime as they lie in the file.
_HELD_BYTES = {"rerank": 1.0, "recognise": 0.8}
# What declares a model of the catalogue, by its name.
_MODELS = ("llm:model", "embed:model", "search:reranker")


# Ours of which some stages give the same answer each time: what these say is asked for before anything runs.
_REPEATABLE = ("embed", "list", "llm", "search", "text")


class KindModule(Protocol):
    """What stands behind one word. It may say of its stages, by name, that calls of them are repeatable: by a function
    `repeatable(name, arguments)`, and which of those are `HARMLESS` or `BATCHED`; and what they are made of, by a
    function `parts(name, call)` (see `ir.library`)."""

    def stages(self, environment: Environment) -> Mapping[str, Kind]: ...

    def openers(self, environment: Environment) -> Mapping[str, Opener]: ...


class Library:
    """The standard library for one program, whose `.agent` file lies in `folder`. `packages` are models, by name, whose
    functions came with a compiled package."""

    def __init__(
        self,
        folder: Path,
        progress: Progress = silent,
        warn: Callable[[Problem], None] | None = None,
        engine_name: str = "xla",
        settings: Settings | None = None,
        packages: Mapping[str, PackagedModel] | None = None,
    ) -> None:
        self._engines: dict[str, Engine] = {}
        self._engine_name = engine_name
        settings = settings or Settings()
        self._environment = Environment(
            folder,
            self._the_engine,
            progress,
            warn or _unheard,
            settings=settings,
            packages=packages or {},
        )
        self._stages: dict[str, Mapping[str, Kind]] = {}
        self._openers: dict[str, Mapping[str, Opener]] = {}
        self._shapes: dict[str, ModelShape] = {}

    @property
    def folder(self) -> Path:
        """Where the program's files lie."""
        return self._environment.folder

    @property
    def packaged(self) -> bool:
        """Whether models run by functions that came in a package."""
        return bool(self._environment.packages)

    # What the executor asks.

    def kind(self, entry: str) -> Kind:
        """The kind behind `text:redact`. KeyError for an entry that nobody offers."""
        word, _, name = entry.partition(":")
        self._load(word)
        return self._stages[word][name]

    def opener(self, entry: str) -> Opener:
        """What opens a handle, by its constructor's entry. KeyError as above."""
        word, _, name = entry.partition(":")
        self._load(word)
        return self._openers[word][name]

    # What the compiler asks.

    def model_shape(self, handle: Handle) -> ModelShape | None:
        """The shape behind a declared model, from the catalogue; None for a name that it does not have."""
        known = catalogue().get(str(handle.arguments.get("name")))
        if known is None or known.shape is None:
            return None
        shape = known.shape
        weight_bytes, cache_bytes = shape.weight_bytes / shape.parameters, 2.0
        if known.runs and handle.arguments.get("engine") == "llamacpp":
            weight_bytes = known.size / shape.parameters  # as they lie in the file
        elif known.runs:
            weight_bytes, cache_bytes = _HELD_BYTES.get(known.role, 4.0), 4.0
            if handle.arguments.get("dtype") == "int8":
                weight_bytes = 1.0 + 4.0 / shape.d_model  # and a scale for each output
        found = ModelShape(
            name=known.name,
            layers=shape.layers,
            d_model=shape.d_model,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_dim=shape.head_dim,
            ffn=shape.ffn,
            vocab=shape.vocab,
            context=shape.context,
            parameters=shape.parameters,
            active_parameters=shape.active_parameters,
            weight_bytes=weight_bytes,
            cache_bytes=cache_bytes,
            file_bytes=float(known.size),
            sliding_window=shape.sliding_window,
            sliding_layers=shape.sliding_layers,
            experts=shape.experts,
            active_experts=shape.active_experts,
        )
        self._shapes[handle.name] = found
        return found

    def stage_demand(self, entry: str, operands: Mapping[str, Sized], result: Type) -> Demand | None:
        del result
        return stage_demand(entry, operands, self._shapes.get)

    def stage_size(self, entry: str, operands: Mapping[str, Sized], result: Type) -> Sized | None:
        del result
        return stage_size(entry, operands)

    def repeatable(self, entry: str, arguments: Mapping[str, object]) -> bool:
        word, _, name = entry.partition(":")
        asked = getattr(_telling(word), "repeatable", None)
        return asked is not None and bool(asked(name, arguments))

    def harmless(self, entry: str) -> bool:
        word, _, name = entry.partition(":")
        return name in getattr(_telling(word), "HARMLESS", ())

    def batched(self, entry: str) -> Batch | None:
        word, _, name = entry.partition(":")
        return getattr(_telling(word), "BATCHED", {}).get(name)

    def parts(self, call: Called) -> tuple[Part, ...]:
        word, _, name = call.entry.partition(":")
        known = parts_of(call)
        asked = None if known or word in OURS else getattr(_telling(word), "parts", None)
        return tuple(asked(name, call)) if asked is not None else known

    def functions(self, handles: Iterable[Handle]) -> dict[str, dict[str, bytes]]:
        """The functions of each declared model as StableHLO portable artifacts, by handle and name (`prefill_64_256`).

        As `artifacts`, one of each kind.
        """
        return {name: {each.name: each.data for each in made} for name, made in self.artifacts(handles).items()}

    def artifacts(self, handles: Iterable[Handle], longest: int = 0) -> dict[str, tuple[Artifact, ...]]:
        """The functions of each declared model, by handle: one of each kind, or with `longest` (in tokens) all that may
        run for inputs of up to that length. See `models.operators`.

        Raises `OutsideError` for a model that is not here, or is known by its shape alone. Imports JAX.
        """
        need_models("StableHLO of a model")
        from .models.operators import operators

        out: dict[str, tuple[Artifact, ...]] = {}
        for handle in handles:
            if handle.entry in _MODELS:
                known = entry(str(handle.arguments["name"]), handle.span)
                if known.shape is None:
                    continue  # a table of word vectors: there is no function
                files = obtain(known, self._environment.progress, handle.span)
                out[handle.name] = operators(known, files, longest)
        return out

    def serve(self, graph: Graph) -> frozenset[str]:
        """Ask the models that endpoints of the program serve there; which declared models can be asked from here."""
        from .served import reachable, served

        self._environment.endpoints.clear()
        self._environment.endpoints.update(served(graph, self._environment.settings))
        self._environment.unlabelled.clear()
        if any(model.disk for model in self._environment.settings.models.values()):
            from ..executor.labels import unlabelled_prompts

            self._environment.unlabelled.update(unlabelled_prompts(graph))
        return frozenset(
            handle.name
            for handle in graph.handles
            if reachable(self._environment.endpoints.get(str(handle.arguments.get("name"))))
        )

    def mask(self, text: str) -> str:
        """The text with every secret that this program has asked for replaced by its name."""
        return self._environment.secrets.mask(text)

    async def aclose(self) -> None:
        """End what kinds keep running between calls, such as the workers of Python tools. It may be used again."""
        for close in self._environment.closers:
            await close()

    def _the_engine(self, name: str) -> Engine:
        """The engine of that name; the usual one runs what came in packages. Raises `OutsideError` (engine-unknown)."""
        name = name or self._engine_name
        if name not in self._engines:
            self._engines[name] = self._make_engine(name)
        return self._engines[name]

    def _make_engine(self, name: str) -> Engine:
        if name == "xla" and self._environment.packages:
            from ..executor.engines.xla.engine import XlaEngine

            return XlaEngine(packages=self._environment.packages)
        try:
            return engine(name)
        except UnknownEngine as error:
            raise OutsideError(problems.engine_unknown(name, error.known)) from error

    def _load(self, word: str) -> None:
        if word in self._stages:
            return
        module = _module(word)
        self._stages[word] = module.stages(self._environment)
        self._openers[word] = module.openers(self._environment)


def _unheard(problem: Problem) -> None:
    del problem


@lru_cache(maxsize=64)
def _telling(word: str) -> KindModule | None:
    """The module behind a word, if it may have repeatable stages."""
    if word in OURS and word not in _REPEATABLE:
        return None
    with suppress(KeyError):
        return _module(word)
    return None


def _module(word: str) -> KindModule:
    if word in OURS:
        return cast(KindModule, import_module(f".kinds.{word}", __package__))
    for point in entry_points(group=ENTRY_POINTS, name=word):
        return cast(KindModule, point.load())
    raise KeyError(word)
