"""`run --trace` and spans to a collector, by the real command; the collector is a real server on loopback."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cli_runs import agentlang
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROGRAM = 'pipeline greet(name: Text = "world") -> Text {\n  return "Hello {name}"\n}\n'


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "greet.agent"
    file.write_text(PROGRAM)
    return file


@pytest.fixture
def collector() -> Iterator[tuple[str, list[str]]]:
    """An address, and the names of the spans that came."""
    names: list[str] = []

    class Collects(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest()
            request.ParseFromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    names.extend(span.name for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Collects) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", names
        server.shutdown()
        thread.join()


def test_a_trace_is_written_beside_the_result(program: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    done = agentlang("run", program, "name=Ada", "--quiet", "--trace", trace)
    assert (done.code, done.out) == (0, "Hello Ada\n")
    spans = [line for line in json.loads(trace.read_text()) if line["ph"] == "X"]
    assert any(span["cat"] == "run" and span["name"] == "greet" for span in spans)
    assert "Ada" not in trace.read_text()


@pytest.mark.parametrize("path", ["nowhere/trace.json", "."])
def test_a_trace_that_cannot_be_written_is_told_before_anything_runs(path: str, program: Path, tmp_path: Path) -> None:
    done = agentlang("run", program, "--quiet", "--trace", tmp_path / path)
    assert (done.code, done.out) == (3, "")
    assert "error[not-written]" in done.err and "Traceback" not in done.err


def test_a_full_disk_is_told_and_the_result_is_there(program: Path) -> None:
    done = agentlang("run", program, "--quiet", "--trace", "/dev/full")
    assert (done.code, done.out) == (0, "Hello world\n")
    assert "/dev/full cannot be written" in done.err and "Traceback" not in done.err


def test_spans_come_to_the_collector_that_the_environment_names(
    program: Path, collector: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, names = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    done = agentlang("run", program, "--quiet")
    assert (done.code, done.out) == (0, "Hello world\n"), done.err
    assert "invoke_workflow greet" in names and "plan greet" in names
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    names.clear()
    assert agentlang("run", program, "--quiet").code == 0
    assert not names


def test_a_collector_that_is_not_there_ends_no_run(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    done = agentlang("run", program, "--quiet")
    assert (done.code, done.out) == (0, "Hello world\n")
    assert "Traceback" not in done.err
