"""Language models on accelerators: pools of replicas that many requests share, and what a call takes in each.

Roles. `serve`: prompts and replies share the devices, each decode step stands beside its part of the prompts of others
(`serving.decode_step`), and a prompt waits for the step under way. `prefill` and `decode`: apart, and the KV cache
passes between the two pools. `one`: the device that does everything, one request at a time.

A pool of a role is one for each number of devices that share the weights (tensor parallel 1, 2, 4, 8; where eight do
not hold them, groups of eight one behind the other) and each batch: powers of two, and the largest that memory holds
and at which the goal's gap between tokens does. Times are those of a full batch. Where several calls of a program use
one model, a step counts as if all of its batch were of the call that makes it longest, so that the numbers hold
whichever of them come.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

from ...ir.demand.llm import cache_bytes_per_token
from ...ir.library import ModelShape
from ..calibrate import PRIOR_NOISE
from ..catalogue import links
from ..figures import Basis, Figure, Prediction, Term, predicted, show_value
from ..serving.terms import ACTIVATION_BYTES, Beside, Group
from ..serving.times import DECODE as DECODING
from ..serving.times import PREFILL as PREFILLING
from ..serving.times import decode_step, prefill
from .asked import Asked
from .machines import in_turns, turns
from .problem import Held, Option, Pool
from .tiers import Site

TENSOR = (1, 2, 4, 8)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BEHIND = (2, 4, 8)
"""Groups of eight devices one behind the other, for models that eight do not hold."""
CHUNK = 8192
"""Tokens of prompts that are computed at once."""
ROLES = ("serve", "prefill", "decode")
UP_TO = 1.03
"""A larger batch of prompts is worth offering where it carries so much more."""


@dataclass(frozen=True)
class Served:
    """One model of a program on the devices of one tier."""

    asked: Asked
    site: Site
    model: str
    shape: ModelShape
    gap: float = inf
    """Seconds that a median step may take under the goal."""

    @cached_property
    def prefills(self) -> tuple[str, ...]:
        return self._stages("agent.prefill")

    @cached_property
    def decodes(self) -> tuple[str, ...]:
        return self._stages("agent.decode")

    def _stages(self, name: str) -> tuple[str, ...]:
        run = self.asked.run
        return tuple(s for s, o in run.operations.items() if o.name == name and self.asked.model(s) == self.model)

    # --- devices -----------------------------------------------------------------------------------------------------

    @cached_property
    def rate(self) -> tuple[Figure, str]:
        """The rate of products with the weights, and what there is to say of it: that of their number format where the
        device multiplies it, else that of 16 bits."""
        device, dtype = self.site.device, self.asked.dtype(self.model)
        assert device is not None
        if dtype in device.compute:
            return device.compute[dtype], f"{dtype}, {show_value(device.compute[dtype].value, 'FLOP/s')}"
        rate = f"{show_value(device.rate.value, 'FLOP/s')}"
        return device.rate, f"stored in {dtype}, computed in 16 bits, {rate}" if dtype else f"16 bits, {rate}"

    def group(self, tensor: int) -> Group:
        device = self.site.device
        assert device is not None
        known = links()
        near = next((known[name] for name in device.links if name in known), None)
        link = near.bandwidth.value if near else device.bandwidth.value
        return Group(device.bandwidth.value, self.rate[0].value, device.rate.value, link, tensor)

    def widths(self) -> Iterator[tuple[int, int]]:
        """Tensor and pipeline parallel degrees: those that may hold the weights; all that divide the heads, and where
        none of them may, groups one behind the other."""
        shape = self.shape
        whole = shape.parameters * shape.weight_bytes
        room = self.site.tier.memory
        splits = [n for n in TENSOR if n == 1 or (shape.heads % n == 0 and shape.kv_heads % n == 0)]
        fitting = [n for n in splits if whole < n * room]
        if fitting:
            yield from ((n, 1) for n in fitting)
            return
        widest = splits[-1]
        yield from ((widest, behind) for behind in BEHIND if whole < widest * behind * room)

    # --- pools -------------------------------------------------------------------------------------------------------

    def offers(self) -> list[tuple[Pool, dict[str, Option]]]:
        """All pools that hold the model with their batch, each with the options of the stages that it serves. A pool
        that another outdoes is left out."""
        found: list[tuple[Pool, dict[str, Option]]] = []
        for tensor, behind in self.widths():
            for role in ROLES:
                best = 0.0
                for batch in self._batches(role, tensor, behind):
                    pool, made = self._offer(role, tensor, behind, batch)
                    if not made or _held(made) > pool.devices * self.site.tier.memory:
                        break
                    if role == "prefill":
                        carried = min(pool.slots / option.busy for option in made.values())
                        if carried < best * UP_TO:
                            break
                        best = carried
                    found.append((pool, made))
        if not found:
            # Something must be there to say that the tier's memory is too small.
            tensor, behind = max(self.widths(), default=(TENSOR[-1], 1))
            found = [self._offer(role, tensor, behind, 1) for role in ROLES]
        return _undominated([(pool, made) for pool, made in found if made])

    def _batches(self, role: str, tensor: int, behind: int) -> list[int]:
        """Powers of two, and the largest batch that memory holds and whose steps are not longer than the goal's gap."""
        if role == "prefill" or not self.decodes:
            return list(BATCHES)
        low, high = 0, self._most(tensor, behind)
        while low < high:
            middle = (low + high + 1) // 2 if self.gap < inf else high
            pool = Pool("", self.site.name, tensor * behind, middle * behind, tensor, behind)
            if self.gap == inf or self._step(pool, beside=role == "serve").value <= self.gap:
                low = middle
            else:
                high = middle - 1
        return sorted({*BATCHES, low} - {0})

    def _most(self, tensor: int, behind: int) -> int:
        """The largest batch that memory holds, of those that are offered."""
        asked, shape = self.asked, self.shape
        positions = max(1.0, *(asked.positions(stage, shape) for stage in self.decodes))
        working = max(float(BATCHES[-1]), *(min(float(CHUNK), asked.positions(s, shape)) for s in self.prefills), 0.0)
        room = tensor * behind * self.site.tier.memory - self._activations(working).bytes
        room -= sum(held.bytes for held in self._weights)
        return max(0, min(BATCHES[-1], int(room / (behind * positions * self._cached))))

    def alone(self, stage: str) -> Option | None:
        """A stage on the device that does everything, one at a time; None where that cannot hold the model."""
        asked, pool = self.asked, Pool(self.site.name, self.site.name, 1, 1)
        decoding = asked.operation(stage).name == "agent.decode"
        option = self._decode(pool, stage, "one") if decoding else self._prefill(pool, stage, "one")
        at_once = asked.at_once(stage)
        held = tuple(
            replace(each, bytes=each.bytes * at_once) if each.key == self._key else each for each in option.held
        )
        if sum(each.bytes for each in held) > self.site.tier.memory:
            return None
        return replace(option, held=held)

    def _offer(self, role: str, tensor: int, behind: int, batch: int) -> tuple[Pool, dict[str, Option]]:
        width = f"tp{tensor}" + (f" pp{behind}" if behind > 1 else "")
        name = f"{self.site.name} {self.model} {role} {width} b{batch}"
        pool = Pool(name, self.site.name, tensor * behind, batch * behind, tensor, behind)
        made: dict[str, Option] = {}
        if role != "decode":
            made |= {stage: self._prefill(pool, stage, role) for stage in self.prefills}
        if role != "prefill":
            made |= {stage: self._decode(pool, stage, role) for stage in self.decodes}
        return pool, made

    # --- stages ------------------------------------------------------------------------------------------------------

    def _prefill(self, pool: Pool, stage: str, role: str) -> Option:
        asked, shape = self.asked, self.shape
        positions = asked.positions(stage, shape)
        begun = asked.begun(stage, shape)
        tokens = max(1.0, positions - begun)
        batch = pool.slots / pool.pipeline if role == "prefill" else 1.0
        found = self._prompts(pool, batch, tokens, begun)
        terms = [replace(term, stage=stage) for term in found.terms]
        if role == "serve":
            step = self._step(pool, beside=True)
            terms.append(
                Term("the step under way", step.value, "s", Basis.DERIVED, "prompts begin between steps", stage)
            )
        working = min(batch * tokens, float(CHUNK))
        held = (*self._weights, Held(self._key, pool.slots * positions * self._cached), self._activations(working))
        return self._option(pool, stage, role, terms, found, held, None)

    def _prompts(self, pool: Pool, batch: float, tokens: float, begun: float) -> Prediction:
        """The prefill of so many prompts at once."""
        key = (pool.tensor, pool.pipeline, batch, tokens, begun)
        if key not in self._prefilled:
            group = self.group(pool.tensor)
            found = prefill(self.shape, group, batch, tokens)
            of = self._of(batch, tokens)
            terms = [
                replace(term, detail=f"{term.detail}; {of}") if term.name == "matrices" else term
                for term in found.terms
            ]
            terms += self._more_experts(group, batch * tokens, PREFILLING.coefficients["matrices"])
            terms += self._behind_prefix(group, batch, tokens, begun)
            terms += self._between(pool, batch * tokens)
            self._prefilled[key] = predicted("prefill", "s", terms, PREFILLING.error)
        return self._prefilled[key]

    @cached_property
    def _prefilled(self) -> dict[tuple[int, int, float, float, float], Prediction]:
        return {}

    def _decode(self, pool: Pool, stage: str, role: str) -> Option:
        asked = self.asked
        positions = asked.positions(stage, self.shape)
        steps = max(0.0, asked.reply(stage) - 1.0)
        step = self._step(pool, beside=role == "serve")
        batch = pool.slots // pool.pipeline
        terms = [
            replace(term, value=term.value * steps, detail=f"{steps:.4g} steps of {batch}: {term.detail}", stage=stage)
            for term in step.terms
        ]
        working = float(batch)
        if role == "serve":
            working = max(working, *(min(float(CHUNK), asked.positions(s, self.shape)) for s in self.prefills), 0.0)
        held = (*self._weights, Held(self._key, pool.slots * positions * self._cached), self._activations(working))
        assert self.site.rates is not None
        return self._option(pool, stage, role, terms, step, held, self.site.rates.launch.value)

    def _step(self, pool: Pool, *, beside: bool) -> Prediction:
        """A decode step of a full batch, of the calls that make it longest."""
        key = (pool.tensor, pool.pipeline, pool.slots, beside)
        if key not in self._steps:
            # A call that no run makes (a fallback that is never needed) makes no step longer.
            asked = [stage for stage in self.decodes if self.asked.executions(stage) > 0.0] or self.decodes
            found = [self._step_of(pool, stage, beside) for stage in asked]
            self._steps[key] = max(found, key=lambda step: step.value, default=predicted("decode step", "s", (), 0.0))
        return self._steps[key]

    @cached_property
    def _steps(self) -> dict[tuple[int, int, int, bool], Prediction]:
        return {}

    def _step_of(self, pool: Pool, stage: str, beside: bool) -> Prediction:
        asked, shape = self.asked, self.shape
        reply = max(1.0, asked.reply(stage))
        positions = asked.positions(stage, shape)
        # Each sequence of a batch is somewhere in its reply: half of it is there on average.
        context = max(0.0, positions - reply / 2.0)
        batch = pool.slots / pool.pipeline
        others: Beside | None = None
        if beside:
            # What is computed once for many (a prefix) counts as often as it is.
            runs = max(asked.executions(stage), 1e-9)
            prompts = sum(
                max(1.0, asked.positions(s, shape) - asked.begun(s, shape)) * min(1.0, asked.executions(s) / runs)
                for s in asked.prefills(stage)
            )
            others = Beside(max(1.0, prompts), reply)
        group = self.group(pool.tensor)
        found = decode_step(shape, group, batch, context, others)
        terms = [
            replace(term, detail=f"{term.detail}; {self._of(batch, context)}") if term.name == "matrices" else term
            for term in found.terms
        ]
        terms += self._more_experts(group, batch, DECODING.coefficients["matrices"])
        terms += self._between(pool, batch)
        return predicted("decode step", "s", terms, DECODING.error)

    def _more_experts(self, group: Group, tokens: float, factor: float) -> list[Term]:
        """Tokens of a batch go to experts of their own: what is read of these beside those of one token."""
        shape = self.shape
        spare = shape.experts - shape.active_experts
        if spare <= 0:
            return []
        one = max(0.0, shape.parameters - shape.active_parameters - shape.vocab * shape.d_model) / spare
        used = shape.experts * (1.0 - (1.0 - shape.active_experts / shape.experts) ** tokens)
        more = one * max(0.0, used - shape.active_experts) * shape.weight_bytes / group.bandwidth
        reading = shape.active_parameters * shape.weight_bytes / group.bandwidth
        computing = 2.0 * shape.active_parameters * tokens / group.compute
        seconds = factor * (max(reading + more, computing) - max(reading, computing)) / group.tensor
        detail = f"{used:.3g} of {shape.experts} experts are read"
        return [Term("more experts", seconds, "s", Basis.DERIVED, detail)] if seconds > 0.0 else []

    def _behind_prefix(self, group: Group, batch: float, tokens: float, begun: float) -> list[Term]:
        """Attention of a prompt to the prefix that it begins with."""
        if not begun:
            return []
        shape = self.shape
        operations = 4.0 * shape.layers * shape.heads * shape.head_dim * tokens * begun * batch
        seconds = PREFILLING.coefficients["attention"] * operations / group.attention / group.tensor
        return [Term("attention to the prefix", seconds, "s", Basis.DERIVED, f"{begun:.4g} positions are there")]

    def _between(self, pool: Pool, tokens: float) -> list[Term]:
        """What passes from one group of devices to the next, where they stand one behind the other."""
        if pool.pipeline == 1:
            return []
        seconds = (pool.pipeline - 1) * tokens * self.shape.d_model * ACTIVATION_BYTES / self.group(pool.tensor).link
        return [Term("between groups", seconds, "s", Basis.DERIVED, f"{pool.pipeline} groups of {pool.tensor}")]

    def _of(self, batch: float, tokens: float) -> str:
        return f"{batch:g} x {tokens:.4g} tokens, {self.rate[1]}"

    def _option(
        self,
        pool: Pool,
        stage: str,
        role: str,
        terms: list[Term],
        source: Prediction,
        held: tuple[Held, ...],
        first: float | None,
    ) -> Option:
        asked = self.asked
        error = (source.high - source.value) / source.value if source.value else 0.0
        whole = predicted(stage, "s", terms, error)
        time = in_turns(whole, turns(asked, stage, pool.slots), stage)
        together: tuple[str, ...] = ()
        if role == "serve":
            own = {*asked.prefills(stage), *asked.decodes(stage)}
            together = tuple(other for other in asked.calls[stage] if other in own and other != stage)
        return Option(
            pool=pool.name,
            time=time,
            first=time.value if first is None else min(first, time.value),
            busy=whole.value,
            held=held,
            joules=self.site.tier.watts * pool.devices * whole.value / pool.slots,
            noise=PRIOR_NOISE,
            engine=asked.engine(stage),
            dtype=asked.dtype(self.model),
            together=together,
        )

    # --- memory ------------------------------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return f"{self.model}, while it runs"

    @property
    def _cached(self) -> float:
        return cache_bytes_per_token(self.shape)

    @cached_property
    def _weights(self) -> tuple[Held, ...]:
        return (Held(f"{self.model}, loaded", self.shape.parameters * self.shape.weight_bytes),)

    def _activations(self, tokens: float) -> Held:
        """What a step of so many tokens holds between its products, of one layer at a time."""
        shape = self.shape
        inner = max(1, shape.active_experts) * shape.ffn
        numbers = 2.0 * shape.d_model + (shape.heads + 2.0 * shape.kv_heads) * shape.head_dim + 2.0 * inner
        return Held(f"{self.model}, activations", tokens * numbers * ACTIVATION_BYTES)


