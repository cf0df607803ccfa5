"""What passes between stages, and the links of a fleet that it may pass."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

from ...base.problems import Problem, Problems
from ...base.units import show
from ...ir.graph import KvType, SamplerType
from ...lang.program import Fleet
from ...lang.program import Link as Declared
from .. import problems
from .asked import Asked
from .problem import Edge, Link, Requirement
from .tiers import Site

ANY = "*"
UNKNOWN_BYTES = 1024.0
"""Of a value whose size nobody knows."""
TOKEN_BYTES = 4.0


def edges(asked: Asked) -> tuple[Edge, ...]:
    """What passes from one stage to another, in the order of the walk's `moves`: the bytes of an item of a stream, or
    of a value, and how many of them a run makes."""
    found: list[Edge] = []
    for source, target in asked.run.moves:
        amount, items = _given(asked, source)
        found.append(Edge(source, target, amount / items, asked.run.executions[source] * items))
    return tuple(found)


def _given(asked: Asked, stage: str) -> tuple[float, float]:
    """The bytes that an execution gives, and the items that they come in."""
    known = asked.graph.pipeline(asked.pipeline).given.get(stage)
    if known is not None:
        return max(0.0, known.bytes.value(asked.sizes)), max(1.0, known.items.value(asked.sizes))
    operation, demand = asked.operation(stage), asked.demand(stage)
    kinds = [result.type for result in operation.results]
    if any(isinstance(kind, KvType) for kind in kinds):
        return max(demand.footprint.value(asked.sizes), demand.network.value(asked.sizes)), 1.0
    if any(isinstance(kind, SamplerType) for kind in kinds):
        return 0.0, 1.0
    made = demand.tokens_out.value(asked.sizes)
    if made > 0.0:
        return made * TOKEN_BYTES, max(1.0, made)
    return demand.tokens_in.value(asked.sizes) * TOKEN_BYTES or UNKNOWN_BYTES, 1.0


@dataclass(frozen=True, slots=True)
class Linked:
    links: tuple[Link, ...]
    requirements: tuple[Requirement, ...]
    problems: Problems


def linked(fleet: Fleet | None, sites: tuple[Site, ...]) -> Linked:
    """The links between tiers: of those that the fleet states the one that names most of a pair, both names before one
    name before none. Without any, values do not pass."""
    if fleet is None:
        return Linked((), (), ())
    found: list[Problem] = []
    for link in fleet.links:
        what = f"{link.left} <-> {link.right}"
        for name, amount, least in (("bandwidth", link.bandwidth, 1e-30), ("latency", link.latency, 0.0)):
            if not least <= amount.value < float("inf"):
                found.append(problems.bad_figure(f"the {name} of link {what}", show(amount), link.span))
    if found:
        return Linked((), (), tuple(found))
    made: list[Link] = []
    for left, right in combinations_with_replacement(sites, 2):
        stated = _between(fleet, left.name, right.name)
        if stated is not None and not (left is right and left.tier.endpoint):
            name = _name(stated)
            made.append(Link(left.name, right.name, stated.bandwidth.value, stated.latency.value, carries=name))
    used = {link.carries for link in made}
    required = [
        Requirement(_name(link), "link", f"{_name(link)} {show(link.bandwidth)}, {show(link.latency)}", str(link.span))
        for link in fleet.links
        if _name(link) in used
    ]
    if len(sites) > 1:
        text = "what one tier makes and another uses passes a link"
        required.append(Requirement("links", "links", text, str(fleet.span)))
    return Linked(tuple(made), tuple(required), ())


def _between(fleet: Fleet, left: str, right: str) -> Declared | None:
    fitting = [
        link
        for link in fleet.links
        if (link.left in (left, ANY) and link.right in (right, ANY))
        or (link.left in (right, ANY) and link.right in (left, ANY))
    ]
    return max(fitting, key=lambda link: (link.left != ANY) + (link.right != ANY), default=None)


def _name(link: Declared) -> str:
    return f"link {link.left} <-> {link.right}"
