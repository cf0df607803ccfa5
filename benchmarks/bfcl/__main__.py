"""BFCL's simple and multiple sets through an engine, by structured output.

    python -m benchmarks.bfcl                              # all 600 questions, on XLA
    python -m benchmarks.bfcl --engine llamacpp --limit 50 # the first 50 of each set

Ends with 1 where a call is not well-formed. That calls are right is the model's affair: their share is printed as it
is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import anyio

from agentlang.base import paths
from agentlang.executor.engines import engine
from agentlang.executor.engines.protocol import ModelSpec
from agentlang.stdlib.models import open_chat
from agentlang.stdlib.store.steps import SourceFailed

from .asking import Outcome, ask_all
from .data import SETS, Question, questions

NAME = "smollm2-135m-instruct"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", default="xla")
    parser.add_argument("--weights", default="f32", help="how XLA stores them: f32 or int8")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--limit", type=int, help="so many questions of each set")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--path", type=Path, help="a folder with the files of the sets, rather than fetching them")
    parser.add_argument("--out", type=Path, help="write the figures as JSON, too")
    given = parser.parse_args()
    file = next(iter((paths.models_home() / NAME).glob("*.gguf")), None)
    if file is None:
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return 0
    try:
        asked = {name: questions(name, given.path)[: given.limit] for name in given.sets}
    except SourceFailed as error:
        print(f"left out: the questions cannot be fetched ({error.why})")
        return 0
    outcomes = anyio.run(_run, given.engine, file, given.weights, asked, given.at_once)
    for outcome in outcomes:
        print(report(outcome))
    print(f"{NAME} on {given.engine}, {given.at_once} at once, load {os.getloadavg()[0]:.1f}")
    if given.out:
        figures = [{name: getattr(outcome, name) for name in Outcome.__dataclass_fields__} for outcome in outcomes]
        given.out.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 1 if any(outcome.ill_formed for outcome in outcomes) else 0


async def _run(name: str, file: Path, weights: str, asked: dict[str, list[Question]], at_once: int) -> list[Outcome]:
    source = open_chat(file, NAME, weights)
    model = await engine(name).load(ModelSpec(NAME, source, context=4096))
    try:
        return [await ask_all(model, each, those, at_once) for each, those in asked.items()]
    finally:
        await model.close()


def report(outcome: Outcome) -> str:
    lines = [
        f"{outcome.name}: {outcome.well_formed} of {outcome.asked} calls well-formed, "
        f"{outcome.right} right ({outcome.right / max(outcome.asked, 1):.1%}); "
        f"{outcome.prompt_tokens:,} tokens read and {outcome.tokens:,} made in {outcome.seconds:.0f} s"
    ]
    if outcome.wrong:
        lines.append(f"  wrong: {', '.join(f'{why} {count}' for why, count in outcome.wrong.most_common())}")
    if outcome.left_out:
        words = ", ".join(f"{word} {count}" for word, count in outcome.left_out.most_common())
        lines.append(f"  words of schemas that hold no reply, and are checked all the same: {words}")
    lines += [f"  {question}: {why}" for question, why in outcome.ill_formed.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
