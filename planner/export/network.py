"""Who may talk to the pods of a program, and whom they may talk to."""

from __future__ import annotations

from .commands import PORT
from .deployment import Deployment
from .pods import Data, metadata
from .yaml import Plain


def policies(deployment: Deployment) -> list[Data]:
    """One policy: in from pods of the program alone; out to those, to name servers, and, where a run needs it, to
    HTTPS anywhere."""
    ours: Data = {"matchLabels": {"app.kubernetes.io/name": deployment.name}}
    wire: list[Plain] = [{"protocol": "TCP", "port": PORT}]
    names: list[Plain] = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    anywhere: Data = {"ipBlock": {"cidr": "0.0.0.0/0"}}
    anywhere6: Data = {"ipBlock": {"cidr": "::/0"}}
    out: list[Plain] = [
        {"to": [{"podSelector": ours}], "ports": wire},
        {
            "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
            "ports": names,
        },
    ]
    about = deployment.about
    if about.models or about.outward or about.outside:
        out.append({"to": [anywhere, anywhere6], "ports": [{"protocol": "TCP", "port": 443}]})
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(deployment, deployment.name, "network"),
            "spec": {
                "podSelector": ours,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [{"podSelector": ours}], "ports": wire}],
                "egress": out,
            },
        }
    ]
