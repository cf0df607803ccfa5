"""Problems made by hand and at random: for what searches, explains, assembles and verifies plans.

`small_problem` can be worked out on paper. `random_problem` is small enough to be enumerated with few stages, has every
kind of requirement, and is sometimes feasible and sometimes not.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from random import Random

from agentlang.planner.figures import Basis, Figure, Prediction, Term, predicted
from agentlang.planner.space.evaluate import Outcome, evaluate
from agentlang.planner.space.nodes import Builder, Move, Node, Take
from agentlang.planner.space.problem import (
    MANY,
    Choice,
    Edge,
    Held,
    Link,
    Option,
    Pool,
    Problem,
    Promise,
    Requirement,
    Stage,
    Tier,
)

GB = 1e9


def seconds_of(stage: str, *parts: tuple[str, float]) -> Prediction:
    """A stage's time as the sum of these terms."""
    return predicted(stage, "s", [Term(name, value, "s", Basis.ASSUMED, "made", stage) for name, value in parts], 0.1)


def tier_of(name: str, *, low: int = 0, high: int = 4, memory: float = 80 * GB, hourly: float = 1.0) -> Tier:
    """A tier at so many dollars an hour, with its requirements named `count NAME` and `memory NAME`."""
    return Tier(
        name=name,
        device=name,
        low=low,
        high=high,
        memory=memory,
        dollars=Figure(hourly / 3600.0, "$/s", Basis.GIVEN, "made"),
        watts=300.0,
        convention="given",
        counted=f"count {name}",
        held=f"memory {name}",
        title=name.upper(),
    )


def required(tiers: tuple[Tier, ...], links: tuple[Link, ...], promises: tuple[Promise, ...]) -> list[Requirement]:
    """A requirement for everything of a problem that has one, each at a line of its own."""
    found = [Requirement(each.name, "promise", f"{each.kind} <= {each.limit:g}") for each in promises]
    for tier in tiers:
        if not tier.endpoint:
            found.append(Requirement(tier.counted, "count", f"count {tier.low}..{tier.high} of {tier.name}"))
            found.append(Requirement(tier.held, "memory", f"{tier.memory:.0f} bytes of {tier.name}"))
    found += [Requirement(link.carries, "link", f"link {link.left} <-> {link.right}") for link in links]
    found.append(Requirement("links", "links", "links of the fleet"))
    return [
        Requirement(each.name, each.kind, each.text, f"made.agent:{line}:3") for line, each in enumerate(found, start=1)
    ]


def small_problem(*, first_token: float = 0.6, finish: float = 12.0, rate: float | None = 2.0) -> Problem:
    """A prompt is prefilled and then decoded, on quick and dear devices or on slow and cheap ones, 10 GB of weights and
    a cache that moves between them.

    Idle: first token after 0.1 s + 0.2 s (quick) or 0.1 s + 0.5 s (slow), 4 s or 6 s of decoding after it, and 0.05 s
    for the cache to move between tiers.
    """
    weights = Held("weights of chat", 10 * GB)

    def option(pool: str, stage: str, first: float, busy: float, *parts: tuple[str, float], **more: float) -> Option:
        held = (weights, Held(f"cache of {stage}", more.get("cache", 2 * GB)))
        return Option(pool, seconds_of(stage, *parts), first, busy, held, joules=100.0, noise=0.05, engine="made")

    def decode(pool: str, seconds: float) -> Option:
        parts = (("weights / bandwidth", seconds * 0.75), ("KV cache / bandwidth", seconds * 0.25))
        return option(pool, "chat.decode", 0.0, seconds, *parts, cache=16 * GB)

    stages = (
        Stage(
            "chat.tokenize",
            tuple(Option(pool, seconds_of("chat.tokenize", ("cpu", 0.1)), 0.1, 0.0) for pool in ("quick", "slow")),
            place="made.agent:20:10",
        ),
        Stage(
            "chat.prefill",
            (
                option("quick", "chat.prefill", 0.2, 0.2, ("FLOPs / peak", 0.2)),
                option("slow", "chat.prefill", 0.5, 0.5, ("FLOPs / peak", 0.4), ("beyond the roofline", 0.1)),
            ),
            place="made.agent:20:10",
        ),
        Stage("chat.decode", (decode("quick", 4.0), decode("slow", 6.0)), place="made.agent:20:10"),
    )
    pools = (Pool("quick", "quick", 1, 8), Pool("slow", "slow", 1, 8))
    tiers = (tier_of("quick", hourly=8.0), tier_of("slow", hourly=2.0))
    links = (Link("quick", "slow", 10 * GB, 0.01, carries="link quick <-> slow"),)
    edges = (Edge("chat.tokenize", "chat.prefill", 4096.0), Edge("chat.prefill", "chat.decode", 0.4 * GB))
    nodes = Builder()
    prompt = nodes.sum([nodes.add(Take("chat.tokenize")), nodes.add(Move(0)), nodes.add(Take("chat.prefill"))])
    token = nodes.sum([prompt, nodes.add(Move(1)), nodes.add(Take("chat.decode", first=True))])
    last = nodes.sum([prompt, nodes.add(Move(1)), nodes.add(Take("chat.decode"))])
    gap = nodes.add(Take("chat.decode", 1 / 200))
    promises = [
        Promise("first_token p95", "first_token", first_token, 95.0),
        Promise("token_gap p50", "token_gap", 0.1),
        Promise("finish p95", "finish", finish, 95.0),
        Promise("cost", "cost", 0.01),
    ]
    if rate is not None:
        promises.append(Promise("rate", "rate", rate))
    return Problem(
        stages=stages,
        pools=pools,
        tiers=tiers,
        links=links,
        edges=edges,
        nodes=tuple(nodes.nodes),
        moments=(("first_token", token), ("token_gap", gap), ("finish", last)),
        promises=tuple(promises),
        requirements=tuple(required(tiers, links, tuple(promises))),
        rate=rate,
    )


