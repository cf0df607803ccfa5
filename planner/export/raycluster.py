"""A deployment as a cluster of Ray: KubeRay's resources, a file for `ray up`, and the placement group as data.

A tier is a resource of Ray's (`agentlang:gpu`), of which each machine of the tier has as many as workers fit on it; a
worker takes one. So Ray puts workers where they belong, and puts them elsewhere when a machine is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..plan import Plan
from .commands import INPUT, run
from .deployment import About, Deployment, Group, Shipped, deployment_of
from .devices import node_of
from .kubernetes import input_volume, program_checked, program_manifest, program_mount, program_volumes, workers_of
from .pods import Data, asked, metadata, node_affinity, secrets
from .yaml import Plain, documents

STRATEGY = "SPREAD"
"""Workers of one tier on several machines, where there are: one that is lost takes fewer with it."""
VERSION = "2.60.0"


def resource_of(tier: str) -> str:
    """The resource of Ray that says that a machine is of a tier."""
    return f"agentlang:{tier}"


def needs_of(plan: Plan) -> Mapping[str, Mapping[str, float]]:
    """By tier, the devices that a worker of a plan takes, by Ray's names."""
    groups = deployment_of(plan, About("plan", "", Shipped("", "", "", {}))).groups
    return {group.tier: _devices(group) for group in sorted(groups, key=lambda group: group.devices)}


def bundle(group: Group) -> Mapping[str, float]:
    """What one worker takes of a machine, as a bundle of a placement group. A machine is a tier's as a whole: how many
    workers it has room for is what it says of the tier, and cores are counted by nobody."""
    return {"CPU": 1.0, resource_of(group.tier): 1.0, **_devices(group)}


def _devices(group: Group) -> Mapping[str, float]:
    node = node_of(group.device)
    if not group.devices or node is None or node.resource is None:
        return {}
    return {_counted(node.resource): float(group.devices)}


def placement_group(deployment: Deployment) -> Data:
    """Name, strategy and bundles as `ray.util.placement_group` takes them; `workers` says whose each bundle is."""
    bundles: list[Plain] = []
    workers: list[Plain] = []
    for group in workers_of(deployment):
        for number in range(group.instances):
            bundles.append(bundle(group))
            workers.append(f"{group.tier}/{group.first + number}")
    return {"name": deployment.name, "strategy": STRATEGY, "bundles": bundles, "workers": workers}


def manifests(deployment: Deployment) -> Mapping[str, str]:
    """The files by name."""
    head = (
        f"{deployment.pipeline} of {deployment.name}, made by `agentlang export` from plan {deployment.plan[:16]}.\n"
        "Written again by the next export: change the program, its fleet, or the command."
    )
    return {
        "program.yaml": documents([program_manifest(deployment)], head),
        "rayjob.yaml": documents([_job(deployment)], head),
        "placement-group.json": json.dumps(placement_group(deployment), indent=2) + "\n",
    }


def _counted(resource: str) -> str:
    """Ray's word for devices that a plug-in of Kubernetes counts."""
    return {"google.com/tpu": "TPU", "aws.amazon.com/neuron": "neuron_cores", "habana.ai/gaudi": "HPU"}.get(
        resource, "GPU"
    )


def _job(deployment: Deployment) -> Data:
    entry = " ".join([*run(deployment), "--on", "ray"])
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": metadata(deployment, deployment.name, "coordinator"),
        "spec": {
            "entrypoint": entry,
            "shutdownAfterJobFinishes": True,
            "rayClusterSpec": {
                "rayVersion": VERSION,
                "headGroupSpec": {
                    # Nothing of the program runs beside what keeps the cluster.
                    "rayStartParams": {"num-cpus": "1", "dashboard-host": "0.0.0.0"},
                    "template": _pod(deployment, None),
                },
                "workerGroupSpecs": [_workers(deployment, group) for group in workers_of(deployment)],
            },
        },
    }


def _workers(deployment: Deployment, group: Group) -> Data:
    own = json.dumps({resource_of(group.tier): 1})
    return {
        "groupName": group.name,
        "replicas": group.instances,
        "minReplicas": group.instances,
        "maxReplicas": group.instances,
        # KubeRay puts it between the words of a shell.
        "rayStartParams": {"resources": f"'{own}'"},
        "template": _pod(deployment, group),
    }


def _pod(deployment: Deployment, group: Group | None) -> Data:
    about = deployment.about
    small: Data = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}
    container: Data = {
        "name": "ray-worker" if group is not None else "ray-head",
        "image": about.image,
        "env": [*secrets(deployment)],
        "resources": small if group is None else asked(group),
    }
    spec: Data = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": deployment.grace,
        "containers": [container],
    }
    if group is None:
        asked_of = input_volume(deployment)
        container["volumeMounts"] = [
            program_mount(deployment),
            *({"name": "input", "mountPath": INPUT, "readOnly": True} for _ in asked_of),
        ]
        spec["initContainers"] = [program_checked(deployment)]
        spec["volumes"] = [*program_volumes(deployment), *asked_of]
    else:
        spec |= node_affinity(group)
    return {"metadata": {"labels": {"app.kubernetes.io/name": deployment.name}}, "spec": spec}
