"""One request to an endpoint, as the JSON events of its answer, with time limits, tries, and bounds of what may come.

A request is tried again only while nothing of its answer has come, and only for what passes by itself: a connection
that fails, too many requests, a server that is not ready. `Retry-After` is respected. Whoever stops reading closes the
connection, which is how an endpoint learns that nobody wants the rest.

It stands on `httpx2`, which the MCP client needs anyway; see docs/decisions/0014-engines-elsewhere.md.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, TypeVar, cast

import anyio
import httpx2

from .. import endpoint_problems as problems
from ..endpoint_problems import EndpointError

_T = TypeVar("_T")
_LARGEST_EVENT = 1 << 20
_LARGEST_ERROR = 1 << 16
_LARGEST_ANSWER = 64 << 20
_SHOWN = 500
_NOT_READY = frozenset({429, 502, 503, 504, 529})
_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where models are served: `url` up to and with the version (`https://models.example/v1`), the `key` that opens it,
    and `name` for messages, in which neither stands. `connect` and `silence` are the most seconds to get a connection
    and between two pieces of an answer, `tries` how often a request is made at most; `mask` takes secrets out of what
    the endpoint says."""

    name: str
    url: str = field(repr=False)
    key: str | None = field(default=None, repr=False)
    connect: float = 10.0
    silence: float = 60.0
    tries: int = 3
    mask: Callable[[str], str] = str


