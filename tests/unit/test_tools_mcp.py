"""Servers of tools: a real server process, written with the same package, and servers that are none."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tool_calls import context, library, run, value

from agentlang.base.problems import OutsideError
from agentlang.executor.kinds import Context, StageFailure
from agentlang.executor.values import Shapes
from agentlang.ir.graph import RecordShape
from agentlang.lang.types import FLOAT, INT, JSON, TEXT, ListType, RecordType, Type
from agentlang.stdlib.library import Library
from agentlang.stdlib.tools.servers import Server

pytest.importorskip("mcp", reason="the extra [mcp] is not installed")

SERVER = """
import os, sys, time
from mcp.server.mcpserver import MCPServer

server = MCPServer("sample")

@server.tool()
def add(a: int, b: int) -> int: return a + b
@server.tool()
def names() -> list[str]: return ["Ada", "Grace"]
@server.tool()
def weather(city: str) -> dict[str, object]: return {"city": city, "celsius": 3.5}
@server.tool(structured_output=False)
def as_text() -> str: return '{"city": "Oslo", "celsius": 1}'
@server.tool()
def greet(name: str = "you") -> str: return f"Hello {name}"
@server.tool()
def fails() -> str: raise ValueError("no way")
@server.tool()
def hangs() -> str: time.sleep(1000)
@server.tool()
def dies() -> str:
    print("it is over", file=sys.stderr, flush=True)
    os._exit(3)
@server.tool()
def sees(name: str) -> str: return os.environ.get(name, "nothing")

server.run("stdio")
"""
WEATHER = RecordType("Weather")
SHAPES = Shapes({"Weather": RecordShape("Weather", (("city", TEXT), ("celsius", FLOAT)))}, {})
Work = Callable[[Library, Server], Awaitable[Any]]


def of(tool: str, result: Type = JSON) -> Context:
    return context({"tool": tool}, result, SHAPES, tool=tool)


def with_server(folder: Path, work: Work, backend: str = "asyncio", source: str = SERVER) -> Any:
    (folder / "sample.py").write_text(source)
    shelf = library(folder)

    async def main() -> Any:
        server: Any = await shelf.opener("mcp:stdio")("web", {"command": (sys.executable, "sample.py")})
        try:
            return await work(shelf, server)
        finally:
            await server.aclose()

    return run(shelf, main, backend, seconds=30)


async def failing(shelf: Library, server: Server, context: Context, **arguments: object) -> StageFailure:
    with pytest.raises(StageFailure) as caught:
        await value(shelf, "mcp:call", context, self=server, **arguments)
    return caught.value


# A server needs a second to start, so that one serves several questions.


@pytest.mark.parametrize("backend", ["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def test_answers_by_their_declared_type(tmp_path: Path, backend: str) -> None:
    async def work(shelf: Library, server: Server) -> None:
        async def ask(tool: str, result: Type, **arguments: object) -> object:
            return await value(shelf, "mcp:call", of(tool, result), self=server, **arguments)

        assert await ask("add", INT, a=1, b=2) == 3
        assert await ask("names", ListType(TEXT)) == ("Ada", "Grace")
        assert await ask("weather", WEATHER, city="Oslo") == {"city": "Oslo", "celsius": 3.5}
        assert await ask("as_text", WEATHER) == {"city": "Oslo", "celsius": 1.0}
        assert await ask("greet", TEXT, name=None) == "Hello you"
        assert await ask("sees", TEXT, name="AGENTLANG_HOME") == "nothing"

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTLANG_HOME", str(tmp_path))
        with_server(tmp_path, work, backend)


def test_failures_by_name_and_it_still_serves(tmp_path: Path) -> None:
    async def work(shelf: Library, server: Server) -> None:
        unknown = await failing(shelf, server, of("ad", INT), a=1, b=2)
        assert (unknown.reason, unknown.problem.slug) == ("tool_error", "server-tool-unknown")
        assert "'add'" in (unknown.problem.hint or "")
        failed = await failing(shelf, server, of("fails", TEXT))
        assert (failed.reason, failed.problem.slug) == ("tool_error", "server-tool-failed")
        wrong = await failing(shelf, server, of("weather", INT), city="Oslo")
        assert (wrong.reason, wrong.problem.slug) == ("bad_output", "tool-wrong-result")
        bad = await failing(shelf, server, of("add", INT), a="one", b=2)
        assert bad.problem.slug == "server-tool-failed"
        assert await value(shelf, "mcp:call", of("add", INT), self=server, a=1, b=2) == 3

    with_server(tmp_path, work)


@pytest.mark.slow
def test_a_tool_that_hangs_is_left_and_its_server_ended(tmp_path: Path) -> None:
    async def work(shelf: Library, server: Server) -> None:
        with anyio.move_on_after(0.2) as scope:
            await value(shelf, "mcp:call", of("hangs", TEXT), self=server)
        assert scope.cancelled_caught

    began = time.monotonic()
    with_server(tmp_path, work)
    assert time.monotonic() - began < 20


def test_a_server_that_dies_during_a_call(tmp_path: Path) -> None:
    async def work(shelf: Library, server: Server) -> None:
        died = await failing(shelf, server, of("dies", TEXT))
        assert (died.reason, died.problem.slug) == ("unreachable", "server-failed")
        assert "it is over" in (died.problem.detail or "")
        assert (await failing(shelf, server, of("add", INT), a=1, b=2)).reason == "unreachable"

    with_server(tmp_path, work)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("no-such-program",), "could not be started"),
        (("sh", "-c", "echo broken >&2; exit 3"), "exit code 3"),
        (("sh", "-c", "echo this is no answer; exec sleep 1000"), "did not answer within"),
        (("sleep", "1000"), "did not answer within"),
        ((sys.executable, "-c", "while True: print('x' * 9_999_999, end='')"), "does not speak MCP"),
    ],
)
def test_what_is_no_server(tmp_path: Path, command: tuple[str, ...], says: str) -> None:
    from agentlang.stdlib.tools.servers import ServerGone

    async def work() -> None:
        # Only who says nothing is waited for to the end: the others may take their time on a busy machine.
        server = Server("web", command, tmp_path, {}, patience=1.0 if "did not answer" in says else 60.0)
        with pytest.raises(ServerGone) as caught:
            await server.open()
        assert says in str(caught.value)

    run(library(tmp_path), work, seconds=90.0)


def test_the_problem_of_a_server_that_does_not_start_shows_what_it_printed(tmp_path: Path) -> None:
    async def work() -> None:
        command = ("sh", "-c", "echo broken >&2; exit 3")
        with pytest.raises(OutsideError) as caught:
            await library(tmp_path).opener("mcp:stdio")("web", {"command": command})
        assert caught.value.problem.slug == "server-failed"
        assert "broken" in (caught.value.problem.detail or "")

    run(library(tmp_path), work)
