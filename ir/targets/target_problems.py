"""The words for what can go wrong when a function is built for a target. One function per slug."""

from __future__ import annotations

from collections.abc import Sequence

from ...base.problems import Problem


def target_unknown(name: str, known: Sequence[str], near: str | None) -> Problem:
    hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
    return Problem("target-unknown", f"there is no target {name!r}", hint=hint)


def variant_unknown(target: str, variant: str, known: Sequence[str], near: str | None) -> Problem:
    title = f"the target {target} has no variant {variant!r}"
    if near:
        return Problem("target-unknown", title, hint=f"did you mean {target}:{near}?")
    has = f"it has {', '.join(f'{target}:{each}' for each in known)}" if known else f"write {target} alone"
    return Problem("target-unknown", title, hint=has)


def extra_missing(what: str, extra: str) -> Problem:
    title = f"{what} needs packages that are not installed: the extra [{extra}]"
    return Problem("extra-missing", title, hint=f"pip install 'agentlang-toolchain[{extra}]'")


def target_failed(function: str, target: str, why: str, detail: str | None = None) -> Problem:
    """The compiler refuses the function, dies, or takes too long."""
    return Problem(
        "target-failed",
        f"{function} cannot be built for {target}: {why}",
        hint="build it for cpu, which ships StableHLO and is compiled where it runs; and report this function",
        detail=detail,
    )


def artifact_unsound(function: str, target: str, why: str) -> Problem:
    """What the compiler gave is not what was asked for."""
    return Problem(
        "artifact-unsound",
        f"what was built of {function} for {target} is not that: {why}",
        hint="nothing was written; another version of the compiler may do better",
    )
