"""What every pod of a program has in common: who it is, what it may do, where it writes, what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .commands import PAPERS
from .deployment import Deployment, Group
from .devices import OURS, node_of
from .yaml import Plain

Data = dict[str, Plain]

USER = 10001
HOME = "/home/agentlang"
_GIVEN = "/run/agentlang/given"


def labels(deployment: Deployment, part: str) -> Data:
    """What a pod and all beside it is found by. Values have at most 63 characters; hashes are cut."""
    return {
        "app.kubernetes.io/name": deployment.name,
        "app.kubernetes.io/component": part,
        "app.kubernetes.io/managed-by": "agentlang",
    }


def metadata(deployment: Deployment, name: str, part: str, more: Mapping[str, Plain] | None = None) -> Data:
    """Labels and, as annotations, the whole hashes of what this was made from, and `more`."""
    about = deployment.about
    versions: Data = {
        f"{OURS}/program": deployment.program[:63],
        f"{OURS}/content": about.shipped.sha256[:63],
    }
    annotations: Data = {
        f"{OURS}/program-sha256": deployment.program,
        f"{OURS}/content-sha256": about.shipped.sha256,
        f"{OURS}/plan-sha256": deployment.plan,
        f"{OURS}/pipeline": deployment.pipeline,
    }
    if about.share is not None:
        annotations[f"{OURS}/share-of-runs"] = f"{about.share:.6f}"
    if more is not None:
        annotations |= more
    return {"name": name, "labels": {**labels(deployment, part), **versions}, "annotations": annotations}


def pod(
    deployment: Deployment,
    part: str,
    container: Data,
    group: Group | None,
    more: Mapping[str, Plain],
    first: Sequence[Data] = (),
) -> Data:
    """A pod of one container, which finds its papers (certificate and key) as files of its own user. `more` is added
    to its spec, `first` are init containers beside that of the papers."""
    about = deployment.about
    marks: Data = {**labels(deployment, part), f"{OURS}/content": about.shipped.sha256[:63]}
    if group is not None:
        marks[f"{OURS}/tier"] = group.name
    spec: Data = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": deployment.grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_papers(about.image), *first],
        "containers": [container],
        **more,
    }
    if group is not None:
        spec |= node_affinity(group) | _apart(deployment, group)
    return {"metadata": {"labels": marks}, "spec": spec}


def container(name: str, image: str, command: Sequence[str], resources: Data, environment: Sequence[Data]) -> Data:
    """A container that may do nothing but compute: no root, no rights, and no place to write but its own."""
    own: list[Plain] = [
        {"name": "HOME", "value": HOME},
        {"name": "AGENTLANG_HOME", "value": f"{HOME}/cache"},
        *environment,
    ]
    return {
        "name": name,
        "image": image,
        "command": list(command),
        "env": own,
        "resources": resources,
        "securityContext": _closed(),
    }


def secrets(deployment: Deployment) -> list[Data]:
    """The secrets of a run, each by its name, from one Secret that is not written here."""
    names = {*deployment.about.secrets, *(each.secret for each in deployment.about.outside if each.secret)}
    source = f"{deployment.name}-secrets"
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": source, "key": name}}} for name in sorted(names)
    ]  # fmt: skip


def papers_volumes(deployment: Deployment) -> list[Data]:
    """A Secret's files belong to root and its group; a private key is taken from its owner alone, so it is copied."""
    return [
        {"name": "papers-given", "secret": {"secretName": f"{deployment.name}-tls", "defaultMode": 0o440}},
        {"name": "papers", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
    ]


def papers_mounts() -> list[Data]:
    return [
        {"name": "papers", "mountPath": PAPERS, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]


def asked(group: Group) -> Data:
    """What a worker of the group asks of its node: devices, cores (which may be exceeded), memory (which may not)."""
    node = node_of(group.device)
    counted: Data = {node.resource: str(group.devices)} if node and node.resource and group.devices else {}
    memory = f"{max(1, group.memory >> 20)}Mi"
    return {
        "requests": {"cpu": f"{max(100, round(1000 * group.cores))}m", "memory": memory, **counted},
        "limits": {"memory": memory, **counted},
    }


def _papers(image: str) -> Data:
    names = {"tls.crt": "certificate.pem", "tls.key": "key.pem", "ca.crt": "authority.pem"}
    copy = " && ".join(["umask 077", *(f"cp {_GIVEN}/{given} {PAPERS}/{name}" for given, name in names.items())])
    mounts: list[Plain] = [
        {"name": "papers-given", "mountPath": _GIVEN, "readOnly": True},
        {"name": "papers", "mountPath": PAPERS},
    ]
    small: Data = {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "32Mi"}}
    return {
        "name": "papers",
        "image": image,
        "command": ["sh", "-c", copy],
        "resources": small,
        "securityContext": _closed(),
        "volumeMounts": mounts,
    }


def _closed() -> Data:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def node_affinity(group: Group) -> Data:
    """The nodes on which a worker may be: with its device, and told to be fit for the labels that are kept there."""
    node = node_of(group.device)
    assert node is not None, "looked at by `refusals`"
    wanted: list[Plain] = [_one_of(key, values) for key, values in node.labels.items()]
    if node.shapes is not None:
        wanted += [_one_of(key, (value,)) for key, value in node.shapes[group.devices].items()]
    wanted += [_one_of(f"{OURS}/keeps-{label}", ("true",)) for label in group.kept]
    found: Data = {}
    if wanted:
        required: Data = {"nodeSelectorTerms": [{"matchExpressions": wanted}]}
        found["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    if node.resource is not None:
        found["tolerations"] = [{"key": node.resource, "operator": "Exists", "effect": "NoSchedule"}]
    return found


def _apart(deployment: Deployment, group: Group) -> Data:
    """Workers of a group on several nodes, where there are."""
    if group.instances < 2:
        return {}
    chosen: Data = {**labels(deployment, "worker"), f"{OURS}/tier": group.name}
    spread: Data = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": chosen},
    }
    return {"topologySpreadConstraints": [spread]}


def _one_of(key: str, values: Sequence[str]) -> Mapping[str, Plain]:
    return {"key": key, "operator": "In", "values": list(values)}
