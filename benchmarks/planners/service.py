"""A service as a problem: one model that prefills and decodes, on devices of the catalogue, for so many requests a
second. Times are the fitted ones of the planner; pools are groups of one to eight devices with one of some batches."""

from __future__ import annotations

from collections.abc import Sequence

from agentlang.planner.catalogue import links
from agentlang.planner.figures import Basis, Figure
from agentlang.planner.rates import hourly
from agentlang.planner.serving import times
from agentlang.planner.space.nodes import Builder, Move, Take
from agentlang.planner.space.problem import (
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

from ..paper.sides import GROUPS, USABLE, Request, cache_bytes, entry, group

BATCHES = (16, 64, 192)
SPREAD = 0.1
"""The sigma of a stage's time."""


def service(
    request: Request,
    devices: Sequence[str],
    rate: float,
    first_token: float = 1.0,
    token_gap: float = 0.05,
    count: int = 32,
    convention: str = "annuity",
    guard: Request | None = None,
) -> Problem:
    """With a `guard` another model reads each prompt before, in groups of its own or beside the prompts. Promises: the
    first token at the 95th percentile, the median gap between tokens, and the rate. `count` devices of each kind there
    are at most."""
    shape = request.shape
    weights = shape.parameters * shape.weight_bytes
    cached = cache_bytes(shape)
    tiers: list[Tier] = []
    pools: list[Pool] = []
    guards: list[Option] = []
    prefills: list[Option] = []
    decodes: list[Option] = []
    for name in devices:
        of = entry(name, False)
        a_second = Figure(hourly(of, convention).value / 3600.0, "$/s", Basis.DERIVED, convention)
        tiers.append(
            Tier(
                name=name,
                device=name,
                low=0,
                high=count,
                memory=USABLE * of.memory.value,
                dollars=a_second,
                watts=of.power.value,
                convention=convention,
                counted=f"count {name}",
                held=f"memory {name}",
                title=of.title,
            )
        )
        if guard:
            pools.append(Pool(f"1 x {name}, guard", name, 1, 1))
            guards.append(_guarded(guard, pools[-1], name))
        for n in GROUPS:
            made = group(name, request.precision, False, n)
            room = n * USABLE * of.memory.value - weights
            if room < request.prompt * cached:
                continue
            pool = Pool(f"{n} x {name}", name, n, 1, tensor=n)
            time = times.prefill(shape, made, 1, request.prompt)
            held = (Held("weights", weights), Held("prompt", request.prompt * cached))
            joules = n * of.power.value * time.value
            pools.append(pool)
            prefills.append(Option(pool.name, time, time.value, time.value, held, joules=joules, noise=SPREAD))
            if guard:
                guards.append(_guarded(guard, pool, name))
            for batch in BATCHES:
                whole = batch * (request.prompt + request.reply) * cached
                if whole > room:
                    continue
                pool = Pool(f"{n} x {name}, {batch} at once", name, n, batch, tensor=n)
                step = times.decode_step(shape, made, batch, request.prompt + request.reply / 2)
                terms = [_many(term, request.reply) for term in step.terms]
                time = times.predicted("chat.decode", "s", terms, times.DECODE.error)
                held = (Held("weights", weights), Held("replies", whole))
                joules = n * of.power.value * time.value / batch
                pools.append(pool)
                decodes.append(Option(pool.name, time, step.value, time.value, held, joules=joules, noise=SPREAD))
    nodes = Builder()
    before = [nodes.add(Take("chat.prefill")), nodes.add(Move(0))]
    if guard:
        before = [nodes.add(Take("guard")), nodes.add(Move(1)), *before]
    first = nodes.sum([*before, nodes.add(Take("chat.decode", first=True))])
    last = nodes.sum([*before, nodes.add(Take("chat.decode"))])
    gap = nodes.add(Take("chat.decode", 1 / request.reply))
    promises = (
        Promise("first_token p95", "first_token", first_token, 95.0),
        Promise("token_gap p50", "token_gap", token_gap),
        Promise("rate", "rate", rate),
    )
    wire = links()["roce400"]
    between = tuple(
        Link(left, right, wire.bandwidth.value, wire.latency.value, 0.0, f"link {left} <-> {right}")
        for number, left in enumerate(devices)
        for right in devices[number:]
    )
    requirements = [Requirement(each.name, "promise", f"{each.kind} {each.limit:g}") for each in promises]
    for tier in tiers:
        requirements.append(Requirement(tier.counted, "count", f"at most {tier.high} {tier.name}"))
        requirements.append(Requirement(tier.held, "memory", f"memory of {tier.name}"))
    requirements += [Requirement(link.carries, "link", link.carries) for link in between]
    requirements.append(Requirement("links", "links", "links between devices"))
    return Problem(
        stages=(
            *((Stage("guard", tuple(guards)),) if guard else ()),
            Stage("chat.prefill", tuple(prefills)),
            Stage("chat.decode", tuple(decodes)),
        ),
        pools=tuple(pools),
        tiers=tuple(tiers),
        links=between,
        edges=(
            Edge("chat.prefill", "chat.decode", request.moved),
            *((Edge("guard", "chat.prefill", 4.0 * request.prompt),) if guard else ()),
        ),
        nodes=tuple(nodes.nodes),
        moments=(("first_token", first), ("token_gap", gap), ("finish", last)),
        promises=promises,
        requirements=tuple(requirements),
        rate=rate,
    )


def _guarded(guard: Request, pool: Pool, device: str) -> Option:
    """A model that only prefills: its answer is one token."""
    shape = guard.shape
    time = times.prefill(shape, group(device, guard.precision, False, pool.devices), 1, guard.prompt)
    held = (
        Held("weights of the guard", shape.parameters * shape.weight_bytes),
        Held("prompt of the guard", guard.prompt * cache_bytes(shape)),
    )
    joules = pool.devices * entry(device, False).power.value * time.value
    return Option(pool.name, time, time.value, time.value, held, joules=joules, noise=SPREAD)


def _many(term: times.Term, steps: float) -> times.Term:
    """A term of a step, of all steps."""
    return times.Term(term.name, steps * term.value, term.unit, term.basis, term.detail, "chat.decode")
