"""A call in parts: what the parts of each stage are, that they give what the whole gave, run by the library's own
kinds, and that whoever writes calls down sees the whole one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import ir_programs as P
import pytest
from agent_sources import checked

from agentlang.base.problems import has_errors
from agentlang.executor.backends import Backend, Call
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.recording import RecordingBackend
from agentlang.executor.backends.replaying import ReplayBackend
from agentlang.executor.cassettes import Cassette, Recorded
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Outcome
from agentlang.executor.labels import labels_of
from agentlang.executor.shell import open_shell
from agentlang.ir import compile as irc
from agentlang.ir.graph import Graph, Operation, walk
from agentlang.ir.library import Called, Part
from agentlang.ir.passes import PLAIN
from agentlang.lang.types import TEXT, ListType
from agentlang.stdlib.library import Library
from agentlang.stdlib.parts import parts_of
from agentlang.stdlib.settings import Settings, ToolSettings

ORDER = "type Order { id: Int, item: Text }\n"
WHOLE = tuple(name for name in PLAIN if name != "split_tool")


def graph(text: str, split: bool = True, folder: Path = Path()) -> Graph:
    program, problems = checked(text)
    assert program is not None and not has_errors(problems), [problem.title for problem in problems]
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, Library(folder), passes=PLAIN if split else WHOLE)
    assert module is not None, problems
    return module.graph()


def leaves(made: Graph, pipeline: str = "p") -> list[Operation]:
    """The leaves of a pipeline that belong to no chat."""
    found = [operation for operation in walk(made.pipeline(pipeline).body) if "entry" in operation.attributes]
    return [operation for operation in found if not str(operation.attributes["entry"]).startswith("llm:")]


def shown(text: str, pipeline: str = "p") -> list[str]:
    """`p.order.lookup: lookup http:get(id)`."""
    return [
        f"{o.id}: {o.name.removeprefix('agent.')} {o.attributes['entry']}({', '.join(o.attributes['parameters'])})"  # pyright: ignore[reportArgumentType]
        for o in leaves(graph(text), pipeline)
    ]


# --- which parts -----------------------------------------------------------------------------------------------------

GET = 'http.get("https://shop.example/{id}") effects [network]'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            f"use std/http\n{ORDER}tool order(id: Int) -> Order = {GET}\n"
            "pipeline p(id: Int) -> Order { return order(id) }",
            ["p.order.lookup: lookup http:get(id)", "p.order.compute: compute http:read(body)"],
        ),
        (
            f"use std/http\n{ORDER}tool order(id: Int) -> Order? = {GET}\n"
            "pipeline p(id: Int) -> Order? { return order(id) }",
            ["p.order.lookup: lookup http:get(id)", "p.order.compute: compute http:read(body)"],
        ),
        (
            f"use std/http\ntool page(id: Int) -> Text = {GET}\npipeline p(id: Int) -> Text {{ return page(id) }}",
            ["p.page: lookup http:get(id)"],
        ),
        (
            'use std/process\ntool count(path: Text) -> Int = process.run(["wc", path]) effects [process]\n'
            "pipeline p(path: Text) -> Int { return count(path) }",
            ["p.count.lookup: lookup process:run(path)", "p.count.compute: compute process:read(body)"],
        ),
        (
            f'{ORDER}tool order(id: Int) -> Order = python("shop:order") effects [reads "orders"]\n'
            "pipeline p(id: Int) -> Order { return order(id) }",
            ["p.order: compute python:call(id)"],
        ),
        (
            f'{ORDER}tool order(id: Int) -> Order = python("shop:order") effects [network]\n'
            "pipeline p(id: Int) -> Order { return order(id) }",
            ["p.order: lookup python:call(id)"],
        ),
        (
            'use std/mcp\nserver web = mcp.stdio(["web"])\n'
            'tool find(query: Text) -> [Text] = web("find") effects [network]\n'
            "pipeline p(query: Text) -> [Text] { return find(query) }",
            ["p.find.lookup: lookup mcp:ask(self, query)", "p.find.compute: compute mcp:read(answer)"],
        ),
        (
            "use std/text\npipeline p(mail: Text) -> Text { return text.redact(mail) }",
            ["p.redact: stage text:redact(text)"],
        ),
    ],
)
def test_what_a_call_is_made_of(text: str, parts: list[str]) -> None:
    assert shown(text) == parts


SEARCH = """
use std/embed
use std/search
model encoder = embed.sentence("all-minilm-l6-v2")
model judge = search.reranker("ms-marco-minilm-l12")
resource notes = search.index("*.md", encoder: encoder)
pipeline p(question: Text) -> [search.Passage] {
  hits = notes.search(question, top: 4)
  return judge.rerank(hits, question)
}
"""


def test_a_search_is_an_embedding_and_a_lookup() -> None:
    embed, lookup, score = leaves(graph(SEARCH))
    assert [each.name for each in (embed, lookup, score)] == ["agent.embed", "agent.lookup", "agent.score"]
    opened = {o.results[0].id: o.attributes["name"] for o in walk(graph(SEARCH).pipeline("p").body) if "open" in o.name}
    assert opened[embed.operands[0].id] == "encoder" and opened[lookup.operands[0].id] == "notes"
    assert lookup.operands[1] == embed.results[0]
    assert lookup.results[0].name == "hits", "the name that an `assume` block uses"
    assert embed.demand is not None and embed.demand.compute.terms, "the model's work"
    assert lookup.demand is not None and not lookup.demand.compute.terms
    assert not [size.name for size in graph(SEARCH).pipeline("p").sizes if "embed" in size.name]


def test_a_search_in_an_index_that_is_not_declared_here_is_looked_up_as_a_whole() -> None:
    """Which encoder that has is not known."""
    (part,) = parts_of(Called("search:search", ("self", "question", "top"), ListType(TEXT)))
    assert (part.operator, part.entry, dict(part.arguments)) == (
        "lookup",
        "search:search",
        {"self": "self", "question": "question", "top": "top"},
    )


def test_the_effects_and_the_settings_are_those_of_the_part_that_acts() -> None:
    lookup, compute = leaves(graph(http(80)))
    assert lookup.attributes["effects"] == ("network",) and "url" in str(lookup.attributes["settings"])
    assert "effects" not in compute.attributes and "settings" not in compute.attributes
    assert lookup.attributes["tool"] == compute.attributes["tool"] == "order"


class Stranger(P.SmallLibrary):
    """Stages of a package that is not ours: one waits for a sensor, and then computes."""

    def parts(self, call: Called) -> tuple[Part, ...]:
        if call.entry != "python:call":
            return ()
        return (
            Part("lookup", "sensor:ask", {"at": "at"}, TEXT, acts=True),
            Part("compute", "sensor:read", {"raw": 0, "at": "at"}),
        )


def test_what_a_stage_is_said_to_need_the_part_needs_that_computes() -> None:
    text = """
