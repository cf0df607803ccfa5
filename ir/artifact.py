"""A function of a model as a value: portable StableHLO, and what a caller has to know that StableHLO does not say.

    Artifact "prefill_64_256": weights head, norm, layers.0.qkv, … ─ cache layers.0.keys, … ─ tokens, start, count
                            => logits ─ cache layers.0.keys, …

The bytes have types but no names: which arguments are weights, under which names their file holds them, and which are
used up. That stands beside them, as plain data, so that whoever has the bytes, this entry and the weights can run the
function, and needs no model's source. Arguments and results are flat. Knows neither JAX nor MLIR.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

STABLEHLO_VERSION = "1.13.7"
"""The version that artifacts are written in, so that the same function has the same bytes whichever reader is newer.

It is what the oldest JAX that we take (0.10, which is at 1.17.0 itself) calls its version of twelve weeks before. All
operations of our models exist in it; JAX 0.12, IREE and the MLIR distribution read it, as StableHLO reads what was
written up to five years ago."""

WEIGHT, CACHE, INPUT, OUTPUT = "weight", "cache", "input", "output"
_ROLES = (WEIGHT, CACHE, INPUT, OUTPUT)
_BYTES = {"int8": 1, "uint8": 1, "bool": 1, "float16": 2, "bfloat16": 2, "int32": 4, "uint32": 4, "float32": 4}
_NAME = re.compile(r"[A-Za-z][\w.]*")
_SIZES = re.compile(r"(_\d+)+$")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Tensor:
    """An argument or a result: its name, its role (`weight`, `cache`, `input`, `output`), its shape, NumPy's dtype."""

    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Bytes."""
        size = _BYTES[self.dtype]
        for extent in self.shape:
            size *= extent
        return size


@dataclass(frozen=True, slots=True)
class Artifact:
    """A function of a model. `name` is `stage_bucket…` (`prefill_64_256`); `data` the portable artifact.

    `donated` are the numbers of the arguments whose memory the results may take; `platforms` those it is known to run
    on, empty where nothing in it is of one platform. `written_by` is the JAX that exported it: the same JAX writes the
    same bytes.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    donated: tuple[int, ...]
    written_by: str
    data: bytes = field(repr=False)
    platforms: tuple[str, ...] = ()
    version: str = STABLEHLO_VERSION

    @property
    def stage(self) -> str:
        """Whose work it is: `prefill`, `decode`, `encode`, `score`, `attention_shard`."""
        return _SIZES.sub("", self.name)

    @property
    def bucket(self) -> tuple[int, ...]:
        """The static sizes in its name: chunk and cache length of a prefill, cache length of a decode, texts and
        tokens of an encode, tokens of a score."""
        return tuple(int(part) for part in self.name.removeprefix(self.stage).split("_")[1:])

    @property
    def sha256(self) -> str:
        """Of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    def of(self, role: str) -> tuple[Tensor, ...]:
        """The arguments of a role, in order."""
        return tuple(tensor for tensor in self.inputs if tensor.role == role)

    def entry(self) -> dict[str, Any]:
        """What a manifest holds of it: all but the bytes, of which it holds size and hash."""
        return {
            "name": self.name,
            "format": "stablehlo",
            "version": self.version,
            "written_by": self.written_by,
            "platforms": list(self.platforms),
            "inputs": [_tensor_data(tensor) for tensor in self.inputs],
            "outputs": [_tensor_data(tensor) for tensor in self.outputs],
            "donated": list(self.donated),
            "bytes": len(self.data),
            "sha256": self.sha256,
        }


class UnsoundEntry(ValueError):
    """An entry that is no artifact's, or not that of the bytes beside it. The text says why."""


def from_entry(entry: Mapping[str, Any], data: bytes) -> Artifact:
    """The inverse of `Artifact.entry`. Bytes whose hash is another are refused before anybody reads them.

    Raises `UnsoundEntry`.
    """
    try:
        name, digest = str(entry["name"]), str(entry["sha256"])
        if entry["format"] != "stablehlo" or not _HEX.fullmatch(digest) or not _NAME.fullmatch(name):
            raise UnsoundEntry(f"it is no StableHLO artifact's entry: {name!r}")
        if hashlib.sha256(data).hexdigest() != digest:
            raise UnsoundEntry(f"the bytes of {name!r} are not those that were written (their hash differs)")
        made = Artifact(
            name,
            tuple(_tensor(each) for each in entry["inputs"]),
            tuple(_tensor(each) for each in entry["outputs"]),
            tuple(int(number) for number in entry["donated"]),
            str(entry["written_by"]),
            data,
            tuple(str(platform) for platform in entry["platforms"]),
            str(entry["version"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UnsoundEntry(f"a field is missing or garbled ({error})") from error
    except UnsoundEntry:
        raise
    except ValueError as error:
        raise UnsoundEntry(str(error)) from error
    if not all(0 <= number < len(made.inputs) for number in made.donated):
        raise UnsoundEntry(f"{made.name!r} gives up an argument that it does not have")
    return made


def _tensor_data(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "role": tensor.role, "shape": list(tensor.shape), "dtype": tensor.dtype}


def _tensor(data: Any) -> Tensor:
    given = cast("Mapping[str, Any]", data)
    shape = tuple(int(extent) for extent in given["shape"])
    tensor = Tensor(str(given["name"]), str(given["role"]), shape, str(given["dtype"]))
    if tensor.role not in _ROLES or tensor.dtype not in _BYTES or any(extent < 0 for extent in shape):
        raise UnsoundEntry(f"a tensor is none that functions take: {dict(given)}")
    return tensor
