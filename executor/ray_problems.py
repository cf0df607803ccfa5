"""The words for what can go wrong with a cluster of Ray."""

from __future__ import annotations

from ..base.problems import Problem


def ray_missing(package: str, extra: str) -> Problem:
    return Problem(
        "extra-missing",
        f"`--on ray` needs the package {package}, which is not installed",
        hint=f"pip install 'agentlang-toolchain[{extra}]', here and on every machine of the cluster",
    )


def no_cluster(address: str, why: str) -> Problem:
    return Problem(
        "ray-unreachable",
        f"no cluster of Ray answers at {address}: {why}",
        hint="give the address that `ray start --head` printed, on a machine that has joined the cluster",
    )


def no_machine(tier: str, resource: str, has: float, needs: int) -> Problem:
    found = "no machine" if not has else f"room for {has:g} of {needs} workers"
    return Problem(
        "ray-no-tier",
        f"the cluster has {found} of tier {tier!r}: {needs} of the resource {resource!r} are needed",
        hint=f"start its machines with: ray start --address=… --resources='{{\"{resource}\": 1}}'",
    )
