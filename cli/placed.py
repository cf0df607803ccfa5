"""`run --on processes`: the stages of a plan in processes of their own, one for each instance of a tier.

agentlang run FILE --on processes name=value
agentlang run FILE --on processes --worker gpu=tcp://gpu.example:7411 --credentials papers/laptop.example
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from ..base.problems import OutsideError, Problem, has_errors
from . import problems as words
from .asking import approver
from .console import Console, Exit, measuring
from .loops import fast_loop
from .observing import observers
from .showing import code_of, last_line, show
from .sound import SoundOut
from .target import Target

if TYPE_CHECKING:
    from ..api import Compiled
    from ..executor.frames import End
    from ..placed import Placing
    from ..planner.plan import Plan

WAYS = ("local", "processes", "ray")
_RAY = "ray://"
_NOT_YET = ("durable", "resume", "record", "replay", "enforce_goal")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on", metavar="WAY", default="local", help="where stages run: local (default), processes, ray[://host:port]"
    )
    group = parser.add_argument_group("stages in processes of their own (--on processes)")
    group.add_argument("--instances", action="append", default=[], metavar="TIER=N", help="so many workers of a tier")
    group.add_argument(
        "--worker",
        action="append",
        default=[],
        metavar="TIER[=ADDRESS]",
        help="a worker that waits there, or will join here",
    )
    group.add_argument("--listen", metavar="ADDRESS", help="where workers of other hosts join: tcp://host:port")
    group.add_argument("--credentials", metavar="DIR", help="certificates for workers on other hosts")
    group.add_argument("--sign", metavar="KEY", help="stand for what workers on other hosts are sent")


def usage(arguments: argparse.Namespace) -> Problem | None:
    """What is wrong with how it was asked for."""
    way: str = arguments.on
    if way not in WAYS and not (way.startswith(_RAY) and way != _RAY):
        return words.no_such_way(way, WAYS)
    if way.startswith("ray") and (given := [name for name in ("worker", "listen") if getattr(arguments, name)]):
        return words.not_on_ray(given[0])
    if way == "local":
        given = [name for name in ("instances", "worker", "listen", "sign") if getattr(arguments, name)]
        return words.only_placed(given[0]) if given else None
    for other in _NOT_YET:
        if getattr(arguments, other):
            return words.not_placed_yet(f"--{other.replace('_', '-')}")
    for word in arguments.instances:
        tier, _, count = word.partition("=")
        if not tier or not count.isascii() or not count.isdigit() or not 0 < int(count) <= 1024:
            return words.not_instances(word)
    return _workers_wrong(arguments)


def _workers_wrong(arguments: argparse.Namespace) -> Problem | None:
    from ..executor.workers.places import split

    addresses = [word.partition("=")[2] for word in arguments.worker if "=" in word]
    for address in (*addresses, *filter(None, (arguments.listen,))):
        try:
            if split(address)[0] != "tcp":
                return words.not_an_address(f"{address!r} is no address of another host")
        except ValueError as error:
            return words.not_an_address(str(error))
    if (arguments.worker or arguments.listen) and not arguments.credentials:
        return words.worker_credentials()
    return None


def execute(
    arguments: argparse.Namespace, target: Target, inputs: Mapping[str, object], timeout: float | None, console: Console
) -> int:
    from functools import partial

    import anyio

    from ..placed import place

    planned, compiled, found = _plan(arguments, target, console)
    if has_errors(found) and planned is None:
        return console.fail(found, target.sources)
    placing, found = place(compiled, target.pipeline, planned)
    if placing is None:
        return console.fail(found, target.sources)
    wrong = _unknown_tiers(arguments, placing)
    if wrong is not None:
        return console.fail((wrong,), {}, Exit.USAGE)
    if not arguments.quiet and not console.json:
        _tell(placing, arguments, console)
    out: str | None = arguments.out
    with observers(arguments, target, console) as watching:
        running = _running(arguments, placing, planned, inputs, timeout, console, watching)
        try:
            sound = SoundOut(out) if out is not None else None
        except OSError as error:
            raise OutsideError(words.not_written(str(out), (error.strerror or str(error)).lower())) from error
        try:
            end: End = anyio.run(partial(show, running, target, console, sound), backend_options=fast_loop())
        finally:
            if sound is not None:
                sound.close()
    if console.json:
        console.line(last_line(end, ()))
    return code_of(end, False, console)


@asynccontextmanager
async def _running(
    arguments: argparse.Namespace,
    placing: Placing,
    planned: Plan | None,
    inputs: Mapping[str, object],
    timeout: float | None,
    console: Console,
    watching: Any,
) -> AsyncGenerator[Any]:
    from ..placed import run_placed

    def tell(problem: Problem) -> None:
        console.problems((problem,), {})

    async with (
        launching(arguments, placing, planned) as options,
        run_placed(
            placing,
            inputs,
            timeout=timeout,
            session=arguments.session,
            approve=approver(arguments.approve, console),
            observers=watching,
            signals=(signal.SIGINT, signal.SIGTERM),
            tell=tell,
            instances=_instances(arguments),
            sign=arguments.sign,
            profile=arguments.profile,
            **options,
        ) as running,
    ):
        yield running


@asynccontextmanager
async def launching(
    arguments: argparse.Namespace, placing: Placing, planned: Plan | None
) -> AsyncGenerator[Mapping[str, Any]]:
    """How workers are had, as options of `placed.coordinated`."""
    from .worker import papers

    if arguments.on.startswith("ray"):
        counts = {**placing.instances, **_instances(arguments)}
        with _on_ray(arguments.on, {tier: max(1, counts.get(tier, 1)) for tier in placing.tiers}, planned) as options:
            yield options
        return

    workers: dict[str, list[str]] = {}
    joining: list[str] = []
    for word in arguments.worker:
        tier, given, address = word.partition("=")
        if given:
            workers.setdefault(tier, []).append(address)
        else:
            joining.append(tier)
    yield {
        "workers": workers,
        "joining": joining,
        "listen": arguments.listen,
        "papers": papers(arguments.credentials) if arguments.credentials else None,
    }


@contextmanager
def _on_ray(way: str, counts: Mapping[str, int], planned: Plan | None) -> Generator[Mapping[str, Any]]:
    from ..executor.ray.cluster import cluster
    from ..executor.ray.launcher import RayLauncher
    from ..planner.export.raycluster import needs_of

    address = way[len(_RAY) :] if way.startswith(_RAY) else None
    with cluster(address, counts) as joined:
        launcher = RayLauncher(joined, counts, None if planned is None else needs_of(planned))
        try:
            yield {"launcher": launcher, "listen": launcher.listen, "papers": launcher.papers}
        finally:
            launcher.close()


def _instances(arguments: argparse.Namespace) -> dict[str, int]:
    pairs = (word.partition("=") for word in arguments.instances)
    return {tier: int(count) for tier, _, count in pairs}


def _unknown_tiers(arguments: argparse.Namespace, placing: Placing) -> Problem | None:
    named = [word.partition("=")[0] for word in (*arguments.instances, *arguments.worker)]
    for tier in named:
        if tier not in placing.tiers:
            return words.no_such_worker_tier(tier, placing.tiers, placing.home)
    return None


def _plan(
    arguments: argparse.Namespace, target: Target, console: Console
) -> tuple[Plan | None, Compiled, tuple[Problem, ...]]:
    """The plan that places the stages; none for a program without a fleet, which places them itself."""
    from ..api import plan
    from ..planner import hardware
    from .plan import read_plan

    if arguments.plan is not None:
        return read_plan(arguments.plan, target)
    if not target.compiled.program.fleets:
        return None, target.compiled, ()
    machine = hardware.load_or_measure(None if arguments.quiet else measuring(console))
    planned, found = plan(target.compiled, target.pipeline, machine)
    return planned, target.compiled, found


def _tell(placing: Placing, arguments: argparse.Namespace, console: Console) -> None:
    elsewhere = {word.partition("=")[0] for word in arguments.worker}
    here = [tier for tier in placing.tiers if tier not in elsewhere]
    if not placing.tiers:
        console.note(f"every stage is on {placing.home}: there is nothing for another process")
    elif here:
        where = "machines of the cluster" if arguments.on.startswith("ray") else "processes of this machine"
        console.note(f"{', '.join(here)}: on {where}, whatever hardware the plan has in mind")
