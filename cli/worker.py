"""`agentlang worker --tier NAME (--listen ADDRESS | --join ADDRESS)`: a place where stages of runs of others run.

agentlang worker --issue papers gpu.example laptop.example        # once: certificates for each machine
agentlang worker --tier gpu --listen tcp://gpu.example:7411 --credentials papers/gpu.example
agentlang run FILE --on processes --worker gpu=tcp://gpu.example:7411 --credentials papers/laptop.example
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problems import OutsideError, Problem
from . import problems as words
from .console import Console, Exit
from .loops import fast_loop

if TYPE_CHECKING:
    from ..executor.workers.places import Joining, Papers


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tier", metavar="NAME", help="the tier that this is a worker of")
    parser.add_argument("--listen", metavar="ADDRESS", help="wait for runs there: tcp://host:port")
    parser.add_argument("--join", metavar="ADDRESS", help="take part in the run that listens there: tcp://host:port")
    parser.add_argument("--credentials", metavar="DIR", help="this machine's certificate, key and authority")
    parser.add_argument("--peers", metavar="ADDRESS", help="with --join: where other workers reach this one")
    parser.add_argument("--trust", action="store_true", help="run code that programs bring, signed or not")
    parser.add_argument("--key", action="append", default=[], metavar="FILE", help="trust who holds this public key")
    parser.add_argument("--cores", type=float, metavar="N", help="take no more processors than these")
    parser.add_argument("--memory", type=int, metavar="BYTES", help="take no more memory than this")
    parser.add_argument("--issue", nargs="+", metavar=("DIR", "NAME"), help="make credentials for machines, and end")
    parser.add_argument("--joining", help=argparse.SUPPRESS)
    parser.epilog = (
        "example: agentlang worker --tier gpu --listen tcp://gpu.example:7411 --credentials papers/gpu.example"
    )


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..executor.wire import WireProblem

    if arguments.issue:
        return _issue(arguments.issue, console)
    wrong = _usage(arguments)
    if wrong is not None:
        return console.fail((wrong,), {}, Exit.USAGE)
    joining: Joining | None = None
    if arguments.joining is not None:
        from ..executor.engines.workers.inside import called
        from ..executor.workers.processes import bound_to_parent, read_joining

        document, leash = map(int, arguments.joining.split(","))
        bound_to_parent(leash)
        called(f"al {arguments.tier}")
        joining = read_joining(document)
    if arguments.cores is not None or arguments.memory is not None:
        from ..executor.workers.processes import bounded

        bounded(arguments.cores, arguments.memory)
    try:
        return _work(arguments, joining, console)
    except WireProblem as problem:
        return console.fail((words.worker_wire(str(problem), problem.name),), {}, Exit.OUTSIDE)
    except OutsideError as error:
        return console.fail((error.problem,), {}, Exit.OUTSIDE)


def _usage(arguments: argparse.Namespace) -> Problem | None:
    from ..executor.workers.places import split

    ways = [way for way in ("listen", "join", "joining") if getattr(arguments, way) is not None]
    if arguments.tier is None or len(ways) != 1:
        return words.worker_usage()
    if ways != ["joining"]:
        try:
            kind, _, _ = split(getattr(arguments, ways[0]))
        except ValueError as error:
            return words.not_an_address(str(error))
        if kind != "tcp" or arguments.credentials is None:
            return words.worker_credentials()
    return None


def _issue(names: list[str], console: Console) -> int:
    from ..executor.wire import Authority, WireProblem

    folder, *machines = names
    if not machines:
        return console.fail((words.worker_usage(),), {}, Exit.USAGE)
    try:
        authority = Authority(days=365.0)
        for machine in machines:
            own = ("localhost", "127.0.0.1")
            authority.issue(Path(folder, machine), machine, *(name for name in own if name != machine))
    except (WireProblem, OSError) as error:
        return console.fail((words.not_issued(folder, str(error)),), {}, Exit.OUTSIDE)
    if console.json:
        console.line({"issued": [str(Path(folder, machine)) for machine in machines]})
    else:
        console.note(f"credentials of {', '.join(machines)} are in {folder}; each folder is for its machine alone")
    return Exit.DONE


def papers(folder: str) -> Papers:
    """What is in a folder of credentials. Raises `OutsideError` (credentials-unreadable)."""
    from ..executor.wire import Files
    from ..executor.workers.places import Papers

    files = Files(*(Path(folder, f"{name}.pem") for name in ("certificate", "key", "authority")))
    try:
        return Papers.of(files)
    except OSError as error:
        raise OutsideError(words.credentials_unreadable(folder, (error.strerror or str(error)).lower())) from error


def _work(arguments: argparse.Namespace, joining: Joining | None, console: Console) -> int:
    import anyio

    from ..executor.workers.places import Joining
    from ..executor.workers.worker import offer, serve
    from ..placed import opener

    open_island = opener(trust=arguments.trust, keys=arguments.key)

    def ready(address: str) -> None:
        if console.json:
            console.line({"type": "listening", "tier": arguments.tier, "address": address})
        else:
            console.note(f"a worker of {arguments.tier} listens at {address}; Ctrl-C ends it")

    async def work() -> None:
        if joining is not None:
            await serve(joining, open_island)
        elif arguments.join is not None:
            given = Joining(arguments.join, arguments.tier, papers(arguments.credentials))
            await serve(given, open_island, peers=arguments.peers)
        else:
            await offer(arguments.listen, papers(arguments.credentials), arguments.tier, open_island, ready)

    async def until_signal() -> bool:
        stopped = False
        async with anyio.create_task_group() as group:

            async def listening() -> None:
                nonlocal stopped
                with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
                    async for _ in received:
                        stopped = True
                        group.cancel_scope.cancel()
                        return

            group.start_soon(listening)
            await work()
            group.cancel_scope.cancel()
        return stopped

    try:
        stopped = anyio.run(until_signal, backend_options=fast_loop())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return Exit.INTERRUPTED if stopped and joining is None else Exit.DONE
