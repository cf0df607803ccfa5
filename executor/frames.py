"""What a run gives its caller, in order: one `Start`, items as they leave, problems, one `End`. Also as JSON Lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..base.problems import Problem
from ..base.render import as_json
from .blame import Missed, Part
from .machine.orders import Outcome, StageTiming, Timings
from .values import to_json


@dataclass(frozen=True, slots=True)
class Start:
    """`digest` names the program that runs."""

    run: int
    pipeline: str
    digest: str


@dataclass(frozen=True, slots=True)
class Item:
    """`output` is the value that left, `stage` what made it; `seq` counts from 0, `t` is in seconds from the start."""

    output: object
    stage: str
    seq: int
    t: float


@dataclass(frozen=True, slots=True)
class ProblemFrame:
    problem: Problem


@dataclass(frozen=True, slots=True)
class End:
    """How it ended. `usage` by unit (`tokens_in`, `tokens_out`, `dollars`, …); times in seconds. `blame` tells of each
    promise that was not kept what its time went into."""

    outcome: Outcome
    usage: Mapping[str, float]
    timings: Timings
    goal: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    blame: tuple[Missed, ...] = ()


Frame = Start | Item | ProblemFrame | End


def frame_json(frame: Frame) -> dict[str, object]:
    """The frame as plain data, one line of `--json`."""
    if isinstance(frame, Start):
        return {"type": "start", "run": frame.run, "pipeline": frame.pipeline, "program": frame.digest}
    if isinstance(frame, Item):
        output = to_json(frame.output)
        return {"type": "item", "output": output, "stage": frame.stage, "seq": frame.seq, "t": round(frame.t, 6)}
    if isinstance(frame, ProblemFrame):
        return {"type": "problem", **as_json(frame.problem)}
    return _end_json(frame)


def _end_json(frame: End) -> dict[str, object]:
    outcome, timings = frame.outcome, frame.timings
    out: dict[str, object] = {"type": "end", "outcome": outcome.status}
    if outcome.status == "done" and not timings.items:
        out["value"] = to_json(outcome.value)
    if outcome.reason is not None:
        out["reason"] = outcome.reason
    if outcome.stage is not None:
        out["stage"] = outcome.stage
    tokens = frame.usage.get("tokens_in", 0.0) + frame.usage.get("tokens_out", 0.0)
    usage = {"tokens": tokens, "seconds": timings.finish, "dollars": 0.0, **frame.usage}
    out["usage"] = {unit: _number(amount) for unit, amount in usage.items()}
    out["timings"] = {
        "opening": _number(timings.opening),
        "first_item": None if timings.first_item is None else _number(timings.first_item),
        "items": timings.items,
        "gaps": [_number(gap) for gap in timings.gaps],
        "finish": _number(timings.finish),
        "stages": [_stage_json(stage) for stage in timings.stages],
    }
    out["goal"] = to_json(frame.goal)
    if frame.blame:
        out["blame"] = [_missed_json(missed) for missed in frame.blame]
    return out


def _missed_json(missed: Missed) -> dict[str, object]:
    return {
        "promise": missed.name,
        "limit": _number(missed.limit),
        "measured": _number(missed.measured),
        "parts": [_part_json(part) for part in missed.parts],
        "not_counted": [_part_json(part) for part in missed.uncounted],
    }


def _part_json(part: Part) -> dict[str, object]:
    slice_ = None if part.slice_ is None else _number(part.slice_)
    return {"stage": part.stage or None, "cause": part.cause, "seconds": _number(part.seconds), "slice": slice_}


def _stage_json(stage: StageTiming) -> dict[str, object]:
    return {
        "stage": stage.stage,
        "count": stage.count,
        "start": _number(stage.start),
        "first_item": None if stage.first_item is None else _number(stage.first_item),
        "end": _number(stage.end),
        "items": stage.items,
        "seconds": _number(stage.seconds),
    }


def _number(value: float) -> float | int:
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded
