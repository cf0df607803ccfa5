"""Machine code by IREE against XLA on the real models: the same outputs, from the same portable functions.

Outputs are compared relative to the largest of them: logits of the chat model are up to thirty, and their last bits
differ between any two compilers.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest
from cli_runs import models_here

from agentlang.ir import targets
from agentlang.ir.artifact import CACHE, INPUT, WEIGHT, Artifact, Tensor
from agentlang.stdlib import store
from agentlang.stdlib.models import operators

TOLERANCE = 1e-4
HERE = {"x86_64": "x86-64", "aarch64": "arm64"}.get(platform.machine())

pytest.importorskip("iree.compiler")
pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(HERE is None, reason=f"no target for {platform.machine()}"),
    pytest.mark.skipif(
        not models_here("all-minilm-l6-v2", "smollm2-135m-instruct"),
        reason="needs the models: agentlang models pull --for examples/handbook/handbook.agent",
    ),
]


def native(artifact: Artifact) -> Any:
    """The function as machine code of this machine, on its own device."""
    import iree.runtime as runtime

    assert HERE is not None
    made, problems = targets.load(HERE).build(artifact.data, artifact.name)
    assert made is not None, problems
    config = runtime.Config("local-task")
    context = runtime.SystemContext(config=config)
    module = runtime.VmModule.copy_buffer(config.vm_instance, made.data)
    context.add_vm_module(module)
    return context.modules[module.name]["main"]


def arguments(artifact: Artifact, file: dict[str, Any], inputs: dict[str, Any]) -> list[Any]:
    """Flat arguments: weights of the file, a cache that holds something, and the inputs of the test."""
    random = np.random.default_rng(1)

    def one(tensor: Tensor) -> Any:
        if tensor.role == WEIGHT:
            return np.asarray(file[tensor.name])
        if tensor.role == CACHE:
            return random.standard_normal(tensor.shape).astype(tensor.dtype)
        given = np.asarray(inputs[tensor.name], tensor.dtype)
        assert tensor.role == INPUT and given.shape == tensor.shape
        return given

    return [one(tensor) for tensor in artifact.inputs]


def assert_same(artifact: Artifact, file: dict[str, Any], inputs: dict[str, Any]) -> None:
    from agentlang.executor.engines.xla.load import load

    given = arguments(artifact, file, inputs)
    by_iree = native(artifact)(*given)
    by_iree = by_iree if isinstance(by_iree, tuple | list) else (by_iree,)
    # Donated arguments are used up, so XLA comes second.
    by_xla = load(artifact)(*given)
    assert len(by_iree) == len(by_xla) == len(artifact.outputs)
    for tensor, mine, theirs in zip(artifact.outputs, by_iree, by_xla, strict=True):
        expected, got = np.asarray(theirs), mine.to_host()
        assert got.shape == expected.shape == tensor.shape
        scale = max(1.0, float(np.abs(expected).max()))
        assert float(np.abs(got - expected).max()) <= TOLERANCE * scale, f"{artifact.name}: {tensor.name}"
        assert np.isfinite(got).all() and float(np.abs(got).max()) > 0.0


def chat() -> tuple[dict[str, Artifact], dict[str, Any]]:
    entry = store.entry("smollm2-135m-instruct")
    files = store.located(entry)
    assert files is not None
    return {made.name: made for made in operators.operators(entry, files)}, operators.weights(entry, files)


def test_the_encoder_gives_the_same_embeddings() -> None:
    entry = store.entry("all-minilm-l6-v2")
    files = store.located(entry)
    assert files is not None
    made = min(operators.operators(entry, files, 32), key=lambda each: each.bucket)
    file = operators.weights(entry, files)
    texts, tokens = made.bucket
    mask = np.zeros((texts, tokens), np.float32)
    mask[:, : tokens // 2] = 1.0
    ids = np.random.default_rng(2).integers(1000, 20000, (texts, tokens))
    assert_same(made, file, {"words": np.asarray(file["table"])[ids], "mask": mask})


def test_the_parts_that_packages_hold_are_the_same() -> None:
    """`enter`, `layer` and `leave` of a decode step and of a chunk, with the weights of the first layer."""
    from agentlang.executor.engines.xla.parts import export_parts
    from agentlang.stdlib.models import open_chat

    entry = store.entry("smollm2-135m-instruct")
    files = store.located(entry)
    assert files is not None
    source = open_chat(files["weights"], entry.name)
    made = {each.name: each for each in export_parts(source.functions(), 256, source.facts().context)}
    file = operators.weights(entry, files)
    file |= {name.replace("layers.0.", "layer."): array for name, array in file.items() if name.startswith("layers.0.")}
    random = np.random.default_rng(3)
    for count in (1, 16):
        hidden = random.standard_normal((count, 576)).astype(np.float32)
        places = {t.name: random.uniform(-1, 1, t.shape) for t in made[f"layer_{count}_256"].of(INPUT)}
        places |= {"hidden": hidden, "places.start": np.int32(40)}
        tokens = random.integers(100, 40000, count)
        assert_same(made[f"enter_{count}"], file, {"tokens": tokens, "start": 40})
        assert_same(made[f"layer_{count}_256"], file, places)
        assert_same(made[f"leave_{count}"], file, {"hidden": hidden, "count": count})


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["decode", "prefill"])
def test_whole_steps_of_the_chat_model_are_the_same(stage: str) -> None:
    functions, file = chat()
    (made,) = [each for name, each in functions.items() if name.startswith(stage)]
    if stage == "decode":
        assert_same(made, file, {"token": 42, "position": 100})
    else:
        tokens = np.random.default_rng(4).integers(100, 40000, made.bucket[0])
        assert_same(made, file, {"tokens": tokens, "start": 0, "count": made.bucket[0]})
