"""The examples, cut off after every record of their journals and resumed, on virtual time and without models: what acts
on the world is counted, and what only one process could hold (KV caches) is lost with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agent_sources import ROOT
from durable_runs import Durable, durable, resumed
from program_runs import compiled

from agentlang.api import Compiled
from agentlang.base.audio import Audio
from agentlang.executor.backends import Bound, Call
from agentlang.executor.backends.calls import PLAIN
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.null import Answer, NullBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.frames import Item
from agentlang.executor.journal.acting import tool_of
from agentlang.executor.journal.records import Begun, read
from agentlang.executor.promises import Promises
from agentlang.executor.running import Question
from agentlang.executor.values import NO_SHAPES, Shapes, to_json
from agentlang.ir.graph import Graph, Handle, ValueType, walk
from agentlang.lang.types import DIMENSIONS, EnumType, ListType, MapType, OptionType, Primitive, RecordType, StreamType

LOOP = {"loop_factory": VirtualEventLoop}
_SAID = '{"Refund": {"order": 7, "amount": 40.0}}'


NO_SECONDS: Mapping[str, float] = {}


class Held:
    """What only this process can hold."""


class Made:
    """Calls that only compute run; all others are answered by their types, and take their time. A model that is asked
    for a document says `document`: in the turns of a loop one after another, the last from then on.
    `opening` is what a handle takes to open, in seconds, `seconds` what a tool takes (else 0.1)."""

    def __init__(
        self,
        compiled: Compiled,
        document: str | Sequence[str] = _SAID,
        opening: float = 0.0,
        seconds: Mapping[str, float] = NO_SECONDS,
    ) -> None:
        def answers(call: Call) -> Answer:
            made = answer(compiled.graph, call, document)
            return replace(made, seconds=seconds.get(tool_of(call.operation), made.seconds))

        self._local = LocalBackend(compiled.library)
        self._null = NullBackend(answers, {handle.name: opening for handle in compiled.graph.handles})

    async def open(self, handle: Handle) -> None:
        await self._null.open(handle)

    async def run(self, call: Call) -> object:
        return await (self._local if _plain(call.entry) else self._null).run(call)

    def immediate(self, entry: str) -> bool:
        return _plain(entry) and self._local.immediate(entry)

    def now(self, call: Call) -> object:
        return self._local.now(call)

    def bound(self, call: Call) -> Bound | None:
        return self._local.bound(call)

    async def close(self) -> None:
        pass


def _plain(entry: str) -> bool:
    return entry.partition(":")[0] in PLAIN


def answer(graph: Graph, call: Call, document: str | Sequence[str] = _SAID) -> Answer:
    shapes, (result,) = Shapes.of(graph), call.operation.results
    if call.entry == "llm:detokenize":
        decode = call.operation.id.removesuffix("detokenize") + "decode"
        told = next(o for p in graph.pipelines for o in walk(p.body) if o.id == decode)
        said = "Some words of a reply."
        if "schema" in told.attributes:
            turns = (document,) if isinstance(document, str) else document
            said = turns[min(call.index[-1] if call.index else 0, len(turns) - 1)]
        return Answer(items=tuple(said[at : at + 8] for at in range(0, len(said), 8)))
    if call.entry == "llm:decode":
        return Answer(items=tuple(range(9)), seconds=0.2, gap=0.05)
    if isinstance(result.type, StreamType):
        return Answer(items=(value(result.type.element, shapes),) * 3, seconds=0.1, gap=0.1)
    return Answer(value(result.type, shapes), seconds=0.1)


def value(type_: ValueType, shapes: Shapes = NO_SHAPES) -> object:
    match type_:
        case Primitive() if type_.name in DIMENSIONS:
            return 50.0
        case Primitive():
            plain: Mapping[str, object] = {
                "Int": 3,
                "Float": 0.5,
                "Bool": True,
                "Audio": Audio(b"\1\0" * 80),
                "Bytes": b"b",
            }
            return plain.get(type_.name, "word")
        case ListType() if isinstance(type_.element, Primitive | RecordType):
            return (value(type_.element, shapes),) * 2
        case MapType():
            return {"key": value(type_.element, shapes)}
        case OptionType():
            return value(type_.element, shapes)
        case RecordType() if type_.name in shapes.records:
            return {name: value(of, shapes) for name, of in shapes.records[type_.name].fields}
        case EnumType() if type_.name in shapes.enums:
            name, fields = shapes.enums[type_.name].cases[0]
            return {name: {each: value(of, shapes) for each, of in fields}} if fields else name
        case ListType():
            return ()
        case _:
            return Held()


async def yes(question: Question) -> bool:
    del question
    return True


def check(
    compiled: Compiled,
    pipeline: str,
    inputs: Mapping[str, object],
    *,
    document: str | Sequence[str] = _SAID,
    kept: Sequence[str] = (),
    promises: Promises | None = None,
) -> Durable:
    """Cut off everywhere, a run gives in all what it gives at once, and acts as often; what may have acted when it was
    cut off is done again only where the tool allows it."""
    options: dict[str, Any] = {"approve": yes, "loop": LOOP, "backend": lambda: Made(compiled, document)}
    whole = durable(compiled, pipeline, inputs, kept=kept, promises=promises, **options)
    idempotent = {tool.name for tool in compiled.graph.tools if tool.idempotent_by is not None}
    for cut in range(1, len(whole.lines) + 1):
        again, had = resumed(compiled, whole, cut, inputs, **options)
        begun = [record for line in whole.lines[:cut] if isinstance(record := read(line, lambda _: None), Begun)]
        acted = Counter([*_tools(whole, len(begun)), *again.acts])
        for tool, times in Counter(whole.acts).items():
            allowed = times + 1 if tool in idempotent else times
            assert acted[tool] <= allowed, f"{tool} acted {acted[tool]} times, cut off after record {cut}"
        end = again.end.outcome
        if end.reason == "may_have_acted":
            assert begun and not set(_tools(whole, len(begun))) <= idempotent
            continue
        given = [(frame.seq, to_json(frame.output)) for frame in had if isinstance(frame, Item)]
        assert given + again.items == whole.items, f"cut off after record {cut}"
        assert (end.status, to_json(end.value)) == (whole.end.outcome.status, to_json(whole.end.outcome.value))
    return whole


def _tools(whole: Durable, count: int) -> tuple[str, ...]:
    """The tools that had begun by then, in the order in which they did."""
    return whole.acts[:count]


def example(name: str) -> Compiled:
    return compiled(ROOT / "examples" / name / f"{name}.agent")


def test_triage_asks_and_pays_once_wherever_it_is_cut_off() -> None:
    whole = check(example("triage"), "triage", {"mail": "I want my money back."})
    assert whole.acts == ("refund",)
    assert whole.end.outcome.value == "word"
    # What is personal is not in the journal, and what was redacted is.
    assert not any("money back" in line for line in whole.lines[:1])
    assert '"@pii"' not in whole.lines[0] and '"pii"' in whole.lines[0]


def test_hello_streams_on_from_where_it_was() -> None:
    whole = check(example("hello"), "hello", {"name": "Ada"})
    assert whole.shown == ["Some wor", "ds of a ", "reply."]


PAY = """
tool pay(id: Int) -> Text = python("bank:pay") effects [writes "payments"]
tool price(id: Int) -> Int = python("bank:price") effects [reads "prices"]

