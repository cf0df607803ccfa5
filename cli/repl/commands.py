"""The words with a colon. Each is one function; `HELP` is their table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...base.source import Source
from ...base.store import write_atomic
from ...base.suggest import suggest
from .. import problems as words
from ..console import Exit
from .session import INPUT

if TYPE_CHECKING:
    from .loop import Loop

HELP: dict[str, tuple[str, str]] = {
    ":type": ("EXPRESSION", "its type, without running it"),
    ":plan": ("PIPELINE", "where its stages would run, and what that takes"),
    ":mlir": ("[EXPRESSION]", "the compiled form of an expression, or of all definitions"),
    ":graph": ("[PIPELINE] [FILE]", "a picture: Mermaid here, or the form of FILE (.svg, .dot, .json)"),
    ":time": ("EXPRESSION", "evaluate it and say how long that took"),
    ":load": ("FILE", "take the definitions of a file"),
    ":save": ("FILE", "write all definitions to a file"),
    ":reset": ("", "forget all definitions and values"),
    ":help": ("", "this table"),
    ":quit": ("", "end (or Ctrl-D)"),
}


async def command(loop: Loop, text: str) -> int:
    """Do what a line such as `:type 1 + 1` says; an exit code."""
    word, _, rest = text.partition(" ")
    known = _COMMANDS.get(word)
    if known is None:
        problem = words.unknown_word(word, suggest(word, HELP), tuple(HELP))
        return loop.console.fail((problem,), {}, Exit.USAGE)
    wanted = HELP[word][0]
    if wanted and not wanted.startswith("[") and not rest.strip():
        return loop.console.fail((words.word_needs(word, wanted),), {}, Exit.USAGE)
    return await known(loop, rest.strip())


async def _type(loop: Loop, text: str) -> int:
    ready, problems = loop.session.prepare(text)
    loop.show(problems, Source(INPUT, text))
    if ready is None:
        return Exit.ERRORS
    result = ready.pipeline.body.result
    labels = "".join(f" @{label}" for label in sorted(result.labels)) if result is not None else ""
    loop.console.print(f"{ready.pipeline.result}{labels}")
    return Exit.DONE


async def _plan(loop: Loop, text: str) -> int:
    from ...api import choose, compile, plan_in_cells
    from ...planner import hardware
    from ..console import measuring

    program, problems, source = loop.session.program()
    if program is None:
        return loop.console.fail(problems, {source.path: source})
    pipeline, problems = choose(program, text or None)
    if pipeline is None:
        return loop.console.fail(problems, {source.path: source}, Exit.USAGE)
    compiled, problems = compile(program, loop.library())
    if compiled is None:
        return loop.console.fail(problems, {source.path: source})
    planned, problems = plan_in_cells(compiled, pipeline.name, hardware.load_or_measure(measuring(loop.console)))
    if planned is None:
        return loop.console.fail(problems, {source.path: source})
    loop.console.print(str(planned))
    loop.show(problems, source)
    return Exit.DONE


async def _mlir(loop: Loop, text: str) -> int:
    from ...api import lowered

    if text:
        ready, problems = loop.session.prepare(text)
        source = Source(INPUT, text)
        program = ready.program if ready else None
    else:
        program, problems, source = loop.session.program()
    loop.show(problems, source)
    if program is None:
        return Exit.ERRORS
    module, problems = lowered(program, loop.session.folder)
    loop.show(problems, source)
    if module is None:
        return Exit.ERRORS
    loop.console.print(module.text(pretty=True).rstrip("\n"))
    return Exit.DONE


async def _graph(loop: Loop, text: str) -> int:
    from ...api import choose, compile
    from ...ir.drawing import FORMATS, picture
    from ..graph import SUFFIXES

    name, _, out = text.partition(" ")
    if not out and Path(name).suffix in SUFFIXES:
        name, out = "", name
    program, problems, source = loop.session.program()
    if program is None:
        return loop.console.fail(problems, {source.path: source})
    pipeline, problems = choose(program, name or None)
    if pipeline is None:
        return loop.console.fail(problems, {source.path: source}, Exit.USAGE)
    compiled, problems = compile(program, loop.library(), plain=True)
    if compiled is None:
        return loop.console.fail(problems, {source.path: source})
    form = SUFFIXES.get(Path(out).suffix.lower(), "svg") if out else "mermaid"
    drawn = FORMATS[form](picture(compiled.graph, pipeline.name))
    if out:
        write_atomic(Path(out), drawn.encode())
        loop.console.note(f"wrote {out}")
    else:
        loop.console.print(drawn.rstrip("\n"))
    return Exit.DONE


async def _time(loop: Loop, text: str) -> int:
    from ...base.units import DURATION, Quantity, show

    done = await loop.evaluate(text)
    if done is None:
        return Exit.ERRORS
    loop.console.note(show(Quantity(loop.seconds, DURATION)))
    return Exit.DONE


async def _load(loop: Loop, text: str) -> int:
    from ...api import read

    source, problems = read(text)
    if source is None:
        return loop.console.fail(problems, {}, Exit.USAGE)
    folder = Path(text).parent
    if folder != loop.session.folder:
        # What paths are relative to has changed, and so has what was opened by them.
        await loop.close()
        loop.session.folder = folder
    return loop.define(source.text, text)


async def _save(loop: Loop, text: str) -> int:
    from ...lang.format import format_source

    written, _ = format_source(Source(text, loop.session.text))
    try:
        write_atomic(Path(text), written.encode())
    except OSError as error:
        return loop.console.fail((words.not_written(text, (error.strerror or str(error)).lower()),), {}, Exit.OUTSIDE)
    loop.console.note(f"wrote {len(loop.session.definitions)} definitions to {text}")
    return Exit.DONE


async def _reset(loop: Loop, text: str) -> int:
    del text
    loop.session.reset()
    await loop.close()
    loop.console.note("all definitions and values are forgotten")
    return Exit.DONE


async def _help(loop: Loop, text: str) -> int:
    del text
    width = max(len(f"{word} {argument}") for word, (argument, _) in HELP.items())
    for word, (argument, meaning) in HELP.items():
        loop.console.print(f"{f'{word} {argument}':<{width}}  {meaning}")
    loop.console.print("anything else is a definition (pipeline, model, type, use …) or an expression to evaluate;")
    loop.console.print("`name = expression` binds its value, and `it` is the last value that was not bound.")
    return Exit.DONE


async def _quit(loop: Loop, text: str) -> int:
    del loop, text
    raise EOFError


_COMMANDS: dict[str, Callable[[Loop, str], Awaitable[int]]] = {
    ":type": _type,
    ":plan": _plan,
    ":mlir": _mlir,
    ":graph": _graph,
    ":time": _time,
    ":load": _load,
    ":save": _save,
    ":reset": _reset,
    ":help": _help,
    ":quit": _quit,
}
