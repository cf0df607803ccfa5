"""What the place where a program runs (`agentlang.toml`) says of its tools: limits, variables, hosts."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import anyio

from ...executor.kinds import StageFailure
from .. import tool_problems as problems
from ..settings import SecretName, ToolSettings
from .limits import Limits
from .secrets import Secrets


def limits(settings: ToolSettings, needs: object = None, cpu: int | None = None) -> Limits:
    """The limits of a call. The memory that a stage says it needs (bytes) lifts the usual limit, but not one that the
    place has set."""
    usual = Limits(cpu=cpu)
    if settings.memory is not None:
        return replace(usual, memory=int(settings.memory))
    if isinstance(needs, int | float):
        return replace(usual, memory=max(usual.memory, int(needs)))
    return usual


def variables(given: Mapping[str, str | SecretName], secrets: Secrets) -> dict[str, str]:
    """Variables with the secrets among them looked up. Raises `StageFailure` (denied) for one that is not here."""
    return {n: secrets.value(v.name) if isinstance(v, SecretName) else v for n, v in given.items()}


@contextmanager
def in_time(settings: ToolSettings, tool: str) -> Generator[None]:
    """The block as one call, within the time that the place allows for it. The program's own deadlines hold besides."""
    try:
        with anyio.fail_after(settings.timeout):
            yield
    except TimeoutError:
        raise StageFailure("timeout", problems.tool_too_slow(tool, settings.timeout or 0.0)) from None
