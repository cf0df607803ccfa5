"""The JAX encoder against an independent one in NumPy on random weights, and against published figures on real ones."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.xla.encoder import XlaEncoder
from agentlang.stdlib import store
from agentlang.stdlib.models import bert, encoder
from agentlang.stdlib.models.bert_config import BertConfig, assemble
from agentlang.stdlib.models.opening import open_encoder

SMALL = BertConfig(layers=2, d_model=24, heads=3, ffn=40, vocab=50, context=16)
Tensors = dict[str, NDArray[np.float32]]


def _random_checkpoint(config: BertConfig) -> Tensors:
    """Tensors under the names of the published checkpoint."""
    random = np.random.default_rng(7)
    d = config.d_model
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab, d),
        "embeddings.position_embeddings.weight": (config.context, d),
        "embeddings.token_type_embeddings.weight": (2, d),
        "embeddings.LayerNorm.weight": (d,),
        "embeddings.LayerNorm.bias": (d,),
    }
    for number in range(config.layers):
        layer = f"encoder.layer.{number}."
        inner = {"attention.self.query": (d, d), "attention.self.key": (d, d), "attention.self.value": (d, d)}
        inner |= {
            "attention.output.dense": (d, d),
            "intermediate.dense": (config.ffn, d),
            "output.dense": (d, config.ffn),
        }
        for name, shape in inner.items():
            shapes |= {f"{layer}{name}.weight": shape, f"{layer}{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}{name}.weight": (d,), f"{layer}{name}.bias": (d,)}
    return {name: random.standard_normal(shape, np.float32) * 0.5 for name, shape in shapes.items()}


def _plain(config: BertConfig, tensors: Tensors, ids: list[int]) -> NDArray[np.float64]:
    """One text through BERT as its paper has it: f64, head by head, no batch, no padding, no fused matrices."""
    t = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + config.norm_epsilon)
        return scaled * t[f"{name}.weight"] + t[f"{name}.bias"]

    def dense(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + t["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    size = config.d_model // config.heads
    for number in range(config.layers):
        layer = f"encoder.layer.{number}."
        q, k, v = (dense(x, f"{layer}attention.self.{name}") for name in ("query", "key", "value"))
        heads: list[NDArray[np.float64]] = []
        for head in range(config.heads):
            part = slice(head * size, (head + 1) * size)
            scores = np.exp(q[:, part] @ k[:, part].T / math.sqrt(size))
            heads.append(scores / scores.sum(-1, keepdims=True) @ v[:, part])
        attended = dense(np.concatenate(heads, -1), f"{layer}attention.output.dense")
        x = norm(x + attended, f"{layer}attention.output.LayerNorm")
        inner = dense(x, f"{layer}intermediate.dense")
        inner = 0.5 * inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(x + dense(inner, f"{layer}output.dense"), f"{layer}output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def test_the_encoder_computes_what_the_paper_says() -> None:
    tensors = _random_checkpoint(SMALL)

    def tensor(name: str, *shape: int) -> NDArray[Any]:
        assert tensors[name].shape == shape
        return tensors[name]

    loaded = assemble(SMALL, tensor)
    texts = [[1, 2, 3, 4, 5, 6, 7], [9], [30, 31, 49, 0]]
    ids, mask = np.zeros((4, 10), np.int64), np.zeros((4, 10), np.float32)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    # The last row is padding alone; the others are followed by some.
    out = np.asarray(bert.encode(SMALL, loaded.weights, jnp.asarray(loaded.table[ids]), jnp.asarray(mask)))
    for row, text in enumerate(texts):
        np.testing.assert_allclose(out[row], _plain(SMALL, tensors, text), atol=2e-6)
    assert np.all(out[3] == 0)


def test_shapes_are_what_is_read() -> None:
    tensors = _random_checkpoint(SMALL)

    def tensor(name: str, *shape: int) -> NDArray[Any]:
        del shape
        return tensors[name]

    loaded = assemble(SMALL, tensor)
    wanted = [leaf.shape for leaf in jax.tree.leaves(bert.weight_shapes(SMALL))]
    assert [leaf.shape for leaf in jax.tree.leaves(loaded.weights)] == wanted


@pytest.fixture(scope="module")
def files() -> Mapping[str, Path]:
    try:
        return store.obtain(store.entry("all-minilm-l6-v2"))
    except OutsideError as error:
        pytest.skip(error.problem.title)


def opened(files: Mapping[str, Path]) -> XlaEncoder:
    source = open_encoder(store.entry("all-minilm-l6-v2"), files)
    return XlaEncoder("all-minilm-l6-v2", source.key, source.functions())


@pytest.fixture(scope="module")
def mini(files: Mapping[str, Path]) -> XlaEncoder:
    return opened(files)


@pytest.mark.models
def test_the_cosines_that_its_authors_publish(mini: XlaEncoder) -> None:
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    embeddings = mini.vectors(texts)
    assert embeddings.shape == (3, 384) and embeddings.dtype == np.float32
    cosines = embeddings @ embeddings.T
    assert np.round(cosines[[0, 0, 1], [1, 2, 2]], 4).tolist() == pytest.approx([0.6660, 0.1046, 0.1411], abs=1e-4)
    assert np.diag(cosines) == pytest.approx([1, 1, 1], abs=1e-6)


@pytest.mark.models
def test_an_embedding_does_not_depend_on_its_company(mini: XlaEncoder) -> None:
    """Batches, padding and order change nothing but the last digits."""
    texts = [f"Item {n}: " + "a word " * (n * 5) for n in range(20)] + ["", "x"]
    together = mini.vectors(texts)
    alone = np.concatenate([mini.vectors([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(mini.vectors(texts[::-1])[::-1], together, atol=2e-6)
    assert mini.vectors([]).shape == (0, 384)


@pytest.mark.models
def test_a_long_text_is_read_to_its_end(mini: XlaEncoder, files: Mapping[str, Path]) -> None:
    start = "The mountain railway runs every hour from the valley. " * 40
    assert open_encoder(store.entry("all-minilm-l6-v2"), files).functions().tokenizer.count(start) > encoder.LONGEST
    question, plain, with_end = mini.vectors(
        ["How do I bake bread?", start, start + "To bake bread, mix flour, water, salt and yeast. " * 30]
    )
    assert question @ with_end > question @ plain + 0.2


@pytest.mark.models
def test_compiled_programs_are_kept(files: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    first, second, third = (opened(files) for _ in range(3))
    one = first.vectors(["A text."])
    assert first.compiled == 1
    two = second.vectors(["A text."])
    assert second.compiled == 0
    np.testing.assert_array_equal(one, two)
    kept = list((tmp_path / "private" / "xla").iterdir())
    assert len(kept) == 1
    # What somebody changed is not unpickled but made again.
    kept[0].write_bytes(kept[0].read_bytes()[:-1] + b"x")
    np.testing.assert_array_equal(third.vectors(["A text."]), one)
    assert third.compiled == 1


@pytest.mark.models
@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_damaged_weights_are_one_clear_problem(files: Mapping[str, Path], tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    data = files["weights"].read_bytes()
    path.write_bytes(
        {"cut": data[:-1000], "empty": b"", "other": data.replace(b"LayerNorm.bias", b"LayerNorm.bios", 1)}[damage]
    )
    with pytest.raises(OutsideError) as caught:
        opened({**files, "weights": path}).open()
    assert caught.value.problem.slug == "model-does-not-load"
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    with pytest.raises(OutsideError) as caught:
        opened({**files, "tokenizer": tokenizer}).vectors(["a"])
    assert caught.value.problem.slug == "model-does-not-load"


@pytest.mark.models
def test_a_folder_that_others_can_write_is_not_trusted(
    files: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    (tmp_path / "private" / "xla").mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    (tmp_path / "private" / "xla").chmod(0o777)
    with pytest.raises(OutsideError, match="can be written by one"):
        opened(files).vectors(["a"])


@pytest.mark.models
def test_a_home_that_cannot_be_written_costs_no_answer(
    files: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("not a folder")
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    assert opened(files).vectors(["a"]).shape == (1, 384)
