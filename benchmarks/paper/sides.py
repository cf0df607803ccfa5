"""One side of a pair: devices of one kind that prefill, or that decode, and what the best group of them serves.

Times are of one of two models. `roofline` is the paper's: a step takes as long as the slowest of its resources,
compute, memory bandwidth and (between the devices of a group) network. `fitted` is ours: the same physics as named
parts that add up, with coefficients fitted to measurements (`planner.serving.times`).

A group is one, two, four or eight devices that hold the model in shards. Its batch is the one that serves most for the
same devices and keeps memory and promise: as a device's hour has one price, that is the cheapest, whatever the price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from agentlang.ir.library import ModelShape
from agentlang.planner.catalogue import Device, catalogue, links
from agentlang.planner.serving import times
from agentlang.planner.serving.terms import ACTIVATION_BYTES, Group

from ..fit.rows import SHAPES

DEVICES = ("a40", "a100", "gaudi3", "mi300x", "h100", "b200")
"""The paper's six, in the order of its table."""
TITLES = {"a40": "A40", "a100": "A100", "gaudi3": "Gaudi3", "mi300x": "MI300X", "h100": "H100", "b200": "B200"}
MODELS = {"8B": SHAPES["llama-3.1-8b"], "70B": SHAPES["llama-3.1-70b"]}
PRECISIONS = ("FP16", "FP8")
LENGTHS = ((512, 4096), (4096, 512))
"""Tokens of a prompt, and of its reply."""
TIMES = ("roofline, printed", "roofline, dense", "fitted, dense")
"""Model of times and rates of devices. The fit was made with dense rates: beside the printed ones it says nothing."""
ONE_DENSE = "roofline, printed but H100"
"""As printed, and the H100 at its dense rate: what hangs on that one figure."""

FIRST_TOKEN, TOKEN_GAP = 0.250, 0.020
"""The promise of the paper's first mode, in seconds; its second mode promises nothing."""
USABLE = 0.90
"""Of a device's memory: the rest is for activations and what engines set aside."""
GROUPS = (1, 2, 4, 8)
PROMPTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Prompts that are prefilled at once."""
INTERCONNECTS = ("nvlink", "infinity", "gaudi", "ici", "neuronlink", "pcie")
"""Links between the devices of a group, the first that a device has."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: a model in a number format, tokens in and out, whether the times are promised, and the `most`
    devices that a group may have."""

    model: str
    precision: str
    prompt: int
    reply: int
    promised: bool
    most: int = GROUPS[-1]

    @property
    def shape(self) -> ModelShape:
        """Weights and cache are stored in the format."""
        width = 1.0 if self.precision == "FP8" else 2.0
        return replace(MODELS[self.model], weight_bytes=width, cache_bytes=width)

    @property
    def moved(self) -> float:
        """Bytes of a prompt's cache, which pass from prefill to decode."""
        return self.prompt * cache_bytes(self.shape)


@dataclass(frozen=True, slots=True)
class Side:
    """The best group of one device for one side: `tensor` devices, `batch` requests at once, `seconds` of one prefill
    or one decode step, `rate` of requests a second. `limit` says what keeps the batch from being larger."""

    device: str
    tensor: int
    batch: int
    seconds: float
    rate: float
    limit: str


def cache_bytes(shape: ModelShape) -> float:
    """Bytes of one token in the cache."""
    return 2.0 * shape.layers * shape.kv_heads * shape.head_dim * shape.cache_bytes


def entry(device: str, printed: bool) -> Device:
    """The catalogue's entry: as the paper prints it, or with what the makers state."""
    return catalogue()[f"{device}_paper" if printed else device]


def wide(device: Device) -> float:
    """Operations a second in 16 bits."""
    return (device.compute.get("f16") or device.compute["bf16"]).value


def as_printed(device: str, times_of: str) -> bool:
    """Whether the rates of a device are those that the paper prints."""
    return "printed" in times_of and not (device == "h100" and times_of == ONE_DENSE)


@cache
def group(device: str, precision: str, printed: bool, tensor: int) -> Group:
    """Rates of a group's devices. A format that a device does not multiply is stored, and multiplied as FP16. The paper
    prints one rate: what FP8 gains over it is what the makers' rates say (nothing on a Gaudi 3)."""
    stated, dense = entry(device, printed), entry(device, False)
    rate = wide(stated)
    gain = dense.compute["fp8"].value / wide(dense) if precision == "FP8" and "fp8" in dense.compute else 1.0
    between = next(link for kind in INTERCONNECTS for link in dense.links if link.startswith(kind))
    return Group(stated.bandwidth.value, rate * gain, rate, links()[between].bandwidth.value, tensor)


# ── how long a step takes ──


