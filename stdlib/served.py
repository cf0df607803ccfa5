"""Models that somebody else serves, as a program declares them (`tier cloud = endpoint(…) { serves […] }`) and as the
place where it runs says it (`[endpoints.cloud]` of agentlang.toml): where each is asked, and opening it.

A model that an endpoint serves is asked there, also where this machine could run it: naming an endpoint says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..executor.engines.protocol import ChatModel, ModelFacts
from ..ir.graph import Graph
from .catalogue import catalogue
from .extras import need
from .settings.values import SecretName, Settings
from .tools.secrets import is_set

if TYPE_CHECKING:
    from .kinds import Environment

_CONTEXT = 131_072  # positions of a model that nothing is known of


@dataclass(frozen=True, slots=True)
class Served:
    """Where a model is asked: the `tier` that is an endpoint, its address (or the secret that holds it), the secret
    that opens it, and its price in dollars a token."""

    tier: str
    url: str | SecretName = field(repr=False)
    key: SecretName | None = None
    price: float | None = None


def served(graph: Graph, settings: Settings) -> dict[str, Served]:
    """By the models' names; the first endpoint of the file that serves one counts."""
    found: dict[str, Served] = {}
    for fleet in graph.fleets.values():
        tiers: Any = fleet["tiers"]
        for tier in tiers:
            given: Mapping[str, Any] = tier.get("endpoint", {})
            if not given:
                continue
            name = str(tier["name"])
            here = settings.endpoints.get(name)
            if here is not None:
                url, key = here.url, here.key
            else:
                url, key = given.get("url") or SecretName(str(given["secret"])), None
            for model in given["serves"]:
                found.setdefault(str(model), Served(name, url, key, given.get("price")))
    return found


def reachable(place: Served | None) -> bool:
    """Whether an endpoint's address is known here."""
    return place is not None and (isinstance(place.url, str) or is_set(place.url.name))


def open_served(environment: Environment, model: str) -> ChatModel:
    """The model, ready to be asked; no request is made. StageFailure (denied) where a secret is missing."""
    need("remote", "asking a model at an endpoint")
    from ..executor.engines.remote.client import Client, Endpoint
    from ..executor.engines.remote.model import RemoteModel

    place = environment.endpoints[model]
    secrets = environment.secrets
    url = secrets.value(place.url.name) if isinstance(place.url, SecretName) else place.url
    key = secrets.value(place.key.name) if place.key is not None else None
    known = catalogue().get(model)
    context = known.shape.context if known is not None else _CONTEXT
    facts = ModelFacts(model, context, known.shape.vocab if known is not None else 0, 0, 0)
    return RemoteModel(Client(Endpoint(place.tier, url, key, mask=secrets.mask)), model, facts, place.price)
