"""Texts: join, split, look into, redact, sentences. The work is in `stdlib.text`; this file is its face to the
executor. A recogniser is a model that finds personal data which has no form of its own, such as names.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread

from ...executor.kinds import Context, Kind, Opener, StageFailure
from .. import text as library
from .. import tool_problems as problems
from ..text import Sentences
from ..text import join as join_texts
from ..text import redact as redact_text
from ..text import redact_found as redact_parts
from ..text import split as split_text
from ..text.personal import parts
from ..text_models import load_recognising
from . import Environment

if TYPE_CHECKING:
    from ...executor.engines.families import RecognisingModel


def stages(environment: Environment) -> Mapping[str, Kind]:
    return {
        "join": join,
        "split": split,
        "redact": redact,
        "redact_found": redact_found,
        "find": find,
        "sentences": sentences,
        "lower": _plain(str.lower),
        "upper": _plain(str.upper),
        "trim": _plain(str.strip),
        "replace": _plain(_replaced, "old", "new"),
        "starts_with": _plain(str.startswith, "prefix"),
        "ends_with": _plain(str.endswith, "suffix"),
        "lines": _plain(_lines),
        "words": _plain(_words),
        "number": _plain(_number),
        "matches": Matching(environment),
    }


# All but `matches`, whose pattern may be none and may take long, and what asks a model.
_MARKS = ("starts_with", "ends_with", "lines", "words", "number")
HARMLESS: frozenset[str] = frozenset({"join", "split", "redact", "lower", "upper", "trim", "replace", *_MARKS})


def repeatable(name: str, arguments: Mapping[str, object]) -> bool:
    """All that is done to texts depends on them alone."""
    del name, arguments
    return True


def openers(environment: Environment) -> Mapping[str, Opener]:
    async def open_recogniser(name: str, arguments: Mapping[str, object]) -> RecognisingModel:
        del name
        return await load_recognising(environment, cast(str, arguments["name"]), cast(str, arguments.get("engine", "")))

    return {"recognizer": open_recogniser}


_PIECE = re.compile(r"[A-Za-z]+|\d|\w|[^\w\s]")
_LETTERS = 7


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has, without a tokenizer: `text.split` belongs to no model.

    Words count one for each seven letters begun, digits and marks one each: within 7 % of SmolLM2's tokenizer on
    English prose, Markdown and Python.
    """
    return sum(1 + (len(piece) - 1) // _LETTERS for piece in _PIECE.findall(text))


def _plain(compute: Callable[..., object], *others: str) -> Kind:
    """A stage that computes from its `text` and the other texts of those names."""

    async def stage(context: Context, arguments: Mapping[str, object]) -> object:
        del context
        return compute(arguments["text"], *(arguments[name] for name in others))

    return stage


def _replaced(text: str, old: str, new: str) -> str:
    # Python finds an empty text between any two characters; nothing is meant by that here.
    return text.replace(old, new) if old else text


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines())


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NUMBER = re.compile(r"[-+]?(\d[\d_]*)?\.?\d+([eE][-+]?\d+)?", re.ASCII)


def _number(text: str) -> float | None:
    """The number, written as in a program; words such as `nan`, which Python reads, are none."""
    trimmed = text.strip()
    if not _NUMBER.fullmatch(trimmed):
        return None
    try:
        found = float(trimmed)
    except ValueError:  # underscores in odd places
        return None
    return found if math.isfinite(found) else None


class Matching:
    """`matches`: some expressions take for ever on some texts, and Python cannot be interrupted while it looks. What
    repeats is looked for in a worker, which ends with the call."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._workers: Any = None

    async def __call__(self, context: Context, arguments: Mapping[str, object]) -> bool:
        text, pattern = cast(str, arguments["text"]), cast(str, arguments["pattern"])
        try:
            expression = re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            why = f"{pattern!r} is not a regular expression: {error}"
            raise StageFailure("bad_value", problems.bad_value(context.stage, why, "correct the pattern")) from None
        if not any(mark in pattern for mark in "*+?{"):
            return expression.search(text) is not None
        return await self._apart(context, text, pattern)

    async def _apart(self, context: Context, text: str, pattern: str) -> bool:
        from ..tools.limits import Limits
        from ..tools.workers import Died, PythonCall, Workers

        folder = Path(library.__file__).parent
        if self._workers is None:
            self._workers = Workers(folder, dict, self._environment.heard)
            self._environment.closers.append(self._workers.aclose)
        given = {"text": text, "pattern": pattern}
        call = PythonCall(context.stage, folder / "patterns.py", "patterns", "matches", given, False, Limits())
        try:
            async with aclosing(self._workers.call(call)) as frames:
                async for frame in frames:
                    if "value" in frame:
                        return bool(frame["value"])
        except Died as died:
            problem = problems.tool_died(context.stage, died.ending.words, died.printed)
            raise StageFailure("tool_error", problem) from None
        problem = problems.tool_out_of_memory(context.stage, call.limits.memory)
        raise StageFailure("tool_error", problem)


async def join(context: Context, arguments: Mapping[str, object]) -> str:
    del context
    return join_texts(cast("Sequence[str]", arguments["texts"]), cast(str, arguments["separator"]))


async def split(context: Context, arguments: Mapping[str, object]) -> tuple[str, ...]:
    del context
    pieces = split_text(cast(str, arguments["text"]), cast(int, arguments["tokens"]), estimate_tokens)
    return tuple(pieces)


async def redact(context: Context, arguments: Mapping[str, object]) -> str:
    del context
    return redact_text(cast(str, arguments["text"]))


async def sentences(context: Context, arguments: Mapping[str, object]) -> AsyncIterator[str]:
    """Each sentence as soon as it is certain that it has ended."""
    del context
    cutter = Sentences()
    async for piece in cast("AsyncIterator[str]", arguments["text"]):
        for sentence in cutter.feed(piece):
            yield sentence
    for sentence in cutter.end():
        yield sentence


async def redact_found(context: Context, arguments: Mapping[str, object]) -> str:
    """What has a form is replaced first, then what the model finds in the text that is left. It sees other words around
    a name once its neighbours are marks, and may find more: this goes on until it finds no more, so that redacting
    again changes nothing. Each turn leaves fewer letters."""
    del context
    model = cast("RecognisingModel", arguments["self"])
    text = cast(str, arguments["text"])
    while True:
        text = await anyio.to_thread.run_sync(redact_text, text)
        (entities,) = await model.recognise((text,))
        further = redact_parts(text, parts(entities))
        if further == text:
            return text
        text = further


async def find(context: Context, arguments: Mapping[str, object]) -> tuple[dict[str, object], ...]:
    """What the model finds, as records."""
    del context
    text = cast(str, arguments["text"])
    (entities,) = await cast("RecognisingModel", arguments["self"]).recognise((text,))
    return tuple(
        {
            "label": entity.label,
            "text": text[entity.start : entity.end],
            "start": entity.start,
            "end": entity.end,
            "score": entity.score,
        }
        for entity in entities
    )
