"""What has to stand where for a plan to be so: groups of equal workers, each holding devices of its tier.

A group is a pool of the plan; pools of the machines around devices (`old host`) come with those. Of a machine that a
worker has to itself a part is left to the system on it, or no scheduler would ever find one that is free.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...base.problems import Problem, Problems
from ...base.store import sha256_bytes
from .. import export_problems as words
from ..catalogue import catalogue
from ..plan import Plan, PoolPlan, TierPlan
from .devices import node_of

CORES_TAKEN = 0.9
MEMORY_TAKEN = 0.85
"""Of a machine's cores and memory; the rest is the system's."""
SUMS = "SHA256SUMS"
PLAN = "plan.json"
_LONGEST_NAME = 40
_DRAIN = 30


@dataclass(frozen=True, slots=True)
class Group:
    """Equal workers of a tier: `instances` of them, numbered from `first` within the tier, each with `devices` devices
    (0 where the tier is of processors), `cores` and `memory` in bytes.

    `device` is the catalogue's name of it. `kept` are the labels whose data the goal keeps on this tier, among others.
    """

    tier: str
    name: str
    instances: int
    first: int
    device: str
    title: str
    devices: int
    cores: float
    memory: int
    pools: tuple[str, ...]
    region: str = ""
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outside:
    """A tier that somebody else runs: its address, or the name of the secret that holds it."""

    tier: str
    address: str | None
    secret: str | None
    serves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shipped:
    """The program as files: its text, the files of its folder that it needs, and its plan. `folder` is the name of the
    folder in which they lie, `program` that of the text in it. `sums` lists them with their SHA-256, as `sha256sum`
    does, and `sha256` is that of the list."""

    sha256: str
    folder: str
    program: str
    files: Mapping[str, bytes] = field(hash=False)

    @classmethod
    def of(cls, folder: str, program: str, files: Mapping[str, bytes]) -> Shipped:
        """With the list among the files."""
        sums = "".join(f"{sha256_bytes(data)}  {path}\n" for path, data in sorted(files.items())).encode()
        return cls(sha256_bytes(sums), folder, program, {**files, SUMS: sums})

    @property
    def size(self) -> int:
        return sum(map(len, self.files.values()))


@dataclass(frozen=True, slots=True)
class About:
    """What a deployment is made from beside the plan. `secrets` are the names of those that a run needs, `models`
    whether it needs weights, `outward` whether it asks hosts of other people, `asks` whether it takes
    inputs. `share` is a cell's part of the runs."""

    name: str
    image: str
    shipped: Shipped
    outside: tuple[Outside, ...] = ()
    keeps: tuple[tuple[str, tuple[str, ...]], ...] = ()
    secrets: tuple[str, ...] = ()
    models: bool = False
    outward: bool = False
    asks: bool = False
    home: str | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """See the module. `home` is the tier that the coordinator is of, `grace` the seconds in which a worker may finish
    what it has begun."""

    about: About
    pipeline: str
    program: str
    plan: str
    home: str
    groups: tuple[Group, ...]
    grace: int

    @property
    def name(self) -> str:
        return self.about.name

    def of(self, tier: str) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.tier == tier)


def plain_name(text: str) -> str:
    """A name as DNS takes it: small letters, digits and single dashes, at most 40 of them, a letter first."""
    found = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST_NAME].strip("-")
    return found if found[:1].isalpha() else f"a-{found}".strip("-")


def deployment_of(plan: Plan, about: About) -> Deployment:
    """What a plan says about machines."""
    groups: list[Group] = []
    for tier in plan.tiers:
        if not tier.endpoint and plan.on(tier.name):
            groups += _groups(plan, tier, about)
    slowest = max((goal.limit for goal in plan.goals if goal.term == "finish"), default=0.0)
    finish = plan.prediction("finish")
    expected = max(slowest, finish.value if finish is not None else 0.0)
    own = next((tier.name for tier in plan.tiers if not tier.endpoint), plan.tiers[0].name)
    return Deployment(
        about=about,
        pipeline=plan.pipeline,
        program=plan.inputs.program,
        plan=plan.digest,
        home=about.home or own,
        groups=tuple(groups),
        # A run that has just begun may end, within reason.
        grace=min(3600, _DRAIN + math.ceil(2 * expected)),
    )


def refusals(plan: Plan, deployment: Deployment) -> Problems:
    """Why no cluster could hold it."""
    found: list[Problem] = []
    for group in deployment.groups:
        node = node_of(group.device)
        held = {pool.name: pool.devices for pool in plan.pools}
        devices, pool = max((held[name], name) for name in group.pools)
        if node is None:
            found.append(words.no_node(group.tier, group.device))
        elif devices > node.most:
            found.append(words.beyond_a_node(group.tier, pool, devices, node.most))
        elif node.shapes is not None and devices not in node.shapes:
            found.append(words.no_such_shape(group.tier, pool, devices, tuple(node.shapes)))
    if not deployment.groups:
        found.append(words.nothing_placed(plan.pipeline))
    return tuple(found)


def _groups(plan: Plan, tier: TierPlan, about: About) -> list[Group]:
    computing = {stage.pool for stage in plan.on(tier.name) if stage.engine != "host"}
    used = {stage.pool for stage in plan.on(tier.name)}
    pools = [pool for pool in plan.pools if pool.name in (computing or used)]
    kept = tuple(label for label, tiers in about.keeps if tier.name in tiers)
    groups: list[Group] = []
    first = 0
    for number, pool in enumerate(pools):
        name = plain_name(tier.name) if len(pools) == 1 else f"{plain_name(tier.name)}-{number + 1}"
        groups.append(replace(_group(plan, tier, pool), name=name, first=first, kept=kept))
        first += pool.replicas
    return groups


def _group(plan: Plan, tier: TierPlan, pool: PoolPlan) -> Group:
    device = catalogue().get(tier.device)
    processor = tier.here or (device is not None and device.kind == "cpu")
    if tier.here:
        cores, memory = float(plan.made.machine.cores), plan.made.machine.memory.value
    elif device is None:
        cores, memory = 1.0, 2.0**31
    elif processor:
        cores, memory = float(device.cores), device.memory.value
    else:
        cores = device.host_cores.value if device.host_cores else 4.0
        memory = device.host_memory.value if device.host_memory else 16e9
    return Group(
        tier=tier.name,
        name="",
        instances=pool.replicas,
        first=0,
        device=tier.device,
        title=tier.title,
        devices=0 if processor else pool.devices,
        cores=math.floor(10 * cores * pool.devices * CORES_TAKEN) / 10,
        memory=int(memory * pool.devices * MEMORY_TAKEN),
        pools=(pool.name,),
        region=tier.region,
    )