stage seen(at: Int) -> Float = python("sensor:seen") needs [cpu 2 ms, memory 10 MiB]
pipeline p(at: Int) -> Float { return seen(at) }"""
    program, problems = checked(text)
    assert program is not None and not has_errors(problems), [problem.title for problem in problems]
    module, problems = irc.lower(program)
    assert module is not None
    module, problems = irc.run_passes(module, Stranger(), passes=PLAIN)
    assert module is not None, problems
    lookup, compute = leaves(module.graph())
    assert compute.attributes["needs"] == {"cpu": 0.002, "memory": 10.0 * 2**20} and "needs" not in lookup.attributes
    assert compute.operands == (*lookup.results, *lookup.operands)


def test_labels_are_kept_on_all_that_holds_the_answer() -> None:
    text = f"""use std/http
{ORDER}tool order(id: Int) -> Order @pii = {GET}
pipeline p(id: Int) -> Order {{ return order(id) }}"""
    lookup, compute = leaves(graph(text))
    assert lookup.attributes["labels"] == compute.attributes["labels"]
    assert "pii" in str(compute.attributes["labels"])


def test_what_a_part_gives_is_for_the_next_alone() -> None:
    program, _ = checked(http(80))
    assert program is not None
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, Library(Path()), passes=PLAIN)
    assert module is not None, problems
    text = module.text(locations=False)
    assert irc.parse(text)[1] == ()
    head, found, rest = text.rpartition('part_of = "order"')
    assert found and "agent.compute" in head
    _, problems = irc.parse(f'{head}part_of = "other"{rest}')
    assert any("goes to what is no part of it" in problem.title for problem in problems)


# --- what they give --------------------------------------------------------------------------------------------------


class Shop(BaseHTTPRequestHandler):
    """`/1` an order, `/2` no JSON, `/3` JSON of another type, `/4` not found, `/5` breaks off the first time."""

    asked: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        del format, args

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        answers = {"/1": b'{"id": 1, "item": "t\\u00fc"}', "/2": b"no order", "/3": b'{"id": "one"}', "/6": b""}
        if self.path == "/5" and self.asked.count("/5") == 1:
            self.close_connection = True
            return
        body = answers.get(self.path, b'{"id": 5, "item": "again"}')
        self.send_response(404 if self.path == "/4" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def shop() -> Iterator[tuple[int, list[str]]]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OurShop", (Shop,), {"asked": asked}))
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, asked
    server.shutdown()
    server.server_close()


def outcome(made: Graph, backend: Backend, **inputs: object) -> Outcome:
    async def main() -> Outcome:
        with anyio.fail_after(30):
            async with open_shell(Deployment(made), backend) as shell:
                running = shell.start("p", inputs)
                async with running:
                    async for frame in running:
                        if isinstance(frame, End):
                            return frame.outcome
        raise AssertionError("a run without an end")

    return anyio.run(main)


def real(folder: Path) -> LocalBackend:
    return LocalBackend(Library(folder, settings=Settings(tools=ToolSettings(allow=("127.0.0.1",)))))


def ended(given: Outcome) -> tuple[object, ...]:
    """How it ended, without the place."""
    title = None if given.problem is None else given.problem.title
    detail = None if given.problem is None else given.problem.detail
    return given.status, given.value, given.reason, title, detail


def http(port: int, result: str = "Order", more: str = "") -> str:
    return f"""use std/http
{ORDER}tool order(id: Int) -> {result} = http.get("http://127.0.0.1:{port}/{{id}}") effects [network]
pipeline p(id: Int) -> {result} {{ return order(id){more} }}"""


@pytest.mark.parametrize("id", [1, 2, 3, 4])
@pytest.mark.parametrize("result", ["Order", "Order?", "Text"])
def test_a_request_in_parts_gives_or_fails_as_the_whole(
    shop: tuple[int, list[str]], tmp_path: Path, id: int, result: str
) -> None:
    text = http(shop[0], result)
    whole = outcome(graph(text, split=False), real(tmp_path), id=id)
    parts = outcome(graph(text), real(tmp_path), id=id)
    assert ended(parts) == ended(whole)
    if id == 1:
        assert whole.status == "done"


def test_an_empty_answer_is_none(shop: tuple[int, list[str]], tmp_path: Path) -> None:
    for split in (False, True):
        assert outcome(graph(http(shop[0], "Order?"), split), real(tmp_path), id=6).value is None


@pytest.mark.parametrize("says", ['{"id": 2, "item": "y"}', "nothing", '{"id": 2}'])
def test_a_program_in_parts_gives_or_fails_as_the_whole(tmp_path: Path, says: str) -> None:
    command = json.dumps([sys.executable, "-c", "print(input())"])
    text = f"""use std/process
{ORDER}tool order(said: Text) -> Order = process.run({command}, input: said) effects [process]
pipeline p(said: Text) -> Order {{ return order(said) }}"""
    whole = outcome(graph(text, split=False), real(tmp_path), said=says)
    assert ended(outcome(graph(text), real(tmp_path), said=says)) == ended(whole)


# --- recorded calls --------------------------------------------------------------------------------------------------


def recorded(made: Graph, folder: Path, **inputs: object) -> tuple[Outcome, list[Recorded]]:
    calls: list[Recorded] = []
    backend = RecordingBackend(real(folder), calls.append, salt="s", labels=labels_of(made))
    return outcome(made, backend, **inputs), calls


class Nothing:
    """Runs nothing: what is replayed needs nobody behind it."""

    async def open(self, handle: Any) -> None:
        raise AssertionError(handle)

    def immediate(self, entry: str) -> bool:
        return False

    def now(self, call: Call) -> object:
        raise AssertionError(call)

    def bound(self, call: Call) -> None:
        raise AssertionError(call)

    async def run(self, call: Call) -> object:
        raise AssertionError(call)

    async def close(self) -> None:
        pass


def played(made: Graph, calls: list[Recorded], **inputs: object) -> Outcome:
    return outcome(made, ReplayBackend(Cassette(tuple(calls), "s"), Nothing()), **inputs)


def plain(call: Recorded) -> Mapping[str, object]:
    return {
        "name": call.name,
        "key": call.key,
        "arguments": call.arguments,
        "value": call.value,
        "failure": call.failure,
    }


@pytest.mark.parametrize("id", [1, 3, 4])
def test_a_cassette_holds_whole_calls_and_is_played_back_either_way(
    shop: tuple[int, list[str]], tmp_path: Path, id: int
) -> None:
    text = http(shop[0])
    before, after = graph(text, split=False), graph(text)
    first, old = recorded(before, tmp_path, id=id)
    second, new = recorded(after, tmp_path, id=id)
    assert [plain(call) for call in new] == [plain(call) for call in old]
    assert len(new) == 1 and new[0].name == "order" and new[0].arguments == {"id": id}
    for calls in (old, new):
        for made in (before, after):
            again = played(made, calls, id=id)
            assert (again.status, again.value, again.reason) == (first.status, first.value, first.reason)
    assert first.status == second.status


def test_a_retried_call_is_played_back_as_it_went(shop: tuple[int, list[str]], tmp_path: Path) -> None:
    """The request failed, and did not the second time."""
    text = http(shop[0], more=" with retry 1")
    made = graph(text)
    first, calls = recorded(made, tmp_path, id=5)
    assert first.value == {"id": 5, "item": "again"}
    assert [call.failure is None for call in calls] == [False, True]
    assert played(made, calls, id=5).value == first.value
    assert played(graph(text, split=False), calls, id=5).value == first.value


def test_a_search_is_recorded_as_it_is_written(tmp_path: Path) -> None:
    """By a backend that answers for the models, which are not here."""
    passage = {"path": "a.md", "line": 1, "text": "x", "score": 0.5}

    class Models:
        async def open(self, handle: Any) -> None:
            pass

        def immediate(self, entry: str) -> bool:
            return False

        def now(self, call: Call) -> object:
            raise AssertionError(call)

        def bound(self, call: Call) -> None:
            return None

        async def run(self, call: Call) -> object:
            return (0.5, 0.25) if call.entry == "embed:embed" else (passage,)

        async def close(self) -> None:
            pass

    taken: dict[bool, list[Recorded]] = {}
    for split in (False, True):
        made = graph(SEARCH, split)
        calls: list[Recorded] = []
        backend = RecordingBackend(Models(), calls.append, salt="s", labels=labels_of(made))
        assert outcome(made, backend, question="why?").value == (passage,)
        taken[split] = calls
    assert [plain(call) for call in taken[True]] == [plain(call) for call in taken[False]]
    assert [call.name for call in taken[True]] == ["notes.search", "judge.rerank"]
    assert taken[True][0].arguments == {"question": "why?", "top": 4}
    for split in (False, True):
        assert played(graph(SEARCH, split), taken[not split], question="why?").value == (passage,)
