"""`@frozen`: an immutable value class that costs almost nothing to define.

A frozen dataclass writes six methods as text and compiles them, about half a millisecond for each class; the tree and
the typed program have a hundred classes, which every command would pay for before it reads a file. Here the methods
are written once and look the fields up. To everything else the classes are dataclasses: `fields`, `replace`,
`__match_args__`, `field(default=…, compare=False)` and keyword-only fields work as usual, and type checkers see them
so. Making a value costs about a microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from functools import partial
from operator import itemgetter
from typing import Any, TypeVar, dataclass_transform, overload

_T = TypeVar("_T")


@overload
def frozen(cls: type[_T], /) -> type[_T]: ...
@overload
def frozen(*, kw_only: bool = False) -> Callable[[type[_T]], type[_T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Any] | None = None, /, *, kw_only: bool = False) -> Any:
    """Make a class of annotated fields an immutable value class, compared and hashed by its fields.

    Fields with `compare=False` take no part in equality. A `default_factory` and `__post_init__` are not supported. A
    method that the class writes itself is kept.
    """
    if cls is None:
        return partial(_define, kw_only=kw_only)
    return _define(cls, kw_only)


def _define(cls: type[Any], kw_only: bool) -> type[Any]:
    if cls.__doc__ is None:
        # Else `dataclass` would make one from the signature, which takes longer than all the rest.
        cls.__doc__ = cls.__name__
    dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
    own = fields(cls)
    cls.__frozen_fields__ = tuple(part.name for part in own)
    cls.__frozen_defined__ = frozenset(cls.__frozen_fields__)
    cls.__frozen_compared__ = staticmethod(_values([part.name for part in own if part.compare]))
    cls.__frozen_defaults__ = {part.name: part.default for part in own if _has_default(part)}
    written = cls.__dict__
    for name, method in _METHODS:
        if name not in written:
            setattr(cls, name, method)
    return cls


def _has_default(part: Field[Any]) -> bool:
    if part.default_factory is not MISSING:
        raise TypeError(f"field {part.name}: a factory would give each value a default of its own")
    return part.default is not MISSING


def _values(names: list[str]) -> Callable[[Mapping[str, Any]], Any]:
    """What gives the values of these names as one that can be compared and hashed."""
    return itemgetter(*names) if names else lambda _: ()


# --- the methods of every frozen class -------------------------------------------------------------------------------


def _init(self: Any, *values: Any, **named: Any) -> None:
    cls = self.__class__
    if values:
        count = len(values) + len(named)
        named.update(zip(cls.__match_args__, values, strict=False))
        if len(named) != count:
            raise TypeError(f"{cls.__name__}: too many values, or one given twice: {values!r} {named!r}")
    if len(named) < len(cls.__frozen_fields__):
        named = cls.__frozen_defaults__ | named
    if named.keys() != cls.__frozen_defined__:
        raise TypeError(f"{cls.__name__} takes {', '.join(cls.__frozen_fields__)}, not {', '.join(named)}")
    # What was given by name is a mapping of this call's own, so it need not be copied.
    object.__setattr__(self, "__dict__", named)


def _eq(self: Any, other: object) -> bool:
    if self is other:
        return True
    if self.__class__ is not other.__class__:
        return NotImplemented
    compared = self.__frozen_compared__
    return bool(compared(self.__dict__) == compared(other.__dict__))


def _hash(self: Any) -> int:
    return hash(self.__frozen_compared__(self.__dict__))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self.__frozen_fields__)
    return f"{self.__class__.__qualname__}({shown})"


def _setattr(self: Any, name: str, _value: object) -> None:
    raise FrozenInstanceError(f"{self.__class__.__name__}.{name} cannot be changed")


def _delattr(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"{self.__class__.__name__}.{name} cannot be removed")


_METHODS: tuple[tuple[str, Any], ...] = (
    ("__init__", _init),
    ("__eq__", _eq),
    ("__hash__", _hash),
    ("__repr__", _repr),
    ("__setattr__", _setattr),
    ("__delattr__", _delattr),
)


class _Empty(Mapping[str, Any]):
    """No entries. Hashable, as a default must be."""

    __slots__ = ()

    def __getitem__(self, key: str, /) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


EMPTY: Mapping[str, Any] = _Empty()
"""The mapping without entries, as the default of a field."""
