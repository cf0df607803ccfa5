"""Our times of served models beside those of NVIDIA's aiconfigurator, where that is installed.

    python -m benchmarks.planners.oracle                             # where this Python has it
    python -m benchmarks.planners.oracle --python ENV/bin/python     # where another has it
    python -m benchmarks.planners.oracle --write docs/performance.md # and into the page

Nothing of this project needs it, and its dependencies are its own: it is asked in a process of its Python. It looks up
kernels that NVIDIA measured, ours adds parts whose coefficients were fitted to requests (`planner.serving`): both are
predictions, neither is a measurement. Its `static` times are prompts computed alone and steps without prompts beside
them; `agg` are steps beside the prompts of other requests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import fmean

from agentlang.planner.catalogue import device, links
from agentlang.planner.serving.terms import Beside, Group
from agentlang.planner.serving.times import decode_step, prefill

from ..fit.rows import SHAPES
from ..paper.page import filled

MODELS = {"llama-3.1-8b": "meta-llama/Meta-Llama-3.1-8B", "llama-3.1-70b": "meta-llama/Meta-Llama-3.1-70B"}
SYSTEMS = {"h100": "h100_sxm", "a100": "a100_sxm", "h200": "h200_sxm", "b200": "b200_sxm"}
SECONDS = 540.0
# What it is asked in its own process: a line of questions in, a line of answers out.
CHILD = """
import json, logging, sys
try:
    from importlib.metadata import version
    from aiconfigurator.cli.api import cli_estimate
except ImportError as error:
    print(json.dumps({"missing": str(error)}))
    raise SystemExit(0)
logging.disable(logging.CRITICAL)
answers = []
for one in json.loads(sys.stdin.readline()):
    try:
        found = cli_estimate(
            one["path"], one["system"], mode=one["mode"], backend_name=one["backend"], isl=one["prompt"],
            osl=one["reply"], batch_size=one["batch"], tp_size=one["tensor"],
        )
        answers.append({"first": found.ttft / 1e3, "step": found.tpot / 1e3, "backend": found.backend_version})
    except Exception as error:
        answers.append({"error": f"{type(error).__name__}: {error}"[:200]})