def _held(made: dict[str, Option]) -> float:
    """What a replica holds that serves all of these stages."""
    largest: dict[str, float] = {}
    for option in made.values():
        for held in option.held:
            largest[held.key] = max(largest.get(held.key, 0.0), held.bytes)
    return sum(largest.values())


def _undominated(found: list[tuple[Pool, dict[str, Option]]]) -> list[tuple[Pool, dict[str, Option]]]:
    """Without the pools that another outdoes: one for the same stages whose devices are no more, on which no stage
    takes longer, and which carries as much on as many devices (in whole replicas)."""
    kept: list[tuple[Pool, dict[str, Option]]] = []
    # Fewer devices first, then the faster: what comes later never outdoes what stands before it, or is its equal.
    for pool, made in sorted(found, key=lambda each: (each[0].devices, sum(o.seconds for o in each[1].values()))):
        if not any(_outdoes(other, pool, theirs, made) for other, theirs in kept):
            kept.append((pool, made))
    return kept


def _outdoes(pool: Pool, other: Pool, made: dict[str, Option], theirs: dict[str, Option]) -> bool:
    if made.keys() != theirs.keys() or any(made[s].together != theirs[s].together for s in made):
        return False
    replicas = other.devices // pool.devices
    return all(
        made[stage].seconds <= theirs[stage].seconds
        and replicas * pool.slots * theirs[stage].busy >= other.slots * made[stage].busy
        for stage in made
    )