def roofline(shape: ModelShape, group: Group, tokens: float, pairs: float, cached: float) -> dict[str, float]:
    """Seconds by resource of a step of `tokens` tokens, which attend to `pairs` positions in all and read `cached`
    positions of the cache: the step takes the largest."""
    n = group.tensor
    products = 2.0 * shape.active_parameters * tokens / group.compute
    attention = 4.0 * shape.layers * shape.heads * shape.head_dim * pairs / group.attention
    weights = shape.active_parameters * shape.weight_bytes
    # Two all-reduces a layer, by a ring.
    passed = 2.0 * shape.layers * tokens * shape.d_model * ACTIVATION_BYTES * 2.0 * (n - 1) / n
    return {
        "compute": (products + attention) / n,
        "memory": (weights + cached * cache_bytes(shape)) / n / group.bandwidth,
        "network": passed / group.link,
    }


def prefill_seconds(times_of: str, shape: ModelShape, group: Group, prompts: int, tokens: int) -> float:
    if times_of.startswith("fitted"):
        return times.prefill(shape, group, prompts, tokens).value
    return max(roofline(shape, group, prompts * tokens, prompts * tokens**2 / 2, 0.0).values())


def decode_seconds(times_of: str, shape: ModelShape, group: Group, batch: int, context: float) -> float:
    if times_of.startswith("fitted"):
        return times.decode_step(shape, group, batch, context).value
    return max(roofline(shape, group, batch, batch * context, batch * context).values())


# ── the best group ──


@cache
def prefill_side(request: Request, device: str, times_of: str) -> Side | None:
    """The group that prefills most prompts a second for each of its devices; None where none keeps the promise."""
    return _best([_prefill(request, device, times_of, n) for n in GROUPS if n <= request.most])


@cache
def decode_side(request: Request, device: str, times_of: str) -> Side | None:
    """The group that decodes most replies a second for each of its devices; None where none keeps the promise."""
    return _best([_decode(request, device, times_of, n) for n in GROUPS if n <= request.most])


def _best(sides: list[Side | None]) -> Side | None:
    """Of equals (to a thousandth) the one of fewer devices."""
    best: Side | None = None
    for side in sides:
        if side and (best is None or side.rate / side.tensor > 1.001 * best.rate / best.tensor):
            best = side
    return best


def _prefill(request: Request, device: str, times_of: str, tensor: int) -> Side | None:
    shape, of = request.shape, group(device, request.precision, as_printed(device, times_of), tensor)
    room = _room(request, device, times_of, tensor, request.prompt)
    best: Side | None = None
    limit = "memory"
    for prompts in PROMPTS:
        if prompts > room:
            break
        seconds = prefill_seconds(times_of, shape, of, prompts, request.prompt)
        moving = prompts * request.moved / network(device, tensor)
        if request.promised and seconds + moving > FIRST_TOKEN:
            limit = "promise"
            break
        # The cache of one batch leaves while the next is computed.
        rate = prompts / max(seconds, moving)
        if best is None or rate > 1.001 * best.rate:
            best = Side(device, tensor, prompts, seconds, rate, "rate" if seconds >= moving else "network")
    if best and best.limit == "rate" and best.batch * 2 > room:
        return replace(best, limit=limit)
    return best


def _decode(request: Request, device: str, times_of: str, tensor: int) -> Side | None:
    shape, of = request.shape, group(device, request.precision, as_printed(device, times_of), tensor)
    context = request.prompt + request.reply / 2

    def seconds(batch: int) -> float:
        return decode_seconds(times_of, shape, of, batch, context)

    batch, limit = _room(request, device, times_of, tensor, request.prompt + request.reply), "memory"
    if batch < 1:
        return None
    if request.promised and seconds(batch) > TOKEN_GAP:
        # A larger batch takes longer: the largest that is in time lies between.
        batch, limit = _largest(lambda tried: seconds(tried) <= TOKEN_GAP, batch), "promise"
        if batch < 1:
            return None
    took = seconds(batch)
    # The prefill makes the first token.
    rate = batch / (took * (request.reply - 1))
    entering = network(device, tensor) / request.moved
    if entering < rate:
        rate, limit = entering, "network"
    return Side(device, tensor, batch, took, rate, limit)


def _room(request: Request, device: str, times_of: str, tensor: int, positions: int) -> int:
    """Requests of so many positions whose caches fit beside the weights."""
    shape = request.shape
    memory = USABLE * tensor * entry(device, as_printed(device, times_of)).memory.value
    free = memory - shape.parameters * shape.weight_bytes
    return max(0, int(free // (positions * cache_bytes(shape))))


def network(device: str, tensor: int) -> float:
    """Bytes a second that leave or enter a group: 400 Gbit/s for each device of a kind that is sold for it (the ports
    of a Gaudi 3 do more; the paper's link is that of all), a rented server's Ethernet for the others."""
    reached = entry(device, False).links
    link = "roce400" if "roce400" in reached or "gaudi3_roce" in reached else "ethernet"
    return tensor * links()[link].bandwidth.value


def _largest(holds: Callable[[int], bool], high: int) -> int:
    """The largest number from 1 to below `high` for which it holds, 0 where there is none."""
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