print(json.dumps({"version": version("aiconfigurator"), "answers": answers}))
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: `mode` is `static_ctx` (a prompt alone), `static_gen` (steps alone) or `agg` (steps beside
    prompts)."""

    model: str
    device: str
    mode: str
    tensor: int
    batch: int
    prompt: int
    reply: int
    backend: str = "trtllm"


@dataclass(frozen=True, slots=True)
class Told:
    """Seconds of the same by both, or why aiconfigurator has none."""

    asked: Asked
    ours: float
    theirs: float | None
    why: str = ""

    @property
    def off(self) -> float | None:
        """How far ours is from theirs, relative to theirs."""
        return None if self.theirs is None else self.ours / self.theirs - 1.0


class NotInstalledError(RuntimeError):
    """The Python that was named has no aiconfigurator, or is none."""


def questions() -> tuple[Asked, ...]:
    """Both models in 16 bits on one and on four devices: a prompt, and steps of small and large batches."""
    found: list[Asked] = []
    for model, name, tensor in product(MODELS, SYSTEMS, (1, 4)):
        if (model, tensor) == ("llama-3.1-70b", 1):
            continue  # no device of them holds it
        found += [Asked(model, name, "static_ctx", tensor, 1, prompt, 1) for prompt in (1024, 4096)]
        found += [
            Asked(model, name, mode, tensor, batch, 1024, 256)
            for mode, batch in product(("static_gen", "agg"), (1, 16, 64))
        ]
    return tuple(found)


def ours(asked: Asked) -> float:
    """Seconds by our own times, with the devices of the catalogue."""
    shape, group = SHAPES[asked.model], _group(asked.device, asked.tensor)
    if asked.mode == "static_ctx":
        return prefill(shape, group, asked.batch, asked.prompt).value
    beside = Beside(asked.prompt, asked.reply) if asked.mode == "agg" else None
    return decode_step(shape, group, asked.batch, asked.prompt + asked.reply / 2, beside).value


def _group(name: str, tensor: int) -> Group:
    of = device(name)
    assert of is not None
    near = links()[of.links[0]]
    return Group(of.bandwidth.value, of.rate.value, of.rate.value, near.bandwidth.value, tensor)


def compared(asked: Sequence[Asked], python: str) -> tuple[str, tuple[Told, ...]]:
    """Its version, and the times of both. Raises `NotInstalledError`."""
    given = json.dumps([asdict(one) | {"path": MODELS[one.model], "system": SYSTEMS[one.device]} for one in asked])
    try:
        done = subprocess.run(
            [python, "-c", CHILD], input=given + "\n", capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except OSError as error:
        raise NotInstalledError(f"{python} does not start: {error}") from None
    last = done.stdout.strip().splitlines()[-1:] or [""]
    if not last[0].startswith("{"):
        raise NotInstalledError(f"{python} gave no answer: {done.stderr.strip()[-300:]}")
    told = json.loads(last[0])
    if "missing" in told:
        raise NotInstalledError(f"{python} has no aiconfigurator ({told['missing']})")
    return told["version"], tuple(
        Told(one, ours(one), answer.get("step" if one.mode != "static_ctx" else "first"), answer.get("error", ""))
        for one, answer in zip(asked, told["answers"], strict=True)
    )


# --- shown -----------------------------------------------------------------------------------------------------------

_KINDS: Mapping[str, Callable[[Told], bool]] = {
    "a prompt": lambda one: one.asked.mode == "static_ctx",
    "steps alone": lambda one: one.asked.mode == "static_gen",
    "steps beside prompts": lambda one: one.asked.mode == "agg",
}


def summary(told: Sequence[Told]) -> str:
    """For each device and kind: how far ours is from theirs, in the mean of absolute and of signed differences."""
    lines = [f"| device | {' | '.join(_KINDS)} |", "| --- |" + " --- |" * len(_KINDS)]
    for name in SYSTEMS:
        cells = [_apart([one for one in told if one.asked.device == name and of(one)]) for of in _KINDS.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _apart(told: Sequence[Told]) -> str:
    off = [one.off for one in told if one.off is not None]
    if not off:
        return "it has none"
    rest = f", {len(told) - len(off)} it has not" if len(off) < len(told) else ""
    return f"{fmean(map(abs, off)):.0%} apart, mean {fmean(off):+.0%} ({len(off)}{rest})"


def each(told: Sequence[Told]) -> str:
    """Every time of both, in milliseconds."""
    lines = ["| model | device | what | ours | aiconfigurator | ours to theirs |", "| --- |" + " --- |" * 5]
    for one in told:
        of = one.asked
        what = f"prompt of {of.prompt}" if of.mode == "static_ctx" else f"{of.batch} at once"
        what += {"static_gen": ", steps alone", "agg": ", steps beside prompts"}.get(of.mode, "")
        theirs = "—" if one.theirs is None else f"{one.theirs * 1e3:.2f} ms"
        ratio = "—" if one.off is None else f"{1.0 + one.off:.2f}"
        lines.append(
            f"| {of.model} | {of.tensor} x {of.device} | {what} | {one.ours * 1e3:.2f} ms | {theirs} | {ratio} |"
        )
    return "\n".join(lines)


def page(version: str, told: Sequence[Told]) -> str:
    """All in numbers, and the times of the smaller model on one device."""
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    asked = f"{len(told)} times, both models in BF16, on one device or four"
    head = f"aiconfigurator {version} with its TensorRT-LLM tables, {date}; {asked}."
    alone = [one for one in told if one.asked.tensor == 1]
    return f"{head}\n\n{summary(told)}\n\n{each(alone)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="a Python that has aiconfigurator")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into a page")
    given = parser.parse_args()
    try:
        version, told = compared(questions(), given.python)
    except NotInstalledError as error:
        print(f"not compared: {error}", file=sys.stderr)
        print("next: python -m venv ENV; ENV/bin/pip install aiconfigurator; --python ENV/bin/python", file=sys.stderr)
        return 1
    print(f"aiconfigurator {version}\n\n{summary(told)}\n\n{each(told)}")
    for one in told:
        if one.why:
            print(f"none of {one.asked.model} on {one.asked.tensor} x {one.asked.device}: {one.why}", file=sys.stderr)
    if given.write:
        file: Path = given.write
        file.write_text(filled(file.read_text("utf-8"), {"oracle": lambda: page(version, told)}), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
