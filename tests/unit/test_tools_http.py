"""Requests, against real servers on this machine: what is sent, what is refused, what comes back."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from tool_calls import BACKENDS, call, context, failure, library, run, value

from agentlang.executor.kinds import Context
from agentlang.lang.types import INT, JSON, TEXT, OptionType, Primitive, Type
from agentlang.stdlib.library import Library
from agentlang.stdlib.settings import Settings, ToolSettings
from agentlang.stdlib.tools.addresses import private


class Shop(BaseHTTPRequestHandler):
    """Says what it was asked; `/status/404`, `/to/ADDRESS`, `/large`, `/slow`, `/broken` do as they say."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        del format, args

    def do_GET(self) -> None:
        _, word, rest = (*self.path.split("/", 2), "")[:3]
        if word == "to":
            self.send_response(302)
            self.send_header("Location", rest)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif word == "large":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 1_000_000)
            except OSError:
                self.close_connection = True
        elif word == "slow":
            time.sleep(5)
        elif word == "broken":
            self.close_connection = True
        elif word == "short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b'{"id": 1}')
            self.close_connection = True
        elif word == "squeezed":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"\x1f\x8b")
        elif word == "other":
            self.wfile.write(b"220 mail.example ESMTP\r\n")
            self.close_connection = True
        elif word == "text":
            self._answer(200, "grüß".encode("latin-1"), "text/plain; charset=latin-1")
        elif word == "empty":
            self._answer(200, b"")
        else:
            asked = {"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}
            self._answer(int(rest) if word == "status" else 200, json.dumps(asked).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.startswith("/to/"):
            self.send_response(int(self.path.split("/")[2]))
            self.send_header("Location", self.path.split("/", 3)[3])
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._answer(200, json.dumps({"body": body, "type": self.headers["Content-Type"]}).encode())

    def _answer(self, status: int, body: bytes, type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def shop() -> Generator[str]:
    with serving() as url:
        yield url


def allowing(*hosts: str) -> Library:
    return library(Path(), settings=Settings(tools=ToolSettings(allow=hosts)))


def of(*parts: Any, result: Type = JSON, **more: Any) -> Context:
    return context({"url": {"parts": parts}, **more}, result, tool="order")


def hole(name: str) -> dict[str, Any]:
    return {"argument": name}


# --- what is sent, and what comes back ---


@pytest.mark.parametrize("backend", BACKENDS)
def test_arguments_are_escaped_where_they_stand(shop: str, backend: str) -> None:
    asked = call(allowing("*"), "http:get", of(f"{shop}/orders/", hole("id")), backend, id="ü/?&#../x")
    assert asked["path"] == "/orders/%C3%BC%2F%3F%26%23..%2Fx"


@pytest.mark.parametrize("id", [".", ".."])
def test_an_argument_cannot_go_up_a_folder(shop: str, id: str) -> None:
    failed = failure(allowing("*"), "http:get", of(f"{shop}/orders/", hole("id"), "/cancel"), id=id)
    assert (failed.reason, failed.problem.slug) == ("denied", "address-refused")


def test_arguments_that_stand_nowhere_are_the_query(shop: str) -> None:
    asked = call(allowing("*"), "http:get", of(f"{shop}/find?a=1"), q="tea & milk", n=(1, 2), none=None, sure=True)
    assert asked["path"] == "/find?a=1&q=tea+%26+milk&n=1&n=2&sure=true"


def test_an_address_may_be_an_argument_as_a_whole(shop: str) -> None:
    asked = call(allowing("*"), "http:get", of(hole("url")), url=f"{shop}/a/b?c=d e")
    assert asked["path"] == "/a/b?c=d%20e"


def test_post_sends_the_other_arguments_as_json_or_the_body_that_is_given(shop: str) -> None:
    sent = call(allowing("*"), "http:post", of(f"{shop}/"), id=7, tags=("a",), by=None)
    assert json.loads(sent["body"]) == {"id": 7, "tags": ["a"]}
    assert sent["type"] == "application/json"
    own = of(f"{shop}/", body={"parts": ("<", hole("x"), ">")}, headers={"content-type": "text/xml"})
    assert call(allowing("*"), "http:post", own, x="grüß") == {"body": "<grüß>", "type": "text/xml"}


def test_results_by_their_declared_type(shop: str) -> None:
    assert call(allowing("*"), "http:get", of(f"{shop}/text", result=TEXT)) == "grüß"
    assert call(allowing("*"), "http:get", of(f"{shop}/text", result=Primitive("Bytes"))) == "grüß".encode("latin-1")
    assert call(allowing("*"), "http:get", of(f"{shop}/empty", result=OptionType(JSON))) is None
    for path in ("/text", "/", "/empty"):
        failed = failure(allowing("*"), "http:get", of(f"{shop}{path}", result=INT))
        assert (failed.reason, failed.problem.slug) == ("bad_output", "tool-wrong-result")


def test_a_secret_is_sent_to_its_own_host_alone_and_shown_nowhere(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "very-secret-value")
    key = {"secret": "SHOP_KEY"}
    asked = call(allowing("*"), "http:get", of(f"{shop}/", key=key, headers={"X-Key": key, "X-Not": "plain"}))
    assert asked["headers"]["authorization"] == "Bearer very-secret-value"
    assert asked["headers"]["x-key"] == "very-secret-value"
    with serving() as other:
        away = call(
            allowing("*"), "http:get", of(f"{shop}/to/{other}/x", key=key, headers={"X-Key": key, "X-Not": "p"})
        )
        assert away["headers"]["x-not"] == "p"
        assert not {"authorization", "x-key"} & set(away["headers"])
    failed = failure(allowing("*"), "http:get", of(f"{shop}/status/500", key=key))
    assert "[secret SHOP_KEY]" in (failed.problem.detail or "")
    assert "very-secret-value" not in str(failed.problem)


# --- what is refused ---


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:1/", "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/"),
        *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::10.0.0.1]/", "http://[2002:0a00:0001::]/"),
        *("http://10.0.0.1/", "http://192.168.1.1/", "http://172.16.0.1/", "http://100.64.0.1/", "http://[fd00::1]/"),
        *("http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://0.0.0.0/", "http://[::]/"),
        *("http://224.0.0.1/", "http://255.255.255.255/", "https://127.0.0.1/"),
        *("file:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1/", "/relative", "http://", "http:///x"),
        *("http://name:word@127.0.0.1/", "http://127.0.0.1:99999/", "http://[::1/", "http://\ud800/"),
    ],
)
def test_what_is_not_the_public_network_is_refused(url: str) -> None:
    failed = failure(library(Path()), "http:get", of(hole("url")), url=url)
    assert (failed.reason, failed.problem.slug) == ("denied", "address-refused")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_not(address: str) -> None:
    assert private(address) is None


