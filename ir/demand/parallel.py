"""What the shards of a model need: a prefill or a decode on several devices, part by part.

`T` shards of attention, by heads; the feed-forward blocks on `N` devices, by their inner width (Shoeybi et al. 2019,
"Megatron-LM"). Experts are in `E` groups, each on `N / E` devices, among which its experts are divided by width. Where
attention is on one device and the experts are on several, tokens are sent to the experts' devices and back; else their
hidden states are everywhere, and each device does what is for its own experts.

The parts add up to what the whole model needs (`llm`), but for what is done, held or moved more than once:

- norms, biases and routers, on each device;
- a key-value head where there are more shards than such heads, on `T / G` of them;
- hidden states, which go into and out of the products on each device: `2 d` numbers for each token and block.

Experts are taken to be chosen evenly. What devices send each other is `network`. An all-reduce of `b` bytes among `n`
devices is one in a ring, in which each sends `2 (n - 1) / n b` bytes (P. Patarasuk and X. Yuan 2009, "Bandwidth optimal
all-reduce algorithms for clusters of workstations"), all together `2 (n - 1) b`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from ..formula import ZERO, Formula, as_formula, constant, total, variable
from ..graph import Demand
from ..library import ModelShape
from .data import NAMES, demand


@dataclass(frozen=True, slots=True)
class Layout:
    """How a model is spread: `tensor` shards of attention, `expert` groups of experts."""

    tensor: int
    expert: int = 1

    @property
    def devices(self) -> int:
        return max(self.tensor, self.expert)

    @property
    def slices(self) -> int:
        """The devices among which one feed-forward block, or one expert, is divided."""
        return self.devices // self.expert

    @property
    def dispatches(self) -> bool:
        """Whether tokens are sent to where their experts are."""
        return self.tensor == 1 < self.expert


def obstacle(shape: ModelShape, layout: Layout) -> str | None:
    """Why a model cannot be spread so, or None."""
    tensor, expert, devices = layout.tensor, layout.expert, layout.devices
    if tensor < 1 or expert < 1:
        return f"{tensor if tensor < 1 else expert} is no number of devices"
    if devices > MOST_DEVICES:
        return f"{devices} devices are more than {MOST_DEVICES}"
    if expert > 1 and not shape.experts:
        return "it has no experts"
    if expert > 1 and shape.experts % expert:
        return f"{shape.experts} experts cannot be divided by {expert}"
    if tensor > 1 and tensor % expert:
        return f"{tensor} shards cannot be shared evenly by {expert} groups of experts"
    if shape.heads % tensor:
        return f"{shape.heads} heads cannot be divided by {tensor}"
    if shape.kv_heads % tensor and tensor % shape.kv_heads:
        return f"{shape.kv_heads} key-value heads cannot be spread over {tensor} shards evenly"
    if shape.ffn % layout.slices:
        return f"an inner width of {shape.ffn} cannot be divided by {layout.slices}"
    return None


MOST_DEVICES = 16


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage has a model do: `tokens` go through the layers, `rows` of logits come out, the weights are read
    `reads` times. `pairs` and `touched` count positions in all layers together: those attended to, and those whose keys
    and values are read or written. `moved` tokens are as many at once that their activations count; `held` positions
    are cached."""

    tokens: Formula
    rows: Formula
    reads: Formula
    pairs: Formula
    touched: Formula
    moved: Formula
    held: Formula


def prefilling(shape: ModelShape, n: Formula, past: Formula = ZERO) -> Work:
    """As `llm.prefill`."""
    pairs = _by_layers(shape, (n * n + n) * 0.5 + n * past, n * float(shape.sliding_window))
    one = constant(1.0)
    return Work(n, one, one, pairs, (n + past) * float(shape.layers), n, n + past)


