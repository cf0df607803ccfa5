"""One HTTP request, with everything checked that a stranger could bend: addresses, redirects, sizes, certificates.

It stands on `http.client`, in a thread: it lets us hand over a socket that we have connected ourselves, which is what
keeps a request at the address that was checked. See `docs/decisions/0011-how-tools-run.md`.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import anyio
import anyio.to_thread

from . import addresses

_CONNECT_SECONDS, _READ_SECONDS = 10.0, 30.0
_REDIRECTS = 5
_PIECE = 1 << 16
_MOVED = (301, 302, 303, 307, 308)
_PATH, _QUERY = "/%:@!$&'()*+,;=~", "/%:@!$&'()*+,;=~?"


@dataclass(frozen=True, slots=True)
class Request:
    """`secret_headers` are those that leave their origin never; `allowed` the hosts that may be private; `limit` in
    bytes of the answer."""

    method: str
    url: str
    headers: Mapping[str, str]
    secret_headers: Mapping[str, str]
    body: bytes | None
    allowed: tuple[str, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    words: str
    place: str
    charset: str
    body: bytes


class WebError(Exception):
    """A request that came to nothing: `reason` as a program names it, `place` where it went, and why."""

    def __init__(self, reason: str, place: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.place = place
        self.why = why


class AnswerTooLarge(Exception):
    """The answer had more bytes than allowed."""


class _Guard:
    """Lets the event loop break off what a thread waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._over = False

    def hold(self, connected: socket.socket) -> None:
        with self._lock:
            self._socket = connected
            if self._over:
                self._break()

    def end(self) -> None:
        with self._lock:
            self._over = True
            self._break()

    def _break(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


async def send(request: Request) -> Response:
    """The answer, whatever its status. Raises `WebError` and `AnswerTooLarge`."""
    guard = _Guard()
    try:
        return await anyio.to_thread.run_sync(_follow, request, guard, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        guard.end()
        raise


def _follow(request: Request, guard: _Guard) -> Response:
    for _ in range(_REDIRECTS + 1):
        url = _split(request.url)
        response, moved = _exchange(request, url, guard)
        if moved is None:
            return response
        target = urljoin(request.url, moved)
        other = _split(target)
        if url.scheme == "https" and other.scheme == "http":
            raise WebError("denied", place(request.url), "it leads from https to http")
        away = (url.scheme, url.hostname, url.port) != (other.scheme, other.hostname, other.port)
        again = response.status in (307, 308)
        if request.method != "GET" and again and away:
            raise WebError("denied", place(request.url), f"it sends what was posted on to {place(target)}")
        keep = again or request.method == "GET"
        request = replace(
            request,
            url=target,
            method=request.method if keep else "GET",
            body=request.body if keep else None,
            secret_headers={} if away else request.secret_headers,
        )
    raise WebError("unreachable", place(request.url), f"it is redirected more than {_REDIRECTS} times")


def place(url: str) -> str:
    """An address for people: without query, which may hold what nobody should read."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise WebError("denied", url.partition("?")[0], f"it is no address: {error}") from None
    del port
    if parts.scheme not in ("http", "https") or not host:
        raise WebError("denied", url.partition("?")[0], "only http:// and https:// addresses are asked")
    if parts.username or parts.password:
        raise WebError("denied", place(url), "a name or password has no place in an address; send a header")
    return parts


def _exchange(request: Request, url: SplitResult, guard: _Guard) -> tuple[Response, str | None]:
    where = place(request.url)
    secure = url.scheme == "https"
    try:
        host = (
            (url.hostname or "").encode("idna").decode("ascii") if not (url.hostname or "").isascii() else url.hostname
        )
    except UnicodeError:
        raise WebError("denied", where, "its host has no name that the network knows") from None
    host = host or ""
    connected = _connect(host, url.port or (443 if secure else 80), secure, request.allowed, where, guard)
    connection = http.client.HTTPConnection(host, url.port or (443 if secure else 80), timeout=_READ_SECONDS)
    connection.default_port = 443 if secure else 80
    connection.auto_open = False
    connection.sock = connected
    target = quote(url.path or "/", safe=_PATH) + (f"?{quote(url.query, safe=_QUERY)}" if url.query else "")
    headers = {"User-Agent": "agentlang", "Accept-Encoding": "identity", **request.headers, **request.secret_headers}
    try:
        connection.request(request.method, target, request.body, headers)
        with connection.getresponse() as answer:  # it holds the socket too
            moved = answer.getheader("Location") if answer.status in _MOVED else None
            encoding = (answer.getheader("Content-Encoding") or "identity").strip().lower()
            if moved is None and encoding != "identity":
                raise WebError(
                    "unreachable", where, f"its answer is compressed ({encoding[:40]}), which nobody asked for"
                )
            body = b"" if moved else _body(answer, request.limit)
            charset = answer.headers.get_content_charset() or "utf-8"
            return Response(answer.status, answer.reason, where, charset, body), moved
    except TimeoutError:
        raise WebError("timeout", where, f"it was silent for {_READ_SECONDS:g} s") from None
    except ValueError as error:
        raise WebError("denied", where, f"the request cannot be written: {error}") from None
    except (OSError, http.client.HTTPException) as error:
        raise WebError("unreachable", where, _words(error)) from None
    finally:
        connection.close()


def _body(answer: http.client.HTTPResponse, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise AnswerTooLarge
    if answer.length:
        raise http.client.HTTPException(f"its answer broke off after {size:,} of {size + answer.length:,} bytes")
    return b"".join(pieces)


def _connect(host: str, port: int, secure: bool, allowed: tuple[str, ...], where: str, guard: _Guard) -> socket.socket:
    try:
        found = addresses.resolve(host, port, allowed)
    except addresses.Refused as error:
        raise WebError("denied", where, str(error)) from None
    except (OSError, UnicodeError) as error:
        raise WebError("unreachable", where, _words(error)) from None
    why = ""
    for family, at in found:
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            guard.hold(connected)
            connected.settimeout(_CONNECT_SECONDS)
            connected.connect(at)
            connected.settimeout(_READ_SECONDS)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure:
                connected = _certificates().wrap_socket(connected, server_hostname=host)
                guard.hold(connected)
            return connected
        except OSError as error:  # TLS errors are some
            connected.close()
            why = _words(error)
    raise WebError("unreachable", where, why)


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


def _words(error: BaseException) -> str:
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
        return "what it answered is not HTTP"
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error) or type(error).__name__
    return text[:1].lower() + text[1:] if text[:2].istitle() else text
