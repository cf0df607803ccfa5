"""The words for what can go wrong with an engine in a process of its own."""

from __future__ import annotations

from ....base.problems import Problem


def engine_gone(name: str, how: str, said: str | None, ran: str = "ran") -> Problem:
    return Problem(
        "engine-gone",
        f"the process that {ran} model {name!r} is gone: {how}",
        hint="a call that is made again finds a fresh one: `with retry(2)` on the call, or another model by `fallback`",
        detail=said,
    )


def link_cut(name: str) -> Problem:
    return Problem(
        "engine-gone",
        f"the cache of a prompt was lost on its way between the processes that run model {name!r}",
        hint="a call that is made again finds them connected: `with retry(2)` on the call",
    )


def cache_unusable(name: str, why: str = "") -> Problem:
    return Problem(
        "cache-unusable",
        f"a cache that came from elsewhere is none of model {name!r} as it runs here" + (f": {why}" if why else ""),
        hint="both sides need the same file of the model, and an engine of the same version",
    )
