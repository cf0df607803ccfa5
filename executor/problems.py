"""The words for what can go wrong while a program runs. Facts come in, a `Problem` comes out; each slug has a page in
`docs/problems/`.
"""

from __future__ import annotations

from ..base.problems import Problem
from ..base.source import Span
from ..base.units import DURATION, Quantity


def _seconds(duration: float) -> str:
    return str(Quantity(duration, DURATION))


_EXAMPLES = {
    "Text": "a text; in JSON it stands in double quotes",
    "Bool": "true or false",
    "Int": "a whole number, as in 12",
    "Float": "a number, as in 0.5",
    "Bytes": 'the bytes in base64, as in "aGVsbG8="',
    "Json": 'JSON, as in {"a": 1}; a text stands in double quotes',
}
_UNITS = {
    "Money": "${}",
    "Duration": "{} s",
    "Bytesize": "{} GiB",
    "Bandwidth": "{} GB/s",
    "Rate": "{} per s",
    "Energy": "{} Wh",
    "Power": "{} W",
    "Tokens": "{} tokens",
}


def _next_step(wanted: str, given: object, near: str | None) -> str:
    """How a value of that type is written; where a number was given without its unit, with it."""
    kind = wanted.rstrip("?")
    if near is not None:
        return f"did you mean {near!r}?"
    if kind in _UNITS:
        text = str(given).strip() if isinstance(given, str | int | float) else ""
        is_number = text.replace(".", "", 1).replace("_", "").isdecimal() and len(text) < 20
        quoted = ", in single quotes where a shell reads it" if kind == "Money" else ""
        return f"write {'' if is_number else 'it as in '}`{_UNITS[kind].format(text if is_number else 4)}`{quoted}"
    if kind.startswith("stream "):
        return "give its items by --input FILE (or - for stdin), one JSON value in each line"
    if kind.startswith("["):
        return f"give a JSON list with items of type {kind[1:-1]}, as in [{'1, 2' if kind == '[Int]' else '…'}]"
    if kind.startswith("{"):
        return 'give a JSON object, as in {"key": …}'
    return f"give {_EXAMPLES.get(kind, f'a value of type {wanted}')}"


def field_missing(path: str, owner: str, name: str, wanted: str) -> Problem:
    """A record or case in JSON lacks a field."""
    return Problem(
        "argument-missing",
        f"{path} lacks the field {name!r} ({wanted}) of {owner}",
        hint=f'add "{name}": … to the JSON object',
    )


def argument_missing(pipeline: str, name: str, wanted: str, span: Span | None = None) -> Problem:
    return Problem(
        "argument-missing",
        f"{pipeline} needs a value for {name!r} ({wanted})",
        span,
        hint=f"give it as {name}=…",
    )


def argument_unknown(pipeline: str, name: str, known: tuple[str, ...], suggestion: str | None) -> Problem:
    takes = ", ".join(known) if known else "nothing"
    return Problem(
        "argument-unknown",
        f"{pipeline} has no parameter {name!r}",
        hint=f"did you mean {suggestion!r}?" if suggestion else f"it takes {takes}",
    )


def field_unknown(path: str, owner: str, name: str, known: tuple[str, ...], suggestion: str | None) -> Problem:
    """A record or case in JSON has a field that its type does not have: most often a misspelt one."""
    has = ", ".join(known) if known else "none"
    return Problem(
        "argument-unknown",
        f"{path} has a field {name!r} that {owner} does not have",
        hint=f"did you mean {suggestion!r}?" if suggestion else f"its fields: {has}",
    )


def argument_type(
    path: str, wanted: str, given: str, span: Span | None = None, *, value: object = None, near: str | None = None
) -> Problem:
    """`given` says what `value` is; `near` is what was most likely meant."""
    return Problem(
        "argument-type",
        f"{path} must be {wanted}, not {given}",
        span,
        hint=_next_step(wanted, value, near),
    )


