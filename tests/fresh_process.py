"""Runs artifacts in a process of its own that cannot import the models: `run(folder, jobs)`, where a job is
`(artifact, weights file, arguments)`.

What the process is given are bytes, their entries as JSON, weights by name in safetensors files (or a file of mapped
pages with an index), and arguments. Run as a script, this module is that process.
"""

from __future__ import annotations

import importlib.abc
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agentlang.ir.artifact import Artifact


@dataclass(frozen=True, slots=True)
class Job:
    """One call. `weights` is a safetensors file, or a folder of `index.json` and `weights.bin` (see `prepared`).

    `arguments` follow the weights. Missing ones behind the weights are caches of zeros. `greedy` more tokens are then
    made by feeding back the most likely one to `decode`.
    """

    artifact: Artifact
    weights: Path
    arguments: tuple[Any, ...]
    decode: Artifact | None = None
    greedy: int = 0
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The results, and with `greedy` the tokens and the logits behind each."""

    outputs: tuple[Any, ...]
    tokens: tuple[int, ...] = ()


def run(folder: Path, jobs: Sequence[Job]) -> tuple[Answer, ...]:
    """The answers of a fresh process. Raises if it fails, or if it came by a model's source."""
    folder.mkdir(parents=True, exist_ok=True)
    said: list[dict[str, Any]] = []
    for number, job in enumerate(jobs):
        np.savez(folder / f"{number}.in.npz", *[np.asarray(each) for each in job.arguments])
        entries: list[Any] = []
        for artifact in (job.artifact, *((job.decode,) if job.decode else ())):
            path = folder / f"{number}.{artifact.name}.shlo"
            path.write_bytes(artifact.data)
            entries.append({"path": str(path), "entry": artifact.entry()})
        said.append({"artifacts": entries, "weights": str(job.weights), "greedy": job.greedy, "quick": job.quick})
    (folder / "jobs.json").write_text(json.dumps(said), "utf-8")
    done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[Answer] = []
    for number in range(len(jobs)):
        with np.load(folder / f"{number}.out.npz") as found:
            outputs = tuple(found[f"arr_{at}"] for at in range(len(found.files)))
        tokens = json.loads((folder / f"{number}.tokens.json").read_text("utf-8"))
        answers.append(Answer(outputs, tuple(tokens)))
    return tuple(answers)


def answer(loaded: Any, weights: Any, arguments: Any, decode: Any = None, greedy: int = 0) -> Answer:
    """What a job comes to, with functions that take flat arguments; what the process does, and what it is held to.

    `loaded` and `decode` are pairs of a function and the artifact that says its arguments.
    """
    function, artifact = loaded
    caches = [np.zeros(tensor.shape, tensor.dtype) for tensor in artifact.of("cache")]
    logits, *cache = (*function(*weights, *caches, *arguments),)
    if decode is None:
        return Answer(tuple(np.asarray(each) for each in (logits, *cache)))
    step, _ = decode
    position = int(arguments[-2]) + int(arguments[-1])
    seen, tokens = [np.asarray(logits)], [int(np.argmax(logits))]
    for _ in range(greedy):
        logits, *cache = step(*weights, *cache, np.int32(tokens[-1]), np.int32(position))
        seen.append(np.asarray(logits))
        tokens.append(int(np.argmax(seen[-1])))
        position += 1
    return Answer((*seen, *(np.asarray(each) for each in cache)), tuple(tokens))


def mapped(folder: Path) -> dict[str, Any]:
    """Weights that are mapped: `index.json` says where in `weights.bin` each lies."""
    index = json.loads((folder / "index.json").read_text("utf-8"))
    pages = np.memmap(folder / "weights.bin", np.uint8, "r")
    out: dict[str, Any] = {}
    for name, (start, _, shape) in index["tensors"].items():
        size = 4 * int(np.prod(shape))
        out[name] = pages[start : start + size].view(np.float32).reshape(shape)
    return out


class NoModels(importlib.abc.MetaPathFinder):
    """Refuses the standard library, where the models' source is."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.startswith("agentlang.stdlib"):
            raise ModuleNotFoundError(f"{fullname} is not to be had here")


def _main(folder: Path) -> None:
    sys.meta_path.insert(0, NoModels())
    try:
        import agentlang.stdlib.models  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError:
        pass
    else:
        raise SystemExit("the models can be imported")
    from safetensors.numpy import load_file

    from agentlang.executor.engines.xla.load import load, load_to_ask
    from agentlang.ir.artifact import from_entry

    ready: dict[tuple[str, bool], Any] = {}
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text("utf-8"))):
        how = load_to_ask if job["quick"] else load
        loaded: list[Any] = []
        for each in job["artifacts"]:
            made = from_entry(each["entry"], Path(each["path"]).read_bytes())
            key = (made.sha256, bool(job["quick"]))
            ready[key] = ready.get(key) or how(made)
            loaded.append(ready[key])
        where = Path(job["weights"])
        file: Mapping[str, Any] = mapped(where) if where.is_dir() else load_file(where)
        with np.load(folder / f"{number}.in.npz") as given:
            arguments = tuple(given[f"arr_{at}"] for at in range(len(given.files)))
        pairs = [(each, each.artifact) for each in loaded]
        decode = pairs[1] if len(pairs) > 1 else None
        result = answer(pairs[0], loaded[0].weights(file), arguments, decode, job["greedy"])
        np.savez(folder / f"{number}.out.npz", *result.outputs)
        (folder / f"{number}.tokens.json").write_text(json.dumps(result.tokens), "utf-8")
    loose = sorted(name for name in sys.modules if name.startswith("agentlang.stdlib"))
    if loose:
        raise SystemExit(f"these were imported: {', '.join(loose)}")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