def random_problem(seed: int, *, stages: int = 4, tiers: int = 2, high: int = 3) -> Problem:
    """A problem of so many stages in a graph of branches and joins; each tier has one pool or two, at most `high`
    devices, and sometimes an endpoint is one of them. Limits are those of some choice, by a factor around one, so that
    they are hard to keep together."""
    rng = Random(seed)
    names = tuple(f"tier{number}" for number in range(tiers))
    made = tuple(
        tier_of(
            name,
            low=rng.choice((0, 0, 0, 1)),
            high=rng.randint(1, high),
            memory=rng.choice((24, 48, 80)) * GB,
            hourly=round(rng.uniform(0.5, 8.0), 2),
        )
        for name in names
    )
    if tiers > 1 and rng.random() < 0.3:
        last = made[-1]
        nothing = Figure(0.0, "$/s", Basis.GIVEN, "made")
        endpoint = Tier(last.name, "endpoint", 0, MANY, 0.0, nothing, 0.0, endpoint=True, title="an endpoint")
        made = (*made[:-1], endpoint)
    pools: list[Pool] = []
    for tier in made:
        if tier.endpoint:
            pools.append(Pool(f"{tier.name}.all", tier.name, 0, 0))
            continue
        for number in range(rng.randint(1, 2)):
            devices = rng.choice((1, 1, 2))
            pools.append(Pool(f"{tier.name}.{number}", tier.name, devices, rng.choice((1, 4, 16)), tensor=devices))
    keeps = [Requirement("keep @private", "keep", "keep @private on [tier0]")] if rng.random() < 0.5 else []
    made_stages = _stages(rng, stages, made, tuple(pools), bool(keeps))
    links = tuple(
        Link(left, right, rng.choice((0.1, 1, 10)) * GB, rng.choice((1e-4, 0.02)), 0.0, f"link {left} <-> {right}")
        for number, left in enumerate(names)
        for right in names[number + 1 :]
        if rng.random() < 0.9
    )
    edges, nodes, moments = _shape(rng, made_stages)
    rate = round(rng.uniform(0.2, 2.0), 3) if rng.random() < 0.8 else None
    open_problem = Problem(
        stages=made_stages,
        pools=tuple(pools),
        tiers=made,
        links=links,
        edges=edges,
        nodes=nodes,
        moments=moments,
        promises=(),
        requirements=(),
        rate=rate,
        objective=rng.choice(("cheapest", "cheapest", "fastest", "greenest")),
    )
    promises = _promises(rng, open_problem)
    requirements = tuple(required(made, links, promises) + keeps)
    return replace(open_problem, promises=promises, requirements=requirements)


def _stages(
    rng: Random, count: int, tiers: tuple[Tier, ...], pools: tuple[Pool, ...], keeps: bool
) -> tuple[Stage, ...]:
    speeds = {pool.name: rng.uniform(0.5, 2.0) / max(1, pool.devices) for pool in pools}
    endpoints = {tier.name for tier in tiers if tier.endpoint}
    found: list[Stage] = []
    some, several = pools[0].name, len(pools) > 1
    for number in range(count):
        name = f"stage{number}"
        together = f"stage{number - 1}" if number and rng.random() < 0.15 else ""
        private = keeps and rng.random() < 0.3
        size = rng.uniform(0.05, 1.0)
        noise, weights = rng.choice((0.0, 0.1, 0.3)), rng.choice((1, 5, 20)) * GB
        held = (Held(f"weights {number % 2}", weights), Held(f"cache {number}", weights / 4))
        where: tuple[Option, ...] = found[number - 1].options if together else ()
        options: list[Option] = []
        for pool in pools:
            if where and all(option.pool != pool.name for option in where):
                continue
            if not where and several and rng.random() < 0.2:
                continue
            seconds = size * speeds[pool.name]
            remote = pool.tier in endpoints
            options.append(
                Option(
                    pool=pool.name,
                    time=seconds_of(name, ("made", seconds * 0.75), ("more", seconds * 0.25)),
                    first=seconds * 0.5,
                    busy=0.0 if remote else seconds,
                    held=() if remote else held,
                    dollars=rng.uniform(0.0, 0.002) if remote else 0.0,
                    joules=seconds * rng.uniform(100.0, 400.0),
                    noise=noise,
                    engine="made",
                    together=(together,) if together else (),
                    barred=("keep @private",) if private and pool.tier != "tier0" else (),
                )
            )
        if not options:
            options.append(Option(some, seconds_of(name, ("made", size)), size / 2, size, engine="made"))
        found.append(Stage(name, tuple(options), rng.choice((1.0, 1.0, 2.0, 0.5)), f"made.agent:{100 + number}:3"))
    return tuple(found)