class Client:
    """The requests to one endpoint. `luck` gives numbers from 0 to 1 for the jitter of waits."""

    def __init__(self, endpoint: Endpoint, luck: Callable[[], float] | None = None) -> None:
        self.endpoint = endpoint
        self._luck = luck or Random().random
        timeout = httpx2.Timeout(endpoint.silence, connect=endpoint.connect)
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        # What is packed may be a thousand times larger than what came.
        headers["Accept-Encoding"] = "identity"
        self._http = httpx2.AsyncClient(headers=headers, timeout=timeout, limits=httpx2.Limits(max_connections=1000))

    def ask(self, path: str, body: Mapping[str, object]) -> Answer:
        """The streamed answer to a request, which is made when its first event is asked for."""
        return Answer(self, path, body)

    async def post(self, path: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        """The whole answer to a request, a JSON object. Raises `EndpointError`."""

        async def once() -> Mapping[str, Any]:
            try:
                response = await self.open(path, body)
                try:
                    raw = await _whole(response, _LARGEST_ANSWER)
                finally:
                    await response.aclose()
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise self.failure(error, begun=False) from None
            if len(raw) > _LARGEST_ANSWER:
                raise self.garbled(f"its answer has more than {_LARGEST_ANSWER >> 20} MiB")
            return self.event(raw.decode("utf-8", "replace"), "its answer")

        return await self.tried(once)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def tried(self, once: Callable[[], Awaitable[_T]]) -> _T:
        """For `Answer`: what `once` gives, after as many tries as are allowed where it fails by what passes."""
        waited = 0.0
        for attempt in range(1, self.endpoint.tries):
            try:
                return await once()
            except EndpointError as error:
                wait = self._wait(error, attempt)
                waited += wait
                if not error.again or waited > _LONGEST_WAIT:
                    raise
            await anyio.sleep(wait)
        return await once()

    async def open(self, path: str, body: Mapping[str, object]) -> httpx2.Response:
        """For `Answer`: an answer of which nothing was read yet. Raises `EndpointError` where it is none."""
        request = self._http.build_request("POST", self.endpoint.url.rstrip("/") + path, json=body)
        response = await self._http.send(request, stream=True)
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise self.garbled("it packs its answer, which it was not asked to")
            if response.status_code != 200:
                raise await self._refusal(response)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await response.aclose()
            raise
        return response

    def _wait(self, error: EndpointError, attempt: int) -> float:
        """Seconds until the next try."""
        if error.retry_after is not None:
            return error.retry_after
        return 0.5 * 2 ** (attempt - 1) * (0.5 + self._luck())

    def failure(self, error: httpx2.HTTPError | httpx2.InvalidURL, begun: bool) -> EndpointError:
        """For `Answer`: what the library says, as ours."""
        name, said = self.endpoint.name, self._said(str(error)) or type(error).__name__
        match error:
            case httpx2.ConnectTimeout():
                why = f"no connection within {self.endpoint.connect:g} s"
                return EndpointError("unreachable", problems.endpoint_unreachable(name, why), again=True)
            case httpx2.TimeoutException():
                return EndpointError("timeout", problems.endpoint_silent(name, self.endpoint.silence, begun))
            case httpx2.ConnectError():
                return EndpointError("unreachable", problems.endpoint_unreachable(name, said), again=True)
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
                return EndpointError("unreachable", problems.endpoint_unreachable(name, "that is no address"))
            case _:
                return self.broke_off(said, begun)

    def broke_off(self, why: str, begun: bool) -> EndpointError:
        return EndpointError("unreachable", problems.endpoint_broke_off(self.endpoint.name, why), again=not begun)

    def event(self, data: str, what: str = "an event") -> Mapping[str, Any]:
        """For `Answer`: what was sent, as an object."""
        try:
            event: object = json.loads(data)
        except (ValueError, RecursionError):
            raise self.garbled(f"{what} is not JSON") from None
        if not isinstance(event, dict):
            raise self.garbled(f"{what} is no object")
        found = cast("dict[str, Any]", event)
        if found.get("error"):
            said = self._said(json.dumps(found["error"], ensure_ascii=False))
            raise EndpointError("unreachable", problems.endpoint_broke_off(self.endpoint.name, said))
        return found

    def garbled(self, why: str) -> EndpointError:
        return EndpointError("bad_output", problems.endpoint_garbled(self.endpoint.name, why))

    async def _refusal(self, response: httpx2.Response) -> EndpointError:
        raw = await _whole(response, _LARGEST_ERROR)
        said = self._said(raw[:_LARGEST_ERROR].decode("utf-8", "replace"))
        status, name = response.status_code, self.endpoint.name
        if status in (401, 403):
            return EndpointError("refused", problems.endpoint_refused(name, status, said))
        if status == 400 and "context" in said and "length" in said:
            return EndpointError("too_long", problems.endpoint_failed(name, status, said))
        if status in _NOT_READY:
            after = _seconds(response.headers.get("retry-after"))
            reason = "unavailable" if status in (429, 529) else "unreachable"
            return EndpointError(reason, problems.endpoint_failed(name, status, said), again=True, retry_after=after)
        return EndpointError("unreachable", problems.endpoint_failed(name, status, said))

    def _said(self, text: str) -> str:
        """What the endpoint said, in a few words without secrets."""
        key = self.endpoint.key
        text = self.endpoint.mask(text.replace(key, "[key]") if key else text)
        # An address that is a secret is told nowhere, not even by the library.
        text = " ".join(text.replace(self.endpoint.url, "[address]").split())
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


class Answer:
    """An async iterator of an answer's events, up to `[DONE]`; see `Client.ask`. `aclose` leaves it."""

    def __init__(self, client: Client, path: str, body: Mapping[str, object]) -> None:
        self._client = client
        self._path = path
        self._body = body
        self._response: httpx2.Response | None = None
        self._events: AsyncIterator[httpx2.ServerSentEvent] | None = None
        self._begun = False
        self._over = False

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> Mapping[str, Any]:
        """The next event. Raises `EndpointError`."""
        if self._over:
            raise StopAsyncIteration
        event = await self._next() if self._begun else await self._client.tried(self._first)
        self._begun = True
        if event is None:
            await self.aclose()
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Close the connection. Nothing comes after that."""
        self._over = True
        response, self._response = self._response, None
        events, self._events = self._events, None
        with anyio.CancelScope(shield=True):
            if response is not None:
                await response.aclose()
            if events is not None:
                # The library reads by generators within generators, none of which closes the one inside of it: read
                # on, they meet the closed connection, and end.
                with suppress(httpx2.HTTPError, httpx2.StreamError):
                    async for _ in events:
                        pass

    async def _first(self) -> Mapping[str, Any] | None:
        self._over = False  # each try closes its connection
        return await self._next()

    async def _next(self) -> Mapping[str, Any] | None:
        """The next event, None for the end of all. Whatever goes wrong, the connection is closed."""
        try:
            if self._events is None:
                self._response = await self._client.open(self._path, self._body)
                self._events = aiter(httpx2.EventSource(self._response, _LARGEST_EVENT))
            event = await anext(self._events)
            return None if event.data.strip() == "[DONE]" else self._client.event(event.data)
        except StopAsyncIteration:
            await self.aclose()
            raise self._client.broke_off("the connection was closed before its end", self._begun) from None
        except httpx2.SSEError as error:
            await self.aclose()
            raise self._client.garbled(str(error)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            await self.aclose()
            raise self._client.failure(error, self._begun) from None
        except BaseException:
            await self.aclose()
            raise


async def _whole(response: httpx2.Response, limit: int) -> bytes:
    """What was answered; of more than `limit` bytes, a little more than that."""
    raw = bytearray()
    pieces = response.aiter_bytes()
    async for piece in pieces:
        raw += piece
        if len(raw) > limit:
            await response.aclose()
            with suppress(httpx2.HTTPError, httpx2.StreamError):
                async for _ in pieces:
                    pass
    return bytes(raw)


def _seconds(header: str | None) -> float | None:
    """A `Retry-After`: seconds, or a date (RFC 9110, 10.2.3). None where there is none that can be understood."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at.tzinfo else None
