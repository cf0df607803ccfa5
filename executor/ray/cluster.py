"""A cluster of Ray, as far as it is used here: connect, hold places for workers, start actors in them.

All calls of Ray stand here, behind types of ours: its own say little.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Generator, Mapping, Sequence
from importlib import import_module
from typing import Any

from ...base.problems import OutsideError
from .. import ray_problems as problems

PREFIX = "agentlang:"
"""Begins the resource of Ray that says that a machine is of a tier: `agentlang:gpu`."""
STRATEGY = "SPREAD"
"""Workers on several machines, where there are: one that is lost takes fewer with it."""
_ANSWER = 5.0
"""Seconds in which a cluster must answer."""
_STORE = 80 << 20
"""Bytes of a store for objects that a cluster of this process alone has: nothing is put there."""


def resource_of(tier: str) -> str:
    return f"{PREFIX}{tier}"


@contextlib.contextmanager
def cluster(address: str | None, tiers: Mapping[str, int]) -> Generator[Cluster]:
    """The cluster at `host:port`; without one the cluster that `RAY_ADDRESS` names or that runs on this machine, else
    one of this process alone, which goes with it. `tiers` says how many workers of each are to have room. Raises
    OutsideError (extra-missing, ray-unreachable, ray-no-tier)."""
    known = address or os.environ.get("RAY_ADDRESS")
    _somebody_at(known)
    ray = _ray()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if known is None:
            try:
                ray.init(address="auto", **quiet)
            except ConnectionError:
                rooms = {resource_of(tier): count for tier, count in tiers.items()}
                cores = max(2, sum(tiers.values()), os.cpu_count() or 1)
                alone = {"include_dashboard": False, "object_store_memory": _STORE}
                ray.init(address="local", num_cpus=cores, resources=rooms, **alone, **quiet)
        else:
            ray.init(address=known, **quiet)
    except Exception as error:
        where = known or "this machine"
        raise OutsideError(problems.no_cluster(where, str(error).splitlines()[0][:300])) from error
    try:
        found: Mapping[str, float] = ray.cluster_resources()
        for tier, count in tiers.items():
            has = found.get(resource_of(tier), 0.0)
            if has < count:
                raise OutsideError(problems.no_machine(tier, resource_of(tier), has, count))
        yield Cluster(ray)
    finally:
        ray.shutdown()


class Cluster:
    """One that this process is connected with."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    @property
    def host(self) -> str:
        """The address of this machine, as the others of the cluster reach it."""
        return str(self._ray.util.get_node_ip_address())

    def hold(self, bundles: Sequence[Mapping[str, float]]) -> Held:
        """Room for so many workers at once: a placement group. Ray finds other room for what a lost machine had."""
        group = self._ray.util.placement_group([dict(bundle) for bundle in bundles], strategy=STRATEGY)
        return Held(self._ray, group)

    def seat(self, needs: Mapping[str, float], held: Held | None, bundle: int) -> Any:
        """An actor that may start one worker: in a place that is held, or, where `held` is None, where there is room.
        It comes up once: whether there is another after it is not for Ray to say."""
        from .seat import Seat

        options: dict[str, Any] = {
            "num_cpus": needs.get("CPU", 0.0),
            "num_gpus": needs.get("GPU", 0.0),
            "resources": {name: amount for name, amount in needs.items() if name not in ("CPU", "GPU", "memory")},
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if "memory" in needs:
            options["memory"] = needs["memory"]
        if held is not None:
            options["scheduling_strategy"] = held.strategy(bundle)
        return self._ray.remote(Seat).options(**options).remote()

    def kill(self, seat: Any) -> None:
        with contextlib.suppress(Exception):
            self._ray.kill(seat, no_restart=True)


class Held:
    """A placement group."""

    def __init__(self, ray: Any, group: Any) -> None:
        self._ray = ray
        self._group = group

    def strategy(self, bundle: int) -> Any:
        strategies: Any = import_module("ray.util.scheduling_strategies")
        return strategies.PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=bundle)

    def let_go(self) -> None:
        with contextlib.suppress(Exception):
            self._ray.util.remove_placement_group(self._group)


def _somebody_at(address: str | None) -> None:
    """Ray itself waits for minutes where nobody is, and says it in its own way."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        return
    try:
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        why = (getattr(error, "strerror", None) or str(error) or "it does not answer").lower()
        raise OutsideError(problems.no_cluster(str(address), why)) from error


def _ray() -> Any:
    # Ray tells its makers who uses it, unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray: Any = import_module("ray")
        import_module("ray.util")
    except ImportError as error:
        raise OutsideError(problems.ray_missing("ray", "ray")) from error
    # It prints what it hears of lost machines on standard output, where results go.
    with contextlib.suppress(ImportError, AttributeError):
        inside: Any = import_module("ray._private.worker")
        inside._worker_logs_enabled = False
    return ray
