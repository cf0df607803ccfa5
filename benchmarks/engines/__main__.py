"""The engines side by side, on the same weights and prompts; transformers beside them.

    python -m benchmarks.engines                               # three turns
    python -m benchmarks.engines --turns 1 --short             # quicker: without 16 sequences of 1,024 positions
    python -m benchmarks.engines --write docs/performance.md   # and put the table there

XLA in f32 and int8, llama.cpp in f32 and as the file is quantised; transformers in f32 and bf16 where its environment
is there (`make bench-engines` makes it). Each figure is the best of the turns: what else runs on a machine only ever
takes away.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from agentlang.base import paths
from agentlang.stdlib.models import open_chat

from . import workers
from .measuring import Measured, measure
from .prompts import Prompts
from .table import page, write_into
from .weights import write_folder, write_gguf
from .worker import NAME


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="leave out 16 sequences of 1,024 positions")
    parser.add_argument("--only", nargs="*", help="engines whose names contain one of these")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table between the markers of a page")
    parser.add_argument("--out", type=Path, help="write all figures as JSON, too")
    given = parser.parse_args()
    file = next(iter((paths.models_home() / NAME).glob("*.gguf")), None)
    if file is None:
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return 0
    measured = run(file, given.turns, not given.short, given.only)
    if given.out:
        given.out.write_text(json.dumps(asdict(measured), indent=2) + "\n", "utf-8")
    text = page(measured)
    print(text)
    if given.write:
        write_into(given.write, text)
    return 0


def run(file: Path, turns: int, long: bool, only: list[str] | None = None) -> Measured:
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        wide = folder / "f32.gguf"
        write_gguf(file, wide)
        starts = {
            "XLA, f32": lambda: workers.ours("xla", file),
            "XLA, int8": lambda: workers.ours("xla", file, "int8"),
            "llama.cpp, f32": lambda: workers.ours("llamacpp", wide),
            f"llama.cpp, {file.stem.rpartition('.')[2]}": lambda: workers.ours("llamacpp", file),
        }
        if workers.PEERS.is_file():
            write_folder(file, folder / "f32")
            workers.save_half(folder / "f32", folder / "bf16")
            starts["transformers, f32"] = lambda: workers.peer(folder / "f32", "float32")
            starts["transformers, bf16"] = lambda: workers.peer(folder / "bf16", "bfloat16")
        else:
            print("left out: transformers; `make bench-engines` makes its environment", file=sys.stderr)
        if only:
            starts = {name: start for name, start in starts.items() if any(part in name for part in only)}
        reading = workers.reading()
        held.callback(reading.close)
        children: dict[str, workers.Child] = {}
        for name, start in starts.items():
            children[name] = start()
            held.callback(children[name].close)
        prompts = Prompts(open_chat(file, NAME).tokenizer().encode)
        return measure(children, reading, prompts, turns, long)


if __name__ == "__main__":
    sys.exit(main())
