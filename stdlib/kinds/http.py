"""Addresses of the network as tools: `tool order(id: Int) -> Order = http.get("https://shop.example/orders/{id}")`.

The request is in `stdlib.tools.web`; this file makes it from a tool's settings and arguments, and its answer a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast
from urllib.parse import quote, urlencode

from ...executor.kinds import Context, Kind, Opener, StageFailure
from ...executor.values import to_json
from ...lang.types import TEXT, OptionType, Primitive
from .. import tool_problems as problems
from ..tools import place, web
from ..tools.answers import caller, checked
from ..tools.limits import Limits
from ..tools.settings import filled, text_of, used
from . import Environment

_BYTES = Primitive("Bytes")
_SHOWN = 500


def stages(environment: Environment) -> Mapping[str, Kind]:
    return {
        "get": partial(ask, environment, "GET"),
        "post": partial(ask, environment, "POST"),
        "read": partial(read, environment),
    }


def openers(environment: Environment) -> Mapping[str, Opener]:
    del environment
    return {}


async def ask(environment: Environment, method: str, context: Context, arguments: Mapping[str, object]) -> object:
    """The answer as the tool's declared type: Text and Bytes as they are, all else from its JSON."""
    tool, mask = caller(context), environment.secrets.mask
    limit = Limits().result
    try:
        with place.in_time(environment.settings.tools, tool):
            response = await web.send(_request(environment, method, context, arguments, limit))
    except web.AnswerTooLarge:
        raise StageFailure("tool_error", problems.tool_result_too_large(tool, limit, limit)) from None
    except web.WebError as error:
        words = problems.address_refused if error.reason == "denied" else problems.address_unreachable
        raise StageFailure(error.reason, words(tool, mask(error.place), mask(error.why))) from None
    context.usage.add("bytes", len(response.body))
    if response.status >= 400:
        body = mask(_decoded(response)[:_SHOWN])
        problem = problems.request_failed(tool, mask(response.place), response.status, response.words, body)
        raise StageFailure("refused" if response.status in (401, 403) else "tool_error", problem)
    declared = context.result.element if isinstance(context.result, OptionType) else context.result
    if declared == TEXT:
        return _decoded(response)
    if declared == _BYTES:
        return response.body
    return _parsed(environment, context, response.body)


async def read(environment: Environment, context: Context, arguments: Mapping[str, object]) -> object:
    """What an answer says, as the tool's declared type."""
    return _parsed(environment, context, cast(bytes, arguments["body"]))


def _parsed(environment: Environment, context: Context, body: bytes) -> object:
    try:
        data: object = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        # JSON is UTF-8, and this is what somebody looks at who expected it.
        came = environment.secrets.mask(body.decode("utf-8", "replace")[:_SHOWN])
        problem = problems.tool_wrong_result(caller(context), str(context.result), "the answer is not JSON", came)
        raise StageFailure("bad_output", problem) from None
    return checked(context, data, environment.secrets)


def _decoded(response: web.Response) -> str:
    try:
        return response.body.decode(response.charset, "replace")
    except LookupError:  # a character set that nobody knows
        return response.body.decode("utf-8", "replace")


def _request(
    environment: Environment, method: str, context: Context, arguments: Mapping[str, object], limit: int
) -> web.Request:
    settings, secrets = context.settings, environment.secrets
    rest = {name: value for name, value in arguments.items() if name not in used(settings) and value is not None}
    url = _address(environment, context, arguments)
    body: bytes | None = None
    headers: dict[str, str] = {}
    if method == "GET":
        if rest:
            pairs = [(n, text_of(item)) for n, value in rest.items() for item in _items(value)]
            address, mark, fragment = url.partition("#")
            url = f"{address}{'&' if '?' in address else '?'}{urlencode(pairs)}{mark}{fragment}"
    elif settings.get("body") is not None:
        body = filled(settings["body"], arguments, secrets).encode()
        headers["Content-Type"] = "text/plain; charset=utf-8"
    else:
        body = json.dumps({name: to_json(value) for name, value in rest.items()}, ensure_ascii=False).encode()
        headers["Content-Type"] = "application/json"
    hidden: dict[str, str] = {}
    for name, setting in cast("Mapping[str, object]", settings.get("headers") or {}).items():
        held = _is_secret(setting)
        # A name that is written in the program takes the place of ours.
        headers = {n: v for n, v in headers.items() if n.lower() != name.lower()}
        private = held or name.lower() in ("authorization", "cookie")
        (hidden if private else headers)[name] = filled(setting, arguments, secrets)
    if settings.get("key") is not None:
        hidden["Authorization"] = f"Bearer {filled(settings['key'], arguments, secrets)}"
    return web.Request(method, url, headers, hidden, body, environment.settings.tools.allow, limit)


def _address(environment: Environment, context: Context, arguments: Mapping[str, object]) -> str:
    """The address, with each argument escaped so that it stays the part of it that it stands in. One that begins with
    an argument is that argument's own."""
    setting = context.settings["url"]
    parts: Sequence[object] = ()
    if isinstance(setting, Mapping):
        parts = cast("Sequence[object]", setting.get("parts", ()))

    def escape(text: str) -> str:
        if text in (".", ".."):  # no escape keeps a server from going up a folder for it
            why = f"an argument is {text!r}, which would change the address"
            raise StageFailure("denied", problems.address_refused(caller(context), "its address", why))
        return quote(text, safe="")

    if not parts or isinstance(parts[0], str):
        return filled(setting, arguments, environment.secrets, escape)
    first, *others = parts
    return filled(first, arguments, environment.secrets) + filled(
        {"parts": others}, arguments, environment.secrets, escape
    )


def _is_secret(setting: object) -> bool:
    return isinstance(setting, Mapping) and "secret" in cast("Mapping[str, object]", setting)


def _items(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)
