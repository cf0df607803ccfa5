"""What the XLA engine does besides its promises to everybody: shapes, kept programs, choosing, growing."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_schemas import complaints

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.constraint.masks import Constraint
from agentlang.executor.engines.protocol import Finish, Message, ModelSpec, Sampling, Tokens
from agentlang.executor.engines.xla import buckets, choosing
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.kept import kept_programs
from agentlang.executor.engines.xla.paged.device import PagedDevice
from agentlang.executor.engines.xla.paged.model import PagedModel
from agentlang.executor.engines.xla.paged.sequence import Making
from agentlang.stdlib.models.tiny import TinyLlama


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(shared_home))
    return shared_home


async def _decoded(model: PagedModel, prompt: tuple[int, ...], sampling: Sampling) -> list[int]:
    sequence = await model.prefill(prompt)
    tokens = [token async for token in model.decode(sequence, sampling)]
    await model.release(sequence)
    return tokens


def decoded(prompt: tuple[int, ...], sampling: Sampling, **options: Any) -> tuple[list[int], int]:
    """The reply of a tiny model, and how many programs were compiled for it."""

    async def main() -> tuple[list[int], int]:
        model = await XlaEngine(**options).load(ModelSpec("tiny", TinyLlama(seed=1)))
        assert isinstance(model, PagedModel)
        return await _decoded(model, prompt, sampling), model.programs.compiled

    return anyio.run(main)


# Shapes


@given(st.integers(1, 9000), st.integers(1, 9000))
def test_chunks_cover_a_prompt_once_and_stay_inside_the_context(context: int, tokens: int) -> None:
    tokens = min(tokens, context)
    cut = buckets.chunks(tokens, context)
    assert [chunk.start for chunk in cut] == list(np.cumsum([0, *(chunk.size for chunk in cut)])[:-1])
    assert all(chunk.count == chunk.size for chunk in cut[:-1])
    assert 1 <= cut[-1].count <= cut[-1].size
    assert sum(chunk.count for chunk in cut) == tokens
    end = cut[-1].start + cut[-1].size
    assert end <= buckets.capacity(context) < context + 16
    assert end <= buckets.cache_length(end, context)
    assert {chunk.size for chunk in cut} <= set(buckets.CHUNKS)


def test_chunks_of_some_prompts() -> None:
    def sizes(tokens: int) -> list[int]:
        return [chunk.size for chunk in buckets.chunks(tokens, 8192)]

    assert sizes(1) == [16]
    assert sizes(38) == [64]
    assert sizes(300) == [256, 64]
    assert sizes(500) == [512]
    assert sizes(1030) == [512, 512, 16]


def test_cache_lengths_double_up_to_the_context() -> None:
    assert [buckets.cache_length(n, 3000) for n in (1, 256, 257, 1025, 2049, 3000)] == [256, 256, 512, 2048, 3008, 3008]
    assert buckets.cache_length(10, 60) == 64


# Kept programs


def test_programs_are_compiled_once_on_a_machine_and_damage_is_repaired(home: Path) -> None:
    sampling = Sampling(max_tokens=5)
    prompt = tuple(range(3, 20))
    expected, compiled = decoded(prompt, sampling, keep_programs=False)
    assert compiled == 8
    assert not (home / "private").exists()

    assert decoded(prompt, sampling) == (expected, 8)
    assert decoded(prompt, sampling) == (expected, 0)
    files = sorted(kept_programs().iterdir())
    assert len(files) == 8
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}

    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].write_bytes(b"")
    flipped = bytearray(files[2].read_bytes())
    flipped[len(flipped) // 2] ^= 1
    files[2].write_bytes(flipped)
    assert decoded(prompt, sampling) == (expected, 3)
    assert decoded(prompt, sampling) == (expected, 0)


def test_a_folder_that_others_can_write_to_is_not_used(home: Path) -> None:
    folder = kept_programs()
    folder.chmod(0o777)
    try:
        with pytest.raises(OutsideError, match="can be written by one") as caught:
            decoded((3, 4), Sampling(max_tokens=1))
        assert caught.value.problem.slug == "unsafe-folder"
    finally:
        folder.chmod(0o700)


def test_a_model_without_files_is_refused() -> None:
    with pytest.raises(OutsideError, match="needs the model's files"):
        anyio.run(XlaEngine().load, ModelSpec("nothing"))


# Growing, and the end of the context


def test_a_growing_cache_changes_nothing() -> None:
    prompt = tuple(int(t) for t in np.random.default_rng(0).integers(3, 259, 250))
    whole, _ = decoded(prompt, Sampling(max_tokens=40))
    assert len(whole) == 40, "this model and prompt go on past position 256"
    for made in (3, 5, 6, 7, 20):
        later, _ = decoded((*prompt, *whole[:made]), Sampling(max_tokens=40 - made))
        assert later == whole[made:]


def test_the_last_position_of_the_context_is_used() -> None:
    async def main() -> None:
        model = await XlaEngine().load(ModelSpec("tiny", TinyLlama(seed=1)))
        context = model.facts.context
        sequence = await model.prefill(tuple(3 + i % 256 for i in range(context - 1)))
        tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=9))]
        assert (len(tokens), sequence.finish) == (1, Finish.TRUNCATED)
        await model.close()

    anyio.run(main)


def test_steps_leave_the_event_loop_free() -> None:
    async def main() -> None:
        model = await XlaEngine().load(ModelSpec("tiny", TinyLlama(seed=1)))
        tokens = await model.tokenize([Message("user", "hi")])
        turns, turns_at_tokens = 0, [0]

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.sleep(0)

        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            sequence = await model.prefill(tokens)
            async for _ in model.decode(sequence, Sampling(max_tokens=10)):
                turns_at_tokens.append(turns)
            group.cancel_scope.cancel()
        assert all(after > before for before, after in pairwise(turns_at_tokens))

    anyio.run(main)


# Choosing


SAMPLED = jax.jit(choosing.sampled)


def choose(logits: Any, temperature: float, top_k: int = 0, top_p: float = 1.0, seed: int = 0, index: int = 0) -> int:
    token = SAMPLED(
        jnp.asarray(logits, jnp.float32),
        jnp.float32(temperature),
        jnp.int32(top_k),
        jnp.float32(top_p),
        jnp.uint32(seed),
        jnp.uint32(0),
        jnp.uint32(index),
    )
    return int(token[0])


LOGITS = np.random.default_rng(1).normal(0, 2, 300).astype(np.float32)
BY_LIKELIHOOD = list(np.argsort(-LOGITS))


def test_greedy_is_the_most_likely() -> None:
    assert choosing.greedy(jnp.asarray(LOGITS)).tolist() == [BY_LIKELIHOOD[0]]


@pytest.mark.parametrize("top_k", [1, 2, 7])
def test_top_k_draws_among_the_k_most_likely(top_k: int) -> None:
    drawn = {choose(LOGITS, 5.0, top_k=top_k, index=i) for i in range(150)}
    assert drawn == set(BY_LIKELIHOOD[:top_k])


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.6])
def test_top_p_draws_among_the_fewest_that_sum_to_p(top_p: float) -> None:
    shares = np.exp(LOGITS - LOGITS.max())
    shares /= shares.sum()
    wanted = 1 + int(np.searchsorted(np.cumsum(np.sort(shares)[::-1]), top_p))
    drawn = {choose(LOGITS, 1.0, top_p=top_p, index=i) for i in range(400)}
    assert drawn <= set(BY_LIKELIHOOD[:wanted])
    assert len(drawn) >= min(wanted, 1 + wanted // 2)


def test_top_p_looks_at_what_top_k_left() -> None:
    # Of two equals half the mass is one of them, whatever else there was.
    logits = [3.0, 3.0 - 1e-3, *[2.9] * 50]
    assert {choose(logits, 1.0, top_k=2, top_p=0.4, index=i) for i in range(50)} == {0}


def test_draws_follow_the_distribution_the_seed_and_the_index() -> None:
    logits = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32)) + 7
    counts = Counter(choose(logits, 1.0, seed=3, index=i) for i in range(2000))
    assert abs(counts[0] / 2000 - 0.5) < 0.05
    assert abs(counts[1] / 2000 - 0.25) < 0.05
    assert choose(LOGITS, 3.0, seed=5, index=9) == choose(LOGITS, 3.0, seed=5, index=9)
    assert len({choose(LOGITS, 9.0, seed=seed) for seed in range(30)}) > 15
    assert len({choose(LOGITS, 9.0, index=index) for index in range(30)}) > 15
    # Cold is greedy; equal logits and negative infinities are no trouble.
    assert choose(LOGITS, 1e-3) == BY_LIKELIHOOD[0]
    assert {choose([1.0, 1.0, -np.inf], 1.0, top_k=2, top_p=0.9, index=i) for i in range(40)} == {0, 1}


# Replies held to a schema


LIST = json.dumps({"type": "array", "items": {"enum": ["north", "south", "east"]}, "minItems": 12, "maxItems": 12})
RECORD = json.dumps(
    {
        "type": "object",
        "properties": {"first name": {"type": "string", "maxLength": 4}, "of age": {"type": "boolean"}},
        "required": ["first name", "of age"],
        "additionalProperties": False,
    }
)


def text_of(tokens: list[int]) -> str:
    return TinyLlama().tokenizer().decode(tokens)


@pytest.mark.parametrize("sampling", [Sampling(schema=LIST), Sampling(schema=RECORD, temperature=1.0, seed=4)])
def test_feeding_forced_tokens_at_once_changes_nothing(sampling: Sampling, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int] = []
    force = PagedDevice._force  # pyright: ignore[reportPrivateUsage]

    def counted(self: PagedDevice, making: Making, constraint: Constraint) -> Tokens:
        forced = force(self, making, constraint)
        fed.append(len(forced))
        return forced

    prompt = tuple(range(3, 20))
    monkeypatch.setattr(PagedDevice, "_force", counted)
    at_once, _ = decoded(prompt, sampling)
    assert sum(fed) > 15
    monkeypatch.setattr(PagedDevice, "_force", lambda *_: ())
    one_by_one, _ = decoded(prompt, sampling)
    assert text_of(at_once) == text_of(one_by_one)
    assert complaints(text_of(at_once), sampling.schema or "") == []


def test_a_document_goes_on_where_the_cache_grows() -> None:
    for length in range(236, 256, 3):
        tokens, _ = decoded(tuple(3 + i % 256 for i in range(length)), Sampling(schema=LIST))
        assert complaints(text_of(tokens), LIST) == []


def test_a_token_that_is_refused_is_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a key would come twice; here each text is refused its first two choices."""
    take, refused = Constraint.take, list[tuple[int, int]]()
    made = 0

    def picky(self: Constraint, token: int) -> bool:
        nonlocal made
        if len(refused) < 6 and sum(at == made for at, _ in refused) < 2 and made > 0:
            refused.append((made, token))
            return False
        made += 1
        return take(self, token)

    monkeypatch.setattr(Constraint, "take", picky)
    monkeypatch.setattr(PagedDevice, "_force", lambda *_: ())
    schema = json.dumps({"type": "string", "maxLength": 6})
    for sampling in (Sampling(schema=schema), Sampling(schema=schema, temperature=1.0, seed=2)):
        refused.clear()
        made = 0
        tokens, _ = decoded(tuple(range(3, 9)), sampling)
        assert complaints(text_of(tokens), schema) == []
        assert len(refused) == 6
        assert all(tokens[at] != token for at, token in refused)
        assert len(set(refused)) == 6


def test_a_masked_logit_is_never_chosen() -> None:
    mask = np.zeros((LOGITS.size + 31) // 32, np.uint32)
    for token in (7, 31, 32, 299):
        mask[token // 32] |= np.uint32(1 << token % 32)
    kept = np.flatnonzero(np.isfinite(choosing.masked(jnp.asarray(LOGITS), jnp.asarray(mask))))
    assert kept.tolist() == [7, 31, 32, 299]
    masked = choosing.masked(jnp.asarray(LOGITS), jnp.asarray(mask))
    assert {choose(masked, 50.0, index=i) for i in range(200)} == {7, 31, 32, 299}
    assert {choose(masked, 50.0, top_k=100, top_p=0.99, index=i) for i in range(200)} <= {7, 31, 32, 299}
