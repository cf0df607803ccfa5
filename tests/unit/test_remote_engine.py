"""Models at endpoints: what is asked, what comes, and what an endpoint can do wrong, over real sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest
from endpoint_servers import Behave, Handler, serving, words
from hypothesis import given
from hypothesis import strategies as st

from agentlang.executor.engines.endpoint_problems import EndpointError
from agentlang.executor.engines.generation import generate
from agentlang.executor.engines.protocol import Finish, Message, ModelFacts, Sampling
from agentlang.executor.engines.remote import texts
from agentlang.executor.engines.remote.client import Client, Endpoint
from agentlang.executor.engines.remote.model import RemoteModel

ASK = (Message("system", "Be brief."), Message("user", "Grüße, 你好 👋"))
EIGHT = Sampling(max_tokens=8)
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def model_at(url: str, **settings: Any) -> RemoteModel:
    endpoint = Endpoint("cloud", url, **{"silence": 5.0, **settings})
    return RemoteModel(Client(endpoint, luck=lambda: 0.0), "gpt-x", ModelFacts("gpt-x", 4096, 0, 0, 0), price=0.5)


def asked(
    behave: Behave, sampling: Sampling = EIGHT, backend: str = "asyncio", **settings: Any
) -> tuple[str, Any, Any]:
    """The text of a reply, how it ended, and what the server saw."""

    async def main(url: str) -> tuple[str, Any]:
        model = model_at(url, **settings)
        try:
            with anyio.fail_after(20):
                async with generate(model, ASK, sampling) as reply:
                    text = "".join([piece async for piece in reply])
            assert model.open_sequences == 0
            return text, reply
        finally:
            await model.close()

    with serving(behave) as seen:
        text, reply = anyio.run(main, seen.url, backend=backend)
    return text, reply, seen


def failed(behave: Behave, sampling: Sampling = EIGHT, **settings: Any) -> tuple[EndpointError, Any]:
    with serving(behave) as seen:

        async def main() -> EndpointError:
            model = model_at(seen.url, **settings)
            with pytest.raises(EndpointError) as caught, anyio.fail_after(20):
                async with generate(model, ASK, sampling) as reply:
                    async for _ in reply:
                        pass
            assert model.open_sequences == 0
            await model.close()
            return caught.value

        return anyio.run(main), seen


@given(st.text(max_size=40))
def test_a_text_is_a_number_and_back(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    assert texts.text(texts.number(raw)) == raw


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text(max_size=60)), max_size=4))
def test_a_conversation_is_tokens_and_back(turns: list[tuple[str, str]]) -> None:
    messages = tuple(Message(role, text) for role, text in turns)
    assert texts.messages(texts.prompt(messages)) == messages


@pytest.mark.parametrize("token", [-1, 0, 2, 0x0261])
def test_other_numbers_are_no_texts(token: int) -> None:
    with pytest.raises(ValueError):
        texts.text(token)


@BACKENDS
def test_a_reply_comes_as_it_is_made(backend: str) -> None:
    text, reply, seen = asked(words("Hel", "lo, ", "wörld"), backend=backend)
    assert text == "Hello, wörld"
    assert reply.finish is Finish.STOP
    assert (reply.stats.billed, reply.stats.dollars, len(reply.stats.gaps)) == ((7, 3), 5.0, 2)
    (body,) = seen.bodies
    assert body["messages"] == [{"role": m.role, "content": m.text} for m in ASK]
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("gpt-x", 8, 0.0, True)
    assert "seed" not in body and "authorization" not in seen.headers[0]


def test_what_steers_a_reply_is_passed_on() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    schema["additionalProperties"] = False
    sampling = Sampling(max_tokens=9, temperature=0.7, seed=2**64 - 1, stop=("END",), top_k=5, top_p=0.5)
    _, _, seen = asked(words("a"), sampling, key="open sesame")
    body = seen.bodies[0]
    assert (body["temperature"], body["top_k"], body["top_p"], body["stop"]) == (0.7, 5, 0.5, ["END"])
    assert body["seed"] == 2**63 - 1
    assert seen.headers[0]["authorization"] == "Bearer open sesame"
    _, _, seen = asked(words('{"a": 1}'), Sampling(max_tokens=9, schema=json.dumps(schema)))
    assert seen.bodies[0]["response_format"]["json_schema"]["schema"] == schema


def test_a_stop_text_ends_it_even_where_the_endpoint_does_not_know_it() -> None:
    text, reply, _ = asked(words("one E", "ND two", " three"), Sampling(max_tokens=8, stop=("END",)))
    assert (text, reply.finish) == ("one ", Finish.STOP)


@pytest.mark.parametrize(("made", "finish"), [(8, Finish.LENGTH), (5, Finish.TRUNCATED)])
def test_a_reply_that_fills_the_context_says_so(made: int, finish: Finish) -> None:
    assert asked(words("a", why="length", usage=(7, made)))[1].finish is finish


def test_without_figures_of_the_endpoint_pieces_are_counted() -> None:
    stats = asked(words("a", "b", usage=None))[1].stats
    assert (stats.billed, stats.generated_tokens) == (None, 2)


# --- what goes wrong ---


def refusing(status: int, said: str = "no", times: int = 99, **headers: str) -> Behave:
    count = [0]

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        count[0] += 1
        if count[0] <= times:
            handler.refuse(status, said, **headers)
        else:
            words("at ", "last")(handler, body)

    return behave


@pytest.mark.parametrize(
    ("status", "said", "reason", "slug", "tries"),
    [
        (401, "wrong key", "refused", "endpoint-refused", 1),
        (403, "not yours", "refused", "endpoint-refused", 1),
        (400, '{"error": "maximum context length is 4096"}', "too_long", "endpoint-failed", 1),
        (404, "no such model", "unreachable", "endpoint-failed", 1),
        (429, "slow down", "unavailable", "endpoint-failed", 3),
        (503, "loading", "unreachable", "endpoint-failed", 3),
    ],
)
def test_a_refusal_has_a_reason(status: int, said: str, reason: str, slug: str, tries: int) -> None:
    error, seen = failed(refusing(status, said, Retry_After="0"))
    assert (error.reason, error.problem.slug, len(seen.bodies)) == (reason, slug, tries)
    assert said in (error.problem.detail or "")


def test_what_passes_by_itself_is_tried_again_when_the_endpoint_says_so() -> None:
    began = time.monotonic()
    text, _, seen = asked(refusing(429, times=2, Retry_After="0.3"))
    assert (text, len(seen.bodies)) == ("at last", 3)
    assert time.monotonic() - began >= 0.6


def test_nobody_waits_for_ever() -> None:
    error, seen = failed(refusing(429, Retry_After="3600"))
    assert (error.reason, len(seen.bodies)) == ("unavailable", 1)


def test_a_key_is_in_no_message() -> None:
    error, _ = failed(refusing(401, "the key tomato-soup is wrong"), key="tomato-soup")
    assert "[key]" in (error.problem.detail or "")
    assert "tomato" not in repr((error, error.problem, Endpoint("cloud", "https://tomato.example", "tomato-soup")))


def nothing_listens() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


def at(url: str) -> EndpointError:
    async def main() -> EndpointError:
        model = model_at(url, tries=2)
        with pytest.raises(EndpointError) as caught, anyio.fail_after(20):
            async with generate(model, ASK, Sampling(max_tokens=4)) as reply:
                await anext(aiter(reply))
        await model.close()
        return caught.value

    return anyio.run(main)


@pytest.mark.parametrize("url", [nothing_listens(), "http://nowhere.invalid/v1", "ftp://x/v1", "http://[::bad/v1"])
def test_an_address_where_nothing_is(url: str) -> None:
    error = at(url)
    assert (error.reason, error.problem.slug) == ("unreachable", "endpoint-unreachable")
    assert url not in error.problem.title


def stalling(*said: str) -> Behave:
    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        handler.say(*said)
        time.sleep(3)

    return behave


@pytest.mark.parametrize("said", [(), ("a", "b")])
def test_silence_is_a_timeout(said: tuple[str, ...]) -> None:
    error, seen = failed(stalling(*said), silence=0.3)
    assert (error.reason, error.problem.slug, len(seen.bodies)) == ("timeout", "endpoint-silent", 1)
    assert ("in the middle" in error.problem.title) is bool(said)


def cutting(handler: Handler, body: dict[str, Any]) -> None:
    del body
    handler.begin()
    handler.say("half a ")


def test_a_reply_that_is_cut_is_not_a_reply() -> None:
    error, seen = failed(cutting)
    assert (error.reason, error.problem.slug, len(seen.bodies)) == ("unreachable", "endpoint-broke-off", 1)


def garbage(raw: bytes, kind: str = "text/event-stream") -> Behave:
    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin(kind)
        handler.wfile.write(raw)

    return behave


def endless(handler: Handler, body: dict[str, Any]) -> None:
    del body
    handler.begin()
    while True:
        handler.say("and so on " * 50)


@pytest.mark.parametrize(
    "behave",
    [
        garbage(b"<html>hello</html>", "text/html"),
        garbage(b"data: {not json\n\n"),
        garbage(b"data: " + b"[" * 100_000 + b"\n\n"),
        garbage(b"data: [1, 2]\n\n"),
        garbage(b"data: " + b"x" * (3 << 20)),
        endless,
    ],
    ids=["html", "no json", "deep", "no object", "large", "endless"],
)
def test_garbage_is_bad_output(behave: Behave) -> None:
    error, _ = failed(behave)
    assert (error.reason, error.problem.slug) == ("bad_output", "endpoint-garbled")


def test_odd_events_are_passed_over() -> None:
    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        odd: list[Any] = [{}, {"choices": 3}, {"choices": [4]}, {"choices": [{"delta": 5}]}, {"usage": 6}]
        odd += [{"choices": [{"delta": {"content": None}}]}, {"usage": {"prompt_tokens": "7"}}]
        for event in odd:
            handler.event(event)
        handler.say("fine")
        handler.end()

    assert asked(behave)[0] == "fine"


def test_an_error_in_the_stream_and_a_filter_have_names() -> None:
    def stumbling(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        handler.say("a")
        handler.event({"error": {"message": "out of memory"}})

    error, _ = failed(stumbling)
    assert error.problem.slug == "endpoint-broke-off" and "out of memory" in error.problem.title
    error, _ = failed(words("a", why="content_filter"))
    assert (error.reason, error.problem.slug) == ("refused", "endpoint-filtered")


Leave = Callable[[RemoteModel, Any, Any], Awaitable[None]]


async def by_cancel(model: RemoteModel, sequence: Any, steps: Any) -> None:
    await model.cancel(sequence)
    assert [token async for token in steps] == []


async def by_release(model: RemoteModel, sequence: Any, steps: Any) -> None:
    await model.release(sequence)
    assert [token async for token in steps] == []


async def by_closing(model: RemoteModel, sequence: Any, steps: Any) -> None:
    del model, sequence
    await steps.aclose()


async def by_scope(model: RemoteModel, sequence: Any, steps: Any) -> None:
    del model, sequence
    with anyio.move_on_after(0.2):
        async for _ in steps:
            pass


async def while_waiting(model: RemoteModel, sequence: Any, steps: Any) -> None:
    async def later() -> None:
        await anyio.sleep(0.2)
        await model.cancel(sequence)

    async with anyio.create_task_group() as group:
        group.start_soon(later)
        with anyio.fail_after(5):
            async for _ in steps:
                pass


@BACKENDS
@pytest.mark.parametrize("leave", [by_cancel, by_release, by_closing, by_scope, while_waiting])
def test_whoever_stops_reading_closes_the_connection(leave: Leave, backend: str) -> None:
    async def main(url: str) -> None:
        model = model_at(url)
        sequence = await model.prefill(await model.tokenize(ASK))
        steps = model.decode(sequence, Sampling(max_tokens=100_000))
        assert texts.text(await anext(steps)) == b"word "
        await leave(model, sequence, steps)
        assert sequence.finish is Finish.CANCELLED
        await model.release(sequence)
        assert model.open_sequences == 0
        await model.close()

    with serving(words(*["word "] * 500, gap=0.02)) as seen:
        anyio.run(main, seen.url, backend=backend)
        assert seen.left.wait(5)


def test_many_at_once_each_get_their_own() -> None:
    def echo(handler: Handler, body: dict[str, Any]) -> None:
        words(*body["messages"][0]["content"].split())(handler, body)

    async def main(url: str) -> None:
        model = model_at(url)
        said: dict[int, str] = {}

        async def one(number: int) -> None:
            async with generate(model, (Message("user", f"this is {number}"),)) as reply:
                said[number] = "".join([piece async for piece in reply])

        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(one, number)
        assert said == {number: f"thisis{number}" for number in range(40)}
        await model.close()

    with serving(echo) as seen:
        anyio.run(main, seen.url)


@BACKENDS
def test_whoever_is_cancelled_gets_nothing_of_what_came_already(backend: str) -> None:
    def at_once(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        event = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
        handler.wfile.write(event * 8)
        handler.wfile.flush()
        time.sleep(0.3)
        handler.end()

    async def main(url: str) -> None:
        model = model_at(url)
        pulled = 0
        with anyio.CancelScope() as scope:
            sequence = await model.prefill(await model.tokenize(ASK))
            async for _ in model.decode(sequence, EIGHT):
                pulled += 1
                if pulled == 2:
                    scope.cancel()
        assert (pulled, model.open_sequences) == (2, 0)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await model.prefill(await model.tokenize(ASK))
        assert model.open_sequences == 0
        left = await model.prefill(await model.tokenize(ASK))
        await anext(aiter(model.decode(left, EIGHT)))
        assert left.answer is not None
        await model.release(left)
        assert left.answer is None, "a reply that nobody reads on holds no connection"
        await model.close()

    with serving(at_once) as seen:
        anyio.run(main, seen.url, backend=backend)
