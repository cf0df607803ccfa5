"""The formulas that plans are made with, beside what XLA says of the functions that it compiled from the artifacts.

Operations agree within a stated share: what is above the formula is norms, activation functions, the half of causal
blocks that the mask forgets, and for 8-bit numbers their rounding. A formula of bytes is a lower bound, and what XLA
counts above it is bounded too: each product's inputs and outputs a few times more (kernels between products), each
score of attention a dozen times (written and read by the kernels that a fused attention does not have), the table
that a gather counts whole, and for 8-bit numbers the matrices widened to 32 bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.xla.export import chat_buckets, export_buckets
from agentlang.executor.engines.xla.load import load_to_ask
from agentlang.ir.artifact import INPUT, WEIGHT, Artifact
from agentlang.ir.demand import llm
from agentlang.ir.demand.artifact import KEY_BLOCK, Needs, compare, needs, needs_from
from agentlang.ir.formula import constant, variable
from agentlang.ir.graph import Handle
from agentlang.ir.library import ModelShape
from agentlang.stdlib import store
from agentlang.stdlib.library import Library
from agentlang.stdlib.models import llama, open_chat
from agentlang.stdlib.models.bert_config import BertConfig
from agentlang.stdlib.models.needs import described, needs_of
from agentlang.stdlib.models.operators import chat_operators, encoder_operators, scorer_operators
from agentlang.stdlib.models.tiny import CONFIG, TinyLlama

TINY = ModelShape(
    name="tiny", layers=CONFIG.layers, d_model=CONFIG.d_model, heads=CONFIG.heads, kv_heads=CONFIG.kv_heads,
    head_dim=CONFIG.head_dim, ffn=CONFIG.ffn, vocab=CONFIG.vocab, context=CONFIG.context,
    parameters=CONFIG.decode_weight_bytes // 4, active_parameters=CONFIG.decode_weight_bytes // 4,
)  # fmt: skip


def check(shape: ModelShape, artifact: Artifact, least: float, most: float) -> Needs:
    """Hold one function's figures against the formulas; `least` to `most` is the ratio of operations."""
    found = needs(load_to_ask(artifact).compiled)
    terms = {each.term: each for each in compare(shape, artifact, found)}
    ratio = terms["compute"].ratio
    assert ratio is not None and least <= ratio <= most, terms["compute"]
    formula = terms["traffic"].formula
    assert formula is not None and formula <= found.traffic <= formula + allowed(shape, artifact), terms["traffic"]
    assert terms["weights"].ratio == pytest.approx(1.0, abs=0.015)
    if artifact.stage in ("prefill", "decode"):
        assert terms["weights"].ratio == terms["cache"].ratio == 1.0
        # A donated cache is filled in place: no second one anywhere.
        assert found.aliased == terms["cache"].compiled
    held = sum(tensor.size for tensor in artifact.inputs)
    assert found.arguments == pytest.approx(held, rel=1e-3)
    assert found.footprint >= held
    return found


def allowed(shape: ModelShape, artifact: Artifact) -> float:
    """Bytes that XLA may count above the formula."""
    pairs, rows = attended(artifact), tokens(artifact)
    activations = rows * llm.activation_bytes_per_token(shape, gated=artifact.stage in ("prefill", "decode"))
    scores = 4.0 * shape.layers * shape.heads * pairs
    table = 4.0 * shape.vocab * shape.d_model if artifact.stage == "prefill" else 0.0
    widened = 16.0 * sum(t.size for t in artifact.of(WEIGHT) if t.dtype == "int8") if artifact.stage == "score" else 0.0
    return 4.0 * activations + 12.0 * scores + table + widened


def tokens(artifact: Artifact) -> int:
    return {"prefill": artifact.bucket[0], "decode": 1}.get(artifact.stage) or _product(artifact.bucket)


def attended(artifact: Artifact) -> int:
    """Pairs of a token and a position that it attends to, in whole blocks."""
    match artifact.stage, artifact.bucket:
        case "prefill", (chunk, length):
            past = KEY_BLOCK if length > chunk else 0
            return chunk * min(past, length) + chunk * (chunk + 128) // 2
        case "decode", (length,):
            return length
        case "encode", (texts, length):
            return texts * length * length
        case _:
            return artifact.bucket[0] ** 2


