"""Whole programs whose tools are Python, programs, addresses and servers: checked, compiled and run as users do."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from agent_sources import ROOT

from agentlang.api import check, compile, run
from agentlang.base.problems import has_errors
from agentlang.base.source import Source
from agentlang.executor.frames import End
from agentlang.executor.values import bind
from agentlang.stdlib.library import Library
from agentlang.stdlib.settings import Settings, ToolSettings, applied

SHOP = """
import time
ORDERS = {1: {"id": 1, "paid": 19.9, "item": "teapot"}}
def order(id): return ORDERS[id]
def wrong(id): return {"id": "one"}
def hangs(id): time.sleep(1000)
def lines(text): yield from text.splitlines()
"""
HEAD = """
use std/text
type Order { id: Int, paid: Money, item: Text }
tool order(id: Int) -> Order = python("shop:order") effects [reads "orders"]
tool wrong(id: Int) -> Order = python("shop:wrong") effects [reads "orders"]
tool hangs(id: Int) -> Order = python("shop:hangs") effects [reads "orders"]
"""


def outcome(folder: Path, text: str, settings: Settings | None = None, **inputs: object) -> Any:
    """The value of the pipeline `main`, or the reason and slug of its failure."""
    (folder / "shop.py").write_text(SHOP)
    checked = check(Source(str(folder / "main.agent"), text))
    assert not has_errors(checked.problems), checked.problems
    settings = settings or Settings()
    compiled, found = compile(applied(checked.program, settings), Library(folder, settings=settings))
    assert compiled is not None, found

    async def main() -> Any:
        values, wrong = bind(compiled.graph, compiled.graph.pipeline("main"), inputs)
        assert not wrong
        with anyio.fail_after(20):
            async with run(compiled, "main", values) as frames:
                last = [frame async for frame in frames][-1]
        assert isinstance(last, End)
        if last.outcome.problem is not None:
            return last.outcome.reason, last.outcome.problem.slug
        return last.outcome.value

    return anyio.run(main)


def test_a_python_tool_gives_a_record(tmp_path: Path) -> None:
    text = HEAD + 'pipeline main(id: Int) -> Text {\n  found = order(id)\n  return "{found.item} for {found.paid}"\n}\n'
    assert outcome(tmp_path, text, id=1) == "teapot for $19.90"


def test_its_failures_have_reasons_that_the_program_names(tmp_path: Path) -> None:
    def main(call: str) -> Any:
        text = HEAD + f"pipeline main(id: Int) -> Order {{\n  return {call}\n}}\n"
        return outcome(tmp_path, text, id=7)

    none = 'Order(id: 0, paid: $0.00, item: "none")'
    assert main("order(id)") == ("tool_error", "tool-raised")
    assert main("wrong(id)") == ("bad_output", "tool-wrong-result")
    assert main(f"order(id) otherwise on tool_error {none}")["item"] == "none"
    assert main(f"wrong(id) otherwise on bad_output {none}")["item"] == "none"
    assert main(f"hangs(id) with timeout 300 ms otherwise on timeout {none}")["item"] == "none"


def test_many_calls_at_once(tmp_path: Path) -> None:
    text = HEAD + "pipeline main(ids: [Int]) -> [Text] {\n  return for id in ids { order(id).item }\n}\n"
    assert outcome(tmp_path, text, ids=[1] * 100) == ("teapot",) * 100


def test_a_stage_in_python_and_one_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "clean.py").write_text("def clean(raw): return raw.replace('!', '')\n")
    text = """
use std/text
use std/list
stage clean(raw: Text) -> Text = python("clean:clean") needs [cpu 1 ms, memory 10 MiB]
pipeline main(raw: Text) -> [Text] {
  return list.sorted(text.words(clean(raw)))
}
"""
    assert outcome(tmp_path, text, raw="b! a!") == ("a", "b")


def test_a_program_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("one\ntwo\n")
    text = """
use std/process
tool lines(path: Text) -> Int = process.run(["grep", "-c", "", path]) effects [process]
pipeline main(path: Text) -> Int {
  return lines(path)
}
"""
    assert outcome(tmp_path, text, path="page.txt") == 2
    assert outcome(tmp_path, text, path="/etc/passwd") == ("denied", "tool-outside-folder")
    assert outcome(tmp_path, text, path="missing.txt") == ("tool_error", "command-failed")


class _Orders(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"id": int(self.path.rpartition("/")[2]), "key": self.headers["Authorization"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@pytest.fixture
def orders() -> Generator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Orders)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_address(tmp_path: Path, orders: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "very-secret-value")
    text = f"""
use std/http
type Order {{ id: Int, key: Text }}
tool order(id: Int) -> Order =
  http.get("http://127.0.0.1:{orders}/orders/{{id}}", key: secret("SHOP_KEY")) effects [network]
pipeline main(id: Int) -> Order {{
  return order(id)
}}
"""
    assert outcome(tmp_path, text, id=7) == ("denied", "address-refused")
    allowed = Settings(tools=ToolSettings(allow=("127.0.0.1",)))
    assert outcome(tmp_path, text, allowed, id=7) == {"id": 7, "key": "Bearer very-secret-value"}


def test_a_server(tmp_path: Path) -> None:
    pytest.importorskip("mcp", reason="the extra [mcp] is not installed")
    (tmp_path / "sample.py").write_text(
        "from mcp.server.mcpserver import MCPServer\nserver = MCPServer('sample')\n"
        "@server.tool()\ndef add(a: int, b: int) -> int: return a + b\nserver.run('stdio')\n"
    )
    text = f"""
use std/mcp
server web = mcp.stdio(["{sys.executable}", "sample.py"])
tool add(a: Int, b: Int) -> Int = web("add") effects []
pipeline main(a: Int) -> Int {{
  return add(a, add(a, 1))
}}
"""
    assert outcome(tmp_path, text, a=2) == 5


def test_memory_without_a_session_is_empty(tmp_path: Path) -> None:
    text = """
use std/memory
memory notes = memory.session(limit: 100 tokens)
pipeline main(messages: [Message]) -> Int {
  past = notes.load()
  all_of_it = notes.store(messages, "yes")
  return len(past) + len(all_of_it)
}
"""
    assert outcome(tmp_path, text, messages=[{"role": "User", "text": "hello"}]) == 2


def test_the_tools_of_the_examples(tmp_path: Path) -> None:
    for name in ("react", "triage"):
        shutil.copytree(ROOT / "examples" / name, tmp_path / name)
    weather = (ROOT / "examples" / "react" / "react.agent").read_text()
    program = weather.partition("agent concierge")[0].replace('model thinker = llm.chat("smollm2-135m-instruct")', "")
    program = program.replace("use std/llm", "")
    text = program + "pipeline main(city: Text) -> Float {\n  return convert(weather(city).celsius)\n}\n"
    assert outcome(tmp_path / "react", text, city="Oslo") == pytest.approx(42.8)
    assert outcome(tmp_path / "react", text, city="Atlantis") == ("tool_error", "tool-raised")


def test_a_refund_is_paid_once(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "triage", tmp_path / "triage")
    shop = (tmp_path / "triage" / "shop.py").read_text()
    (tmp_path / "triage" / "shop_of_tea.py").write_text(shop)
    text = """
type Receipt { id: Int, text: Text }
tool refund(id: Int, amount: Money) -> Receipt =
  python("shop_of_tea:refund") effects [writes "payments"] idempotent by id
pipeline main(amount: Money) -> Text {
  return refund(3, amount).text
}
"""
    assert outcome(tmp_path / "triage", text, amount=20.0) == "Refunded $20.00 for order 3."
    assert outcome(tmp_path / "triage", text, amount=90.0) == "Refunded $20.00 for order 3."
    assert list(json.loads((tmp_path / "triage" / "refunds.json").read_text())) == ["3"]
