"""Encoders at endpoints: which vectors come for which texts, and answers that are no vectors."""

from __future__ import annotations

import json
from typing import Any

import anyio
import anyio.to_thread
import pytest
from endpoint_servers import Behave, Handler, serving
from test_remote_engine import refusing

from agentlang.executor.engines.endpoint_problems import EndpointError
from agentlang.executor.engines.remote.client import Client, Endpoint
from agentlang.executor.engines.remote.encoder import RemoteEncoder


def embedding(handler: Handler, body: dict[str, Any]) -> None:
    """Each text as how often it has some letters."""
    found = [{"index": at, "embedding": [1 + text.count(c) for c in "abc"]} for at, text in enumerate(body["input"])]
    handler.refuse(200, json.dumps({"data": found[::-1]}))


def encoded(behave: Behave, texts: list[str], **settings: Any) -> Any:
    async def main(url: str) -> Any:
        endpoint = Endpoint("cloud", url, **{"silence": 5.0, **settings})
        encoder = RemoteEncoder(Client(endpoint, luck=lambda: 0.0), "vectors")
        try:
            with anyio.fail_after(20):
                await encoder.open()
                rows = await encoder.embed(texts)
            return encoder.dimensions, rows
        finally:
            await encoder.close()

    with serving(behave) as seen:
        try:
            return anyio.run(main, seen.url)
        except EndpointError as error:
            return error, seen


def test_vectors_come_in_the_order_of_the_texts_and_of_length_one() -> None:
    dimensions, rows = encoded(embedding, ["aa", "b", "", *["ccc"] * 100])
    assert dimensions == 3 and len(rows) == 103
    assert rows[0] == pytest.approx([3 / 11**0.5, 1 / 11**0.5, 1 / 11**0.5])
    assert rows[1][1] > rows[1][0] and rows[102][2] > rows[102][0]


def saying(answer: Any) -> Behave:
    return lambda handler, body: handler.refuse(200, answer if isinstance(answer, str) else json.dumps(answer))


@pytest.mark.parametrize(
    "answer",
    [
        "no json",
        [1],
        {},
        {"data": 3},
        {"data": [4]},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": ["x"]}]},
        {"data": [{"index": 5, "embedding": [1]}]},
        {"data": [{"index": 0, "embedding": [0, 0]}]},
        '{"data": [{"index": 0, "embedding": [NaN]}]}',
        "x" * (65 << 20),
    ],
    ids=range(11),
)
def test_what_is_no_vector_is_bad_output(answer: Any) -> None:
    error, _ = encoded(saying(answer), ["a"])
    assert (error.reason, error.problem.slug) == ("bad_output", "endpoint-garbled")


def test_an_encoder_that_is_busy_is_asked_again_and_one_that_refuses_is_not() -> None:
    count = [0]

    def busy(handler: Handler, body: dict[str, Any]) -> None:
        count[0] += 1
        embedding(handler, body) if count[0] > 2 else handler.refuse(503, "loading", Retry_After="0")

    assert encoded(busy, ["a"])[0] == 3
    error, seen = encoded(refusing(401, "wrong key"), ["a"])
    assert (error.problem.slug, len(seen.bodies)) == ("endpoint-refused", 1)
