"""What an endpoint can do wrong beyond `test_remote_engine`: bytes that are no text, packed answers, redirections, lies
about encryption, lines without an end; and that a key reaches nobody but the endpoint."""

from __future__ import annotations

import gzip
import logging
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from endpoint_servers import Behave, Handler, serving, words
from hypothesis import given, settings
from hypothesis import strategies as st
from test_remote_engine import asked, at, failed, garbage

from agentlang.executor.engines.endpoint_problems import EndpointError
from agentlang.executor.engines.protocol import Finish, Sampling

EIGHT = Sampling(max_tokens=8)


def chunk(raw: bytes) -> bytes:
    return b"data: " + raw + b"\n\n"


SAYS = b'{"choices": [{"index": 0, "delta": {"content": "%s"}}]}'


def test_bytes_that_are_no_text_become_signs_of_that() -> None:
    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        handler.wfile.write(chunk(SAYS % b"half \xc3") + chunk(SAYS % b"lone \\ud83d"))
        handler.end()

    text, reply, _ = asked(behave)
    assert text.startswith("half \ufffd") and "lone " in text and reply.finish is Finish.STOP
    text.encode()


def test_a_character_that_comes_in_two_packets_is_one() -> None:
    raw = chunk(SAYS % "ö👋".encode())

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        for at_byte in range(len(raw)):
            handler.wfile.write(raw[at_byte : at_byte + 1])
            handler.wfile.flush()
        handler.end()

    assert asked(behave)[0] == "ö👋"


@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/plain", "image/png", "", "text/event-streams"])
def test_an_answer_of_another_kind_is_none(kind: str) -> None:
    error, _ = failed(garbage(chunk(SAYS % b"hello") + chunk(b"[DONE]"), kind))
    assert (error.reason, error.problem.slug) == ("bad_output", "endpoint-garbled")


def test_a_packed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(50 << 20))

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        handler.wfile.write(bomb)

    error, seen = failed(behave)
    assert error.problem.slug == "endpoint-garbled" and "packs" in error.problem.title
    assert seen.headers[0]["accept-encoding"] == "identity"


def large(status: int, kind: str = "text/event-stream") -> Behave:
    """A line of 300 MB, or until nobody reads it."""

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Connection", "close")
        handler.end_headers()
        for _ in range(300):
            handler.wfile.write(b"data: x" * ((1 << 20) // 7))

    return behave


@pytest.mark.parametrize(("status", "slug"), [(200, "endpoint-garbled"), (500, "endpoint-failed")])
def test_a_line_without_an_end_takes_no_memory(status: int, slug: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error, seen = failed(large(status))
    assert error.problem.slug == slug
    assert len(error.problem.title) + len(error.problem.detail or "") < 1500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    assert seen.left.wait(5), "nobody reads on"


def test_a_thousand_headers_are_no_answer() -> None:
    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 500) for n in range(4000)))
        time.sleep(0.2)

    assert failed(behave, tries=1)[0].reason == "unreachable"


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"HTTP/1.1 what\r\n\r\n", b"220 mail.example ESMTP\r\n", bytes(2000)])
def test_what_is_no_http_is_no_answer(raw: bytes) -> None:
    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.wfile.write(raw)

    error, seen = failed(behave, tries=2)
    assert (error.reason, len(seen.bodies)) == ("unreachable", 2)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_led_elsewhere(status: int) -> None:
    with serving(words("stolen")) as elsewhere:

        def behave(handler: Handler, body: dict[str, Any]) -> None:
            del body
            handler.refuse(status, "this way", Location=f"{elsewhere.url}/chat/completions")

        error, _ = failed(behave, key="open-sesame")
        assert error.problem.slug == "endpoint-failed" and str(status) in error.problem.title
        assert not elsewhere.bodies, "neither the prompt nor the key goes there"


@contextmanager
def plain_server(answer: bytes) -> Iterator[int]:
    """The port of something that answers every connection with some bytes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b""])
def test_an_encrypted_connection_that_is_none_is_unreachable(answer: bytes) -> None:
    with plain_server(answer) as port:
        error = at(f"https://127.0.0.1:{port}/v1")
    assert (error.reason, error.problem.slug) in (
        ("unreachable", "endpoint-unreachable"),
        ("unreachable", "endpoint-broke-off"),
    )
    assert str(port) not in error.problem.title


KEY = "sk-tomato-soup-0123456789"
FAULTS: dict[str, Behave] = {
    "refused": lambda handler, body: handler.refuse(401, f"bad key {KEY} in {dict(handler.headers)}"),
    "busy": lambda handler, body: handler.refuse(429, KEY, Retry_After="0"),
    "garbled": garbage(f"data: {KEY}\n\n".encode()),
    "an error that tells": garbage(chunk(b'{"error": {"message": "' + KEY.encode() + b'"}}')),
    "half a key where it is cut": lambda handler, body: handler.refuse(500, "x" * 65_530 + KEY),
    "cut": garbage(chunk(SAYS % b"half")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_key_is_in_no_log_and_in_no_error(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        error, seen = failed(FAULTS[fault], key=KEY)
    assert seen.headers[0]["authorization"] == f"Bearer {KEY}"
    told = [
        repr(error),
        str(error),
        repr(error.problem),
        caplog.text,
        *(repr(record.__dict__) for record in caplog.records),
    ]
    chain: BaseException | None = error
    while chain is not None:
        told.append(repr(chain) + repr(chain.args))
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    assert not [text for text in told if "tomato" in text]


# --- at random ---

PIECES = st.one_of(
    st.sampled_from(
        [b"data: ", b"\n\n", b"\r\n", b"[DONE]", b"event: x\n", b"id: 7\n", b": ping\n\n", b"{", b"}", b"null"]
    ),
    st.sampled_from(
        [chunk(SAYS % b"word"), chunk(b'{"choices": []}'), chunk(b"{}"), chunk(b'{"usage": {"prompt_tokens": -1}}')]
    ),
    st.sampled_from([chunk(b'{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "x"}}]}}]}')]),
    st.sampled_from(
        [chunk(b'{"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"logprob": 1e999}]}}]}')]
    ),
    st.sampled_from([chunk(b'{"choices": [{"text": "b", "logprobs": {"tokens": ["b"], "token_logprobs": [null]}}]}')]),
    st.binary(max_size=12),
)


@given(st.lists(PIECES, max_size=12))
@settings(max_examples=40, deadline=None)
def test_whatever_comes_is_a_reply_or_a_problem(pieces: list[bytes]) -> None:
    def send(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        for piece in pieces:
            handler.wfile.write(piece)

    try:
        text, reply, _ = asked(send, Sampling(max_tokens=8, logprobs=2), tries=1)
    except EndpointError as error:
        assert error.reason in ("bad_output", "unreachable")
    else:
        assert reply.finish is not None and isinstance(text, str)
