"""Running a program with its stages in processes of their own, one for each instance of a tier.

    placing, found = place(compiled, "answer", folder, plan)
    async with run_placed(placing, inputs) as frames: …

A program is placed by a plan, or by what it says itself (`with place on …`). Its islands go to workers as the text of
their modules, by hash; `open_island` is the other end. On this machine a worker uses the program's folder as it lies;
elsewhere the files come along, and what could do anything (Python, commands, servers) runs only where somebody stands
for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base.problems import OutsideError, Problem, Problems, has_errors

if TYPE_CHECKING:
    import signal

    from .api import Compiled
    from .executor.observers import Observer
    from .executor.running import Approver
    from .executor.workers.coordinator import Coordinator
    from .executor.workers.greeting import Arrived, Island, OpenIsland
    from .executor.workers.places import Launcher, Papers
    from .executor.workers.runs import PlacedRun
    from .executor.workers.shipping import Parcel
    from .ir.compile import Module
    from .ir.graph import Graph, Tool
    from .planner.plan import Plan

HERE = "here"
"""What home is called where no fleet says."""
ACTING = ("python", "process", "mcp")
"""What the stages are called that run code of the program's folder, or commands."""


@dataclass(frozen=True, slots=True)
class Placing:
    """A program that is placed: its islands by tier, and how many workers each is to have. `compiled` is what it was
    made of."""

    compiled: Compiled
    pipeline: str
    home: str
    islands: Mapping[str, Module]
    instances: Mapping[str, int]

    @property
    def tiers(self) -> tuple[str, ...]:
        """Those that have workers: all but home."""
        return tuple(tier for tier in self.islands if tier != self.home)


def place(compiled: Compiled, pipeline: str, plan: Plan | None = None) -> tuple[Placing | None, Problems]:
    """The program's islands, by a plan or by what the program says. None where a placement cannot be."""
    from .ir.compile import lower, run_passes
    from .ir.graph import walk
    from .ir.islands import islands
    from .ir.passes import PASSES
    from .ir.place import home_of, placed, placement_of

    module = compiled.module
    if module is None:
        module, found = lower(compiled.program)
        if module is None:
            return None, found
        module, found = run_passes(module, compiled.library, passes=PASSES, laws=False)
        if module is None or has_errors(found):
            return None, found
    stages = {o.id for p in module.graph().pipelines for o in walk(p.body)}
    given = {} if plan is None else {s: t for s, t in placement_of(plan).items() if s in stages}
    given = _together(module.graph(), given)
    fleet = plan.fleet if plan is not None and plan.fleet in module.graph().fleets else None
    home, _ = home_of(module.graph(), fleet)
    module, more = placed(module, given, home=home or HERE, fleet=fleet)
    if module is None:
        return None, more
    module, more = run_passes(module, compiled.library, passes=("insert_transfers", "partition"), laws=False)
    if module is None or has_errors(more):
        return None, more
    parts, more = islands(module)
    if not parts:
        return None, more
    instances = {} if plan is None else {pool.tier: pool.replicas for pool in plan.pools}
    return Placing(compiled, pipeline, home or HERE, parts, instances), ()


def _together(graph: Graph, given: Mapping[str, str]) -> dict[str, str]:
    """The placement with the stages of each chat on one tier, that of its decode: what passes between them (a KV cache,
    how tokens are chosen) only means something in the process that made it."""
    from .ir.graph import KvType, SamplerType, TokensType, walk
    from .lang.types import StreamType

    found = dict(given)
    for pipeline in graph.pipelines:
        leader: dict[str, str] = {}

        def top(stage: str, leader: dict[str, str] = leader) -> str:
            while leader.get(stage, stage) != stage:
                stage = leader[stage]
            return stage

        made: dict[int, str] = {}
        decodes: list[str] = []
        for operation in walk(pipeline.body):
            if operation.attributes.get("entry") == "llm:decode":
                decodes.append(operation.id)
            for operand in operation.operands:
                kind = operand.type.element if isinstance(operand.type, StreamType) else operand.type
                if isinstance(kind, KvType | SamplerType | TokensType) and operand.id in made:
                    leader[top(operation.id)] = top(made[operand.id])
            made.update((result.id, operation.id) for result in operation.results)
        tiers = {top(stage): given[stage] for stage in decodes if stage in given}
        found |= {stage: tiers[top(stage)] for stage in found if top(stage) in tiers}
    return found


def parcel_of(
    placing: Placing, tier: str, *, profile: str | None = None, elsewhere: bool = False, sign: str | None = None
) -> Parcel:
    """An island as it is sent. `elsewhere` has the files that it needs go along; `sign` names a private key whose owner
    stands for them. Raises `OutsideError`."""
    from .executor.workers.messages import File, Shipment, said
    from .executor.workers.shipping import Parcel, hash_of
    from .packages.resources import source_of
    from .packages.signing import private_key
    from .packages.signing import sign as signed

    module = placing.islands[tier]
    text = module.text().encode()
    files = {hash_of(text): text}
    named: list[File] = []
    folder = placing.compiled.library.folder
    if elsewhere:
        for path, purpose in _files(placing, tier, folder).items():
            data = source_of(folder, path, purpose).read_bytes()
            files[hash_of(data)] = data
            named.append(File(path, purpose, hash_of(data)))
    shipment = said(
        Shipment(
            tier=tier,
            digest=hash_of("".join(f"{file.path}\0{file.hash}\n" for file in named).encode() + hash_of(text).encode()),
            module=hash_of(text),
            folder=None if elsewhere else str(folder.resolve()),
            files=tuple(named),
            profile=profile,
        )
    )
    return Parcel(shipment, b"" if sign is None else signed(private_key(sign), shipment), files)


