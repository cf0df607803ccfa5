"""The engines side by side: XLA in f32 beside llama.cpp, on the same weights in f32 and as they lie in the file.

    python -m benchmarks.engines                        # three turns, replies of 64 tokens
    python -m benchmarks.engines --turns 1 --tokens 32  # quicker

Each engine runs in a process of its own, in turn, so that memory is its own too. All are asked by the protocol of
engines and nothing else (`executor.engines.profile`). The f32 file is written for the run and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import anyio

from agentlang.base import paths
from agentlang.executor.engines import engine
from agentlang.executor.engines.profile import MeasuredProfile, measure
from agentlang.executor.engines.protocol import ModelSpec
from agentlang.stdlib.models import open_chat

NAME = "smollm2-135m-instruct"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--one", nargs=2, metavar=("ENGINE", "FILE"), help="measure one and print JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(anyio.run(one, given.one[0], Path(given.one[1]), given.turns, given.tokens)))
        return 0
    file = next(iter((paths.models_home() / NAME).glob("*.gguf")), None)
    if file is None:
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "f32.gguf"
        write_f32(file, wide)
        runs = {
            "XLA, f32": ("xla", file),
            "llama.cpp, f32": ("llamacpp", wide),
            f"llama.cpp, {_quantisation(file)}": ("llamacpp", file),
        }
        found = {name: _process(*run, given.turns, given.tokens) for name, run in runs.items()}
    print_table(found)
    return 0


def _quantisation(file: Path) -> str:
    return file.stem.rpartition(".")[2]


def _process(name: str, file: Path, turns: int, tokens: int) -> dict[str, Any]:
    how = ["--turns", str(turns), "--tokens", str(tokens)]
    command = [sys.executable, "-m", "benchmarks.engines", *how, "--one", name, str(file)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return cast("dict[str, Any]", json.loads(done.stdout.splitlines()[-1]))


async def one(name: str, file: Path, turns: int, tokens: int) -> dict[str, Any]:
    """One engine: its profile, seconds to load, and bytes of memory at its peak, its processes included."""
    source = open_chat(file, NAME)
    source.tokenizer()  # read from a GGUF file once and then kept: no part of loading
    began = time.perf_counter()
    model = await engine(name).load(ModelSpec(NAME, source, context=2048))
    loaded = time.perf_counter() - began
    profile = await measure(name, model, turns=turns, tokens=tokens)
    peak = sum(map(_peak, _processes()))
    await model.close()
    return {"load": loaded, "memory": peak, **_as_data(profile)}


def _processes() -> list[int]:
    """This process and those that it started."""
    found = [os.getpid()]
    for task in Path("/proc/self/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def _peak(process: int) -> int:
    """The most memory that a process had, in bytes. (What `getrusage` says may be of whoever started it.)"""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _as_data(profile: MeasuredProfile) -> dict[str, Any]:
    decode = {str(count): rate for count, rate in profile.decode.items()}
    return {"prefill": profile.prefill, "first": profile.first_token, "decode": decode}


def write_f32(file: Path, out: Path) -> None:
    """A copy of a GGUF file with all weights as f32."""
    import gguf
    import numpy as np

    reader: Any = gguf.GGUFReader(file)
    writer: Any = gguf.GGUFWriter(out, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        inner = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        values: Any = gguf.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def print_table(found: dict[str, dict[str, Any]]) -> None:
    names = list(found)
    base = found[names[0]]
    print(f"{NAME}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; in brackets of {names[0]}\n")
    print("| | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))

    def row(title: str, values: list[float], form: str, unit: str, scale: float = 1.0) -> None:
        shown = [f"{value * scale:{form}} {unit}" for value in values]
        ratios = [f" ({value / values[0]:.2f} x)" if place else "" for place, value in enumerate(values)]
        print(f"| {title} | " + " | ".join(a + b for a, b in zip(shown, ratios, strict=True)) + " |")

    row("prefill, 512 tokens", [found[name]["prefill"] for name in names], ".0f", "tok/s")
    row("first token behind 512", [found[name]["first"] for name in names], ".0f", "ms", 1e3)
    for count in base["decode"]:
        row(f"decode, {count} at once", [found[name]["decode"][count] for name in names], ".0f", "tok/s")
    row("peak memory", [found[name]["memory"] for name in names], ".2f", "GiB", 1 / (1 << 30))
    row("load", [found[name]["load"] for name in names], ".1f", "s")


if __name__ == "__main__":
    sys.exit(main())