def decoding(shape: ModelShape, n: Formula, m: Formula) -> Work:
    """As `llm.decode`."""
    steps = m + -1.0
    full = n * m + n * -1.0 + m * m * 0.5 + m * -0.5
    pairs = _by_layers(shape, full, steps * float(shape.sliding_window))
    return Work(steps, steps, steps, pairs, pairs + steps * float(shape.layers), ZERO, n + m)


def _by_layers(shape: ModelShape, full: Formula, window: Formula) -> Formula:
    return full * float(shape.layers - shape.sliding_layers) + window * float(shape.sliding_layers)


# --- the parts, each for all layers ----------------------------------------------------------------------------------


def attention(shape: ModelShape, layout: Layout, work: Work) -> Demand:
    """One shard of attention."""
    heads, kept = shape.heads / layout.tensor, kv_heads(shape, layout)
    weights = shape.layers * (2.0 * shape.d_model * (heads + kept) * shape.head_dim) + _around(shape) * 0.5
    position = 2.0 * kept * shape.head_dim * shape.cache_bytes
    across = shape.layers * (2.0 * shape.d_model + 2.0 * (heads + kept) * shape.head_dim) * shape.cache_bytes
    return demand(
        compute=work.tokens * (2.0 * weights) + work.pairs * (4.0 * heads * shape.head_dim),
        traffic=work.touched * position + work.moved * across + work.reads * (weights * shape.weight_bytes),
        footprint=work.held * (position * shape.layers),
    )


def feed_forward(shape: ModelShape, layout: Layout, work: Work) -> Demand:
    """One shard of the feed-forward block of a model without experts."""
    return _total(route(shape, work), experts(shape, layout, work))


def experts(shape: ModelShape, layout: Layout, work: Work) -> Demand:
    """What is done on one device for the experts there: `E`-th of those that are active, a slice of each."""
    blocks = max(1, shape.active_experts) / layout.expert
    weights = shape.layers * blocks * 3.0 * shape.d_model * shape.ffn / layout.slices
    across = shape.layers * blocks * (2.0 * shape.d_model + 3.0 * shape.ffn / layout.slices) * shape.cache_bytes
    return demand(
        compute=work.tokens * (2.0 * weights),
        traffic=work.moved * across + work.reads * (weights * shape.weight_bytes),
    )


def route(shape: ModelShape, work: Work) -> Demand:
    """The norm before the feed-forward block, and which experts each token goes to."""
    weights = _around(shape) * 0.5
    return demand(compute=work.tokens * (2.0 * weights), traffic=work.reads * (weights * shape.weight_bytes))


def leave(shape: ModelShape, work: Work) -> Demand:
    """The logits, on one device."""
    table = float(shape.vocab * shape.d_model)
    return demand(compute=work.rows * (2.0 * table), traffic=work.reads * (table * shape.weight_bytes))


def enter(shape: ModelShape, layout: Layout, work: Work) -> Demand:
    """The looked-up hidden states go from one device to the others that have a part in attention."""
    return demand(network=work.tokens * ((layout.tensor - 1) * _hidden(shape)))


def all_reduce(shape: ModelShape, devices: int, work: Work) -> Demand:
    """The sum of what `devices` devices add, on each of them: once in each layer."""
    return demand(network=work.tokens * (2.0 * (devices - 1) * shape.layers * _hidden(shape)))


