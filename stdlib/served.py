"""Models that somebody else serves, as a program declares them (`tier cloud = endpoint(…) { serves […] }`) and as the
place where it runs says it (`[endpoints.cloud]` of agentlang.toml): where each is asked, and opening it.

A model that an endpoint serves is asked there, also where this machine could run it: naming an endpoint says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from ..executor.engines.protocol import ChatModel, ModelFacts
from ..ir.graph import Graph
from .catalogue import catalogue
from .extras import need, need_models
from .settings.values import EndpointSettings, SecretName, Settings
from .tools.secrets import is_set

if TYPE_CHECKING:
    from ..executor.engines.remote.client import Client
    from ..executor.engines.remote.encoder import RemoteEncoder
    from .kinds import Environment

_CONTEXT = 131_072  # positions of a model that nothing is known of


@dataclass(frozen=True, slots=True)
class Served:
    """Where a model is asked: the `tier` that is an endpoint, its address (or the secret that holds it), the secret
    that opens it, its price in dollars a token, and how it is asked, where the settings say it."""

    tier: str
    url: str | SecretName = field(repr=False)
    key: SecretName | None = None
    price: float | None = None
    settings: EndpointSettings | None = None


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
                found.setdefault(str(model), Served(name, url, key, given.get("price"), here))
    return found


def reachable(place: Served | None) -> bool:
    """Whether an endpoint's address is known here."""
    return place is not None and (isinstance(place.url, str) or is_set(place.url.name))


def open_served(environment: Environment, model: str) -> ChatModel:
    """The model, ready to be asked; no request is made. StageFailure (denied) where a secret is missing."""
    from ..executor.engines.remote.dialects import Dialect
    from ..executor.engines.remote.model import RemoteModel

    known = catalogue().get(model)
    shape = known.shape if known is not None else None
    facts = ModelFacts(model, shape.context if shape else _CONTEXT, shape.vocab if shape else 0, 0, 0)
    place = environment.endpoints[model]
    said = place.settings
    dialect = Dialect(said.api, said.schemas) if said is not None else Dialect()
    return RemoteModel(_client(environment, model), model, facts, place.price, dialect)


async def open_served_encoder(environment: Environment, model: str) -> RemoteEncoder:
    """The encoder, after a first request. Raises as `open_served`, and `EndpointError`."""
    need_models("vectors of an endpoint")
    client = _client(environment, model)
    from ..executor.engines.remote.encoder import RemoteEncoder

    encoder = RemoteEncoder(client, model)
    try:
        await encoder.open()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await encoder.close()
        raise
    return encoder


def _client(environment: Environment, model: str) -> Client:
    need("remote", "asking a model at an endpoint")
    from ..executor.engines.remote.client import Client, Endpoint

    place = environment.endpoints[model]
    secrets = environment.secrets
    url = secrets.value(place.url.name) if isinstance(place.url, SecretName) else place.url
    key = secrets.value(place.key.name) if place.key is not None else None
    return Client(Endpoint(place.tier, url, key, mask=secrets.mask))
