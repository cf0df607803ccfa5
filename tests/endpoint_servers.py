"""Servers that speak the API of chat completions, well and badly: real sockets, in a thread of the test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behave = Callable[["Handler", dict[str, Any]], None]


@dataclass
class Seen:
    """What the server was asked, and how often somebody went away in the middle."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    behave: Behave
    seen: Seen
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.bodies.append(body)
        self.seen.headers.append({name.lower(): value for name, value in self.headers.items()})
        try:
            type(self).behave(self, body)
        except (BrokenPipeError, ConnectionResetError):
            self.seen.left.set()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def begin(self, kind: str = "text/event-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()

    def refuse(self, status: int, said: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(said.encode())))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(said.encode())

    def event(self, data: object) -> None:
        self.wfile.write(f"data: {json.dumps(data) if not isinstance(data, str) else data}\n\n".encode())
        self.wfile.flush()

    def say(self, *words: str) -> None:
        for word in words:
            self.event({"choices": [{"index": 0, "delta": {"content": word}}]})

    def end(self, why: str = "stop", usage: tuple[int, int] | None = (7, 3)) -> None:
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": why}]})
        if usage is not None:
            self.event({"choices": [], "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]}})
        self.event("[DONE]")


def words(*said: str, why: str = "stop", usage: tuple[int, int] | None = (7, 3), gap: float = 0.0) -> Behave:
    """Answers with these words."""

    def behave(handler: Handler, body: dict[str, Any]) -> None:
        del body
        handler.begin()
        for word in said:
            handler.say(word)
            time.sleep(gap)
        handler.end(why, usage)

    return behave


@contextmanager
def serving(behave: Behave) -> Iterator[Seen]:
    """A server that behaves so, while the context is open; `url` is what a program calls its address."""
    seen = Seen()
    kind = type("Behaving", (Handler,), {"behave": staticmethod(behave), "seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
