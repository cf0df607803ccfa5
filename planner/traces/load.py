"""What a trace says of the work: how often requests come, how large they are, how much of them was there before.

Means for what adds up (load, cost, energy), the promise's percentile for what is promised of slow runs, the busiest
minute for what has to be carried. The numbers are kept and not the requests, so that a plan carries all that it was
made from.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, fsum
from pathlib import PurePath

from ...ir.graph import GraphPipeline
from ...ir.sizes import resolve
from ...lang.types import TEXT
from .formats import Request
from .reading import Reader

MINUTE = 60.0
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 100.0)
"""Of each size. For a promise of another percentile the next one above counts."""

REMEMBERED = 1 << 22
"""Keys of prompts that are remembered: of more, what comes again is not seen."""


@dataclass(frozen=True, slots=True)
class Named:
    """The sizes of a pipeline that a trace's prompts and replies are: of the first text that it takes, and of its last
    chat; None where it has none. A reply ends at `longest` tokens (the chat's `max_tokens`), where that is known."""

    prompt: str | None
    reply: str | None
    longest: float | None = None

    def sizes(self, prompt: float, reply: float) -> dict[str, float]:
        if self.longest is not None:
            reply = min(reply, self.longest)
        return {name: count for name, count in ((self.prompt, prompt), (self.reply, reply)) if name is not None}


@dataclass(frozen=True, slots=True)
class Seen:
    """One size of the pipeline as the requests had it. `percentiles` are pairs: so many percent had at most that.
    `variance` is relative, of the square of the mean."""

    name: str
    mean: float
    percentiles: tuple[tuple[float, float], ...]
    variance: float = 0.0

    def at(self, percentile: float) -> float:
        """The size at a percentile, or at the next above it that is kept."""
        return next(value for name, value in self.percentiles if name >= min(100.0, percentile))


@dataclass(frozen=True, slots=True)
class Load:
    """What a plan keeps of a trace. `file` is its name, `digest` its SHA-256 (hex), `seconds` from the first request to
    the last. `rate` is their mean, `busiest` that of the busiest minute (of the whole, where it is shorter), which
    began at `place`; None where all came at once. `again` is the part of the prompts' tokens that stood at the
    beginning of an earlier prompt, where the trace says so. `cut` replies were longer than the program lets them be.
    """

    file: str
    digest: str
    requests: int
    seconds: float
    rate: float | None
    busiest: float | None
    place: str
    sizes: tuple[Seen, ...]
    again: float | None = None
    cut: int = 0
    notes: tuple[str, ...] = ()

    @property
    def means(self) -> dict[str, float]:
        """The mean sizes: what load, cost and energy follow from."""
        return {size.name: size.mean for size in self.sizes}

    def slow(self, percentile: float) -> dict[str, float]:
        """The sizes of a run that is slow by them, at least the mean ones: every size at the percentile, as if they
        were large together."""
        return {size.name: max(size.mean, size.at(percentile)) for size in self.sizes}


def named(pipeline: GraphPipeline) -> Named:
    """Which sizes of a pipeline a trace speaks of."""
    texts = [given.name for given in pipeline.inputs if given.type == TEXT]
    known = {size.name for size in pipeline.sizes}
    prompt = next((f"{name}.tokens" for name in texts if f"{name}.tokens" in known), None)
    reply = next((size.name for size in reversed(pipeline.sizes) if size.name.endswith(".output")), None)
    bounds = {each.name: each.bound for each in resolve(pipeline.sizes, {})[0]}
    return Named(prompt, reply, bounds[reply] if reply is not None else None)


def load_of(reader: Reader, sizes: Named) -> Load | None:
    """What a trace says, read to its end. None where the reader has an error to tell."""
    times, lines = array("d"), array("q")
    prompts, replies = array("d"), array("d")
    reuse = _Reuse(reader)
    cut = 0
    for request in reader:
        times.append(request.at)
        lines.append(request.line)
        own = sizes.sizes(request.prompt, request.reply)
        prompts.append(own.get(sizes.prompt or "", 0.0))
        replies.append(own.get(sizes.reply or "", 0.0))
        cut += sizes.reply is not None and replies[-1] < request.reply
        reuse.add(request)
    if not times or any(problem.severity.value == "error" for problem in reader.problems):
        return None
    file = PurePath(reader.path).name
    seconds = times[-1] - times[0]
    rate = (len(times) - 1) / seconds if seconds > 0.0 else None
    first, most = _busiest(times)
    seen = ((sizes.prompt, prompts), (sizes.reply, replies))
    return Load(
        file=file,
        digest=reader.digest,
        requests=len(times),
        seconds=seconds,
        rate=rate,
        busiest=most / MINUTE if rate is not None and seconds > MINUTE else rate,
        place=f"{file}:{lines[first]}:1",
        sizes=tuple(_seen(name, values) for name, values in seen if name is not None),
        again=reuse.part,
        cut=cut,
        notes=(*reader.notes, *_unused(sizes)),
    )


def _unused(sizes: Named) -> Iterator[str]:
    """What of a trace says nothing of a pipeline."""
    if sizes.prompt is None:
        yield "the trace's prompts count for nothing: the pipeline takes no text"
    if sizes.reply is None:
        yield "the trace's replies count for nothing: no model of the pipeline replies"


def _busiest(times: array[float]) -> tuple[int, int]:
    """Where the minute with the most requests begins, and how many it has."""
    start = best = most = 0
    for place, at in enumerate(times):
        while at - times[start] >= MINUTE:
            start += 1
        if place - start + 1 > most:
            best, most = start, place - start + 1
    return best, most


def _seen(name: str, values: Iterable[float]) -> Seen:
    ordered = sorted(values)
    count = len(ordered)
    places = ((at, max(0, ceil(count * at / 100.0) - 1)) for at in PERCENTILES)
    mean = fsum(ordered) / count
    variance = fsum((value / mean - 1.0) ** 2 for value in ordered) / count if mean else 0.0
    return Seen(name, mean, tuple((at, ordered[place]) for at, place in places), variance)


class _Reuse:
    """How much of the prompts an endless memory would have had already."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: set[Hashable] = set()
        self._tokens = self._again = 0.0
        self._told = False

    def add(self, request: Request) -> None:
        self._tokens += request.prompt
        if not request.keys:
            return
        self._told = True
        there = 0
        for key in request.keys:
            if key not in self._known:
                break
            there += 1
        self._again += min(request.prompt, float(there * self._reader.page))
        if len(self._known) + len(request.keys) <= REMEMBERED:
            self._known.update(request.keys[there:])

    @property
    def part(self) -> float | None:
        return self._again / self._tokens if self._told and self._tokens else None
