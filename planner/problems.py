"""The words for what can go wrong between a program and its plan. One function per slug; facts come in, a `Problem`
comes out. A missed goal is a warning, or an error where the caller enforces goals; the rest are errors."""

from __future__ import annotations

from ..base.problems import Problem, Related, Severity
from ..base.source import Span
from ..base.suggest import suggest
from .figures import show_value


def unknown_fleet(name: str, known: tuple[str, ...]) -> Problem:
    meant = suggest(name, known)
    listed = f"the file declares {', '.join(known)}" if known else "the file declares none; leave `--fleet` out"
    return Problem(
        "plan-unknown-fleet", f"no fleet is called {name!r}", hint=f"did you mean {meant!r}?" if meant else listed
    )


def which_fleet(known: tuple[str, ...], span: Span | None) -> Problem:
    return Problem(
        "plan-which-fleet",
        f"the file declares several fleets: {', '.join(known)}",
        span,
        hint=f"say which with `--fleet {known[0]}`",
    )


def unknown_device(device: str, known: tuple[str, ...], span: Span | None) -> Problem:
    meant = suggest(device, known)
    return Problem(
        "plan-unknown-device",
        f"the catalogue has no device {device!r}",
        span,
        hint=f"did you mean `catalog.{meant}`?" if meant else f"it has {', '.join(known)}",
    )


def term_not_planned(term: str, planned: tuple[str, ...], span: Span | None) -> Problem:
    return Problem(
        "plan-term-not-planned",
        f"the goal's term `{term}` is not planned yet, so no plan can promise it",
        span,
        hint=f"leave the term out; planned are {', '.join(planned)}",
    )


def unknown_size(name: str, known: tuple[str, ...], span: Span | None) -> Problem:
    meant = suggest(name, known)
    return Problem(
        "plan-unknown-size",
        f"the goal assumes {name!r}, on which nothing in its pipeline depends",
        span,
        Severity.WARNING,
        hint=f"did you mean {meant!r}?" if meant else f"sizes are {', '.join(known) or 'all fixed by the program'}",
    )


def bad_price(variable: str, text: str) -> Problem:
    return Problem(
        "plan-bad-price",
        f"{variable} is {text!r}, which is no price in dollars an hour",
        hint=f"for example {variable}=0.06",
    )


def needs_price(convention: str, device: str, known: tuple[str, ...], span: Span | None) -> Problem:
    others = [f"`--cost {name}`" for name in known]
    choose = f"{', '.join(others[:-1])} or {others[-1]}" if len(others) > 1 else "".join(others)
    return Problem(
        "plan-needs-price",
        f"cost by {convention!r} needs a price of {device} that neither the fleet nor the catalogue states",
        span,
        hint=f"state what an hour of it costs you in its tier, as in `catalog.{device} {{ price $1.80 per h }}`"
        + (f", or plan with {choose}" if choose else ""),
    )


def bad_figure(what: str, text: str, span: Span | None) -> Problem:
    return Problem(
        "plan-bad-figure",
        f"{what} is {text}, with which nothing can be worked out",
        span,
        hint="state a finite figure above zero (a price or a latency may be zero)",
    )


def no_devices(fleet: str, span: Span | None) -> Problem:
    """A fleet without anything to run on, which another program has put together: `check` looks at those of files."""
    return Problem(
        "plan-bad-figure",
        f"fleet {fleet!r} has no device and no endpoint",
        span,
        hint="add a tier, as in `tier gpu = catalog.h100 { count 1 }`",
    )


def endpoint_needs_price(tier: str, span: Span | None) -> Problem:
    return Problem(
        "plan-needs-price",
        f"endpoint {tier!r} states no price, and the goal promises what a run costs",
        span,
        hint="state what a token costs, as in `price $0.60 per 1_000_000 tokens`, or leave the term `cost` out",
    )


def nobody_serves(model: str, tiers: tuple[str, ...], span: Span | None) -> Problem:
    """A model that only endpoints know, none of which is in the fleet."""
    return Problem(
        "plan-nobody-serves",
        f"no tier can run {model!r}: the catalogue of models does not have it, and no endpoint among "
        f"{', '.join(tiers)} serves it",
        span,
        hint=f'add it to an endpoint of the fleet, as in `serves ["{model}"]`, or choose another model',
    )


def does_not_fit(tier: str, needed: float, capacity: float, largest: str, span: Span | None) -> Problem:
    return Problem(
        "plan-does-not-fit",
        f"the program needs {show_value(needed, 'B')} of memory at once, tier {tier!r} has {show_value(capacity, 'B')}",
        span,
        hint=f"the largest part is {largest}: choose a smaller model, or a tier with more memory",
    )


def overloaded(
    tier: str,
    instances: int,
    rate: float,
    busy: float,
    most: float,
    largest: str,
    helps: tuple[str, ...],
    span: Span | None,
    enforced: bool,
) -> Problem:
    """More runs arrive than the tier carries: `most` are carried."""
    machines = f"{instances} x {tier}" if instances > 1 else tier
    return Problem(
        "plan-overloaded",
        f"{rate:.3g} runs per s are more than {machines} carries: a run keeps it busy for "
        f"{show_value(busy, 's')}, so at most {most:.3g} per s",
        span,
        _severity(enforced),
        hint=(f"{helps[0]} holds{''.join(f', or {more}' for more in helps[1:])}; " if helps else "")
        + f"most of the time is {largest}",
    )


def no_plan(
    asked: tuple[str, ...],
    reasons: tuple[Related, ...],
    detail: str,
    helps: tuple[str, ...],
    span: Span | None,
    *,
    enforced: bool,
) -> Problem:
    """What is asked cannot hold together: each requirement with its reason, and what would help."""
    listed = asked[0] if len(asked) == 1 else f"{', '.join(asked[:-1])} and {asked[-1]}"
    return Problem(
        "plan-no-plan",
        f"no plan keeps {listed}" + (" together" if len(asked) > 1 else ""),
        span,
        _severity(enforced),
        hint=f"there is a plan with {', or '.join(helps)}" if helps else "leave one of them out, or ask less of it",
        related=reasons,
        detail=detail or None,
    )


def goal_missed(
    term: str,
    tier: str,
    predicted: str,
    dominating: str,
    helps: tuple[str, ...],
    span: Span | None,
    *,
    idle: bool,
    enforced: bool,
) -> Problem:
    """A term of the goal that the plan does not meet: by how much, because of what, and what would help."""
    return Problem(
        "plan-goal-missed",
        f"`{term}` cannot hold on {tier}: {predicted} is predicted{' even when idle' if idle else ''}, "
        f"most of it {dominating}",
        span,
        _severity(enforced),
        hint=f"it holds with {' or '.join(helps)}" if helps else None,
    )


def solver_missing(hint: str) -> Problem:
    title = "the plan has more choices than can be tried one by one, and the solver for that is not installed"
    return Problem("extra-missing", title, hint=hint)


def _severity(enforced: bool) -> Severity:
    return Severity.ERROR if enforced else Severity.WARNING
