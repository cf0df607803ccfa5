"""How an endpoint is asked in each of its ways, and what is made of its tokens where it tells how likely they were."""

from __future__ import annotations

import json
import math
from typing import Any

import anyio
import pytest
from endpoint_servers import Behave, Handler, Seen, serving, words

from agentlang.executor.engines.protocol import Message, ModelSpec, Sampling, TokenLogprob
from agentlang.executor.engines.remote import texts
from agentlang.executor.engines.remote.client import Endpoint
from agentlang.executor.engines.remote.dialects import Dialect
from agentlang.executor.engines.remote.engine import RemoteEngine

ASK = (Message("system", "Be brief."), Message("user", "Hello"))
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
SCHEMA["additionalProperties"] = False


def asked(behave: Behave, sampling: Sampling, dialect: Dialect) -> tuple[str, list[TokenLogprob], Seen, str]:
    """The text of a reply, what was told of its tokens, what the server saw and where."""
    paths: list[str] = []

    def noting(handler: Handler, body: dict[str, Any]) -> None:
        paths.append(handler.path)
        behave(handler, body)

    async def main(url: str) -> tuple[str, list[TokenLogprob]]:
        model = await RemoteEngine(Endpoint("cloud", url), dialect).load(ModelSpec("gpt-x"))
        sequence = await model.prefill(await model.tokenize(ASK))
        tokens = [token async for token in model.decode(sequence, sampling)]
        await model.release(sequence)
        await model.close()
        told = list(sequence.logprobs)
        assert not told or [one.token for one in told] == tokens
        return b"".join(map(texts.text, tokens)).decode(), told

    with serving(noting) as seen:
        text, told = anyio.run(main, seen.url)
    return text, told, seen, paths[0]


def sending(*choices: dict[str, Any]) -> Behave:
    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        for choice in choices:
            handler.event({"choices": [{"index": 0, **choice}]})
        handler.end()

    return behave


def test_completions_take_a_text_and_give_texts() -> None:
    behave = sending({"text": "Good "}, {"text": "day"})
    sampling = Sampling(max_tokens=5, temperature=0.5, top_p=0.9, top_k=4, logprobs=3, schema=json.dumps(SCHEMA))
    text, _, seen, path = asked(behave, sampling, Dialect("completions", "tools"))
    (body,) = seen.bodies
    assert (text, path) == ("Good day", "/v1/completions")
    assert body["prompt"] == "Be brief.\n\nHello" and "messages" not in body
    assert (body["max_tokens"], body["top_p"], body["top_k"], body["logprobs"]) == (5, 0.9, 4, 3)
    # There are no functions here, whatever the settings say.
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA and "tools" not in body


def test_a_reply_is_held_by_the_arguments_of_a_function() -> None:
    def call(**function: str) -> dict[str, Any]:
        return {"delta": {"content": None, "tool_calls": [{"index": 0, "type": "function", "function": function}]}}

    other = {"delta": {"tool_calls": [{"index": 1, "function": {"name": "reply", "arguments": "no"}}]}}
    behave = sending(call(name="reply", arguments=""), call(arguments='{"a":'), other, call(arguments=" 7}"))
    text, _, seen, path = asked(behave, Sampling(schema=json.dumps(SCHEMA)), Dialect("chat", "tools"))
    (body,) = seen.bodies
    assert (text, path) == ('{"a": 7}', "/v1/chat/completions")
    (tool,) = body["tools"]
    assert tool["function"]["parameters"] == SCHEMA and body["tool_choice"] == "required"
    assert "response_format" not in body


def test_what_is_no_object_is_held_as_a_format() -> None:
    schema = json.dumps({"type": "array", "items": {"type": "boolean"}})
    _, _, seen, _ = asked(words("[true]"), Sampling(schema=schema), Dialect("chat", "tools"))
    assert "tools" not in seen.bodies[0] and "response_format" in seen.bodies[0]


@pytest.mark.parametrize("said", [("talk", "tools"), ("chat", "grammar")])
def test_there_are_no_others(said: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        Dialect(*said)


def entry(text: str | bytes, likely: float, *top: tuple[str, float]) -> dict[str, Any]:
    raw = text.encode() if isinstance(text, str) else text
    beside = [{"token": word, "logprob": figure, "bytes": list(word.encode())} for word, figure in top]
    return {"token": raw.decode("utf-8", "replace"), "logprob": likely, "bytes": list(raw), "top_logprobs": beside}


def told(content: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"delta": {"content": content}, "logprobs": {"content": list(entries)}}


def test_how_likely_tokens_were_is_told_of_each() -> None:
    behave = sending(
        told("Hel", entry("Hel", -0.5, ("Hel", -0.5), ("Yo", -1.5), ("Hey", -3.0))),
        told("lo, you", entry("lo,", -0.25), entry(" you", -1.0)),  # two at once
        {"delta": {"content": "!"}},  # one of which nothing is told
        told("", entry(b"\xc3", -0.125)),  # half a character
        told("ö", entry(b"\xb6", -0.25)),
        told("", entry("<end>", -0.1)),
    )
    text, likely, seen, _ = asked(behave, Sampling(logprobs=2), Dialect())
    assert text == "Hello, you!ö"
    assert [texts.text(one.token).decode() for one in likely] == ["Hel", "lo,", " you", "!", "ö"]
    assert [one.logprob for one in likely if not math.isnan(one.logprob)] == [-0.5, -0.25, -1.0, -0.375]
    assert likely[0].top == ((texts.number(b"Hel"), -0.5), (texts.number(b"Yo"), -1.5))
    assert (seen.bodies[0]["logprobs"], seen.bodies[0]["top_logprobs"]) == (True, 2)


def test_completions_tell_it_in_lists() -> None:
    logprobs = {"tokens": ["a", "b"], "token_logprobs": [-1.0, -2.0], "top_logprobs": [{"a": -1.0, "c": -0.5}, None]}
    _, likely, _, _ = asked(sending({"text": "ab", "logprobs": logprobs}), Sampling(logprobs=5), Dialect("completions"))
    assert [one.logprob for one in likely] == [-1.0, -2.0]
    assert likely[0].top == ((texts.number(b"c"), -0.5), (texts.number(b"a"), -1.0))


def test_an_endpoint_that_tells_nothing_leaves_it_empty() -> None:
    text, likely, _, _ = asked(words("a", "b"), Sampling(logprobs=2), Dialect())
    assert (text, likely) == ("ab", [])
    nonsense: list[Any] = [5, {"content": 5}, {"content": [5, {"logprob": "x"}, {"logprob": True}, {"logprob": -1}]}]
    for each in nonsense:
        behave = sending({"delta": {"content": "a"}, "logprobs": each})
        assert asked(behave, Sampling(logprobs=2), Dialect())[:2] == ("a", [])
