"""Servers of tools (Model Context Protocol): `server web = mcp.stdio(["web-mcp"])`, then
`tool search(query: Text) -> [Text] = web("search") effects [network]`.

The session is in `stdlib.tools.servers`; this file finds, in what a server answers, the value that the tool is declared
to give.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import cast

from ...base.problems import OutsideError
from ...base.suggest import suggest
from ...executor.kinds import Context, Kind, Opener, StageFailure
from ...executor.values import to_json
from ...lang.types import TEXT, OptionType
from .. import tool_problems as problems
from ..extras import need_mcp
from ..settings import ServerSettings
from ..tools import place
from ..tools.answers import caller, checked
from ..tools.servers import Server, ServerGone, ToolFailed
from . import Environment


def stages(environment: Environment) -> Mapping[str, Kind]:
    return {"call": partial(call, environment), "ask": partial(ask, environment), "read": partial(read, environment)}


def openers(environment: Environment) -> Mapping[str, Opener]:
    return {"stdio": partial(_open, environment)}


async def _open(environment: Environment, name: str, arguments: Mapping[str, object]) -> Server:
    need_mcp("a server of tools")
    known = environment.settings.servers.get(name, ServerSettings())
    variables = place.variables(known.env, environment.secrets)
    server = Server(name, cast("Sequence[str]", arguments["command"]), environment.folder, variables)
    try:
        await server.open()
    except ServerGone as gone:
        problem = problems.server_failed(
            name, environment.secrets.mask(str(gone)), environment.secrets.mask(server.last_words)
        )
        raise OutsideError(problem) from None
    return server


async def call(environment: Environment, context: Context, arguments: Mapping[str, object]) -> object:
    """What the server answers, as the tool's declared type."""
    return await read(environment, context, {"answer": await ask(environment, context, arguments)})


async def ask(environment: Environment, context: Context, arguments: Mapping[str, object]) -> object:
    """What the server answers, as it is: its texts, and the structured data if there is some."""
    mask = environment.secrets.mask
    server = cast(Server, arguments["self"])
    name = str(context.settings["tool"])
    given = {n: to_json(value) for n, value in arguments.items() if n != "self" and value is not None}
    try:
        if name not in await server.tools() and name not in await server.tools(again=True):
            known = await server.tools()
            raise StageFailure(
                "tool_error", problems.server_tool_unknown(server.name, name, suggest(name, known), known)
            )
        with place.in_time(environment.settings.tools, caller(context)):
            structured, texts = await server.call(name, given)
    except ToolFailed as failed:
        problem = problems.server_tool_failed(server.name, caller(context), mask(str(failed)))
        raise StageFailure("tool_error", problem) from None
    except ServerGone as gone:
        problem = problems.server_failed(server.name, str(gone), mask(server.printed()))
        raise StageFailure("unreachable", problem) from None
    return {"structured": structured, "texts": tuple(texts)}


async def read(environment: Environment, context: Context, arguments: Mapping[str, object]) -> object:
    """The value that is meant by an answer."""
    answer = cast("Mapping[str, object]", arguments["answer"])
    structured, texts = answer["structured"], cast("Sequence[str]", answer["texts"])
    declared = context.result.element if isinstance(context.result, OptionType) else context.result
    if declared == TEXT and (texts or not isinstance(structured, str)):
        return "\n".join(texts)
    first: StageFailure | None = None
    for data in _readings(structured, texts):
        try:
            return checked(context, data, environment.secrets)
        except StageFailure as failure:
            first = first or failure
    if first is not None:
        raise first
    came = environment.secrets.mask("\n".join(texts)[:300])
    why = "its result is neither structured nor JSON"
    raise StageFailure("bad_output", problems.tool_wrong_result(caller(context), str(context.result), why, came))


def _readings(structured: object, texts: Sequence[str]) -> Iterator[object]:
    """What an answer may mean, the likeliest first: servers wrap what is no object as `{"result": …}`, older ones give
    no structure but JSON as text, one text for each item of a list."""
    if structured is not None:
        yield structured
        if isinstance(structured, Mapping):
            form = cast("Mapping[str, object]", structured)
            if set(form) == {"result"}:
                yield form["result"]
        return
    parsed: list[object] = []
    for text in texts:
        try:
            parsed.append(json.loads(text))
        except (ValueError, RecursionError):
            parsed.append(text)
    if len(parsed) == 1:
        yield parsed[0]
    yield parsed
