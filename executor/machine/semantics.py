"""What the operations mean that the machine evaluates itself: values in, a value out, no time, no effects.

Most of it is `ir.meaning`, which the compiler knows too; here what has no result is a fault of the program, with the
place where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from ...ir import meaning
from ...ir.graph import Operation
from ...ir.live import ACTING
from ...ir.meaning import joined
from ...lang.types import ListType
from .. import problems
from ..values import NO_SHAPES, Shapes
from .conversions import CONVERSIONS
from .faults import Fault

__all__ = ["CONVERSIONS", "LEAVES", "LINKS", "PARAMETERS", "PLAIN", "evaluate", "is_list", "joined", "leaf"]


def evaluate(operation: Operation, operands: Sequence[object], shapes: Shapes = NO_SHAPES) -> object:
    """The operation's value. Raises `Fault`; KeyError for an operation that is not a plain one."""
    plain = PLAIN.get(operation.name)
    return plain(operation, operands) if plain else CONVERSIONS[operation.name](operation, operands, shapes)


def _binary(operation: Operation, operands: Sequence[object]) -> object:
    try:
        return meaning.PLAIN["agent.binary"](operation, operands)
    except ZeroDivisionError:
        raise Fault("bad_value", problems.division_by_zero(operation.span)) from None
    except OverflowError:
        raise Fault("bad_value", problems.number_too_large(operation.span)) from None


PLAIN: dict[str, Callable[[Operation, Sequence[object]], object]] = {**meaning.PLAIN, "agent.binary": _binary}

# Operations that a kind runs, by the entry that they ask for. `agent.stage` and its like say their own.
LEAVES: dict[str, str] = {
    **dict.fromkeys(ACTING, ""),
    "agent.chat": "llm:chat",
    "agent.tokenize": "llm:tokenize",
    "agent.prefill": "llm:prefill",
    "agent.kv_transfer": "llm:transfer",
    "agent.sample": "llm:sample",
    "agent.decode": "llm:decode",
    "agent.detokenize": "llm:detokenize",
    "agent.send": "channel:send",
    "agent.receive": "channel:receive",
    "agent.watch": "channel:watch",
}

LINKS = frozenset({"channel:send", "channel:receive", "channel:watch"})
"""The ends of channels to other islands. They last as long as there is something to wait for."""

# The names of the operands where the operation does not say them.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "agent.tokenize": ("self", "prompt", "system"),
    "agent.prefill": ("self", "tokens", "prefix"),
    "agent.kv_transfer": ("kv",),
    "agent.sample": ("self", "temperature", "seed"),
    "agent.decode": ("self", "kv", "max_tokens", "temperature", "seed"),
    "agent.detokenize": ("self", "tokens", "stop"),
    "agent.send": ("value",),
    "agent.receive": (),
    "agent.watch": (),
}


def leaf(operation: Operation) -> tuple[str, tuple[str, ...]]:
    """The entry that runs a leaf, and the name of each operand."""
    entry = cast(str, operation.attributes.get("entry") or LEAVES[operation.name])
    said = operation.attributes.get("parameters")
    names = PARAMETERS[operation.name] if said is None else cast("tuple[str, ...]", said)
    return entry, names[: len(operation.operands)]


def is_list(operation: Operation) -> bool:
    """Whether a `for` runs over a list (and not a stream)."""
    return isinstance(operation.operands[0].type, ListType)
