"""What golden pages show of a program in the compiler: the readable form after each pass, and the generic form."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

import ir_programs as P
from agent_sources import checked

from agentlang.base.problems import has_errors
from agentlang.base.source import Source
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.library import Called, Library, Part
from agentlang.ir.passes import PASSES, PLAIN
from agentlang.stdlib.parts import parts_of


class Parted(P.SmallLibrary):
    """Knows what the stages of the real library are made of."""

    def parts(self, call: Called) -> tuple[Part, ...]:
        return parts_of(call)


def after(source: Source, until: str | None, passes: Sequence[str] = PLAIN, library: Library | None = None) -> Module:
    program, problems = checked(source.text, source.path)
    assert program is not None and not has_errors(problems), problems
    module, problems = irc.lower(program)
    if module is not None and until is not None:
        module, problems = irc.run_passes(module, library or P.SmallLibrary(), until, passes=passes)
    assert module is not None, problems
    return module


def readable(source: Source, until: str | None, passes: Sequence[str] = PLAIN, library: Library | None = None) -> str:
    """Without the first line, whose digest changes with everything."""
    return after(source, until, passes, library).text(pretty=True).split("\n", 2)[2].strip("\n")


def passed(source: Source, name: str) -> str:
    """After one pass, with those before it that a program needs anyway."""
    before = [plain for plain in PLAIN if PASSES.index(plain) < PASSES.index(name)]
    return readable(source, name, (*before, name))


def generic(source: Source) -> str:
    """The form that reads back, without the segments of operands, which only say how many there are."""
    segments = r"operandSegmentSizes = array<i32[^>]*>"
    return re.sub(f"{segments}, |, {segments}", "", after(source, "split_llm").text()).strip("\n")


SHOWN: dict[str, Callable[[Source], str]] = {
    "lowered": partial(readable, until=None),
    "looped": partial(readable, until="split_agent"),
    "inlined": partial(readable, until="inline_pipelines"),
    "parted": partial(readable, until="split_tool", library=Parted()),
    "split": partial(readable, until="split_llm"),
    "demand": partial(readable, until="annotate_demand"),
    "mlir": generic,
    "folded": partial(passed, name="fold_constants"),
    "shared": partial(passed, name="share_duplicates"),
    "lifted": partial(passed, name="lift_invariant"),
    "dropped": partial(passed, name="drop_unread"),
    "hoisted": partial(passed, name="hoist_prefix"),
    "batched": partial(passed, name="batch_calls"),
    "fused": partial(passed, name="fuse_stages"),
    "overlapped": partial(passed, name="overlap_streams"),
    "optimised": partial(readable, until=PASSES[-2], passes=PASSES),
}