def _product(sizes: tuple[int, ...]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product


def test_the_block_of_the_past_is_the_models() -> None:
    assert vars(llama)["_KEY_BLOCK"] == KEY_BLOCK


@pytest.mark.parametrize("sizes", [(16, 256), (64, 256), (256, 256), (64, 512), (512, 512), (256,), (512,)], ids=str)
def test_a_small_model_by_formula_and_as_compiled(sizes: tuple[int, ...]) -> None:
    """So small that norms and masks are a quarter of the work."""
    (artifact,) = export_buckets(TinyLlama().functions(), [sizes])
    check(TINY, artifact, 1.0, 1.25)


def test_a_past_is_read_and_attended_to() -> None:
    whole = llm.prefill(TINY, constant(24.0))
    first, then = llm.prefill(TINY, constant(16.0)), llm.prefill(TINY, constant(8.0), constant(16.0))
    row = 2.0 * TINY.vocab * TINY.d_model
    assert first.compute.value({}) + then.compute.value({}) == whole.compute.value({}) + row
    assert then.footprint.value({}) == whole.footprint.value({})
    again = first.traffic.value({}) + then.traffic.value({}) - whole.traffic.value({})
    assert again == llm.active_bytes(TINY) + 16 * llm.cache_bytes_per_token(TINY)


def test_an_encoder_is_counted() -> None:
    """Two layers of width 4, two heads of 2, an inner width of 3, on texts of 5 tokens, product by product."""
    shape = ModelShape("e", 2, 4, 2, 2, 2, 3, 7, 9, 0, 0)
    each = 5 * (4 * 2 * 4 * 4 + 2 * 2 * 4 * 3) + 2 * 5 * 5 * 2 * 2 * 2
    need = llm.encode(shape, variable("n"), texts=3.0)
    assert need.compute.value({"n": 5}) == 3 * 2 * each
    moved = 5 * ((4 + 12) + (4 + 4) + (4 + 3) + (3 + 4))
    assert need.traffic.value({"n": 5}) == 4 * (3 * 2 * moved + 2 * (4 * 4 * 4 + 2 * 4 * 3))
    assert need.tokens_in.value({"n": 5}) == 15


# --- the catalogue's models ------------------------------------------------------------------------------------------


def files(name: str) -> Mapping[str, Path]:
    try:
        return store.obtain(store.entry(name))
    except OutsideError as error:
        pytest.skip(error.problem.title)


def shape_of(name: str) -> ModelShape:
    handle = cast(Handle, SimpleNamespace(name=name, arguments={"name": name}))
    found = Library(Path()).model_shape(handle)
    assert found is not None
    return found


@pytest.mark.models
@pytest.mark.parametrize("sizes", [(16, 256), (64, 512), (512, 512), (256,), (2048,)], ids=str)
def test_the_chat_model_by_formula_and_as_compiled(sizes: tuple[int, ...]) -> None:
    name = "smollm2-135m-instruct"
    functions = open_chat(files(name)["weights"], name).functions()
    (artifact,) = export_buckets(functions, [sizes])
    shape = shape_of(name)
    found = check(shape, artifact, 1.0, 1.03)
    if len(sizes) == 1:
        # A step reads weights and cache, and next to nothing else: this is what decoding's speed hangs on.
        assert found.traffic < 1.04 * llm.decode(shape, constant(sizes[0] - 1.0), constant(2.0)).traffic.value({})
        assert found.temporary < 1e-3 * found.arguments
    else:
        assert found.temporary < 0.03 * found.arguments


@pytest.mark.models
def test_the_encoder_by_formula_and_as_compiled() -> None:
    name = "all-minilm-l6-v2"
    files(name)
    artifacts = encoder_operators(BertConfig.of(store.entry(name).shape), 512)
    assert len(artifacts) == 12
    for artifact in artifacts:
        check(shape_of(name), artifact, 1.0, 1.05)


@pytest.mark.models
@pytest.mark.parametrize("length", [64, 512])
def test_the_reranker_by_formula_and_as_compiled(length: int) -> None:
    name = "ms-marco-minilm-l12"
    files(name)
    artifact = scorer_operators(BertConfig.of(store.entry(name).shape), length)[-1]
    assert artifact.bucket == (length,)
    check(shape_of(name), artifact, 1.0, 1.12)


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_what_was_asked_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    artifact = chat_operators(TinyLlama())[1]
    first = needs_of(artifact)
    (kept,) = (tmp_path / "needs").iterdir()
    text = kept.read_text("utf-8")
    # It is read, not asked for again …
    kept.write_text(text.replace(str(first.compute), "7.0"), "utf-8")
    assert needs_of(artifact).compute == 7.0
    # … unless it is damaged.
    for damage in ("", "{}", '{"compute": "much"}', "[1]"):
        kept.write_text(damage, "utf-8")
        assert needs_of(artifact) == first
    assert needs_from(json.loads(kept.read_text("utf-8"))) == first


def test_a_function_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    (one,) = described("writer", TINY, chat_operators(TinyLlama())[1:])
    data: dict[str, Any] = one.data()
    assert (data["handle"], data["model"], data["name"]) == ("writer", "tiny", "decode_256")
    assert data["terms"]["cache"] == {"formula": 131072.0, "compiled": 131072.0, "ratio": 1.0}
    assert data["terms"]["temporary"]["formula"] is None
    assert data["needs"]["compute"] == data["terms"]["compute"]["compiled"]
    assert data["sha256"] == one.artifact.sha256 and len(data["inputs"]) == len(one.artifact.inputs)


def test_the_engines_buckets_have_formulas() -> None:
    functions = TinyLlama().functions()
    for artifact in export_buckets(functions, chat_buckets(300, 512)):
        assert len(artifact.of(INPUT)) == {"prefill": 3, "decode": 2}[artifact.stage]
        assert compare(TINY, artifact, Needs(1, 1, 1, 1, 1, 1))
