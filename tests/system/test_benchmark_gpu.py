"""The script that measures GPUs, tried on this machine: it runs, finds its own mistakes, and says where no GPU is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.py"


def run(folder: Path, *more: str) -> tuple[dict[str, Any], str]:
    out = folder / "gpu.json"
    command = [sys.executable, str(SCRIPT), "--out", str(out), *more]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return cast("dict[str, Any]", json.loads(out.read_text())), done.stderr


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is a GPU here")
def test_without_a_gpu_it_says_so_and_ends_well(tmp_path: Path) -> None:
    found, said = run(tmp_path)
    assert found["device"] is None
    assert "no GPU here" in said and "no GPU here" in found["why"]


def test_a_tiny_shape_runs_anywhere(tmp_path: Path) -> None:
    found, said = run(tmp_path, "--small")
    assert found["sound"] and not found["left_out"], said
    assert all(rate > 0 for rate in found["peaks"].values())
    prefill, decode = found["prefill"][0], found["decode"][0]
    shape = found["shape"]
    per_token = (
        2
        * shape["layers"]
        * (
            shape["d_model"] * (shape["heads"] + 2 * shape["kv_heads"]) * shape["head_dim"]
            + shape["heads"] * shape["head_dim"] * shape["d_model"]
            + 3 * shape["d_model"] * shape["ffn"]
        )
    )
    assert prefill["flops"] * prefill["seconds"] > prefill["tokens"] * per_token
    # Two bytes of each weight at least: the same matrices, once for all sequences.
    assert decode["bytes"] > per_token
    assert 0 < found["errors"]["layer_beside_float64"] < found["errors"]["tolerance"]


def test_a_layer_that_computes_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import gpu

    layer = gpu.random_layer(gpu.SMALL, jnp.bfloat16, jax.random.key(0))
    assert gpu.check_layer(gpu.SMALL, layer, "xla") < gpu.TOLERANCE
    other = gpu.reference_layer

    def elsewhere(shape: Any, layer: Any, hidden: Any) -> Any:
        """With another base of the rotary positions: nothing else differs."""
        return other(gpu.replace(shape, rope_base=1e2), layer, hidden)

    monkeypatch.setattr(gpu, "reference_layer", elsewhere)
    assert gpu.check_layer(gpu.SMALL, layer, "xla") > gpu.TOLERANCE
