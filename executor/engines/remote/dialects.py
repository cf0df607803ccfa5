"""How an endpoint is asked and what its events say: APIs like OpenAI's agree on most of it, and an endpoint's settings
say where one differs.

`api` is `chat` (`/chat/completions`, messages) or `completions` (`/completions`, a text that is gone on with, for
models that know no conversations). `schemas` says how a reply is held to one: as `response_format`, or as the arguments
of the one function that may be called (`tools`), for endpoints that know functions and no formats.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..protocol import Message, Sampling

APIS = ("chat", "completions")
SCHEMAS = ("response_format", "tools")
_FUNCTION = "reply"


@dataclass(frozen=True, slots=True)
class Dialect:
    """ValueError for words that are none of `APIS` and `SCHEMAS`."""

    api: str = "chat"
    schemas: str = "response_format"

    def __post_init__(self) -> None:
        if self.api not in APIS or self.schemas not in SCHEMAS:
            raise ValueError(f"an endpoint speaks {' or '.join(APIS)}, and takes schemas as {' or '.join(SCHEMAS)}")

    @property
    def path(self) -> str:
        return "/chat/completions" if self.api == "chat" else "/completions"

    def body(self, model: str, messages: Sequence[Message], sampling: Sampling) -> dict[str, object]:
        """What is asked."""
        body: dict[str, object] = {"model": model, **self._prompt(messages)}
        body |= {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        if sampling.temperature > 0:
            # APIs take seeds of 63 bits.
            body["seed"] = sampling.seed & (2**63 - 1)
        if sampling.top_p < 1.0:
            body["top_p"] = sampling.top_p
        if sampling.top_k:
            body["top_k"] = sampling.top_k
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.logprobs is not None:
            # Some servers tell nothing where they are asked for the likeliest none.
            most = max(1, sampling.logprobs)
            body |= {"logprobs": True, "top_logprobs": most} if self.api == "chat" else {"logprobs": most}
        if sampling.schema is not None:
            body |= self._held(json.loads(sampling.schema))
        return body

    def _prompt(self, messages: Sequence[Message]) -> dict[str, object]:
        if self.api == "chat":
            return {"messages": [{"role": message.role, "content": message.text} for message in messages]}
        return {"prompt": "\n\n".join(message.text for message in messages)}

    def _held(self, schema: Mapping[str, Any]) -> dict[str, object]:
        if self._by_function(schema):
            function = {"name": _FUNCTION, "description": "Gives the reply.", "parameters": schema, "strict": True}
            # Of one, `required` names it; not every server takes its name.
            return {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
        held = {"name": _FUNCTION, "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": held}}

    def _by_function(self, schema: Mapping[str, Any]) -> bool:
        """The arguments of a function are an object; other replies are held as a format all the same."""
        return self.api == "chat" and self.schemas == "tools" and schema.get("type") == "object"


@dataclass(frozen=True, slots=True)
class Entry:
    """A token of the endpoint: its bytes, how likely it was, and the likeliest beside it."""

    text: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


def said(choice: Mapping[str, Any]) -> str:
    """What an event adds to the reply: a text, a piece of a message, or of the arguments of a function."""
    text = choice.get("text")
    if isinstance(text, str):
        return text
    delta = _mapping(choice.get("delta"))
    calls = delta.get("tool_calls")
    for call in cast("list[object]", calls) if isinstance(calls, list) else []:
        arguments = _mapping(_mapping(call).get("function")).get("arguments")
        if _mapping(call).get("index", 0) == 0 and isinstance(arguments, str):
            return arguments
    content = delta.get("content")
    return content if isinstance(content, str) else ""


def entries(choice: Mapping[str, Any]) -> Iterator[Entry]:
    """The endpoint's tokens in an event, where it tells of them; what is not understood is left out."""
    told = _mapping(choice.get("logprobs"))
    content = told.get("content")
    if isinstance(content, list):
        for each in cast("list[object]", content):
            given = _mapping(each)
            entry = _entry(given)
            if entry is not None:
                top = given.get("top_logprobs")
                found = map(_entry, map(_mapping, cast("list[object]", top) if isinstance(top, list) else []))
                yield Entry(*entry, tuple([beside for beside in found if beside is not None]))
        return
    # The older form, of completions: lists side by side.
    tokens, figures, tops = (told.get(name) for name in ("tokens", "token_logprobs", "top_logprobs"))
    if isinstance(tokens, list) and isinstance(figures, list):
        beside = cast("list[object]", tops) if isinstance(tops, list) else []
        pairs = zip(cast("list[object]", tokens), cast("list[object]", figures), strict=False)
        for place, (token, figure) in enumerate(pairs):
            if isinstance(token, str) and isinstance(figure, int | float):
                named: Mapping[str, Any] = _mapping(beside[place]) if place < len(beside) else {}
                top = [
                    (text.encode("utf-8", "replace"), float(f))
                    for text, f in named.items()
                    if isinstance(f, int | float)
                ]
                yield Entry(
                    token.encode("utf-8", "replace"), float(figure), tuple(sorted(top, key=lambda one: -one[1]))
                )


def _entry(given: Mapping[str, Any]) -> tuple[bytes, float] | None:
    figure, raw, token = given.get("logprob"), given.get("bytes"), given.get("token")
    if not isinstance(figure, int | float) or isinstance(figure, bool):
        return None
    if isinstance(raw, list):
        numbers = cast("list[object]", raw)
        if all(isinstance(byte, int) and 0 <= byte < 256 for byte in numbers):
            return bytes(cast("list[int]", numbers)), float(figure)
    return (token.encode("utf-8", "replace"), float(figure)) if isinstance(token, str) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