def division_by_zero(span: Span | None) -> Problem:
    return Problem("division-by-zero", "a number is divided by zero", span, hint="check the divisor with `if` first")


def number_too_large(span: Span | None) -> Problem:
    return Problem(
        "number-too-large", "a number is too large for a Float", span, hint="compute with smaller numbers, or with Int"
    )


def index_outside(position: int, length: int, span: Span | None) -> Problem:
    return Problem(
        "index-outside",
        f"there is no element {position} in a list of {length}",
        span,
        hint="elements count from 0; compare with `len` first",
    )


def conversion_failed(wanted: str, what: str, span: Span | None) -> Problem:
    return Problem(
        "conversion-failed",
        f"this data is no {wanted}: {what}",
        span,
        hint="catch it with `otherwise on bad_value`, or change the type",
    )


def document_invalid(wanted: str, what: str, span: Span | None) -> Problem:
    return Problem(
        "document-invalid",
        f"what the model wrote is no {wanted}: {what}",
        span,
        hint="catch it with `otherwise on bad_output`, or use an engine that keeps to the type",
    )


def document_truncated(wanted: str, span: Span | None) -> Problem:
    return Problem(
        "document-truncated",
        f"the model's answer ended before its {wanted} was complete",
        span,
        hint="give the call more max_tokens, or catch it with `otherwise on truncated`",
    )


def expectation_failed(span: Span | None, *shown: str) -> Problem:
    """`shown` are lines about the values that decided it."""
    return Problem("expectation-failed", "what the test expects does not hold", span, detail="\n".join(shown) or None)


def call_timeout(stage: str, seconds: float, span: Span | None) -> Problem:
    return Problem(
        "call-timeout",
        f"{stage} did not end within {_seconds(seconds)}",
        span,
        hint="a call ends within 60 s; ask for less (`max_tokens`), or run it where it is faster",
    )


def attempt_timeout(stage: str, seconds: float, span: Span | None) -> Problem:
    return Problem(
        "call-timeout",
        f"{stage} did not end within {_seconds(seconds)}",
        span,
        hint="give it a longer timeout, or catch it with `otherwise on timeout`",
    )


def slice_used(stage: str, due: float, slice_: float | None, promise: str, limit: float, span: Span | None) -> Problem:
    own = "it has no slice of its own" if slice_ is None else f"its slice is {_seconds(_three(slice_))}"
    return Problem(
        "slice-used",
        f"{stage} was not over {_seconds(_three(due))} after the run began, when it was due for {promise} <= "
        f"{_seconds(limit)}; {own}",
        span,
        hint="catch it with `otherwise on timeout`; without --enforce-goal a run tells what took long",
    )


def not_admitted(pipeline: str, promise: str, limit: float, predicted: float, line: float, runs: int) -> Problem:
    going_on = "1 run is going on" if runs == 1 else f"{runs} runs are going on"
    return Problem(
        "not-admitted",
        f"{pipeline} was not begun: it would wait {_seconds(_three(line))} in line and take "
        f"{_seconds(_three(predicted))} in all, but its goal says {promise} <= {_seconds(limit)}",
        hint=f"{going_on}: begin it later, or fewer at once",
    )


def _three(seconds: float) -> float:
    """Three figures are enough to read."""
    return float(f"{seconds:.3g}")


def stream_idle(stage: str, seconds: float, span: Span | None) -> Problem:
    return Problem(
        "stream-idle",
        f"{stage} gave nothing for {_seconds(seconds)}",
        span,
        hint="give it a longer `idle`, or hold its items back with `buffered` and catch it with `otherwise on timeout`",
    )


def breaker_open(stage: str, failures: int, span: Span | None) -> Problem:
    return Problem(
        "breaker-open",
        f"{stage} failed {failures} times in a row and is left alone for a while",
        span,
        hint="catch it with `otherwise on unavailable`",
    )


def approval_denied(stage: str, span: Span | None) -> Problem:
    return Problem(
        "approval-denied",
        f"{stage} was not approved",
        span,
        hint="catch it with `otherwise on denied`",
    )


