"""A deployment as manifests of Kubernetes: files by name, each a few documents.

Workers are a StatefulSet for each group, so that each keeps its name, by which the others dial it and its certificate
knows it, and its cache of weights. They hold nothing else: the coordinator brings the program, by its hash. Nothing
may reach a pod but the pods of its program.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from .commands import INPUT, PORT, PROGRAM, coordinator, host, worker, workers_name
from .deployment import SUMS, Deployment, Group
from .devices import OURS
from .network import policies
from .pods import (
    HOME,
    Data,
    asked,
    container,
    labels,
    metadata,
    papers_mounts,
    papers_volumes,
    pod,
    secrets,
)
from .yaml import Plain, documents

CONFIG_MAP = 1 << 20
"""Bytes that a ConfigMap holds at most, names included."""
_ROOM = 64 << 10
_WEIGHTS = "100Gi"
_SCRATCH = "10Gi"


def manifests(deployment: Deployment) -> Mapping[str, str]:
    """The files by name."""
    head = (
        f"{deployment.pipeline} of {deployment.name}, made by `agentlang export` from plan {deployment.plan[:16]}.\n"
        "Written again by the next export: change the program, its fleet, or the command."
    )
    files: dict[str, list[Data]] = {
        "program.yaml": [program_manifest(deployment)],
        "network.yaml": policies(deployment),
        "coordinator.yaml": _coordinator(deployment),
    }
    for group in workers_of(deployment):
        files[f"tier-{group.name}.yaml"] = _workers(deployment, group)
    if outside := _outside(deployment):
        files["endpoints.yaml"] = outside
    files["cert-manager/certificates.yaml"] = _certificates(deployment)
    return {name: documents(values, head) for name, values in files.items()}


def in_config_map(deployment: Deployment) -> bool:
    """Whether the package is small enough to be a ConfigMap; a larger one lies on a volume."""
    shipped = deployment.about.shipped
    return shipped.size + sum(map(len, shipped.files)) < CONFIG_MAP - _ROOM


def program_name(deployment: Deployment) -> str:
    """The name of the ConfigMap or the volume claim that holds the package: another package, another name."""
    return f"{deployment.name}-program-{deployment.about.shipped.sha256[:12]}"


def workers_of(deployment: Deployment) -> tuple[Group, ...]:
    """The groups that have workers: all but those of home, whose stages run in the coordinator."""
    return tuple(group for group in deployment.groups if group.tier != deployment.home)


def coordinator_name(deployment: Deployment) -> str:
    return f"{deployment.name}-coordinator"


def program_manifest(deployment: Deployment) -> Data:
    """The package itself, or the volume that it is to be copied to."""
    about = metadata(deployment, program_name(deployment), "program")
    if in_config_map(deployment):
        files = deployment.about.shipped.files
        data: Data = {
            key: base64.b64encode(files[path]).decode() for path, key in _keys(deployment).items()
        }  # fmt: skip
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "immutable": True, "binaryData": data}
    room = max(1, -(-deployment.about.shipped.size // (1 << 30)) + 1)
    claim: Data = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": f"{room}Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": claim}


def _keys(deployment: Deployment) -> Mapping[str, str]:
    """A key for each path of the package: keys have no slashes."""
    return {path: f"file-{number}" for number, path in enumerate(sorted(deployment.about.shipped.files))}


def program_volumes(deployment: Deployment) -> list[Data]:
    """What a pod that has the package mounts. A mounted ConfigMap is made of links, and a package has none: it is
    copied."""
    name = program_name(deployment)
    if not in_config_map(deployment):
        return [{"name": "program", "persistentVolumeClaim": {"claimName": name, "readOnly": True}}]
    items: list[Plain] = [{"key": key, "path": path} for path, key in _keys(deployment).items()]
    return [
        {"name": "program-given", "configMap": {"name": name, "items": items}},
        {"name": "program", "emptyDir": {"sizeLimit": "32Mi"}},
    ]


def program_mount(deployment: Deployment) -> Data:
    folder = deployment.about.shipped.folder
    mount: Data = {"name": "program", "mountPath": f"{PROGRAM}/{folder}", "readOnly": True}
    return mount if in_config_map(deployment) else {**mount, "subPath": folder}


def program_checked(deployment: Deployment) -> Data:
    """An init container: the program is what this deployment was made for, to the byte, or nothing starts."""
    about = deployment.about
    folder = f"{PROGRAM}/{about.shipped.folder}"
    check = f'cd {folder} && echo "{about.shipped.sha256}  {SUMS}" | sha256sum -c - && sha256sum -c --quiet {SUMS}'
    mount = program_mount(deployment)
    mounts: list[Plain] = [mount]
    if in_config_map(deployment):
        given = "/run/agentlang/program"
        check = f"cp -rL {given}/* {folder}/ && {check}"
        mounts = [{"name": "program-given", "mountPath": given, "readOnly": True}, {**mount, "readOnly": False}]
    small: Data = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    found = container("program", about.image, ["sh", "-c", check], small, [])
    found["volumeMounts"] = mounts
    return found


def _coordinator(deployment: Deployment) -> list[Data]:
    about, name = deployment.about, coordinator_name(deployment)
    command = coordinator(deployment)
    own = next(iter(deployment.of(deployment.home)), None)
    small: Data = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
    resources = small if own is None else asked(own)
    body = container("coordinator", about.image, command, resources, secrets(deployment))
    asked_of = input_volume(deployment)
    body["volumeMounts"] = [
        *papers_mounts(),
        program_mount(deployment),
        {"name": "cache", "mountPath": HOME},
        *({"name": "input", "mountPath": INPUT, "readOnly": True} for _ in asked_of),
    ]
    more: Data = {
        "restartPolicy": "OnFailure",
        "volumes": [
            *papers_volumes(deployment),
            *program_volumes(deployment),
            {"name": "cache", "emptyDir": {"sizeLimit": _SCRATCH}},
            *asked_of,
        ],
    }
    template = pod(deployment, "coordinator", body, own, more, [program_checked(deployment)])
    job: Data = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(deployment, name, "coordinator"),
        "spec": {"backoffLimit": 3, "template": template},
    }
    return [job]


def input_volume(deployment: Deployment) -> list[Data]:
    """What a run is given: a Secret, because an input may be somebody's, and no manifest holds it."""
    if not deployment.about.asks:
        return []
    return [{"name": "input", "secret": {"secretName": f"{deployment.name}-input", "defaultMode": 0o440}}]


