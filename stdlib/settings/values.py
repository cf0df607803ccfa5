"""What the settings say, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...base.source import Source
from ...executor.routing import Policy


@dataclass(frozen=True, slots=True)
class SecretName:
    """Names a secret; `value` is looked up where it is used and kept nowhere."""

    name: str


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """`use` is the model of the catalogue that a name stands for, `engine` what runs it where the program does not say;
    None is the engine that runs by default. How it is served: in so many `instances`, each in a process of its own,
    chosen by `routing`; with so many bytes of `memory` and of the `disk` for what of its cache makes way."""

    use: str
    engine: str | None = None
    instances: int = 1
    routing: Policy = "cache_aware"
    memory: float = 0.0
    disk: float = 0.0


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a tool server is started: `command` is an argument list, `env` is added to its environment."""

    command: tuple[str, ...] = ()
    env: Mapping[str, str | SecretName] = field(default_factory=dict[str, "str | SecretName"])


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where models are served by somebody else: `url` of its API, `key` the secret that opens it; `api` and `schemas`
    how it is asked (see `executor/engines/remote/dialects.py`)."""

    url: str | SecretName
    key: SecretName | None = None
    api: str = "chat"
    schemas: str = "response_format"


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """Limits of tools. `allow` are private addresses (`host` or `host:port`) that http tools may reach all the same;
    `env` is added to the environment of Python and process tools, which see little of ours; `memory` in bytes,
    `timeout` in seconds, each of one call; None is the built-in limit."""

    allow: tuple[str, ...] = ()
    memory: float | None = None
    timeout: float | None = None
    env: Mapping[str, str | SecretName] = field(default_factory=dict[str, "str | SecretName"])


@dataclass(frozen=True, slots=True)
class Settings:
    """One file, with a profile applied. `source` is its text, None where there is no file."""

    source: Source | None = field(default=None, compare=False, repr=False)
    profile: str | None = None
    models: Mapping[str, ModelSettings] = field(default_factory=dict[str, ModelSettings])
    servers: Mapping[str, ServerSettings] = field(default_factory=dict[str, ServerSettings])
    endpoints: Mapping[str, EndpointSettings] = field(default_factory=dict[str, EndpointSettings])
    tools: ToolSettings = ToolSettings()

    def model(self, name: str) -> str:
        """The catalogue's name for what a program calls `name`."""
        known = self.models.get(name)
        return known.use if known is not None else name

    def serving(self, name: str) -> ModelSettings:
        """How a model of the catalogue is served: as the first that means it says."""
        return next((known for known in self.models.values() if known.use == name), ModelSettings(name))

    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets that the file speaks of, each once."""
        held = [value for server in self.servers.values() for value in server.env.values()]
        held += [value for endpoint in self.endpoints.values() for value in (endpoint.url, endpoint.key)]
        held += self.tools.env.values()
        return tuple(dict.fromkeys(value.name for value in held if isinstance(value, SecretName)))