def nobody_to_ask(stage: str, question: str) -> Problem:
    return Problem(
        "nobody-to-ask",
        f"{stage} needs a person's approval, and nobody is there to ask",
        hint="run it where somebody can answer, or say the answer beforehand with `--approve yes`",
        detail=question,
    )


def approver_crashed(stage: str, error: str, trace: str) -> Problem:
    return Problem(
        "approver-crashed",
        f"asking a person on behalf of {stage} crashed: {error}",
        hint="this is a bug in what asks; nothing was approved",
        detail=trace or None,
    )


def region_interrupted(stage: str, span: Span | None) -> Problem:
    return Problem(
        "interrupted",
        f"a newer input came before {stage} had its value",
        span,
        hint="catch it with `otherwise on interrupted`",
    )


def run_timeout(pipeline: str, seconds: float) -> Problem:
    return Problem(
        "run-timeout",
        f"{pipeline} did not end within {_seconds(seconds)}",
        hint="give it more time with --timeout",
    )


def stage_crashed(stage: str, error: str, trace: str, span: Span | None) -> Problem:
    return Problem(
        "stage-crashed",
        f"{stage} crashed: {error}",
        span,
        hint="this is a bug in what stands behind the stage; report it with the lines above",
        detail=trace or None,
    )


def stage_unknown(stage: str, entry: str, span: Span | None) -> Problem:
    return Problem(
        "stage-unknown",
        f"nothing stands behind {stage}: no library offers {entry!r}",
        span,
        hint="install the package that brings it, or correct the name",
    )


def handle_crashed(name: str, error: str, trace: str, span: Span | None) -> Problem:
    return Problem(
        "handle-crashed",
        f"{name} could not be opened: {error}",
        span,
        hint="this is a bug in what opens it; report it with the lines above",
        detail=trace or None,
    )


def input_failed(name: str, error: str) -> Problem:
    return Problem(
        "input-failed",
        f"the stream given for {name!r} broke off: {error}",
        hint="check what feeds it, then run again",
    )


def cassette_unreadable(name: str, line: int, what: str) -> Problem:
    return Problem(
        "cassette-unreadable",
        f"line {line} of {name} is no recorded call: {what}",
        hint="record it again with --record",
    )


def no_answer(stage: str, entry: str, span: Span | None) -> Problem:
    return Problem(
        "no-answer",
        f"no answer is recorded for {stage} ({entry})",
        span,
        hint="record one, or give the backend an answer for every stage",
    )


def not_recorded(call: str, nearest: str | None, programs: tuple[str, ...], span: Span | None) -> Problem:
    near = f"the nearest that is recorded: {_short(nearest)}" if nearest else None
    if near is None and programs:
        near = f"nothing like it is recorded; the cassette was recorded from {', '.join(programs)}"
    return Problem(
        "not-recorded",
        f"no answer is recorded for {_short(call)}",
        span,
        hint="record again with --record, or run without --replay",
        detail=near,
    )


def recorded_masked(call: str, labels: tuple[str, ...], span: Span | None) -> Problem:
    said = " ".join(f"@{label}" for label in labels)
    keep = " ".join(f"--keep-label {label}" for label in labels)
    return Problem(
        "recorded-masked",
        f"the recorded answer of {_short(call)} is masked, for it carries {said}",
        span,
        hint=f"give the call an answer with `given`, or record with {keep}",
    )


def kept_back(slug: str, stage: str, labels: tuple[str, ...]) -> Problem:
    """In place of the words of a problem that may quote labelled data."""
    said = " ".join(f"@{label}" for label in labels)
    return Problem(
        slug,
        f"{stage} failed ({slug.replace('-', ' ')}); what it said is kept back, for it may quote data with {said}",
        hint=f"`otherwise` goes on without it; call it with data that has no {said} to read what it says",
    )


def recorded_failure(title: str, span: Span | None) -> Problem:
    return Problem("recorded-failure", title, span)


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:299] + "…"
