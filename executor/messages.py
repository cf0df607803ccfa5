"""`@message`: what is made for every stage and every item, between the machine, the shell and the backends.

To a type checker a frozen dataclass; when it runs a plain one with slots, because a frozen one takes 2 µs to make, and
every stage costs five of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

_T = TypeVar("_T")

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def message(cls: type[_T], /) -> type[_T]: ...

else:

    def message(cls: type[Any], /) -> type[Any]:
        """Make a class of annotated fields a message, compared by its fields. Whoever gets one does not change it."""
        return dataclass(slots=True)(cls)
