"""Which packages an extra brings, and the problem that names them where they are missing.

A plain install checks, formats and plans. What runs models comes with the extra `[models]`, and is asked for before
anything is fetched, so that nobody downloads weights that cannot be opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from ..base.problems import OutsideError
from . import problems

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "flatbuffers": "flatbuffers",
        "gguf": "gguf",
        "jax": "jax",
        "llguidance": "llguidance",
        "numpy": "numpy",
        "onnxruntime": "onnxruntime",
        "safetensors": "safetensors",
        "tokenizers": "tokenizers",
    }
)
"""Module to package, of the extra `[models]`."""

MCP: Mapping[str, str] = MappingProxyType({"mcp": "mcp"})
"""Module to package, of the extra `[mcp]`."""


def missing(modules: Mapping[str, str]) -> tuple[str, ...]:
    """The packages of `modules` that are not installed. Imports none of them."""
    return tuple(package for module, package in modules.items() if not _here(module))


def _here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it is a part of is missing
        return False


def need_models(what: str) -> None:
    """Raise `OutsideError` (extra-missing) unless what runs models is installed."""
    _need(what, MODELS, "models")


LLAMACPP: Mapping[str, str] = MappingProxyType(
    {
        "gguf": "gguf",
        "llguidance": "llguidance",
        "numpy": "numpy",
        "tokenizers": "tokenizers",
        "xllamacpp": "xllamacpp",
    }
)
"""Module to package, of the extra `[llamacpp]`."""


def on_hand(engine: str) -> bool:
    """Whether what an engine of ours needs is installed."""
    return not missing({"xla": MODELS, "split": MODELS, "llamacpp": LLAMACPP}.get(engine, {}))


def need_models_on(engine: str) -> None:
    """Raise `OutsideError` (extra-missing) unless what an engine of ours needs is installed."""
    if engine == "llamacpp":
        _need("running a chat model on llama.cpp", LLAMACPP, "llamacpp")
    elif engine in ("xla", "split"):
        need_models("running a chat model")


def need_mcp(what: str) -> None:
    """Raise `OutsideError` (extra-missing) unless what speaks to MCP servers is installed."""
    _need(what, MCP, "mcp")


def _need(what: str, modules: Mapping[str, str], extra: str) -> None:
    absent = missing(modules)
    if absent:
        raise OutsideError(problems.extra_missing(what, absent, extra))


# What else is asked for when it is used: module to package, by the name of the extra.
OTHERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "repl": MappingProxyType({"prompt_toolkit": "prompt-toolkit"}),
        "remote": MappingProxyType({"httpx2": "httpx2"}),
        "lsp": MappingProxyType({"pygls": "pygls", "lsprotocol": "lsprotocol"}),
        "observe": MappingProxyType(
            {
                "opentelemetry.sdk": "opentelemetry-sdk",
                "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
                "prometheus_client": "prometheus-client",
            }
        ),
    }
)


def need(extra: str, what: str) -> None:
    """Raise `OutsideError` (extra-missing) unless the packages of an extra are installed."""
    absent = missing(OTHERS[extra])
    if absent:
        raise OutsideError(problems.extra_missing(what, absent, extra))