pipeline main(ids: [Int]) -> [Text] {
  return for id in ids, at most 2 at once { pay(price(id) + id) }
}

pipeline caught(id: Int) -> Text {
  return pay(id) otherwise on may_have_acted "perhaps paid"
}
"""


@pytest.fixture
def bank(tmp_path: Path) -> Compiled:
    (tmp_path / "bank.agent").write_text(PAY)
    (tmp_path / "bank.py").write_text("")
    return compiled(tmp_path / "bank.agent")


def test_what_may_have_acted_is_never_done_again(bank: Compiled) -> None:
    whole = check(bank, "main", {"ids": [1, 2, 3]})
    assert whole.acts == ("pay",) * 3


def test_a_program_may_say_what_then(bank: Compiled) -> None:
    options: dict[str, Any] = {"loop": LOOP, "backend": lambda: Made(bank)}
    whole = durable(bank, "caught", {"id": 1}, **options)
    begun = next(n for n, line in enumerate(whole.lines, 1) if isinstance(read(line, lambda _: None), Begun))
    before, _ = resumed(bank, whole, begun - 1, {"id": 1}, **options)
    assert (before.shown, before.acts) == ("word", ("pay",))
    after, _ = resumed(bank, whole, begun, {"id": 1}, **options)
    assert (after.shown, after.acts) == ("perhaps paid", ())


LABELS = """
use std/text

tool look(name: Text) -> Text = python("bank:look") effects [reads "people"]

pipeline plain(name: Text @pii, times: Int) -> Text {
  said = "{text.lower(text.redact(name))} and {times + 1}"
  shown = if len(name) > times { "long" } else { "short" }
  return "{shown} {declassify(shown)}: {look(said)}"
}

pipeline fails(name: Text @pii) -> Text {
  return look("{name}, {name}")
}

pipeline each(names: stream Text @pii) -> Text {
  return text.redact(all(names))
}
"""


def test_labelled_data_is_in_no_journal(tmp_path: Path) -> None:
    (tmp_path / "bank.agent").write_text(LABELS)
    (tmp_path / "bank.py").write_text("")
    labelled = compiled(tmp_path / "bank.agent")
    name = "ada@example.org"
    whole = check(labelled, "plain", {"name": name, "times": 3})
    assert not any("ada" in line for line in whole.lines)
    for pipeline in ("fails", "each"):
        given = {"name": name} if pipeline == "fails" else {"names": [name]}
        with pytest.raises(AssertionError, match="journal-masks"):
            durable(labelled, pipeline, given, backend=lambda: Made(labelled))
        kept = durable(labelled, pipeline, given, backend=lambda: Made(labelled), kept=("pii",), loop=LOOP)
        assert kept.end.outcome.status == "done"
