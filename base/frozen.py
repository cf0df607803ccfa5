"""`@frozen`: an immutable value class that costs almost nothing to define.

A frozen dataclass writes six methods as text and compiles them, about half a millisecond for each class; the tree and
the typed program have a hundred classes, which every command would pay for before it reads a file. Here the methods
are written once and look the fields up, and `dataclasses`, which loads half of the library's tools for reading source,
stays away until somebody asks for what it gives. To everything else the classes are dataclasses: `fields`, `replace`,
`__match_args__` and keyword-only fields work as usual, and type checkers see them so. Making a value costs about a
microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, TypeVar, dataclass_transform, overload

_T = TypeVar("_T")


class _Absent:
    """No default."""


_ABSENT = _Absent()


class _Part:
    """A field: its default, whether it is compared, whether it is given by name only."""

    __slots__ = ("annotation", "compare", "default", "kw_only")

    def __init__(self, default: object, compare: bool, kw_only: bool, annotation: object = None) -> None:
        self.default = default
        self.compare = compare
        self.kw_only = kw_only
        self.annotation = annotation


@overload
def field(*, compare: bool = True, kw_only: bool = False) -> Any: ...
@overload
def field(*, default: _T, compare: bool = True, kw_only: bool = False) -> _T: ...


def field(*, default: object = _ABSENT, compare: bool = True, kw_only: bool = False) -> Any:
    """A field of a frozen class. Without `compare` it takes no part in equality."""
    return _Part(default, compare, kw_only)


@overload
def frozen(cls: type[_T], /) -> type[_T]: ...
@overload
def frozen(*, kw_only: bool = False) -> Callable[[type[_T]], type[_T]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Any] | None = None, /, *, kw_only: bool = False) -> Any:
    """Make a class of annotated fields an immutable value class, compared and hashed by its fields.

    A field that is more than an annotation and a default is made with `field` of this module; there are no factories,
    and no `__post_init__`. A method that the class writes itself is kept. TypeError for a default that could change.
    """
    if cls is None:
        return partial(_define, kw_only=kw_only)
    return _define(cls, kw_only)


def replace(given: _T, /, **changes: Any) -> _T:
    """A value of a frozen class with other fields. TypeError for a field that it does not have."""
    return given.__class__(**{**given.__dict__, **changes})


def names(cls: type[Any]) -> tuple[str, ...]:
    """The fields of a frozen class, in their order."""
    return cls.__frozen_fields__


def _define(cls: type[Any], kw_only: bool) -> type[Any]:
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__
    parts: dict[str, _Part] = {}
    for base in cls.__mro__[-1:0:-1]:
        parts |= base.__dict__.get("__frozen_parts__", {})
    # `inspect` would know them too, and is what is to stay away.
    for name, annotation in cls.__dict__.get("__annotations__", {}).items():  # noqa: RUF063
        if not str(annotation).startswith(("ClassVar", "typing.ClassVar")):
            parts[name] = _part(cls, name, annotation, kw_only)
    cls.__frozen_parts__ = parts
    cls.__frozen_fields__ = tuple(parts)
    cls.__frozen_defined__ = frozenset(parts)
    cls.__frozen_compared__ = staticmethod(_values([name for name, part in parts.items() if part.compare]))
    cls.__frozen_defaults__ = {name: part.default for name, part in parts.items() if part.default is not _ABSENT}
    cls.__dataclass_fields__ = _AsDataclass(cls)
    written = cls.__dict__
    if "__match_args__" not in written:
        cls.__match_args__ = tuple([name for name, part in parts.items() if not part.kw_only])
    for name, method in _METHODS:
        if name not in written:
            setattr(cls, name, method)
    return cls


def _part(cls: type[Any], name: str, annotation: object, kw_only: bool) -> _Part:
    """A field that the class itself declares; its default stays an attribute of the class."""
    given: object = cls.__dict__.get(name, _ABSENT)
    if not isinstance(given, _Part):
        part = _Part(given, True, kw_only, annotation)
    else:
        part = _Part(given.default, given.compare, given.kw_only or kw_only, annotation)
        if part.default is _ABSENT:
            delattr(cls, name)
        else:
            setattr(cls, name, part.default)
    if part.default.__class__.__hash__ is None or part.default.__class__.__module__ == "dataclasses":
        raise TypeError(f"{cls.__name__}.{name}: {part.default!r} would be one for all values, or is no default at all")
    return part


def _values(names: list[str]) -> Callable[[Mapping[str, Any]], Any]:
    """What gives the values of these names as one that can be compared and hashed."""
    return itemgetter(*names) if names else lambda _: ()


class _AsDataclass:
    """What the functions of `dataclasses` look for, made when it is first asked for."""

    __slots__ = ("_cls",)

    def __init__(self, cls: type[Any]) -> None:
        self._cls = cls

    def __get__(self, value: object, owner: type[Any] | None = None) -> Mapping[str, Any]:
        import dataclasses

        own: dict[str, _Part] = self._cls.__frozen_parts__
        parts = [(name, _annotation(part), _as_field(dataclasses, part)) for name, part in own.items()]
        made: Any = dataclasses.make_dataclass(self._cls.__name__, parts, init=False, repr=False, eq=False)
        self._cls.__dataclass_fields__ = made.__dataclass_fields__
        return made.__dataclass_fields__


def _annotation(part: _Part) -> Any:
    return part.annotation


def _as_field(dataclasses: Any, part: _Part) -> Any:
    if part.default is _ABSENT:
        return dataclasses.field(compare=part.compare, kw_only=part.kw_only)
    return dataclasses.field(default=part.default, compare=part.compare, kw_only=part.kw_only)


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
    raise _unchangeable(f"{self.__class__.__name__}.{name} cannot be changed")


def _delattr(self: Any, name: str) -> None:
    raise _unchangeable(f"{self.__class__.__name__}.{name} cannot be removed")


def _unchangeable(what: str) -> AttributeError:
    from dataclasses import FrozenInstanceError

    return FrozenInstanceError(what)


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
