"""One server that speaks MCP over its standard input and output, for as long as its handle is open.

The protocol is the `mcp` package's. Its session belongs to the task that opened it, and to asyncio; a run's stages are
other tasks, on any event loop. So the session lives in a thread with an event loop of its own, and calls are sent to
it. The transport is ours, a line of JSON for each message, because the server's command must run under a keeper (it
ends with all that it has started, also when we are killed) and must not fill our memory with one endless line.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread

from .launch import Gone, Launch, Running
from .limits import MEBIBYTE, Limits, environment

_LIMITS = Limits(memory=4096 * MEBIBYTE)
_PATIENCE = 30.0  # seconds for a server to say hello
_FAREWELL = 2.0  # seconds for one to end by itself
_LAST_WORDS = 0.3  # seconds
_PAGES = 100


class ServerGone(Exception):
    """The server did not start, does not answer as one, or has ended. The message says which."""


class ToolFailed(Exception):
    """The server answered a call with an error."""


class Server:
    """`command` runs in `folder`; `variables` are added to what its environment has of ours."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, variables: Mapping[str, str], patience: float = _PATIENCE
    ) -> None:
        self.name = name
        self._launch = Launch(tuple(command), folder.resolve(), environment(variables), _LIMITS)
        self._patience = patience
        self._stack = ExitStack()
        self._running: Running | None = None
        self._greeted = False
        self._portal: Any = None
        self._client: Any = None
        self._tools: tuple[str, ...] = ()
        self.last_words = ""  # what it had printed when it could not be opened

    async def open(self) -> None:
        """Start the server and greet it. Raises `ServerGone`."""
        try:
            await anyio.to_thread.run_sync(self._open)
        except BaseException:
            self.last_words = self.printed()
            await self.aclose()
            raise

    def _open(self) -> None:
        from anyio.from_thread import start_blocking_portal

        self._portal = self._stack.enter_context(start_blocking_portal("asyncio", name=f"mcp {self.name}"))
        try:
            self._client = self._stack.enter_context(self._portal.wrap_async_context_manager(self._session()))
        except TimeoutError:
            raise ServerGone(f"did not answer within {self._patience:g} s") from None
        except Exception as error:
            raise ServerGone(self._why(error)) from None

    def _why(self, error: Exception) -> str:
        ending = self._running.ending if self._running is not None else None
        if ending is not None and ending.failed:
            return f"could not be started: {self._launch.command[0]}: {ending.failed}"
        if ending is not None and (ending.code is not None or ending.signal is not None):
            return f"{ending.words} before it answered"
        return f"does not speak MCP: {_words(error)}"

    @asynccontextmanager
    async def _session(self) -> AsyncGenerator[Any]:
        """A client that is connected while its context is entered."""
        from mcp import Client

        self._running = running = Running(self._launch)
        try:
            await running.start()
            with anyio.fail_after(self._patience) as greeting:
                async with Client(self._lines(running), mode="legacy") as client:
                    greeting.deadline = float("inf")
                    self._greeted = True
                    yield client
        finally:
            await running.stop()

    @asynccontextmanager
    async def _lines(self, running: Running) -> AsyncGenerator[tuple[Any, Any]]:
        """The streams of messages that the protocol wants, over the command's standard input and output."""
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        heard_in: Any
        heard_in, heard = anyio.create_memory_object_stream[Any](0)
        told: Any
        told, told_out = anyio.create_memory_object_stream[Any](0)

        async def read() -> None:
            async with heard_in:
                async for line in _split(running):
                    try:
                        message = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
                    except ValueError as error:  # the session tells whoever waits
                        await heard_in.send(error)
                    else:
                        await heard_in.send(message)

        async def write() -> None:
            async with told_out:
                async for message in told_out:
                    data = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    try:
                        await running.write(data.encode() + b"\n")
                    except Gone:
                        await heard_in.aclose()
                        return

        async with anyio.create_task_group() as group:
            group.start_soon(_until_closed, read)
            group.start_soon(_until_closed, write)
            try:
                yield heard, told
            finally:
                with anyio.CancelScope(shield=True):
                    running.end_input()
                    # Whoever never answered is owed no time, but for saying how it ended.
                    with anyio.move_on_after(_FAREWELL if self._greeted else _LAST_WORDS):
                        await running.ended()
                    await running.stop()
                for stream in (heard_in, heard, told, told_out):
                    stream.close()
                group.cancel_scope.cancel()

    async def tools(self, again: bool = False) -> tuple[str, ...]:
        """The names of what it offers. Raises `ServerGone`."""
        if again or not self._tools:
            self._tools = await self._ask(self._list)
        return self._tools

    async def _list(self) -> tuple[str, ...]:
        names: list[str] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                break
        return tuple(names)

    async def call(self, tool: str, arguments: Mapping[str, object]) -> tuple[object, list[str]]:
        """The structured answer (None where there is none) and the texts. Raises `ToolFailed` and `ServerGone`."""
        result: Any = await self._ask(self._client.call_tool, tool, dict(arguments))
        texts = [str(part.text) for part in result.content if part.type == "text"]
        if result.is_error:
            raise ToolFailed("\n".join(texts) or "it says no more")
        return result.structured_content, texts

    async def _ask(self, work: Any, *arguments: object) -> Any:
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED

        if self._portal is None or self._client is None:
            raise ServerGone("is not open")
        future: Future[Any] = self._portal.start_task_soon(work, *arguments)
        try:
            return await anyio.to_thread.run_sync(future.result, abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            future.cancel()
            raise
        except CancelledError:
            raise ServerGone("was closed during the call") from None
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise ServerGone("has ended") from None
            raise ToolFailed(error.message) from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise ServerGone("has ended") from None
        except Exception as error:  # an answer that is not what the protocol, or the tool's own schema, says
            raise ToolFailed(_words(error)) from None

    def printed(self) -> str:
        """What it has written to standard error since this was asked last."""
        return self._running.said()[-2000:] if self._running is not None else ""

    async def aclose(self) -> None:
        """End the server. It has two seconds to end by itself."""
        self._client = None
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._stack.close)
        if self._running is not None:
            self._running.let_go()
            self._running = None


async def _until_closed(work: Callable[[], Awaitable[None]]) -> None:
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        await work()


async def _split(running: Running) -> AsyncIterator[bytes]:
    """What the command writes, line by line. Ends early at a line that is longer than a result may be."""
    begun: list[bytes] = []
    size = 0
    while piece := await running.some():
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join((*begun, line))
            begun, size = [], 0
        begun.append(rest)
        size += len(rest)
        if size > _LIMITS.result:
            return


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return " ".join(str(error).split()) or type(error).__name__
