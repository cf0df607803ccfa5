"""How types are written. What they mean is the checker's business."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ...base.frozen import field, frozen
from ...base.source import Span
from .names import Ident, Label, Path

if TYPE_CHECKING:
    from ..types import Type
    from .expressions import Number


@frozen
class NamedType:
    """`Text`, `Answer`, `search.Passage`."""

    path: Path
    span: Span = field(compare=False, kw_only=True)


@frozen
class ListType:
    """`[T]`"""

    item: TypeExpr
    span: Span = field(compare=False, kw_only=True)


@frozen
class MapType:
    """`{Text: T}`"""

    key: TypeExpr
    value: TypeExpr
    span: Span = field(compare=False, kw_only=True)


@frozen
class OptionType:
    """`T?`"""

    item: TypeExpr
    span: Span = field(compare=False, kw_only=True)


@frozen
class StreamType:
    """`stream T`; `stream T?` and `stream T @label` are streams of `T?` and of `T @label`."""

    item: TypeExpr
    span: Span = field(compare=False, kw_only=True)


@frozen
class TensorType:
    """`Tensor[f32, 384]`; a name in the shape is a symbolic size."""

    element: Ident
    shape: tuple[Number | Ident, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class LabelledType:
    """`T @label`, with one or more labels; `type` is never labelled itself."""

    type: TypeExpr
    labels: tuple[Label, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class KnownType:
    """A type that nobody wrote: one that was found before, or, as the result of a pipeline, None for whatever its body
    gives. The interactive loop makes these; no text has them."""

    type: Type | None
    span: Span = field(compare=False, kw_only=True)


TypeExpr: TypeAlias = NamedType | ListType | MapType | OptionType | StreamType | TensorType | LabelledType | KnownType
