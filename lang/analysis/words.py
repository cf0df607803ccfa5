"""Parts of the typed program as the language writes them, for what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...base.units import COUNT, ENERGY_PER_COUNT, MONEY_PER_COUNT, NUMBER, Quantity, show
from .. import program as p
from .timing import seconds


def term_text(term: p.GoalTerm) -> str:
    match term.kind:
        case "keep":
            return f"keep @{term.word} on [{', '.join(term.tiers)}]"
        case "prefer":
            return f"prefer {term.word}"
        case "soft":
            return f"soft {term.word} {term.limit.value:g}" if term.limit else f"soft {term.word}"
        case "rate":
            return f"rate {show(term.limit)}" if term.limit else "rate"
        case _:
            share = f" p{term.percentile:g}" if term.percentile is not None else ""
            return f"{term.kind}{share} <= {_limit(term.limit)}" if term.limit else term.kind


def _limit(limit: Quantity) -> str:
    if limit.dimension == MONEY_PER_COUNT:
        return f"${limit.value * 1000:.4g} per 1000 runs"
    if limit.dimension == ENERGY_PER_COUNT:
        return f"{limit.value / 3600:.4g} Wh per run"
    return show(limit)


def assumption_text(entry: p.Assumption) -> str:
    name = f"{entry.name}.{entry.case}" if entry.case else entry.name
    amount = entry.quantity
    shown = f"{amount.value * 100:g} %" if amount.dimension == NUMBER else show(amount)
    if amount.dimension == COUNT:
        shown = f"{amount.value:g} items"
    return f"{name}{' output' if entry.output else ''} {shown}"


def effect_text(effect: p.Effect) -> str:
    what = effect.what
    if what is None:
        return effect.kind
    return f"{effect.kind} {show(what)}" if isinstance(what, Quantity) else f'{effect.kind} "{what}"'


def policy_texts(policies: p.Policies, written: Callable[[p.Expression], str]) -> tuple[str, ...]:
    """Each policy as it may be written; `written` gives the text of an expression."""
    return tuple(_policies(policies, written))


def _policies(policies: p.Policies, written: Callable[[p.Expression], str]) -> Iterator[str]:
    if policies.approve is not None:
        yield f"approve {written(policies.approve)}"
    if policies.timeout is not None:
        yield f"timeout {seconds(policies.timeout)}"
    if policies.idle is not None:
        yield f"idle {seconds(policies.idle)}"
    if policies.retries:
        yield f"retry {policies.retries}" + (f" backoff {seconds(policies.backoff)}" if policies.backoff else "")
    if policies.hedge is not None:
        yield f"hedge after {seconds(policies.hedge)}"
    if policies.breaker is not None:
        pause = f" pause {seconds(policies.breaker_pause)}" if policies.breaker_pause else ""
        yield f"breaker {policies.breaker}{pause}"
    if policies.rate is not None:
        yield f"rate {policies.rate:g} per s"
    if policies.cache is not None:
        yield f"cache {seconds(policies.cache)}"
    if policies.buffer is not None:
        yield f"buffer {policies.buffer}" + (" drop oldest" if policies.drop == "oldest" else "")
    if policies.place is not None:
        yield f"place on {policies.place}"