def _shape(
    rng: Random, stages: tuple[Stage, ...]
) -> tuple[tuple[Edge, ...], tuple[Node, ...], tuple[tuple[str, int], ...]]:
    """Each stage follows one or two of those before it; the first token leaves with the last stage's first item."""
    nodes = Builder()
    ends: list[int] = []
    starts: list[int] = []
    edges: list[Edge] = []
    for number, stage in enumerate(stages):
        before = sorted(rng.sample(range(number), min(number, rng.choice((1, 1, 2)))))
        arrivals: list[int] = []
        for source in before:
            edges.append(Edge(stages[source].name, stage.name, rng.choice((1e3, 1e6, 1e8)), rng.choice((1.0, 2.0))))
            arrivals.append(nodes.sum([ends[source], nodes.add(Move(len(edges) - 1))]))
        starts.append(nodes.latest(arrivals))
        whole = nodes.scaled(nodes.add(Take(stage.name)), stage.executions)
        ends.append(nodes.sum([starts[-1], whole]))
    early = nodes.sum([starts[-1], nodes.add(Take(stages[-1].name, first=True))])
    gap = nodes.scaled(nodes.add(Take(stages[-1].name)), 1 / 50)
    finish = nodes.latest(ends)
    return tuple(edges), tuple(nodes.nodes), (("first_token", early), ("token_gap", gap), ("finish", finish))


def _promises(rng: Random, problem: Problem) -> tuple[Promise, ...]:
    """Limits around what some choice reaches."""
    kinds = rng.sample(("first_token", "token_gap", "finish", "cost", "energy"), rng.randint(1, 4))
    asked = tuple(
        Promise(kind, kind, 0.0, rng.choice((50.0, 95.0, 99.0)) if kind not in ("cost", "energy") else 50.0, soft=1.0)
        for kind in kinds
    )
    trial = replace(problem, promises=asked)
    some = next((evaluate(trial, choice) for choice in random_choices(trial, rng, 20)), None)
    found: list[Promise] = []
    for each in asked:
        reached = some.reached[each.name] if some else 1.0
        limit = (reached if 0.0 < reached < 1e9 else 1.0) * rng.choice((0.7, 0.95, 1.05, 1.3, 2.0))
        soft = rng.choice((0.001, 0.1)) if rng.random() < 0.2 else None
        found.append(Promise(each.name, each.kind, limit, each.percentile, soft))
    if problem.rate is not None:
        found.append(Promise("rate", "rate", problem.rate))
    return tuple(found)


def random_choices(problem: Problem, rng: Random, tries: int) -> Iterator[Choice]:
    """Choices that have a meaning, with as many replicas as fit; possibly none."""
    for _ in range(tries):
        options = tuple(rng.randrange(len(stage.options)) for stage in problem.stages)
        taken = {stage.name: stage.options[place].pool for stage, place in zip(problem.stages, options, strict=True)}
        wanted = [
            taken[other] == option.pool
            for stage, place in zip(problem.stages, options, strict=True)
            for option in (stage.options[place],)
            for other in option.together
        ]
        if all(wanted):
            replicas = tuple(rng.randint(1, 2) if pool.name in taken.values() else 0 for pool in problem.pools)
            yield Choice(options, replicas)


def all_choices(problem: Problem) -> Iterator[Choice]:
    """Every choice that has a meaning and takes no more devices than there are: for small problems only."""
    for options in product(*(range(len(stage.options)) for stage in problem.stages)):
        pools = [stage.options[place].pool for stage, place in zip(problem.stages, options, strict=True)]
        taken = dict(zip((stage.name for stage in problem.stages), pools, strict=True))
        chosen = [stage.options[place] for stage, place in zip(problem.stages, options, strict=True)]
        if any(taken[other] != option.pool for option in chosen for other in option.together):
            continue
        counts: list[range] = []
        for pool in problem.pools:
            most = problem.tier(pool.tier).high // max(1, pool.devices) if pool.slots else 1
            counts.append(range(1, most + 1) if pool.name in pools else range(1))
        for replicas in product(*counts):
            yield Choice(options, replicas)


def best(problem: Problem, without: tuple[str, ...] = ()) -> tuple[Choice, Outcome] | None:
    """The best choice by looking at all of them; the first of equal ones."""
    found: tuple[Choice, Outcome] | None = None
    for choice in all_choices(problem):
        outcome = evaluate(problem, choice, without)
        if outcome.holds and (found is None or outcome.objective < found[1].objective):
            found = (choice, outcome)
    return found
