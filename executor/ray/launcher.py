"""A `Launcher` whose workers stand on the machines of a cluster of Ray.

    with cluster(address, {"gpu": 2}) as joined:
        launcher = RayLauncher(joined, {"gpu": 2})
        staff = Staff(launcher, listen=launcher.listen, papers=launcher.papers, seen_as=joined.host)

Each worker gets a certificate of its own, for the machine that Ray has chosen, from an authority that is in this
process alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...base.problems import OutsideError
from .. import ray_problems as problems
from ..wire import Authority, WireProblem
from ..workers.places import Joining, Papers, Place, split
from .cluster import Cluster, Held, resource_of

PATIENCE = 90.0
"""Seconds in which Ray has to find a machine for a worker: longer than it takes to notice that one is gone."""
_SLACK = 5.0


class RayLauncher:
    """Holds room for `counts` workers of each tier at once, and starts them there. `needs` are what a worker of a tier
    takes of devices, by Ray's names (`{"gpu": {"GPU": 1}}`)."""

    def __init__(
        self,
        cluster: Cluster,
        counts: Mapping[str, int],
        needs: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        self._cluster = cluster
        self._needs = needs or {}
        self._counts = dict(counts)
        self._held: Held | None = None
        self._free: dict[str, list[int]] = {}
        try:
            self._authority = Authority()
        except WireProblem as error:
            raise OutsideError(problems.ray_missing("cryptography", "ray")) from error
        self.papers = self._issued(cluster.host, "localhost")
        self.listen = f"tcp://{cluster.host}:0"

    async def launch(self, place: Place, joining: Joining) -> Seated:
        """Returns when Ray has a machine for it. What goes wrong there is how the worker ended: it may be tried
        again."""
        held, bundle = self._bundle(place.tier)
        seat = self._cluster.seat(self._wanted(place.tier), held, bundle)
        seated = Seated(self, self._cluster, seat, place.tier, bundle if held is not None else None)
        try:
            _, host, port = split(joining.address)
            names = await asyncio.wait_for(seat.names.remote(host, port), PATIENCE)
            own = replace(joining, secret=self._issued(*dict.fromkeys(names)))
            environment = dict(place.environment)
            at = (place.tier, place.instance, place.cores, place.memory, environment, own.document())
            await asyncio.wait_for(seat.start.remote(*at), PATIENCE)
        except asyncio.CancelledError:
            await seated.stop(0.0)
            raise
        except TimeoutError:
            seated.why = f"Ray finds no machine for it within {PATIENCE:g} s"
        except Exception as error:
            seated.why = _words(error)
        return seated

    def free(self, tier: str, bundle: int) -> None:
        """For `Seated`: its room may be taken by another."""
        self._free[tier].append(bundle)

    def close(self) -> None:
        if self._held is not None:
            self._held.let_go()
            self._held = None

    def _bundle(self, tier: str) -> tuple[Held | None, int]:
        """Room that is held; or none, for one more than were counted on."""
        if self._held is None:
            bundles: list[Mapping[str, float]] = []
            for each, count in self._counts.items():
                self._free[each] = list(range(len(bundles), len(bundles) + count))
                bundles += [self._wanted(each)] * count
            if not bundles:
                return None, -1
            self._held = self._cluster.hold(bundles)
        free = self._free.get(tier)
        return (self._held, free.pop(0)) if free else (None, -1)

    def _wanted(self, tier: str) -> Mapping[str, float]:
        return {"CPU": 1.0, resource_of(tier): 1.0, **self._needs.get(tier, {})}

    def _issued(self, *names: str) -> Papers:
        with TemporaryDirectory(prefix="agentlang-papers-") as folder:
            return Papers.of(self._authority.issue(Path(folder, "issued"), *names))


class Seated:
    """A worker and its actor; see `places.Launched`. `why` is known where it ended before it began."""

    def __init__(self, launcher: RayLauncher, cluster: Cluster, seat: Any, tier: str, bundle: int | None) -> None:
        self.why: str | None = None
        self._launcher = launcher
        self._cluster = cluster
        self._seat = seat
        self._tier = tier
        self._bundle = bundle

    async def ended(self) -> str:
        if self.why is None:
            try:
                self.why = str(await self._seat.ended.remote())
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.why = _words(error)
        return self.why

    async def stop(self, grace: float) -> None:
        bundle, self._bundle = self._bundle, None
        if bundle is not None:
            # At once: another may be on its way, and waits in Ray until this one is gone.
            self._launcher.free(self._tier, bundle)
        if self.why is None:
            # A machine that is gone does not answer, and Ray takes its time to notice.
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._seat.stop.remote(grace), grace + _SLACK)
        # The worker ends with its actor.
        self._cluster.kill(self._seat)


def _words(error: Exception) -> str:
    """What Ray says of an actor that failed, in a line."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, OutsideError):
        return cause.problem.title
    kind = type(error).__name__
    if "ActorDied" in kind or "ActorUnavailable" in kind or "NodeDied" in kind:
        return "its machine or its actor is gone"
    return f"Ray says {kind}: {str(error).splitlines()[0][:200] if str(error) else 'nothing more'}"
