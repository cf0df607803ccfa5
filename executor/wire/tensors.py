"""Arrays as items: what they are is declared, their numbers lie as they are.

An item of form `INLINE` has the numbers as its body. One of form `SHARED` has none: they lie in a segment of memory
that both processes see (`segments.py`), whose descriptor goes along the first time. Which it is depends on the size, on
whether both are on one machine, and on whether there is memory; a receiver need not care.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from . import events as ev
from .framing import Buffer
from .link import Link, Outgoing
from .problems import WireProblem
from .segments import AVAILABLE, MOST_SHARED, SMALLEST, Mapped, Pool, Segment

INLINE = 1
SHARED = 2

Order: TypeAlias = Literal["C", "F"]
SIZES = {
    "bool": 1,
    "i8": 1,
    "u8": 1,
    "i16": 2,
    "u16": 2,
    "f16": 2,
    "bf16": 2,
    "i32": 4,
    "u32": 4,
    "f32": 4,
    "i64": 8,
    "u64": 8,
    "f64": 8,
    "c64": 8,
    "c128": 16,
}
"""Bytes of one number of each type, little-endian."""
_FORMATS = {
    "?": "bool",
    "b": "i8",
    "B": "u8",
    "c": "u8",
    "h": "i16",
    "H": "u16",
    "e": "f16",
    "i": "i32",
    "I": "u32",
    "f": "f32",
    "l": "i64",
    "L": "u64",
    "q": "i64",
    "Q": "u64",
    "d": "f64",
    "Zf": "c64",
    "Zd": "c128",
}
_NUMPY = {"bool": "?", "f16": "f2", "f32": "f4", "f64": "f8", "c64": "c8", "c128": "c16", "bf16": "u2"}

_Size: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 40)]


class _Head(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`segment` is 0 where the numbers are the item's body."""

    dtype: Annotated[str, Meta(max_length=8)]
    shape: Annotated[tuple[_Size, ...], Meta(max_length=16)]
    order: Order
    segment: Annotated[int, Meta(ge=0, le=1 << 62)]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Head).decode


class Tensor:
    """An array: `data` holds its numbers as bytes, contiguous in `order`. What came is read only, and may lie in memory
    that the sender gets back when the last view of it is gone."""

    __slots__ = ("data", "dtype", "order", "shape")

    def __init__(self, dtype: str, shape: Sequence[int], data: Buffer, order: Order = "C") -> None:
        """WireProblem `bad-tensor` where `data` is not as long as the rest says."""
        view = memoryview(data)
        self.dtype, self.shape = dtype, tuple(shape)
        self.order: Order = order
        self.data = view if view.ndim == 1 and view.format == "B" else view.cast("B")
        if dtype not in SIZES or len(self.data) != _bytes(dtype, self.shape):
            raise WireProblem("bad-tensor", "an array's numbers are not as many as its shape and type say")

    @classmethod
    def of(cls, array: Any) -> Tensor:
        """Of anything with a buffer: a NumPy array, an `array.array`. Copies one that is not contiguous. WireProblem
        `bad-tensor` for numbers of a type that is not known (`bf16` has no buffers: give its bytes and its type)."""
        try:
            view = memoryview(array)
        except (TypeError, ValueError):
            raise WireProblem("bad-tensor", "this is no array with a buffer") from None
        dtype = _FORMATS.get(view.format.lstrip("<=@|"))
        if dtype is None or SIZES[dtype] != view.itemsize:
            raise WireProblem("bad-tensor", f"numbers of the type {view.format!r} are not sent")
        shape = view.shape or ()
        if view.nbytes == 0:
            return cls(dtype, shape, b"")
        if view.c_contiguous:
            return cls(dtype, shape, view.cast("B"))
        if view.f_contiguous:
            # Its transpose is contiguous, and has the same bytes in the same places.
            return cls(dtype, shape, memoryview(array.T).cast("B") if hasattr(array, "T") else view.tobytes("F"), "F")
        return cls(dtype, shape, view.tobytes())

    @property
    def nbytes(self) -> int:
        return len(self.data)

    def numpy(self) -> Any:
        """A read-only NumPy array of the same memory. `bf16` as `u2`, for NumPy has no such numbers."""
        import numpy as np

        kind: Any = np.dtype("<" + _NUMPY.get(self.dtype, self.dtype[0] + str(SIZES[self.dtype])))
        numbers: Any = np.frombuffer(self.data, kind)
        return numbers.reshape(self.shape, order=self.order)