def test_only_the_hosts_that_the_project_names_may_be_private(shop: str) -> None:
    port = shop.rpartition(":")[2]
    for allowed in ("127.0.0.1", f"127.0.0.1:{port}", "*"):
        assert call(allowing(allowed), "http:get", of(f"{shop}/"))["path"] == "/"
    for other in ("localhost", "127.0.0.1:1", "127.0.0.2"):
        assert failure(allowing(other), "http:get", of(f"{shop}/")).problem.slug == "address-refused"


def test_a_redirect_is_checked_as_the_first_address_is(shop: str) -> None:
    allowed = allowing(shop.removeprefix("http://"))
    assert call(allowed, "http:get", of(f"{shop}/to/{shop}/x"))["path"] == "/x"
    for away in ("http://localhost:1/", "http://169.254.169.254/x", "file:///etc/passwd"):
        failed = failure(allowed, "http:get", of(f"{shop}/to/{away}"))
        assert (failed.reason, failed.problem.slug) == ("denied", "address-refused")


def test_redirects_end(shop: str) -> None:
    failed = failure(allowing("*"), "http:get", of(f"{shop}/to//to//to//to//to//to//to//to/x"))
    assert failed.reason in ("unreachable", "tool_error", "denied")


def test_what_was_posted_is_not_sent_on_to_strangers(shop: str) -> None:
    with serving() as other:
        failed = failure(allowing("*"), "http:post", of(f"{shop}/to/307/{other}/"), x=1)
        assert failed.reason == "denied"
    same = call(allowing("*"), "http:post", of(f"{shop}/to/307/{shop}/"), x=1)
    assert json.loads(same["body"]) == {"x": 1}


def test_a_header_cannot_be_broken_open(shop: str) -> None:
    bad = of(f"{shop}/", headers={"X-A": {"parts": (hole("x"),)}})
    assert failure(allowing("*"), "http:get", bad, x="a\r\nX-B: c").problem.slug == "address-refused"


# --- what goes wrong outside ---


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "tool_error"), (401, "refused"), (403, "refused"), (503, "tool_error")]
)
def test_an_answer_that_says_no(shop: str, status: int, reason: str) -> None:
    failed = failure(allowing("*"), "http:get", of(f"{shop}/status/{status}"))
    assert (failed.reason, failed.problem.slug) == (reason, "request-failed")
    assert str(status) in failed.problem.title


def test_nobody_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        failed = failure(allowing("*"), "http:get", of(f"http://127.0.0.1:{held.getsockname()[1]}/"))
    assert (failed.reason, failed.problem.slug) == ("unreachable", "address-unreachable")


def test_a_connection_that_breaks_off(shop: str) -> None:
    assert failure(allowing("*"), "http:get", of(f"{shop}/broken")).reason == "unreachable"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("short", "its answer broke off after 9 of 100 bytes"),
        ("squeezed", "its answer is compressed (gzip)"),
        ("other", "what it answered is not HTTP"),
    ],
)
def test_an_answer_that_is_none(shop: str, path: str, says: str) -> None:
    failed = failure(allowing("*"), "http:get", of(f"{shop}/{path}"))
    assert (failed.reason, failed.problem.slug) == ("unreachable", "address-unreachable")
    assert says in failed.problem.title


def test_https_with_a_server_that_speaks_no_tls(shop: str) -> None:
    assert failure(allowing("*"), "http:get", of(shop.replace("http", "https"))).reason == "unreachable"


def test_an_endless_answer_ends(shop: str) -> None:
    failed = failure(allowing("*"), "http:get", of(f"{shop}/large", result=TEXT))
    assert (failed.reason, failed.problem.slug) == ("tool_error", "tool-result-too-large")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_request_that_hangs_is_ended_when_its_call_is(shop: str, backend: str) -> None:
    allowed = allowing("*")

    async def work() -> float:
        began = time.monotonic()
        with anyio.move_on_after(0.1) as scope:
            await value(allowed, "http:get", of(f"{shop}/slow"))
        assert scope.cancelled_caught
        return time.monotonic() - began

    assert run(allowed, work, backend) < 1.0