def dispatch(shape: ModelShape, layout: Layout, work: Work) -> Demand:
    """Each token's hidden state goes to the other devices where experts of its are; or comes back, summed there."""
    # The chance that none of a token's experts is in a group, if they are chosen evenly.
    idle = comb(shape.experts - shape.experts // layout.expert, shape.active_experts)
    missed = idle / comb(shape.experts, shape.active_experts)
    sent = (layout.expert - 1) * (1.0 - missed) * shape.layers * _hidden(shape)
    return demand(network=work.tokens * sent)


# --- stages ----------------------------------------------------------------------------------------------------------


def by_device(shape: ModelShape, layout: Layout, work: Work) -> tuple[Demand, ...]:
    """What each device needs for a stage; what is sent is shared alike by those that send it."""
    out: list[Demand] = []
    for device in range(layout.devices):
        parts: list[Demand] = []
        if device < layout.tensor:
            parts.append(attention(shape, layout, work))
            parts.append(_share(all_reduce(shape, layout.tensor, work), layout.tensor))
        if shape.experts:
            if device == 0 or not layout.dispatches:
                parts.append(route(shape, work))
            parts.append(experts(shape, layout, work))
        else:
            parts.append(feed_forward(shape, layout, work))
        if layout.dispatches:
            # One device sends all states, and each of the others sends what comes back from it.
            away = dispatch(shape, layout, work)
            parts.append(away if device == 0 else _share(away, layout.expert - 1))
        else:
            parts.append(_share(all_reduce(shape, layout.devices, work), layout.devices))
        if device == 0:
            parts += [enter(shape, layout, work), leave(shape, work)]
        out.append(_total(*parts))
    return tuple(out)


def prefill(shape: ModelShape, layout: Layout, n: Formula, past: Formula = ZERO) -> Demand:
    """What all devices together need to run `n` tokens through the model, behind `past` tokens."""
    return _total(*by_device(shape, layout, prefilling(shape, n, past)), demand(tokens_in=n))


def decode(shape: ModelShape, layout: Layout, n: Formula, m: Formula) -> Demand:
    """What all devices together need to make `m` tokens behind a prompt of `n`."""
    return _total(*by_device(shape, layout, decoding(shape, n, m)), demand(tokens_out=m))


def step(shape: ModelShape) -> Work:
    """One step of `tokens` tokens behind `past` cached ones, by these names."""
    return prefilling(shape, variable("tokens"), variable("past"))


def weight_bytes(shape: ModelShape, layout: Layout) -> tuple[float, ...]:
    """What each device holds of the weights: its shards, what is on each of them, and on the first what stands around
    the layers."""
    every = max(1, shape.experts)
    block = 3.0 * shape.d_model * shape.ffn
    heads = 2.0 * shape.d_model * (shape.heads + shape.kv_heads) * shape.head_dim
    outer = shape.parameters - shape.layers * (heads + every * block) - _around(shape)
    kept = 2.0 * shape.d_model * (shape.heads / layout.tensor + kv_heads(shape, layout)) * shape.head_dim
    out: list[float] = []
    for device in range(layout.devices):
        held = shape.layers * every * block / layout.devices
        if device < layout.tensor:
            held += shape.layers * kept + 0.5 * _around(shape)
        if device == 0 or not layout.dispatches:
            held += 0.5 * _around(shape)
        out.append((held + (outer if device == 0 else 0.0)) * shape.weight_bytes)
    return tuple(out)


def kv_heads(shape: ModelShape, layout: Layout) -> float:
    """Key-value heads of one shard; at least one, which then several shards hold."""
    return max(1.0, shape.kv_heads / layout.tensor)


def _around(shape: ModelShape) -> float:
    """Weights of all layers that are in none of the large products: norms, biases, routers. Half of them count to
    attention, half to the feed-forward block."""
    heads = 2.0 * shape.d_model * (shape.heads + shape.kv_heads) * shape.head_dim
    blocks = max(1, shape.active_experts) * 3.0 * shape.d_model * shape.ffn
    return shape.active_parameters - shape.vocab * shape.d_model - shape.layers * (heads + blocks)


def _hidden(shape: ModelShape) -> float:
    """Bytes of one token's hidden state."""
    return shape.d_model * shape.cache_bytes


def _share(given: Demand, count: int) -> Demand:
    return demand(**{name: getattr(given, name) * (1.0 / count) for name in NAMES})


def _total(*parts: Demand) -> Demand:
    return demand(**{name: as_formula(total(getattr(part, name) for part in parts)) for name in NAMES})


def once(shape: ModelShape, part: Demand) -> Demand:
    """A part of all layers, for one of them (the average, where some layers attend to a window)."""
    return _share(part, shape.layers)