class Tensors:
    """Arrays over one link. One for each link, at each end that sends or takes any."""

    def __init__(self, link: Link, most: int = MOST_SHARED) -> None:
        self._link = link
        self._pool = Pool(most)
        self._mapped = Mapped(self._freed, most)
        self._unsaid: deque[int] = deque()
        self._saying = False
        link.on_freed = self._pool.give
        link.on_dropped = self._dropped
        link.on_over.append(self._close)

    @property
    def shared(self) -> int:
        """Bytes of shared memory that this side has made."""
        return self._pool.size

    def reserve(self, size: int) -> Reserved | None:
        """Shared memory to write an array into, which is then sent without a copy; None where there is none."""
        segment = self._segment(size)
        return None if segment is None else Reserved(segment, size)

    async def send(
        self,
        out: Outgoing,
        tensor: Tensor | Reserved,
        *,
        dtype: str = "u8",
        shape: Sequence[int] | None = None,
        deadline: float | None = None,
        trace: bytes | None = None,
    ) -> None:
        """Send an array when there is credit. It may be changed when this returns where it went through shared memory,
        else not before it is acknowledged: treat it as given away. `dtype` and `shape` are of what was reserved. Raises
        as `Outgoing.send`, and WireProblem `too-large`."""
        if isinstance(tensor, Reserved):
            segment: Segment | None = tensor.segment
            given = Tensor(dtype, shape if shape is not None else (tensor.size,), memoryview(tensor.view))
            tensor.view = memoryview(b"")
        else:
            given, segment = tensor, None
        try:
            while True:
                if out.reason is None and not self._link.over and not self._link.session.may_send(out.channel):
                    await out.room()
                    continue
                if segment is None and (segment := self._segment(given.nbytes)) is not None:
                    segment.map[: given.nbytes] = given.data
                if self._put(out, given, segment, deadline, trace):
                    segment = None
                    return
                await out.room()
        finally:
            if segment is not None:
                self._pool.give((segment.number,))

    def opened(self, item: ev.Came) -> Tensor:
        """The array that an item is. WireProblem `bad-tensor`, after which the item is let go of."""
        try:
            return self._opened(item)
        except (msgspec.DecodeError, ValueError):
            raise WireProblem("bad-tensor", "what came is no array") from None
        finally:
            _close(item)

    def _opened(self, item: ev.Came) -> Tensor:
        head = self._headed(item)
        order: Order = "F" if head.order == "F" else "C"
        if item.form == INLINE:
            return Tensor(head.dtype, head.shape, memoryview(item.body).toreadonly(), order)
        data = self._mapped.view(head.segment, _bytes(head.dtype, head.shape))
        return Tensor(head.dtype, head.shape, data, order)

    def _headed(self, item: ev.Came) -> _Head:
        if item.form not in (INLINE, SHARED):
            raise WireProblem("bad-tensor", "this item is no array")
        head = _decode(item.head)
        if item.descriptors:
            first, item.descriptors = item.descriptors[0], item.descriptors[1:]
            self._mapped.add(head.segment, first)
        return head

    def _segment(self, size: int) -> Segment | None:
        if size < SMALLEST or not AVAILABLE or not self._link.passes_descriptors:
            return None
        return self._pool.take(size)

    def _put(
        self, out: Outgoing, tensor: Tensor, segment: Segment | None, deadline: float | None, trace: bytes | None
    ) -> bool:
        if segment is None:
            head = _encode(_Head(tensor.dtype, tensor.shape, tensor.order, 0))
            return out.try_send(tensor.data, form=INLINE, deadline=deadline, trace=trace, head=head)
        head = _encode(_Head(tensor.dtype, tensor.shape, tensor.order, segment.number))
        descriptors = () if segment.known else (segment.descriptor,)
        if not out.try_send(b"", form=SHARED, deadline=deadline, trace=trace, descriptors=descriptors, head=head):
            return False
        segment.known = True
        return True

    def _dropped(self, item: ev.Came) -> None:
        if item.form == SHARED:
            with contextlib.suppress(WireProblem, msgspec.DecodeError, ValueError):
                self._mapped.let_go(self._headed(item).segment)
        _close(item)

    def _freed(self, number: int) -> None:
        # In any thread, and whenever garbage is collected: nothing but a note may be made here.
        self._unsaid.append(number)
        if not self._saying and not self._link.over:
            self._saying = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._link.loop.call_soon_threadsafe(self._say)

    def _say(self) -> None:
        self._saying = False
        numbers: list[int] = []
        while self._unsaid:
            numbers.append(self._unsaid.popleft())
        if numbers and not self._link.over:
            self._link.session.free(numbers)
            self._link.flush()

    def _close(self) -> None:
        self._pool.close()
        self._mapped.close()


class Reserved:
    """Shared memory that is written before it is sent. `view` may be written until then."""

    __slots__ = ("segment", "size", "view")

    def __init__(self, segment: Segment, size: int) -> None:
        self.segment, self.size = segment, size
        self.view = memoryview(segment.map)[:size]


def _bytes(dtype: str, shape: tuple[int, ...]) -> int:
    size = SIZES.get(dtype)
    if size is None or len(shape) > 16 or any(length < 0 for length in shape):
        raise WireProblem("bad-tensor", "an array of a type or shape that is not known")
    return size * math.prod(shape)


def _close(item: ev.Came) -> None:
    given, item.descriptors = item.descriptors, ()
    for descriptor in given:
        os.close(descriptor)