def _files(placing: Placing, tier: str, folder: Path) -> Mapping[str, str]:
    from .api import settings_of
    from .packages.resources import find_resources

    settings, found = settings_of(folder)
    if not has_errors(found):
        resources, found = find_resources(placing.islands[tier].graph(), folder, settings, ())
        if not has_errors(found):
            return resources.files
    raise OutsideError(next(problem for problem in found if has_errors((problem,))))


def opener(
    *, trust: bool = False, keys: Sequence[str] = (), warn: Callable[[Problem], None] | None = None
) -> OpenIsland:
    """What a worker opens islands with. `trust` believes whoever it serves, `keys` (files) who holds one of them."""

    def open_island(arrived: Arrived) -> Island:
        from .api import settings_of
        from .executor.backends.local import LocalBackend
        from .executor.workers.greeting import Island
        from .ir.compile import parse
        from .ir.foreign import parse_foreign
        from .stdlib.library import Library

        text = arrived.module.decode("utf-8", "replace")
        if not arrived.same_user:
            foreign, found = parse_foreign(text, graph=True)
            if foreign is None:
                raise OutsideError(found[0])
            text = foreign.text
        module, found = parse(text)
        if module is None:
            raise OutsideError(found[0])
        graph = module.graph()
        if not (arrived.same_user or trust):
            _trusted(arrived, graph.tools, {str(handle.entry) for handle in graph.handles}, keys)
        settings, found = settings_of(arrived.folder, arrived.contents.profile)
        if has_errors(found):
            raise OutsideError(found[0])
        library = Library(arrived.folder, warn=warn, settings=settings)
        library.serve(graph)
        return Island(graph, LocalBackend(library))

    return open_island


def _trusted(arrived: Arrived, tools: Iterable[Tool], handles: Iterable[str], keys: Sequence[str]) -> None:
    """OutsideError (worker-distrusts) for what could do anything, where nobody stands for it."""
    from .executor.workers.problems import worker_distrusts
    from .packages.signing import signer, trusted_keys

    entries = {*(tool.entry for tool in tools), *handles}
    acting = sorted(entry for entry in entries if entry.partition(":")[0] in ACTING)
    if not acting:
        return
    if arrived.signature:
        key = signer(arrived.signature, arrived.shipment, arrived.contents.tier)
        if not isinstance(key, Problem) and key in trusted_keys(keys):
            return
    raise OutsideError(worker_distrusts(arrived.contents.tier, acting[0].replace(":", " ")))


@asynccontextmanager
async def coordinated(
    placing: Placing,
    *,
    launcher: Launcher | None = None,
    workers: Mapping[str, Sequence[str]] | None = None,
    joining: Iterable[str] = (),
    listen: str | None = None,
    papers: Papers | None = None,
    instances: Mapping[str, int] | None = None,
    sign: str | None = None,
    profile: str | None = None,
    observers: Iterable[Observer] = (),
    signals: Iterable[signal.Signals] = (),
    tell: Callable[[Problem], None] | None = None,
    environment: Mapping[str, str] | None = None,
    choose: Callable[[str, Sequence[str]], str] | None = None,
) -> AsyncGenerator[Coordinator]:
    """The islands of a program, home's here and the others in workers, for any number of runs.

    `workers` are addresses where workers of a tier wait (`agentlang worker --listen`), `joining` are tiers whose
    workers come by themselves to `listen` (`--join`); both need `papers`. All others are processes that `launcher`
    starts, `instances` of each tier, with `environment` added to theirs. `tell` hears of workers that are gone.
    """
    from .executor.backends.local import LocalBackend
    from .executor.workers.coordinator import Coordinator
    from .executor.workers.greeting import Island
    from .executor.workers.peers import Crew
    from .executor.workers.processes import ProcessLauncher
    from .executor.workers.staff import Staff

    waiting, come = workers or {}, set(joining)
    counts = {**placing.instances, **(instances or {})}
    crews: dict[str, Crew] = {}
    for tier in placing.tiers:
        elsewhere = tier in waiting or tier in come
        crews[tier] = Crew(
            placing.islands[tier].graph(),
            parcel_of(placing, tier, profile=profile, elsewhere=elsewhere or papers is not None, sign=sign),
            max(1, counts.get(tier, 1)),
            environment=environment or {},
            addresses=tuple(waiting.get(tier, ())),
            joins=tier in come,
        )
    compiled = placing.compiled
    graph = placing.islands[placing.home].graph()
    compiled.library.serve(graph)
    staff = Staff(launcher or ProcessLauncher(), listen=listen, papers=papers)
    coordinator = Coordinator(
        Island(graph, LocalBackend(compiled.library)), crews, staff, observers=observers, tell=tell, signals=signals,
        choose=choose,
    )  # fmt: skip
    async with coordinator:
        yield coordinator


@asynccontextmanager
async def run_placed(
    placing: Placing,
    inputs: Mapping[str, object],
    *,
    timeout: float | None = None,
    session: str | None = None,
    approve: Approver | None = None,
    **options: Any,
) -> AsyncGenerator[PlacedRun]:
    """One run of a program that is placed, as `api.run`; `options` are those of `coordinated`."""
    async with (
        coordinated(placing, **options) as coordinator,
        coordinator.start(placing.pipeline, inputs, timeout, session=session, approve=approve) as running,
    ):
        yield running
