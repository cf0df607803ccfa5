"""The Llama functions against a plain NumPy model, and the two file formats against each other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_safetensors import write_safetensors

from agentlang.base.problems import OutsideError
from agentlang.stdlib.models import llama, open_chat
from agentlang.stdlib.models.chat_source import LlamaFile, assembled
from agentlang.stdlib.models.llama_config import LlamaConfig, UnsupportedModel
from agentlang.stdlib.models.prepared import fused_tensors, open_prepared, prepared_folder
from agentlang.stdlib.models.tiny import CONFIG, SPECIAL, TEMPLATE, RandomCheckpoint
from agentlang.stdlib.models.tokenizer import byte_letters

UNTIED = replace(CONFIG, tied_embeddings=False, layers=1)
SMOLLM2_135M = LlamaConfig(30, 576, 9, 3, 64, 1536, 49152, 8192, 100000.0, 1e-5, True)
TOKENS = np.random.default_rng(7).integers(3, CONFIG.vocab, 90).astype(np.int32)


def reference(checkpoint: RandomCheckpoint, tokens: Any) -> Any:
    """Logits `[n, vocab]` of all positions at once: no cache, no fusing, f64, as papers write it."""
    config = checkpoint.config

    def weight(name: str) -> Any:
        return checkpoint.tensor(f"{name}.weight").astype(np.float64)

    def norm(x: Any, name: str) -> Any:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + config.norm_epsilon) * weight(name)

    def rotate(x: Any) -> Any:
        half = config.head_dim // 2
        angle = np.arange(len(tokens))[:, None] * config.rope_base ** (-np.arange(half) / half)
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        left, right = x[..., :half], x[..., half:]
        return np.concatenate([left * cos - right * sin, right * cos + left * sin], -1)

    def heads(x: Any, name: str) -> Any:
        return (x @ weight(name).T).reshape(len(tokens), -1, config.head_dim)

    x = weight("model.embed_tokens")[tokens]
    for i in range(config.layers):
        at = f"model.layers.{i}"
        h = norm(x, f"{at}.input_layernorm")
        query, key = rotate(heads(h, f"{at}.self_attn.q_proj")), rotate(heads(h, f"{at}.self_attn.k_proj"))
        value = heads(h, f"{at}.self_attn.v_proj")
        shared = config.heads // config.kv_heads
        key, value = np.repeat(key, shared, 1), np.repeat(value, shared, 1)
        scores = np.einsum("nhd,mhd->hnm", query, key) / np.sqrt(config.head_dim)
        scores = np.where(np.tri(len(tokens), dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = np.einsum("hnm,mhd->nhd", shares, value).reshape(len(tokens), -1)
        x = x + mixed @ weight(f"{at}.self_attn.o_proj").T
        h = norm(x, f"{at}.post_attention_layernorm")
        gate = h @ weight(f"{at}.mlp.gate_proj").T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ weight(f"{at}.mlp.up_proj").T)) @ weight(f"{at}.mlp.down_proj").T
    head = weight("model.embed_tokens") if config.tied_embeddings else weight("lm_head")
    return norm(x, "model.norm") @ head.T


def empty(config: LlamaConfig, length: int) -> llama.Cache:
    layer = jax.tree.map(lambda shape: jnp.zeros(shape.shape), llama.cache_shapes(config, length))
    return (layer,) * config.layers


def prepared(checkpoint: RandomCheckpoint) -> llama.Weights:
    weights: llama.Weights = jax.tree.map(jnp.asarray, assembled(checkpoint.config, dict(fused_tensors(checkpoint))))
    return weights


def feed(
    config: LlamaConfig, weights: llama.Weights, cache: llama.Cache, chunks: list[tuple[int, int]]
) -> tuple[Any, llama.Cache]:
    """Prefill `TOKENS` in chunks of (size, real tokens)."""
    logits, start = None, 0
    for size, count in chunks:
        padded = np.full(size, 5, np.int32)
        padded[:count] = TOKENS[start : start + count]
        logits, cache = llama.prefill(config, weights, cache, padded, jnp.int32(start), jnp.int32(count))
        start += count
    return logits, cache


@pytest.mark.parametrize("config", [CONFIG, UNTIED], ids=["tied", "untied"])
@pytest.mark.parametrize(
    "chunks",
    [[(90, 90)], [(128, 90)], [(32, 32), (32, 32), (32, 26)], [(64, 64), (16, 16), (16, 10)], [(144, 90)]],
    ids=str,
)
def test_prefill_is_the_reference_however_it_is_cut(config: LlamaConfig, chunks: list[tuple[int, int]]) -> None:
    checkpoint = RandomCheckpoint(config, seed=3)
    expected = reference(checkpoint, TOKENS)[-1]
    assert expected.std() > 0.5, "logits that are all alike would prove nothing"
    logits, _ = feed(config, prepared(checkpoint), empty(config, 256), chunks)
    np.testing.assert_allclose(logits, expected, atol=2e-4)


@pytest.mark.parametrize("config", [CONFIG, UNTIED], ids=["tied", "untied"])
def test_decode_goes_on_where_prefill_ended(config: LlamaConfig) -> None:
    checkpoint = RandomCheckpoint(config, seed=4)
    expected = reference(checkpoint, TOKENS)
    weights = prepared(checkpoint)
    # The chunk's padding leaves rubbish at positions 40…47, which decoding must overwrite before it is seen.
    logits, cache = feed(config, weights, empty(config, 64), [(48, 40)])
    for position in range(40, 90):
        np.testing.assert_allclose(logits, expected[position - 1], atol=2e-4)
        if position == 60:
            cache = tuple(llama.grow(layer, 128) for layer in cache)
        logits, cache = llama.decode(config, weights, cache, jnp.int32(TOKENS[position]), jnp.int32(position))
    np.testing.assert_allclose(logits, expected[-1], atol=2e-4)


@pytest.mark.parametrize(("count", "most"), [(1, 2e6), (64, 30e6), (256, 80e6)])
def test_attention_over_a_full_context_needs_no_large_temporary(count: int, most: float) -> None:
    config = SMOLLM2_135M
    hidden = jax.ShapeDtypeStruct((count, config.d_model), jnp.float32)
    turn = jax.ShapeDtypeStruct((count, 1, config.head_dim // 2), jnp.float32)
    places = llama.Places(turn, turn, jax.ShapeDtypeStruct((), jnp.int32))
    function = llama.decode_layer if count == 1 else llama.prefill_layer

    def layer(weights: Any, cache: Any, hidden: Any, places: Any) -> Any:
        return function(config, weights, cache, hidden, places)

    shapes = (llama.layer_shapes(config), llama.cache_shapes(config, 8192), hidden, places)
    compiled = jax.jit(layer, donate_argnums=(1, 2)).lower(*shapes).compile()
    memory: Any = compiled.memory_analysis()
    assert memory.temp_size_in_bytes < most
    # The cache is updated in place: all of it, and the hidden states, are donated and taken.
    assert memory.alias_size_in_bytes >= 2 * 4 * 8192 * config.kv_width


def write_gguf(path: Path, checkpoint: RandomCheckpoint, architecture: str = "llama", template: str = TEMPLATE) -> None:
    import gguf

    config = checkpoint.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*SPECIAL, *byte_letters()])
    writer.add_token_types([gguf.TokenType.CONTROL] * len(SPECIAL) + [gguf.TokenType.NORMAL] * 256)
    writer.add_eos_token_id(SPECIAL["<|im_end|>"])
    writer.add_chat_template(template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.layers)
    for name in checkpoint.names():
        values = checkpoint.tensor(name)
        if "q_proj" in name or "k_proj" in name:
            # As llama.cpp's converter does: halves of a head become neighbouring pairs.
            heads = values.shape[0] // config.head_dim
            values = values.reshape(heads, 2, config.head_dim // 2, -1).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(str(names.get_name(name, try_suffixes=(".weight",))), np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def same_weights(left: Any, right: Any) -> bool:
    leaves = jax.tree.leaves(left), jax.tree.leaves(right)
    return len(leaves[0]) == len(leaves[1]) and all(map(np.array_equal, *leaves))


@pytest.mark.parametrize("config", [CONFIG, UNTIED], ids=["tied", "untied"])
def test_both_formats_give_the_same_model(tmp_path: Path, home: Path, config: LlamaConfig) -> None:
    checkpoint = RandomCheckpoint(config, seed=5)
    write_gguf(tmp_path / "model.gguf", checkpoint)
    write_safetensors(tmp_path / "folder", checkpoint)
    expected = assembled(config, dict(fused_tensors(checkpoint)))
    for path in (tmp_path / "model.gguf", tmp_path / "folder"):
        source = LlamaFile(path, "random")
        facts = source.facts()
        assert (facts.context, facts.vocabulary, facts.end_tokens) == (config.context, config.vocab, frozenset({0, 2}))
        found = source.functions().config
        assert found.norm_epsilon == pytest.approx(config.norm_epsilon), "an f32 in GGUF"
        assert replace(found, norm_epsilon=config.norm_epsilon) == config
        assert same_weights(source.weights(), expected)
        assert source.tokenizer().encode("é<|im_end|>", special=True) == (3 + 0xC3, 3 + 0xA9, 2)
        assert home in prepared_folder(path).parents


def test_a_prepared_copy_is_used_again_and_made_again(tmp_path: Path, home: Path) -> None:
    path = home / "models" / "random" / "model.gguf"
    path.parent.mkdir(parents=True)
    write_gguf(path, RandomCheckpoint(seed=6))
    assert open_prepared(path) is None
    mapped: Any = LlamaFile(path, "random").weights()
    folder = prepared_folder(path)
    assert folder.parent == path.parent / "prepared", "removed with its model"
    pointer = jax.device_put(mapped.layers[0].qkv).unsafe_buffer_pointer()
    assert pointer == mapped.layers[0].qkv.ctypes.data, "mapped pages go to the device without a copy"
    first = jax.tree.map(np.array, mapped)

    written = (folder / "weights.bin").stat().st_mtime_ns
    assert same_weights(LlamaFile(path, "random").weights(), first)
    assert (folder / "weights.bin").stat().st_mtime_ns == written

    damages = {
        "weights.bin": lambda file: os.truncate(file, 1000),
        "index.json": lambda file: file.write_text(file.read_text()[:-20]),
        "tokenizer.json": lambda file: file.unlink(),
    }
    for name, damage in damages.items():
        damage(folder / name)
        assert open_prepared(path) is None
        assert same_weights(LlamaFile(path, "random").weights(), first)

    write_gguf(path, RandomCheckpoint(seed=7))
    assert not same_weights(LlamaFile(path, "random").weights(), first)
    assert [other.name for other in folder.parent.iterdir()] == [prepared_folder(path).name], "the older copy is gone"
    assert [file for file in folder.parent.rglob("*") if ".part" in file.name] == []


def refused(path: Path) -> str:
    """The title of the problem that opening `path` ends with."""
    with pytest.raises(OutsideError) as caught:
        source = open_chat(path, "broken")
        source.tokenizer()
        source.functions()
    assert caught.value.problem.slug == "model-does-not-load"
    assert caught.value.problem.hint
    assert not (prepared_folder(path) / "weights.bin").exists() if path.exists() else True
    return caught.value.problem.title


@pytest.mark.usefixtures("home")
def test_what_cannot_be_loaded_is_said_clearly(tmp_path: Path) -> None:
    checkpoint = RandomCheckpoint()
    sound = tmp_path / "sound.gguf"
    write_gguf(sound, checkpoint)
    assert "is missing" in refused(tmp_path / "nothing.gguf")
    path = tmp_path / "model.gguf"
    path.write_bytes(b"")
    assert "too few for a GGUF file" in refused(path)
    path.write_bytes(b"<html>Not found</html>" * 100)
    assert "is no GGUF file" in refused(path)
    for size in (40, 5000, sound.stat().st_size - 1000):
        path.write_bytes(sound.read_bytes()[:size])
        assert "does not load" in refused(path)
    write_gguf(path, checkpoint, architecture="gemma")
    assert "holds a gemma model" in refused(path)
    write_gguf(path, checkpoint, template="{{ raise_exception('no') }}")
    assert "chat template" in refused(path)
    write_gguf(path, checkpoint, template="")
    assert "chat template" in refused(path)

    folder = tmp_path / "folder"
    folder.mkdir()
    assert "config.json" in refused(folder)
    write_safetensors(folder, checkpoint, model_type="mamba")
    assert "holds a mamba model" in refused(folder)
    write_safetensors(folder, checkpoint, rope_scaling={"rope_type": "llama3"})
    assert "scales its rotary positions" in refused(folder)
    write_safetensors(folder, checkpoint, intermediate_size=100)
    assert "has the shape" in refused(folder)
    write_safetensors(folder, checkpoint, hidden_size="wide")
    assert "garbles a figure" in refused(folder)
    write_safetensors(folder, checkpoint)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    assert "model.safetensors" in refused(folder)


def test_figures_that_cannot_be_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="evenly"):
        replace(CONFIG, kv_heads=3)
    with pytest.raises(UnsupportedModel, match="even head width"):
        replace(CONFIG, head_dim=15)
    assert LlamaConfig.from_data(SMOLLM2_135M.as_data()) == SMOLLM2_135M
    # 134,515,008 parameters, as published, of four bytes each.
    assert SMOLLM2_135M.decode_weight_bytes == 4 * 134_515_008
