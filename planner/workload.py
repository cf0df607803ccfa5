"""The work that one run brings and how often runs come: every size that demands name, with its value and where the
value comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..ir.graph import Graph
from ..ir.sizes import resolve
from .figures import Basis, Figure
from .profile import Profile
from .traces.load import Load, Seen

_BASES = {"program": Basis.DERIVED, "assumed": Basis.ASSUMED, "goal": Basis.GIVEN}


@dataclass(frozen=True, slots=True)
class Sizing:
    """Sizes of one run of a pipeline. `unused` are names that were given and that nothing depends on."""

    figures: tuple[tuple[str, Figure], ...]
    unused: tuple[str, ...]

    @property
    def values(self) -> dict[str, float]:
        return {name: figure.value for name, figure in self.figures}


def sizing(
    graph: Graph,
    pipeline: str,
    assumed: Mapping[str, float],
    measured: Mapping[str, float] | None = None,
    trace: Load | None = None,
    profile: Profile | None = None,
) -> Sizing:
    """The sizes of `pipeline`: what was measured (a run's own), else the means of a trace, else those of past runs,
    else what its goal assumes, else defaults."""
    seen = measured or {}
    recorded = {size.name: size for size in trace.sizes} if trace else dict[str, Seen]()
    means = {name: size.mean for name, size in recorded.items()}
    past = dict(profile.sizes) if profile else dict[str, float]()
    resolved, unused = resolve(graph.pipeline(pipeline).sizes, {**assumed, **past, **means, **seen})
    figures: list[tuple[str, Figure]] = []
    for size in resolved:
        if size.name in seen:
            basis, source = Basis.MEASURED, "this run"
        elif size.name in recorded and trace is not None:
            basis, source = Basis.TRACE, f"mean of {_requests(trace)}"
        elif size.name in past and profile is not None:
            basis, source = Basis.MEASURED, f"in {profile.runs} run{'s' if profile.runs > 1 else ''}"
        else:
            basis = _BASES[size.basis]
            source = "the goal" if basis is Basis.GIVEN else ""
        figures.append((size.name, Figure(size.value, _unit(size.name), basis, source)))
    known = graph.pipeline(pipeline).unread
    told = {*seen, *recorded, *past}
    return Sizing(tuple(figures), tuple(name for name in unused if name not in told and not _of(name, known)))


def recorded(trace: Load, percentiles: Iterable[float]) -> tuple[tuple[str, Figure], ...]:
    """What a plan says of its trace beside the mean sizes: how often requests came, and how large they were at the
    percentiles that are promised."""

    def rows() -> Iterator[tuple[str, Figure]]:
        of = _requests(trace)
        if trace.rate is not None:
            over = f"{of} in {trace.seconds:,.0f} s"
            yield "rate, mean", Figure(trace.rate, "per s", Basis.TRACE, over)
        if trace.busiest is not None:
            yield "rate, busiest minute", Figure(trace.busiest, "per s", Basis.TRACE, f"from {trace.place}")
        for percentile in sorted(set(percentiles)):
            slow = trace.slow(percentile)
            for name, value in slow.items():
                yield f"{name} p{percentile:g}", Figure(value, _unit(name), Basis.TRACE, of)
        if trace.again is not None:
            yield "prompt tokens that came before", Figure(trace.again, "of 1", Basis.TRACE, of)

    return tuple(rows())


def rate_of(trace: Load | None, stated: bool, rate: float | None) -> Figure | None:
    """How often runs come, with its reason: the goal's where it is `stated`, else that of a trace's busiest minute."""
    if rate is None:
        return None
    if stated or trace is None:
        return Figure(rate, "per s", Basis.GIVEN, "the goal")
    return Figure(rate, "per s", Basis.TRACE, f"busiest minute of {trace.file}, from {trace.place}")


def without(trace: Load, names: Iterable[str]) -> Load:
    """The same for runs in which these sizes are known, and all alike."""
    left = frozenset(names)
    return replace(trace, sizes=tuple(size for size in trace.sizes if size.name not in left))


def _requests(trace: Load) -> str:
    several = "requests" if trace.requests > 1 else "request"
    return f"{trace.requests:,} {several} of {trace.file}, sha256 {trace.digest[:12]}"


def _of(name: str, known: Iterable[str]) -> bool:
    """Whether a size is one of those names': `hits.items` is of `hits`, and of `find.hits`, which a call brought."""
    return any(f".{of}.".endswith(f".{name.rpartition('.')[0]}.") or f"{name}.".startswith(f"{of}.") for of in known)


def loose(sizes: Iterable[tuple[str, Figure]]) -> tuple[str, ...]:
    """Sizes that a program's writer may state otherwise: those that do not follow from others, and lengths of replies,
    which `max_tokens` sets."""
    return tuple(name for name, figure in sizes if figure.basis is not Basis.DERIVED or name.endswith(".output"))


def _unit(name: str) -> str:
    match name.rpartition(".")[2]:
        case "items":
            return "items"
        case "tokens" | "output":
            return "tokens"
        case _:
            return ""
