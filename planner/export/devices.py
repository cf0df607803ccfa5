"""How Kubernetes knows a device: the resource that its plug-in counts, the labels that nodes with it carry, and the
taint that keeps others away.

Labels are those of each maker's own discovery (NVIDIA's GPU feature discovery, AMD's node labeller, node feature
discovery for processors) or of the cloud where alone the device is (GKE, EKS). What has none of them is found by a
label of ours, which somebody has to give to the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OURS = "agentlang.dev"
_NVIDIA = "nvidia.com/gpu"
_AMD = "amd.com/gpu"
_GAUDI = "habana.ai/gaudi"
_TPU = "google.com/tpu"
_NEURON = "aws.amazon.com/neuron"
_PRODUCT = "nvidia.com/gpu.product"


@dataclass(frozen=True, slots=True)
class Node:
    """`resource` is counted (None: cores and memory alone). A node must have one of the values of each of `labels`.
    `most` devices are in one node; `shapes` say which numbers of them a pod can have at all, with the label that goes
    with each."""

    resource: str | None
    labels: Mapping[str, tuple[str, ...]] = field(hash=False)
    most: int = 8
    shapes: Mapping[int, Mapping[str, str]] | None = field(default=None, hash=False)


def _nvidia(*products: str, most: int = 8) -> Node:
    # A share of a device that is divided in time (`-SHARED`) is none that a plan knows.
    return Node(_NVIDIA, {_PRODUCT: products}, most)


def _tpu(accelerator: str) -> Node:
    shapes = {1: "1x1", 4: "2x2", 8: "2x4"}
    key = "cloud.google.com/gke-tpu-topology"
    return Node(
        _TPU,
        {"cloud.google.com/gke-tpu-accelerator": (accelerator,)},
        shapes={count: {key: shape} for count, shape in shapes.items()},
    )


def _ours(resource: str, device: str) -> Node:
    return Node(resource, {f"{OURS}/device": (device,)})


NODES: Mapping[str, Node] = {
    "laptop": Node(None, {}, most=1),
    "epyc": Node(None, {"feature.node.kubernetes.io/cpu-model.vendor_id": ("AMD",)}, most=1),
    "xeon": Node(None, {"feature.node.kubernetes.io/cpu-model.vendor_id": ("Intel",)}, most=1),
    "a40": _nvidia("NVIDIA-A40"),
    "l40s": _nvidia("NVIDIA-L40S"),
    "l4": _nvidia("NVIDIA-L4"),
    "a10g": _nvidia("NVIDIA-A10G"),
    "a100": _nvidia("NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-SXM-80GB"),
    "h100": _nvidia("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-SXM5-80GB"),
    "h200": _nvidia("NVIDIA-H200"),
    "gh200": _nvidia("NVIDIA-GH200-480GB", "NVIDIA-GH200-96GB-HBM3", most=1),
    "b200": _nvidia("NVIDIA-B200"),
    "rtx4090": _nvidia("NVIDIA-GeForce-RTX-4090"),
    "rtxpro6000": _nvidia("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"),
    "mi300x": Node(_AMD, {"amd.com/gpu.device-id": ("74a1", "74b5")}),
    "mi325x": Node(_AMD, {"amd.com/gpu.device-id": ("74a5", "74b9")}),
    "gaudi2": _ours(_GAUDI, "gaudi2"),
    "gaudi3": _ours(_GAUDI, "gaudi3"),
    "tpu_v5e": _tpu("tpu-v5-lite-podslice"),
    "tpu_v6e": _tpu("tpu-v6e-slice"),
    "trainium2": Node(_NEURON, {"node.kubernetes.io/instance-type": ("trn2.48xlarge", "trn2u.48xlarge")}, most=16),
}
"""By the catalogue's names."""

PRINTED = "_paper"
"""Ends the names of devices as a paper printed them, which are devices of the same name without it."""


def node_of(device: str) -> Node | None:
    """None for a device that no Kubernetes is known to count."""
    return NODES.get(device.removesuffix(PRINTED))
