"""An endpoint as an engine: whatever it serves can be loaded by its name."""

from __future__ import annotations

from dataclasses import replace

from ..protocol import Capabilities, ModelFacts, ModelSpec
from .client import Client, Endpoint
from .dialects import Dialect
from .model import PLAIN, RemoteModel

CONTEXT = 131_072
"""Positions of a model that nothing is known of."""
_AT_ONCE = 16


class RemoteEngine:
    """An `Engine`. Loading makes no request, so a model that is not there is told by the first that is."""

    def __init__(self, endpoint: Endpoint, dialect: Dialect = PLAIN) -> None:
        self._endpoint = endpoint
        self._dialect = dialect

    @property
    def name(self) -> str:
        return "remote"

    @property
    def capabilities(self) -> Capabilities:
        """What can be said of a device that nobody sees: how many it serves at once is a guess, and it is not trusted
        to be exact. It tells how likely tokens were where the endpoint does."""
        return Capabilities(sequences_per_step=_AT_ONCE, finds_prefixes=True, exact=False, logprobs=True)

    async def load(self, spec: ModelSpec) -> RemoteModel:
        facts = spec.source.facts() if spec.source else ModelFacts(spec.name, CONTEXT, 0, 0, 0)
        if spec.context is not None:
            facts = replace(facts, context=min(spec.context, facts.context))
        return RemoteModel(Client(self._endpoint), spec.name, facts, dialect=self._dialect)
