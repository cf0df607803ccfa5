"""The tensors of an ONNX file, and which matrix product each belongs to. Reads the format, runs nothing.

ONNX is a protocol buffer; of it only the names, shapes, types and bytes of stored tensors and the names around
products of integers are needed, so it is read here rather than with another dependency. (Fields are numbered as in
ONNX's `onnx.proto3`.) Every length is checked against the file before anything is taken by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoint import DamagedFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
# ONNX's element types, as NumPy calls them.
_TYPES = {1: "<f4", 2: "|u1", 3: "|i1", 6: "<i4", 7: "<i8", 11: "<f8"}
# Where numbers stand that are not in `raw_data`: packed floats (4), packed integers (5: 32 bits and less, 7: 64).
_PACKED = {4: "<f4"}
_MOST_PARTS, _MOST_DIMENSIONS, _MOST_NUMBERS = 1 << 16, 16, 1 << 20
"""Tensors and nodes of a graph, sizes of a tensor, and numbers that stand one by one: large tensors have bytes."""
_OUTPUT = re.compile(r"/(?P<module>.+)/MatMul_output_0_output_quantized")


@dataclass(frozen=True, slots=True)
class OnnxTensors:
    """`tensors` by their names; `products` the name of the integer matrix of each module (`bert.pooler.dense`)."""

    tensors: Mapping[str, NDArray[Any]]
    products: Mapping[str, str]


def read_onnx(path: Path) -> OnnxTensors:
    """Raises `DamagedFile`, or `OSError`."""
    data = memoryview(path.read_bytes())
    try:
        graph = _one(data, 7)
        tensors: dict[str, Any] = {}
        products: dict[str, str] = {}
        for number, value in _fields(_bytes(graph)):
            if len(tensors) > _MOST_PARTS or len(products) > _MOST_PARTS:
                raise ValueError("it has more parts than any model")
            if number == 5:
                name, array = _tensor(_bytes(value))
                if name in tensors:
                    raise ValueError(f"it has two tensors {name[:80]!r}")
                tensors[name] = array
            elif number == 1:
                products.update(_product(_bytes(value)))
    except (ValueError, KeyError, OverflowError) as error:
        raise DamagedFile(f"{path.name} is no ONNX file that can be read ({str(error)[:200]})") from error
    return OnnxTensors(tensors, products)


def _tensor(data: memoryview) -> tuple[str, NDArray[Any]]:
    import numpy as np

    shape: list[int] = []
    name, kind, raw = "", 0, None
    numbers: list[int] = []
    packed: dict[int, memoryview] = {}
    for number, value in _fields(data):
        if number == 1:
            shape += [value] if isinstance(value, int) else _varints(value, _MOST_DIMENSIONS)
        elif number == 2:
            kind = value if isinstance(value, int) else 0
        elif number == 8:
            name = str(_bytes(value), "utf-8")
        elif number == 9:
            raw = _bytes(value)
        elif number in _PACKED and not isinstance(value, int):
            packed[number] = value
        elif number in (5, 7):
            numbers += [value] if isinstance(value, int) else _varints(value, _MOST_NUMBERS)
        if len(shape) > _MOST_DIMENSIONS or len(numbers) > _MOST_NUMBERS:
            raise ValueError(f"the tensor {name[:80]!r} has more sizes or numbers than any")
    if kind not in _TYPES:
        return name, np.empty(0)  # a kind of tensor that no weight of ours has
    dtype = np.dtype(_TYPES[kind])
    if raw is None:
        raw = packed.get(4)
    if any(size >= 1 << 62 for size in shape):
        raise ValueError(f"the tensor {name[:80]!r} is of the impossible shape {shape}")
    # Negative numbers are written as the 64 bits that they have.
    array = np.frombuffer(raw, dtype) if raw is not None else np.array(numbers, np.uint64).view(np.int64).astype(dtype)
    if array.size != prod(shape):
        raise ValueError(f"the tensor {name[:80]!r} has {array.size} numbers, not {prod(shape)}")
    return name, array.reshape(shape)


def _product(data: memoryview) -> dict[str, str]:
    """The module and the matrix of a product of integers; nothing for any other node."""
    inputs: list[str] = []
    outputs: list[str] = []
    kind = ""
    for number, value in _fields(data):
        if number in (1, 2, 4):
            text = str(_bytes(value), "utf-8")
            if number == 4:
                kind = text
            else:
                (inputs if number == 1 else outputs).append(text)
            if len(inputs) + len(outputs) > _MOST_PARTS:
                raise ValueError("a node has more inputs and outputs than any")
    if kind != "MatMulInteger" or len(inputs) < 2 or not outputs:
        return {}
    matrix = inputs[1].removesuffix("_quantized")
    found = _OUTPUT.fullmatch(outputs[0])
    return {found["module"].replace("/", "."): matrix} if found else {matrix.removesuffix(".weight"): matrix}


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FOUR, _EIGHT):
            size = 4 if kind == _FOUR else 8
        else:
            raise ValueError(f"a field of kind {kind} at byte {at}")
        if size > end - at:
            raise ValueError(f"a field of {size} bytes where {end - at} are left")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result & _MASK, at
    raise ValueError(f"a number without an end at byte {at}")


def _varints(data: memoryview, most: int) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(data):
        if len(found) == most:
            raise ValueError(f"a list of more than {most} numbers")
        number, at = _varint(data, at)
        found.append(number)
    return found


def _one(data: memoryview, wanted: int) -> int | memoryview:
    for number, value in _fields(data):
        if number == wanted:
            return value
    raise ValueError("it has no graph")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where bytes belong")
    return value
