"""What the stages of a program ask of any tier, by the nominal walk: operations, sizes, models, what goes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ...ir.demand.llm import cache_bytes_per_token
from ...ir.graph import Demand, Graph, Handle, Operation
from ...ir.library import ModelShape
from ..cost import HOST, StageTime, stage_time
from ..endpoints import Served, endpoint_time
from ..options import Options
from ..predict import ENGINE_OPERATIONS, Forecast, behind, fitted_for, opened
from ..workload import Sizing
from .problem import Held
from .tiers import Site

PREFILL, DECODE, TRANSFER = "agent.prefill", "agent.decode", "agent.kv_transfer"
CHAT = frozenset({PREFILL, DECODE, TRANSFER, "agent.tokenize", "agent.sample", "agent.detokenize"})
"""The stages of a call of a language model."""

STORED: Mapping[str, float] = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5}
"""Bytes of a weight by number format."""


@dataclass(frozen=True)
class Asked:
    """One run of a pipeline. (Not slotted: what is asked often is kept.)"""

    graph: Graph
    pipeline: str
    run: Forecast
    work: Sizing
    options: Options
    alone: bool = False
    """Whether one machine does everything."""

    @property
    def elsewhere(self) -> Mapping[str, str]:
        """Models that a machine which does everything asks an endpoint of the file for; to a fleet of several tiers
        only its own endpoints count."""
        return self.run.elsewhere if self.alone else {}

    @cached_property
    def sizes(self) -> Mapping[str, float]:
        return self.work.values

    @cached_property
    def handles(self) -> Mapping[str, Handle]:
        return {handle.name: handle for handle in self.graph.handles}

    @cached_property
    def makers(self) -> Mapping[int, str]:
        """The stage that makes each value."""
        return {value.id: stage for stage, operation in self.run.operations.items() for value in operation.results}

    @cached_property
    def calls(self) -> Mapping[str, tuple[str, ...]]:
        """For each stage of a model's call all stages of that call, itself among them: those between which tokens, a
        KV cache or the choice of the next token pass. Calls that begin with one prefix are one."""
        whose: dict[str, str] = {stage: stage for stage in self.run.operations if self.chats(stage)}

        def root(stage: str) -> str:
            while whose[stage] != stage:
                stage = whose[stage]
            return stage

        for stage in whose:
            for source in self.sources(stage):
                if source in whose and self.model(source) == self.model(stage):
                    whose[root(stage)] = root(source)
        groups: dict[str, list[str]] = {}
        for stage in whose:
            groups.setdefault(root(stage), []).append(stage)
        return {stage: tuple(groups[root(stage)]) for stage in whose}

    def sources(self, stage: str) -> Iterator[str]:
        """The stages whose results a stage takes as they are."""
        for value in self.run.operations[stage].operands:
            if value.id in self.makers:
                yield self.makers[value.id]

    def chats(self, stage: str) -> bool:
        return self.run.operations[stage].name in CHAT

    def model(self, stage: str) -> str:
        return self.run.times[stage].model

    def handle(self, stage: str) -> Handle | None:
        return self.handles.get(self.model(stage))

    def demand(self, stage: str) -> Demand:
        demand = self.run.operations[stage].demand
        assert demand is not None  # a stage is what has one
        return demand

    def executions(self, stage: str) -> float:
        return self.run.counted.get(stage, self.run.executions[stage])

    def at_once(self, stage: str) -> float:
        return self.run.at_once.get(stage, 1.0)

    def engine(self, stage: str) -> str:
        """What runs a stage: what the declaration of its model says, else what is planned for."""
        if self.run.operations[stage].name not in ENGINE_OPERATIONS:
            return HOST
        handle = self.handle(stage)
        return str((handle.arguments.get("engine") if handle else None) or self.options.engine)

    def fitted_for(self, stage: str) -> str:
        handle = self.handle(stage)
        return fitted_for(self.run.operations[stage], behind(handle) if handle else self.model(stage))

    def shape(self, model: str) -> ModelShape | None:
        """The shape of a model as its weights are stored: as the declaration says, else as the library does."""
        handle = self.handles.get(model)
        if handle is None or handle.shape is None:
            return None
        shape, dtype = handle.shape, self.dtype(model)
        if dtype in STORED:
            from dataclasses import replace

            return replace(shape, weight_bytes=STORED[dtype])
        return shape

    def dtype(self, model: str) -> str:
        """What the declaration says that weights are stored in, or nothing."""
        handle = self.handles.get(model)
        return str((handle.arguments.get("dtype") if handle else None) or "")

    # --- times -------------------------------------------------------------------------------------------------------

    def time_on(self, stage: str, site: Site) -> StageTime:
        """One execution with a device, or its host, to itself."""
        assert site.rates is not None
        return stage_time(
            self.run.operations[stage],
            self.demand(stage),
            self.sizes,
            site.rates,
            site.calibration,
            model=self.model(stage),
            engine=self.engine(stage),
            fitted_for=self.fitted_for(stage),
        )

    def time_at(self, stage: str, place: Served, site: Site) -> StageTime:
        """One execution at an endpoint."""
        return endpoint_time(
            self.run.operations[stage],
            self.demand(stage),
            self.sizes,
            site.calibration,
            place,
            model=self.model(stage),
            fitted_for=self.fitted_for(stage),
        )

    # --- memory ------------------------------------------------------------------------------------------------------

    def loaded(self, model: str) -> tuple[Held, ...]:
        """What is held for as long as a model or resource is open, and those that it is made with."""
        if model not in self.handles:
            return ()
        names = [name for name in opened(self.graph, (model,)) if name not in self.elsewhere]
        return tuple(held for name in names if (held := self.weights(name)).bytes)

    def weights(self, name: str) -> Held:
        demand = self.handles[name].demand
        return Held(f"{name}, loaded", demand.footprint.value(self.sizes) if demand else 0.0)

    def running(self, stage: str, time: StageTime) -> tuple[Held, ...]:
        """What as many executions hold as may be open at once."""
        held = time.footprint * self.at_once(stage)
        return (Held(f"{time.model or stage}, while it runs", held),) if held else ()

    # --- what a call of a language model asks ------------------------------------------------------------------------

    def positions(self, stage: str, shape: ModelShape) -> float:
        """Positions of the KV cache when a prefill or a decode ends."""
        own = self.handles[self.model(stage)].shape
        return self.demand(stage).footprint.value(self.sizes) / cache_bytes_per_token(own or shape)

    def begun(self, stage: str, shape: ModelShape) -> float:
        """Positions that a prefill begins with, computed for a prefix that others share."""
        parameters = self.run.operations[stage].attributes.get("parameters")
        names = parameters if isinstance(parameters, tuple) else ()
        for name, value in zip(names, self.run.operations[stage].operands, strict=False):
            if name == "prefix" and value.id in self.makers:
                return min(self.positions(self.makers[value.id], shape), self.positions(stage, shape))
        return 0.0

    def reply(self, stage: str) -> float:
        """Tokens that a decode makes."""
        return self.demand(stage).tokens_out.value(self.sizes)

    def decodes(self, stage: str) -> tuple[str, ...]:
        """The decodes of a call."""
        return tuple(s for s in self.calls.get(stage, ()) if self.operation(s).name == DECODE)

    def prefills(self, stage: str) -> tuple[str, ...]:
        return tuple(s for s in self.calls.get(stage, ()) if self.operation(s).name == PREFILL)

    def operation(self, stage: str) -> Operation:
        return self.run.operations[stage]
