"""A deployment as manifests of Kubernetes: files by name, each a few documents.

Workers are a StatefulSet for each group, so that each keeps its name, by which the others dial it and its certificate
knows it, and its cache of weights. They hold nothing else: the coordinator brings the program, by its hash. Nothing
may reach a pod but the pods of its program.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from .commands import INPUT, PACKAGE, PORT, WORKER_PORT, coordinator, worker
from .deployment import Deployment, Group
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
        "package.yaml": [package_manifest(deployment)],
        "network.yaml": policies(deployment),
        "coordinator.yaml": _coordinator(deployment),
    }
    for group in deployment.groups:
        files[f"tier-{group.name}.yaml"] = _workers(deployment, group)
    if outside := _outside(deployment):
        files["endpoints.yaml"] = outside
    files["cert-manager/certificates.yaml"] = _certificates(deployment)
    return {name: documents(values, head) for name, values in files.items()}


def in_config_map(deployment: Deployment) -> bool:
    """Whether the package is small enough to be a ConfigMap; a larger one lies on a volume."""
    package = deployment.about.package
    return package.size + sum(map(len, package.files)) < CONFIG_MAP - _ROOM


def package_name(deployment: Deployment) -> str:
    """The name of the ConfigMap or the volume claim that holds the package: another package, another name."""
    return f"{deployment.name}-package-{deployment.about.package.sha256[:12]}"


def coordinator_name(deployment: Deployment) -> str:
    return f"{deployment.name}-coordinator"


def workers_name(deployment: Deployment, group: Group) -> str:
    return f"{deployment.name}-{group.name}"


def package_manifest(deployment: Deployment) -> Data:
    """The package itself, or the volume that it is to be copied to."""
    about = metadata(deployment, package_name(deployment), "package")
    if in_config_map(deployment):
        files = deployment.about.package.files
        data: Data = {
            key: base64.b64encode(files[path]).decode() for path, key in _keys(deployment).items()
        }  # fmt: skip
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "immutable": True, "binaryData": data}
    room = max(1, -(-deployment.about.package.size // (1 << 30)) + 1)
    claim: Data = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": f"{room}Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": claim}


def _keys(deployment: Deployment) -> Mapping[str, str]:
    """A key for each path of the package: keys have no slashes."""
    return {path: f"file-{number}" for number, path in enumerate(sorted(deployment.about.package.files))}


def package_volumes(deployment: Deployment) -> list[Data]:
    """What a pod that has the package mounts. A mounted ConfigMap is made of links, and a package has none: it is
    copied."""
    name = package_name(deployment)
    if not in_config_map(deployment):
        return [{"name": "package", "persistentVolumeClaim": {"claimName": name, "readOnly": True}}]
    items: list[Plain] = [{"key": key, "path": path} for path, key in _keys(deployment).items()]
    return [
        {"name": "package-given", "configMap": {"name": name, "items": items}},
        {"name": "package", "emptyDir": {"sizeLimit": "16Mi"}},
    ]


def package_mount(deployment: Deployment) -> Data:
    folder = deployment.about.package.folder
    mount: Data = {"name": "package", "mountPath": f"{PACKAGE}/{folder}", "readOnly": True}
    return mount if in_config_map(deployment) else {**mount, "subPath": folder}


def package_checked(deployment: Deployment) -> Data:
    """An init container: the package is what this deployment was made for, or nothing starts. For what else is in it,
    its manifest vouches."""
    about = deployment.about
    folder = f"{PACKAGE}/{about.package.folder}"
    check = f'echo "{about.package.sha256}  {folder}/manifest.json" | sha256sum -c -'
    mount = package_mount(deployment)
    mounts: list[Plain] = [mount]
    if in_config_map(deployment):
        given = "/run/agentlang/package"
        check = f"cp -rL {given}/* {folder}/ && {check}"
        mounts = [{"name": "package-given", "mountPath": given, "readOnly": True}, {**mount, "readOnly": False}]
    small: Data = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    found = container("package", about.image, ["sh", "-c", check], small, [])
    found["volumeMounts"] = mounts
    return found


def _coordinator(deployment: Deployment) -> list[Data]:
    about, name = deployment.about, coordinator_name(deployment)
    command = coordinator(about.package.folder, deployment.pipeline, about.asks)
    resources: Data = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
    body = container("coordinator", about.image, command, resources, secrets(deployment))
    body["ports"] = [{"name": "workers", "containerPort": PORT}]
    asked_of = input_volume(deployment)
    body["volumeMounts"] = [
        *papers_mounts(),
        package_mount(deployment),
        {"name": "cache", "mountPath": HOME},
        *({"name": "input", "mountPath": INPUT, "readOnly": True} for _ in asked_of),
    ]
    more: Data = {
        "restartPolicy": "OnFailure",
        "volumes": [
            *papers_volumes(deployment),
            *package_volumes(deployment),
            {"name": "cache", "emptyDir": {"sizeLimit": _SCRATCH}},
            *asked_of,
        ],
    }
    template = pod(deployment, "coordinator", body, None, more, [package_checked(deployment)])
    service: Data = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(deployment, name, "coordinator"),
        "spec": {
            "clusterIP": "None",
            # Workers dial while it is still waiting for them.
            "publishNotReadyAddresses": True,
            "selector": labels(deployment, "coordinator"),
            "ports": [{"name": "workers", "port": PORT}],
        },
    }
    job: Data = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(deployment, name, "coordinator"),
        "spec": {"backoffLimit": 3, "template": template},
    }
    return [service, job]


def input_volume(deployment: Deployment) -> list[Data]:
    """What a run is given: a Secret, because an input may be somebody's, and no manifest holds it."""
    if not deployment.about.asks:
        return []
    return [{"name": "input", "secret": {"secretName": f"{deployment.name}-input", "defaultMode": 0o440}}]


def _workers(deployment: Deployment, group: Group) -> list[Data]:
    name = workers_name(deployment, group)
    own = f"$(POD_NAME).{name}"
    environment: list[Data] = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        *secrets(deployment),
    ]
    command = worker(coordinator_name(deployment), group.tier, own)
    body = container("worker", deployment.about.image, command, asked(group), environment)
    body["ports"] = [{"name": "wire", "containerPort": WORKER_PORT}]
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
            "ports": [{"name": "wire", "port": WORKER_PORT}],
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
    for group in deployment.groups:
        workers = workers_name(deployment, group)
        names += [f"{workers}-{number}.{workers}" for number in range(group.instances)]
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
