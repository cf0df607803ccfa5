"""Stages at an endpoint: nothing is held or kept busy, tokens are paid for.

A call of a model is there as a whole: a KV cache never leaves an endpoint.
"""

from __future__ import annotations

from ..endpoints import ENDPOINT, FIRST_TOKEN, Served
from ..figures import Basis, Term, predicted
from .asked import CHAT, Asked
from .machines import tokens
from .problem import Option, Pool
from .tiers import Site


def endpoint_pool(site: Site) -> Pool:
    return Pool(site.name, site.name, 0, 0)


def serves(asked: Asked, site: Site, stage: str) -> bool:
    """Whether an endpoint serves the model of a stage."""
    handle = asked.handle(stage)
    if handle is None or handle.keyword != "model" or site.endpoint is None:
        return False
    return handle.arguments.get("name") in site.endpoint.serves


def at_endpoint(asked: Asked, site: Site, stage: str) -> Option:
    endpoint = site.endpoint
    assert endpoint is not None
    first = endpoint.first_token.value if endpoint.first_token else None
    place = Served(site.name, first, endpoint.rate.value if endpoint.rate else None)
    found = asked.time_at(stage, place, site)
    time = found.time
    if asked.operation(stage).name not in CHAT:
        # What is not made token by token is there when the first token would be.
        basis = Basis.ASSUMED if first is None else Basis.GIVEN
        seconds = FIRST_TOKEN if first is None else first
        term = Term(f"an answer of {site.name}", seconds, "s", basis, f"{seconds:g} s", stage)
        time = predicted(stage, "s", (term,), found.factor.error)
    price = endpoint.price.value if endpoint.price else 0.0
    return Option(
        pool=site.name,
        time=time,
        first=found.first,
        busy=0.0,
        dollars=price * tokens(asked, stage),
        noise=found.factor.noise,
        engine=ENDPOINT,
        together=tuple(other for other in asked.calls.get(stage, ()) if other != stage),
    )
