"""How the pools of a choice serve their models: the scheduler's settings, by the memory that is left for the cache, and
the times of its steps.

Those that run a model's prompts or replies in slots of their own on accelerators are served so; a device that does one
thing after the other has slots and a line, as any stage. Where the plan's times of a full batch hold more than the
parts of a step (idle experts that a batch reads, groups one behind the other), steps are longer by as much.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...ir.demand.llm import cache_bytes_per_token
from ...ir.library import ModelShape
from ...lang.program import Fleet
from ...planner.figures import Basis
from ...planner.space.asked import Asked
from ...planner.space.build import Built
from ...planner.space.problem import Choice, Option, Pool
from ...planner.space.served import CHUNK
from ...planner.space.served import Served as Offers
from ...planner.space.tiers import sites
from ..scheduler import Settings
from .program import Program, Served
from .steps import Modelled

PAGE = 64
PREFILL, DECODE = "agent.prefill", "agent.decode"
BESIDE = frozenset({"prompts", "prompts_all_reduce", "in turns", "the step under way"})
"""Terms of a plan's time that come of others' company, which a simulation finds by itself."""


def program_of(built: Built, choice: Choice, fleet: Fleet | None, page: int = PAGE) -> Program:
    """The program behind a problem, with the pools that serve its models; `page` positions make one of the cache."""
    made = built.made
    # What follows from other sizes is worked out for each run.
    own = {name: figure.value for name, figure in built.work.figures if figure.basis is not Basis.DERIVED}
    asked = Asked(built.graph, built.pipeline, built.run, built.work, made.options)
    places, _, _ = sites(fleet, made.machine, made.calibration, made.options)
    at = {site.name: site for site in places}
    used: dict[str, dict[str, Option]] = {}
    for stage, place in zip(built.problem.stages, choice.options, strict=True):
        option = stage.options[place]
        if stage.name in built.run.operations and asked.operation(stage.name).name in (PREFILL, DECODE):
            used.setdefault(option.pool, {})[stage.name] = option
    served: dict[str, Served] = {}
    for name, options in used.items():
        pool = built.problem.pool(name)
        model = asked.model(next(iter(options)))
        shape, site = asked.shape(model), at.get(pool.tier)
        if shape is None or site is None or not site.accelerated or pool.name == pool.tier:
            continue
        group = Offers(asked, site, model, shape).group(pool.tensor)
        times = Modelled(shape, group, pool.pipeline)
        times = _as_planned(times, asked, pool, options)
        served[name] = Served(_settings(pool, options, shape, site.tier.memory, page), times)
    return Program(built.graph, built.pipeline, own, served)


def _settings(pool: Pool, options: Mapping[str, Option], shape: ModelShape, memory: float, page: int) -> Settings:
    held: dict[str, float] = {}
    for option in options.values():
        for each in option.held:
            if not each.key.endswith("while it runs"):
                held[each.key] = max(held.get(each.key, 0.0), each.bytes)
    room = pool.devices * memory - sum(held.values())
    pages = max(1, int(room / (cache_bytes_per_token(shape) * page)))
    return Settings(pages=pages, page=page, rows=pool.slots, tokens=max(CHUNK, pool.slots), chunk=CHUNK)


def _as_planned(times: Modelled, asked: Asked, pool: Pool, options: Mapping[str, Option]) -> Modelled:
    """With what the plan's times of a full batch hold beyond the parts."""
    rows = prompts = 1.0
    for stage, option in options.items():
        own = sum(term.value for term in option.time.terms if term.name not in BESIDE)
        positions = asked.positions(stage, times.shape)
        if asked.operation(stage).name == DECODE:
            steps = max(0.0, asked.reply(stage) - 1.0)
            context = max(0.0, positions - asked.reply(stage) / 2.0)
            parts = steps * times.rows(pool.slots, int(context * pool.slots))
            rows = max(rows, own / parts if parts > 0.0 else 1.0)
        elif pool.slots:
            batch = pool.slots // pool.pipeline if " prefill " in pool.name else 1
            tokens = int(max(1.0, positions - asked.begun(stage, times.shape)))
            parts = times.prompts(((0, tokens),) * batch, beside=False)
            prompts = max(prompts, own / parts if parts > 0.0 else 1.0)
    return Modelled(times.shape, times.group, times.pipeline, rows, prompts)