def _workers(deployment: Deployment, group: Group) -> list[Data]:
    name = workers_name(deployment, group)
    environment: list[Data] = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        *secrets(deployment),
    ]
    command = worker(group, f"$(POD_NAME).{name}")
    body = container("worker", deployment.about.image, command, asked(group), environment)
    body["ports"] = [{"name": "wire", "containerPort": PORT}]
    listens: Data = {"tcpSocket": {"port": "wire"}}
    body["startupProbe"] = {**listens, "periodSeconds": 5, "failureThreshold": 120}
    body["readinessProbe"] = {**listens, "periodSeconds": 5}
    body["livenessProbe"] = {**listens, "periodSeconds": 20, "failureThreshold": 3}
    body["volumeMounts"] = [*papers_mounts(), {"name": "cache", "mountPath": HOME}]
    template = pod(deployment, "worker", body, group, {"volumes": [*papers_volumes(deployment)]})
    chosen: Data = {**labels(deployment, "worker"), f"{OURS}/tier": group.name}
    room = _WEIGHTS if deployment.about.models else _SCRATCH
    cache: Data = {
        "metadata": {"name": "cache"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": room}}},
    }
    more: Data = {
        f"{OURS}/tier": group.tier,
        f"{OURS}/device": group.title,
        f"{OURS}/pools": ", ".join(group.pools),
        f"{OURS}/first-instance": str(group.first),
        **({f"{OURS}/region": group.region} if group.region else {}),
    }
    service: Data = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(deployment, name, "worker"),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": chosen,
            "ports": [{"name": "wire", "port": PORT}],
        },
    }
    workers: Data = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(deployment, name, "worker", more),
        "spec": {
            "serviceName": name,
            "replicas": group.instances,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": chosen},
            "template": template,
            "volumeClaimTemplates": [cache],
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
        },
    }
    budget: Data = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(deployment, name, "worker"),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": chosen}},
    }
    return [service, workers, budget]


def _outside(deployment: Deployment) -> list[Data]:
    """Tiers that somebody else runs: a name in the cluster for an address that the program states. One whose address is
    a secret has no manifest; the pods take it from there."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(deployment, f"{deployment.name}-{each.tier.lower().replace('_', '-')}", "endpoint"),
            "spec": {"type": "ExternalName", "externalName": each.address},
        }
        for each in deployment.about.outside
        if each.address is not None
    ]


def _certificates(deployment: Deployment) -> list[Data]:
    """For clusters with cert-manager: an authority for this program alone, and one certificate that names every pod."""
    name = deployment.name
    names = [coordinator_name(deployment)]
    names += [host(deployment, group, number) for group in workers_of(deployment) for number in range(group.instances)]
    api = "cert-manager.io/v1"
    key: Data = {"algorithm": "ECDSA", "size": 256}
    return [
        {"apiVersion": api, "kind": "Issuer", "metadata": {"name": f"{name}-self"}, "spec": {"selfSigned": {}}},
        {
            "apiVersion": api,
            "kind": "Certificate",
            "metadata": {"name": f"{name}-authority"},
            "spec": {
                "isCA": True,
                "commonName": f"{name}-authority",
                "secretName": f"{name}-authority",
                "privateKey": key,
                "issuerRef": {"name": f"{name}-self", "kind": "Issuer"},
            },
        },
        {
            "apiVersion": api,
            "kind": "Issuer",
            "metadata": {"name": f"{name}-authority"},
            "spec": {"ca": {"secretName": f"{name}-authority"}},
        },
        {
            "apiVersion": api,
            "kind": "Certificate",
            "metadata": {"name": f"{name}-tls"},
            "spec": {
                "secretName": f"{name}-tls",
                "dnsNames": names,
                "usages": ["digital signature", "server auth", "client auth"],
                "privateKey": key,
                "issuerRef": {"name": f"{name}-authority", "kind": "Issuer"},
            },
        },
    ]
