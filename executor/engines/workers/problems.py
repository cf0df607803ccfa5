"""The words for what can go wrong with an engine in a process of its own."""

from __future__ import annotations

from ....base.problems import Problem


def engine_gone(name: str, how: str, said: str | None) -> Problem:
    return Problem(
        "engine-gone",
        f"the process that ran model {name!r} is gone: {how}",
        hint="a call that is made again finds a fresh one: `with retry(2)` on the call, or another model by `fallback`",
        detail=said,
    )


def cache_unusable(name: str) -> Problem:
    return Problem(
        "cache-unusable",
        f"a cache that came from elsewhere is none of model {name!r} as it runs here",
        hint="both sides need the same file of the model, and an engine of the same version",
    )
