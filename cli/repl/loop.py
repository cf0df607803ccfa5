"""The loop: reads an input, defines or evaluates it, shows what comes, and goes on whatever happens.

Models that an input opened stay open for the next. Ctrl-C while something runs stops that and nothing else.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Protocol

import anyio

from ...base.problems import OutsideError, Problem, Problems
from ...base.source import Source
from ...executor.backends.kept import KeptHandles
from ...lang.types import OptionType, StreamType
from ..console import Console, Exit
from ..models import Watch
from .reading import COMMAND, is_declaration, statements
from .session import EVALUATED, INPUT, Ready, Session

if TYPE_CHECKING:
    from ...ir.graph import Graph
    from ...stdlib.library import Library

END = -1
"""What an input gives instead of an exit code when there is to be no other."""


class Inputs(Protocol):
    async def next(self) -> str | None:
        """The next whole input; None when there are no more."""
        ...


class Loop:
    """One session of the loop. `seconds` is how long the last evaluation took."""

    def __init__(self, session: Session, console: Console) -> None:
        self.session = session
        self.console = console
        self.seconds = 0.0
        self._kept: KeptHandles | None = None

    def run(self, inputs: Inputs, file: str | None = None) -> int:
        """Until the inputs end. 0, or 1 where inputs that nobody watches had errors."""
        return anyio.run(self._run, inputs, file)

    async def _run(self, inputs: Inputs, file: str | None) -> int:
        from .commands import command

        code = Exit.DONE
        try:
            if file is not None:
                code = max(code, await command(self, f":load {file}") or 0)
            while (text := await inputs.next()) is not None:
                done = await self._take(text)
                if done == END:
                    break
                code = max(code, done)
        finally:
            with anyio.CancelScope(shield=True):
                await self.close()
        watched = getattr(inputs, "watched", False)
        return Exit.DONE if watched else code

    async def _take(self, text: str) -> int:
        """Do what one input says, unless Ctrl-C comes first."""
        code = Exit.INTERRUPTED
        async with anyio.create_task_group() as group:

            async def interrupt() -> None:
                with anyio.open_signal_receiver(signal.SIGINT) as signals:
                    ready.set()
                    async for _ in signals:
                        group.cancel_scope.cancel()

            ready = anyio.Event()
            group.start_soon(interrupt)
            await ready.wait()
            code = await self._do(text)
            group.cancel_scope.cancel()
        if code == Exit.INTERRUPTED:
            self.console.note("interrupted")
        return code

    async def _do(self, text: str) -> int:
        from .commands import command

        if not text.strip():
            return Exit.DONE
        try:
            if text.lstrip().startswith(COMMAND):
                return await command(self, text.strip())
            if is_declaration(text):
                return self.define(text)
            for statement in statements(text):
                if await self.evaluate(statement) is None:
                    return Exit.ERRORS
        except OutsideError as failure:
            return self.console.fail((failure.problem,), {}, Exit.OUTSIDE)
        except EOFError:
            return END
        except Exception as error:
            # A bug of ours ends an input, not the session.
            from ..crash import report

            return report(error, ["repl", text])
        return Exit.DONE

    # --- what inputs do ----------------------------------------------------------------------------------------------

    def define(self, text: str, path: str = INPUT) -> int:
        """Take declarations and say what was defined."""
        made, problems = self.session.define(text, path)
        self.show(problems, Source(path, text))
        for definition in made:
            self.console.note(f"{definition.key} is defined")
        return Exit.DONE if made or not problems else Exit.ERRORS

    async def evaluate(self, text: str) -> Ready | None:
        """Check and run one expression, show its value, and bind it. None if it did not end well."""
        ready, problems = self.session.prepare(text)
        self.show(problems, Source(INPUT, text))
        if ready is None:
            return None
        return ready if await self._evaluated(ready, text) else None

    async def _evaluated(self, ready: Ready, text: str) -> bool:
        from ...api import compile
        from ...executor.deployment import Deployment
        from ...executor.shell import open_shell

        compiled, problems = compile(ready.program, self.library())
        self.show(tuple(p for p in problems), Source(INPUT, text))
        if compiled is None:
            return False
        began = anyio.current_time()
        backend = self.kept().backend()
        shell = open_shell(Deployment(compiled.graph), backend)
        async with shell, shell.start(ready.pipeline.name, ready.inputs, None, session="repl") as running:
            value, ended = await self._shown(running, ready, compiled.graph)
        self.seconds = anyio.current_time() - began
        if ended != "done":
            return False
        type = ready.pipeline.result
        if isinstance(type, StreamType):
            from ...lang.checker.body import collected

            type = collected(type)
        self.session.keep(ready.name, type, value)
        if ready.name != EVALUATED:
            self.console.note(f"{ready.name}: {type}")
        return True

    async def _shown(self, running: object, ready: Ready, graph: Graph) -> tuple[object, str]:
        """Prints what leaves a run as it comes; its value (the items together, where it is a stream) and its end."""
        from collections.abc import AsyncIterable
        from typing import cast

        from ...executor.frames import End, Frame, Item, ProblemFrame
        from ...executor.values import Shapes, with_units

        result = ready.pipeline.result
        item, shapes = result.element if isinstance(result, StreamType) else result, Shapes.of(graph)
        items: list[object] = []
        end: End | None = None
        text = False
        async for frame in cast("AsyncIterable[Frame]", running):
            if isinstance(frame, Item):
                items.append(frame.output)
                text = isinstance(frame.output, str)
                if text:
                    self.console.print(str(frame.output), end="")
                else:
                    self.console.print(_shown_as(with_units(frame.output, item, shapes)))
            elif isinstance(frame, ProblemFrame):
                placed, source = ready.placed(frame.problem)
                self.show((placed,), source)
            elif isinstance(frame, End):
                end = frame
        if text:
            self.console.print()
        assert end is not None, "a run ends with End"
        if end.outcome.status != "done":
            return None, end.outcome.status
        if items:
            return "".join(cast("list[str]", items)) if text else tuple(items), "done"
        value = end.outcome.value
        if value is not None:
            self.console.print(_shown_as(with_units(value, result, shapes)))
        elif isinstance(result, OptionType):
            self.console.print("none")
        return value, "done"

    # --- what it holds -----------------------------------------------------------------------------------------------

    def kept(self) -> KeptHandles:
        if self._kept is None:
            from ...stdlib.library import Library

            self._kept = KeptHandles(Library(self.session.folder, Watch(self.console), self._warn))
        return self._kept

    def library(self) -> Library:
        """The standard library, with the folder of the definitions."""
        from typing import cast

        return cast("Library", self.kept().kinds)

    async def close(self) -> None:
        """Let go of models and workers; the next input opens what it needs."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            await kept.aclose()

    def show(self, problems: Problems, source: Source) -> None:
        if problems:
            self.console.problems(problems, {source.path: source})

    def _warn(self, problem: Problem) -> None:
        self.console.problems((problem,), {})


def _shown_as(value: object) -> str:
    """A text and a quantity as they are, else JSON: on one line where it fits there."""
    if isinstance(value, str):
        return value
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 100 else json.dumps(value, ensure_ascii=False, indent=2)
