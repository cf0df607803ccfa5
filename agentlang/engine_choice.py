"""Which engine runs a chat model where neither the program nor the settings say.

Only engines that `agentlang profile` measured here with the same model are weighed against each other: a plan on rates
that nobody has seen would choose by the roofline, which all engines share. For each choice the program is compiled and
planned again, because an engine holds weights in its own form, and so asks other bytes of the machine. The usual engine
stays where nothing else is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from .api import Compiled, compile, plan
from .base.frozen import frozen
from .lang.program import Argument, HandleDeclaration, Literal, Program
from .lang.types import TEXT

if TYPE_CHECKING:
    from .planner.calibrate import Calibration
    from .planner.hardware import Machine
    from .planner.place import Options
    from .planner.plan import Plan

USUAL = "xla"
CANDIDATES = (USUAL, "llamacpp")
"""Engines that run the same files, the usual one first."""
_MOST_CHOICES = 8
_CHAT = "llm:model"


@frozen
class Choice:
    """What was chosen: the program on its engines, by the model's declaration. `why` says it in words, one line for
    each model that there was a choice for."""

    compiled: Compiled
    engines: Mapping[str, str]
    why: tuple[str, ...] = ()

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Of `why`, what is said of models that are not on the usual engine."""
        return tuple(why for why, engine in zip(self.why, self.engines.values(), strict=False) if engine != USUAL)


@dataclass(frozen=True, slots=True)
class _Weighed:
    engines: dict[str, str]
    compiled: Compiled
    plan: Plan

    @property
    def missed(self) -> int:
        return sum(not (line.holds or line.soft) for line in self.plan.certificate)

    @property
    def seconds(self) -> float:
        return next((p.value for p in self.plan.predictions if p.name == "finish"), 0.0)

    @property
    def order(self) -> tuple[int, float, int]:
        """First the goal, then what it costs (on one machine, that is time), then the usual engine."""
        others = sum(name != USUAL for name in self.engines.values())
        return self.missed, self.plan.cost.per_run.value or self.seconds, others


def undecided(program: Program) -> dict[str, str]:
    """The chat models whose engine nobody names, by declaration, with their names in the catalogue."""
    found: dict[str, str] = {}
    for handle in program.handles:
        given = {argument.name: argument.value for argument in handle.arguments}
        name, engine, dtype = given.get("name"), given.get("engine"), given.get("dtype")
        if handle.constructor.entry != _CHAT or not isinstance(name, Literal):
            continue
        if not _said(engine) and not _said(dtype):
            found[handle.name] = str(name.value)
    return found


def with_engines(compiled: Compiled, engines: Mapping[str, str]) -> Compiled:
    """The program with these models on these engines. The usual one need not be named."""
    named = {model: engine for model, engine in engines.items() if engine != USUAL}
    if not named:
        return compiled
    handles = tuple(_on(handle, named.get(handle.name)) for handle in compiled.program.handles)
    program = replace(compiled.program, handles=handles)
    again, _ = compile(program, compiled.library)
    return again or compiled


def choose_engines(compiled: Compiled, pipeline: str, machine: Machine, *, options: Options | None = None) -> Choice:
    """The engines on which the pipeline keeps its goal on this machine, and then costs least."""
    from .planner import calibrate

    known = calibrate.load(machine.key)
    measured = {
        model: engines
        for model, name in undecided(compiled.program).items()
        if len(engines := _measured(known, name)) > 1
    }
    if not measured or compiled.library.packaged:
        return Choice(compiled, {})
    weighed: list[_Weighed] = []
    for engines in _choices(measured):
        variant = with_engines(compiled, engines)
        planned, _ = plan(variant, pipeline, machine, here=True, options=options)
        if planned is not None:
            weighed.append(_Weighed(engines, variant, planned))
    if not weighed:
        return Choice(compiled, {})
    best = min(weighed, key=lambda one: one.order)
    return Choice(best.compiled, best.engines, tuple(_why(best, weighed)))


def profiled(compiled: Compiled, engine: str, machine: Machine) -> None:
    """Remember that the program's chat models were measured on an engine. A cache that cannot be written loses that."""
    from .planner import calibrate

    names = undecided(compiled.program).values()
    with suppress(OSError):
        calibrate.save(calibrate.load(machine.key).with_profiled(engine, names))


def engines_of(planned: Plan, program: Program) -> dict[str, str]:
    """The engines on which a plan has the models that nobody else decides about."""
    free = undecided(program)
    return {stage.model: stage.engine for stage in planned.stages if stage.engine in CANDIDATES and stage.model in free}


def _choices(measured: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, str]]:
    """Each model on each engine; all on one where that would be too many."""
    total = 1
    for engines in measured.values():
        total *= len(engines)
    if total <= _MOST_CHOICES:
        for chosen in product(*measured.values()):
            yield dict(zip(measured, chosen, strict=True))
        return
    for engine in CANDIDATES:
        yield {model: engine if engine in engines else USUAL for model, engines in measured.items()}


def _measured(known: Calibration, name: str) -> tuple[str, ...]:
    """The engines that were profiled here with that model."""
    return tuple(engine for engine in CANDIDATES if (engine, name) in known.profiled)


def _why(best: _Weighed, weighed: list[_Weighed]) -> Iterator[str]:
    from .planner.figures import show_value

    for model, engine in best.engines.items():
        others = [one for one in weighed if one.engines[model] != engine]
        if others:
            other = min(others, key=lambda one: one.order)
            yield (
                f"model {model} runs on {engine}: finish {show_value(best.seconds, 's')}, "
                f"on {other.engines[model]} {show_value(other.seconds, 's')}"
                + (" and the goal is missed" if other.missed > best.missed else "")
            )


def _on(handle: HandleDeclaration, engine: str | None) -> HandleDeclaration:
    if engine is None:
        return handle
    chosen = Argument("engine", Literal(type=TEXT, span=handle.span, value=engine))
    return replace(handle, arguments=(*(a for a in handle.arguments if a.name != "engine"), chosen))


def _said(value: object) -> bool:
    return value is not None and not (isinstance(value, Literal) and not value.value)
