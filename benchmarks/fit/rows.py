"""The published measurements as rows: model, devices, batch, lengths, seconds.

They are not part of this repository; `AGENTLANG_DATA` says where they lie. `serving/h100_silicon.csv` is of
ai-dynamo/aiconfigurator (Apache-2.0), `serving/splitwise_a100_h100.csv` of Mutinifni/splitwise-sim (MIT).
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from agentlang.ir.library import ModelShape
from agentlang.planner.serving.terms import Group

ROOT = Path(__file__).parents[2]


def home() -> Path:
    """Where the measurements lie, if anywhere."""
    return Path(os.environ.get("AGENTLANG_DATA") or ROOT.parent / "shared" / "data") / "serving"


@dataclass(frozen=True, slots=True)
class Row:
    """`prefill` seconds of all prompts of a batch, None where they stood in line; `step` seconds of a decode step.
    `shared`: prompts of other requests were computed between steps."""

    model: str
    device: str
    framework: str
    shape: ModelShape
    group: Group
    batch: int
    prompt: int
    reply: int
    step: float
    prefill: float | None
    shared: bool

    @property
    def left_out_with(self) -> tuple[str, int]:
        """Rows of one model on as many devices are predicted by none of their own."""
        return self.model, self.group.tensor


def _shape(
    name: str, layers: int, d_model: int, heads: int, kv_heads: int, ffn: int, vocab: int, parameters: float
) -> ModelShape:
    # The input table is looked up, not multiplied with.
    active = int(parameters - vocab * d_model)
    figures = layers, d_model, heads, kv_heads, 128, ffn, vocab, 131_072
    return ModelShape(name, *figures, int(parameters), active, weight_bytes=2.0, cache_bytes=2.0)


SHAPES = {
    "llama2-70b": _shape("llama2-70b", 80, 8192, 64, 8, 28672, 32000, 68.98e9),
    # Input and output table of this one are the same: what is looked up is multiplied with, too.
    "bloom-176b": _shape("bloom-176b", 70, 14336, 112, 112, 57344, 250880, 176.25e9 + 250880 * 14336),
    "llama-3.1-8b": _shape("llama-3.1-8b", 32, 4096, 32, 8, 14336, 128256, 8.03e9),
    "llama-3.1-70b": _shape("llama-3.1-70b", 80, 8192, 64, 8, 28672, 128256, 70.55e9),
    "qwen3-32b": _shape("qwen3-32b", 64, 5120, 64, 8, 25600, 151936, 32.76e9),
}
DEVICES = {
    "a100": Group(2.039e12, 312e12, 312e12, 300e9),
    "h100": Group(3.35e12, 989e12, 989e12, 450e9),
}
"""Bytes a second, dense operations a second in 16 bits, bytes a second to a neighbour one way: the makers' figures."""


_PATHS = {"8b": "llama-3.1-8b", "70b": "llama-3.1-70b", "32b": "qwen3-32b"}


def splitwise() -> list[Row]:
    """Batches of equal prompts, alone on their devices; the median of repeats."""
    found: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    names = ("model", "hardware", "tensor_parallel", "batch_size", "prompt_size", "token_size")
    with (home() / "splitwise_a100_h100.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            found[tuple(line[name] for name in names)].append((float(line["prompt_time"]), float(line["token_time"])))
    rows: list[Row] = []
    for (model, hardware, tensor, batch, prompt, reply), times in found.items():
        device = hardware.partition("-")[0]
        if hardware.endswith("pcap"):
            continue  # held below its power
        if (model, tensor, batch, prompt) == ("llama2-70b", "2", "64", "512"):
            continue  # its prefill is faster than the devices can multiply
        prefill, step = (median(each) / 1e3 for each in zip(*times, strict=True))
        group = replace(DEVICES[device], tensor=int(tensor))
        sizes = int(batch), int(prompt), int(reply)
        rows.append(Row(model, device, "splitwise", SHAPES[model], group, *sizes, step, prefill, False))
    return rows


def silicon() -> list[Row]:
    """Requests that came one after the other, so many at a time, on devices that compute prompts and replies."""
    rows: list[Row] = []
    with (home() / "h100_silicon.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            if line["mode"] != "agg" or not line["concurrency"]:
                continue  # how many requests there were at once is not stated
            path = line["model_path"].lower()
            model = next(name for part, name in _PATHS.items() if part in path)
            group, shape = replace(DEVICES["h100"], tensor=int(line["tp_size"])), SHAPES[model]
            if "fp8" in f"{line['gemm_quant_mode']} {line['precision']} {path}":
                group, shape = replace(group, compute=2 * group.compute), replace(shape, weight_bytes=1.0)
            sizes = int(line["concurrency"]), int(line["isl"]), int(line["osl"])
            step = float(line["silicon_tpot_ms"]) / 1e3
            rows.append(Row(model, "h100", line["backend"], shape, group, *sizes, step, None, True))
    return rows
