"""What a plan says that its choice does not decide, from the program and from what the plan was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..calibrate import Calibration
from ..codec import encode
from ..cost import opening_time
from ..predict import opened, opened_as
from ..space.build import Built
from ..workload import rate_of
from .trees import Given, Tree, Walked, whole


def given_of(built: Built) -> Given:
    """Of a problem that was derived again."""
    run = built.run
    return Given(
        pipeline=built.pipeline,
        fleet=built.fleet,
        inputs=_plain(built.inputs),
        made=_plain(built.made),
        channels=tuple(run.channels),
        sizes=_plain(built.work.figures),
        trace=_plain(built.seen),
        rated=_plain(rate_of(built.made.options.trace, built.rated, built.problem.rate)),
        walked={stage: _walked(built, stage) for stage in run.operations},
        load=lambda places: _load(built, places),
        notes=(
            *(f"no demand is known of {stage}: it counts as free" for stage in run.free),
            *(f"model {name} is served by {tier}: it is not here" for name, tier in run.elsewhere.items()),
            *built.notes,
        ),
    )


def _walked(built: Built, stage: str) -> Walked:
    operation, time = built.run.operations[stage], built.run.times.get(stage)
    degree = operation.attributes.get("tensor", 1)
    return Walked(operation.name, time.entry if time else "", time.model if time else "", int(str(degree)))


def _load(built: Built, places: Mapping[str, str]) -> Tree:
    """What opening models and resources takes: on each tier one after the other, on all tiers at once."""
    longest: tuple[float, float, list[Tree]] = (0.0, 0.0, [])
    for tier in built.problem.tiers:
        here = {time.model for name, time in built.run.times.items() if places.get(name) == tier.name}
        whose = built.made.calibration if tier.here else Calibration(f"catalog.{tier.device}")
        handles = [built.graph.handle(name) for name in opened(built.graph, tuple(_in(built.run.opened, here)))]
        rates = dict(tier.rates)
        times = [opening_time(each, built.work.values, rates.get("disk"), whose, opened_as(each)) for each in handles]
        known = [time.time for time in times if time is not None]
        seconds = sum(each.value for each in known)
        if seconds > longest[0]:
            terms = [_plain(term) for each in known for term in each.terms]
            longest = (seconds, sum(each.high for each in known), terms)
    seconds, high, terms = longest
    error = high / seconds - 1.0 if seconds else 0.0
    return whole("load", "s", seconds, error, terms)


def _in(names: tuple[str, ...], wanted: set[str]) -> list[str]:
    return [name for name in names if name in wanted]


def _plain(value: object) -> Tree:
    """As a plan writes it."""
    return json.loads(encode(value))
