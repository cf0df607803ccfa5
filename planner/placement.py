"""One pipeline on one tier, with everything known: the parts of its plan, each from the numbers before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..ir.graph import Graph
from ..ir.sizes import given as assumptions
from ..lang.program import Fleet, Goal, Tier
from .calibrate import Calibration
from .codec import digest
from .cost import opening_time
from .figures import Basis, Figure, Prediction, Term, predicted, show_value
from .goals import (
    LATENCIES,
    PLANNED,
    Load,
    carried,
    goal_plan,
    inequality,
    latency,
    moment_of,
    objective_of,
    rate_of,
    soft_of,
    summands,
)
from .hardware import Machine
from .moments import explain
from .options import Options
from .plan import (
    FORMAT,
    ChannelPlan,
    CostPlan,
    GoalPlan,
    Inequality,
    Inputs,
    Made,
    Plan,
    PoolPlan,
    Search,
    StagePlan,
    Tail,
    TierPlan,
    Workload,
)
from .predict import Forecast, forecast, opened, opened_as
from .rates import Rates
from .tails import MEDIAN
from .workload import Sizing, sizing

THIS_MACHINE = "this machine"
CHANNEL_ITEMS = 64


@dataclass(frozen=True, slots=True)
class Placement:
    """What a plan is made from. `program` is the digest of the program's text."""

    graph: Graph
    pipeline: str
    goal: Goal | None
    fleet: Fleet | None
    tier: Tier | None
    rates: Rates
    calibration: Calibration
    work: Sizing
    run: Forecast
    program: str
    options: Options
    machine: Machine

    @property
    def tier_name(self) -> str:
        return self.tier.name if self.tier else "cpu"

    @property
    def rate(self) -> float | None:
        """Runs a second that the goal promises, or None."""
        term = rate_of(self.goal)
        return term.limit.value if term and term.limit else None

    def load_of(self, instances: int) -> Load:
        """What one of so many instances is asked."""
        return Load(None if self.rate is None else self.rate / instances, self.run.busy_seconds)

    def with_sizes(self, sizes: Mapping[str, float]) -> Placement:
        """The same with some sizes given instead."""
        assumed = {**(assumptions(self.goal) if self.goal else {}), **self.options.measured, **sizes}
        work = sizing(self.graph, self.pipeline, assumed)
        run = forecast(self.graph, self.pipeline, work.values, self.rates, self.calibration, engine=self.options.engine)
        return replace(self, work=work, run=run)

    def plan(self, instances: int, considered: int) -> Plan:
        """The plan with so many instances of the tier."""
        load = self.load_of(instances)
        memory, cost, energy = self.memory(), self.cost(instances), self.energy()
        goals, tails = self.goals(instances, load, cost, energy)
        fits = memory.value <= self.rates.memory.value
        lines = summands(memory.terms)
        held = Inequality(
            name=f"memory of {self.tier_name}",
            kind="memory",
            requirement=f"memory {self.tier_name}",
            left=memory.value,
            right=self.rates.memory.value,
            unit="B",
            holds=fits,
            soft=False,
            basis=Basis.DERIVED,
            error=0.1,
            terms=lines,
        )
        rate = Figure(self.rate, "per s", Basis.GIVEN, "the goal") if self.rate is not None else None
        return Plan(
            format=FORMAT,
            pipeline=self.pipeline,
            inputs=self.inputs(),
            fleet=self.fleet.name if self.fleet else THIS_MACHINE,
            made=Made(self.machine, self.calibration, self.options, self.fleet.name if self.fleet else None),
            objective=objective_of(self.goal),
            objective_value=cost.per_run.value,
            tiers=(self.tier_plan(instances, load),),
            pools=(self.pool_plan(instances, load, memory),),
            links=(),
            stages=self.stages(instances, goals),
            channels=tuple(ChannelPlan(a, b, CHANNEL_ITEMS, "wait", None) for a, b in self.run.channels),
            workload=Workload(rate, self.work.figures),
            predictions=self.predictions(),
            load=self.load(),
            tails=tails,
            goals=goals,
            cost=cost,
            energy=energy,
            certificate=(held, *(inequality(term) for term in goals if term.met or term.soft is None)),
            search=Search("only choice", 0.0, considered),
            notes=(
                *(f"no demand is known of {stage}: it counts as free" for stage in self.run.free),
                *(f"model {name} is served by {tier}: it is not here" for name, tier in self.run.elsewhere.items()),
            ),
        )

    def inputs(self) -> Inputs:
        goal, fleet = "", ""
        if self.goal:
            terms = [(t.kind, t.percentile, t.limit.value if t.limit else None, t.word) for t in self.goal.terms]
            goal = digest(terms)
        if self.fleet:
            fleet = digest([(t.name, t.device, t.count) for t in self.fleet.tiers])
        return Inputs(
            program=self.program,
            graph=self.graph.digest,
            goal=goal,
            fleet=fleet,
            workload=digest(self.work.figures),
            hardware=digest(self.rates),
            calibration=self.calibration.digest,
        )

    def tier_plan(self, instances: int, load: Load) -> TierPlan:
        rates = self.rates
        return TierPlan(
            name=self.tier_name,
            device=rates.device,
            title=rates.title,
            here=rates.here,
            endpoint=False,
            count=self.tier.count if self.tier else (1, 1),
            devices=instances,
            used=instances,
            rates=rates.figures(),
            price=rates.price,
            convention=rates.convention,
            region="",
            utilisation=0.0 if load.rate is None else load.rate * load.service,
        )

    def pool_plan(self, instances: int, load: Load, memory: Prediction) -> PoolPlan:
        return PoolPlan(
            name=self.tier_name,
            tier=self.tier_name,
            devices=1,
            slots=1,
            tensor=1,
            pipeline=1,
            replicas=instances,
            service=load.service,
            load=0.0 if load.rate is None else load.rate * load.service,
            waits=(),
            memory=memory,
            capacity=self.rates.memory,
        )

    def memory(self) -> Prediction:
        """What one instance holds: every model and resource that the pipeline opens, and the largest moment of each."""
        terms: list[Term] = []
        for name in self.opened():
            demand = self.graph.handle(name).demand
            held = demand.footprint.value(self.work.values) if demand else 0.0
            if held:
                terms.append(Term(f"{name}, loaded", held, "B", Basis.DERIVED))
        largest: dict[str, Term] = {}
        for stage, time in self.run.times.items():
            held = time.footprint * self.run.at_once.get(stage, 1.0)
            whose = time.model or stage
            if held and (whose not in largest or held > largest[whose].value):
                largest[whose] = Term(f"{whose}, while it runs", held, "B", Basis.DERIVED, "", stage)
        return predicted("memory", "B", (*terms, *largest.values()), 0.1)

    def opened(self) -> tuple[str, ...]:
        """Handles that the pipeline uses, after those that they are made with."""
        return opened(self.graph, self.run.opened)

    def load(self) -> Prediction:
        """Opening models and resources, once, before the first run."""
        times = [
            opening_time(handle, self.work.values, self.rates.disk, self.calibration, opened_as(handle))
            for handle in map(self.graph.handle, self.opened())
        ]
        known = [time.time for time in times if time]
        total = sum(time.value for time in known)
        error = sum(time.high - time.value for time in known) / total if total else 0.0
        return predicted("load", "s", (term for time in known for term in time.terms), error)

    def predictions(self) -> tuple[Prediction, ...]:
        """Medians of one run on an idle tier."""
        kinds = ("finish",)
        if self.run.gap is not None:
            text = str(self.graph.pipeline(self.pipeline).result) == "stream Text"
            kinds = ("first_token" if text else "first_item", "token_gap" if text else "item_gap", "finish")
        moments = ((kind, moment_of(kind, self.run)) for kind in kinds)
        return tuple(explain(kind, moment, self.run.times) for kind, moment in moments if moment is not None)

    def stages(self, instances: int, goals: tuple[GoalPlan, ...]) -> tuple[StagePlan, ...]:
        run = self.run
        limit = next((term.limit for term in goals if term.term == "finish"), None)
        on_path = {part.stage: part.seconds for part in run.finish.path}
        out: list[StagePlan] = []
        for name, time in run.times.items():
            operation = run.operations[name]
            share = on_path.get(name, 0.0) / run.finish.at if run.finish.at else 0.0
            out.append(
                StagePlan(
                    id=name,
                    operation=operation.name,
                    entry=time.entry,
                    model=time.model,
                    option=0,
                    pool=self.tier_name,
                    tier=self.tier_name,
                    engine=time.engine,
                    dtype="",
                    tensor_parallel=int(str(operation.attributes.get("tensor", 1))),
                    pipeline_parallel=1,
                    batch=1,
                    instances=instances,
                    executions=run.executions[name],
                    time=time.time,
                    first=time.first,
                    busy=time.seconds,
                    joules_per_run=run.busy.get(name, 0.0) * self.rates.power.value,
                    budget=None if limit is None else share * limit,
                    dollars_per_run=run.busy.get(name, 0.0) * self.rates.price.value / 3600.0,
                    place=str(operation.span) if operation.span else "",
                )
            )
        return tuple(out)

    def cost(self, instances: int) -> CostPlan:
        """Without a rate, the machine is paid for while the run takes; with one, it is paid for around the clock."""
        price, busy, rate = self.rates.price, self.run.busy_seconds, self.rate
        a_second = price.value / 3600.0
        terms = [
            Term("machine time", seconds * a_second, "$", price.basis, f"{show_value(seconds, 's')} of it", stage)
            for stage, seconds in self.run.busy.items()
        ]
        if rate is None:
            taken = max(self.run.finish.at, busy)
            words = f"{show_value(taken, 's')} x {show_value(price.value, '$/h')}"
        else:
            taken = max(instances / rate, busy)
            words = f"{instances} x {show_value(price.value, '$/h')} / {rate * 3600:.4g} runs per h"
            if taken > instances / rate:
                words = f"{show_value(taken, 's')} x {show_value(price.value, '$/h')} (fully used)"
        if taken > busy:
            detail = f"{show_value(taken - busy, 's')} unused"
            terms.append(Term("idle share", (taken - busy) * a_second, "$", price.basis, detail))
        finish = explain("finish", self.run.finish, self.run.times)
        # A machine that is paid around the clock and not fully used costs the same however long a run takes.
        by_time = rate is None or taken > instances / rate
        error = (finish.high - finish.value) / finish.value if finish.value and by_time else 0.0
        per_run = predicted("cost", "$", terms, error)
        return CostPlan(per_run, per_run.value * 1000.0, self.rates.convention, f"{words}; price: {price.source}")

    def energy(self) -> Prediction:
        """Full power for as long as the run keeps the machine busy."""
        power = self.rates.power
        terms = [
            Term("power", s * power.value, "J", power.basis, f"{power.value:g} W x {show_value(s, 's')}", stage)
            for stage, s in self.run.busy.items()
        ]
        return predicted("energy", "J", terms, 0.5)

    def goals(
        self, instances: int, load: Load, cost: CostPlan, energy: Prediction
    ) -> tuple[tuple[GoalPlan, ...], tuple[Tail, ...]]:
        goals: list[GoalPlan] = []
        tails: list[Tail] = []
        soft = soft_of(self.goal)
        for term in self.goal.terms if self.goal else ():
            if term.kind not in PLANNED or term.limit is None:
                continue
            if term.kind in LATENCIES:
                prediction, tail = latency(term.kind, term.percentile or MEDIAN, self.run, load)
                tails += [tail] if tail else []
            elif term.kind == "rate":
                prediction = carried(instances, load.service)
            else:
                prediction = cost.per_run if term.kind == "cost" else energy
            goals.append(goal_plan(term, prediction, soft.get(term.kind)))
        return tuple(goals), tuple(tails)
