"""Fused stages on the machine and the shell: the same values, failures and words as the stages one by one, and each of
them for itself where somebody has to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest
from graphs import Body

from agentlang.base.problems import Problem
from agentlang.base.source import Span
from agentlang.executor.backends import Backend, Bound, Call
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.null import Answer, NullBackend, by_name
from agentlang.executor.backends.recording import RecordingBackend
from agentlang.executor.backends.replaying import ReplayBackend
from agentlang.executor.cassettes import Cassette, Recorded
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End
from agentlang.executor.kinds import Context, Kind, Opener, StageFailure
from agentlang.executor.labels import labels_of as by_stage
from agentlang.executor.observers import Observer, StageOver, StageStarted
from agentlang.executor.shell import open_shell
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.emit import emit_module
from agentlang.ir.fused import FUSED, unfused
from agentlang.ir.graph import Graph, Operation, Region, Value, walk
from agentlang.ir.labels import labels_of
from agentlang.ir.library import NoLibrary
from agentlang.lang.types import BOOL, FLOAT, INT, TEXT, ListType

pytestmark = pytest.mark.anyio
Arguments = Mapping[str, Any]
TEXTS = ListType(TEXT)


class Cheap(NoLibrary):
    def harmless(self, entry: str) -> bool:
        return entry.startswith("text:")


class Kinds:
    """Stages that never wait, but `slow`. What ran is noted; `broken` has a bug, `strict` refuses "no"."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def kind(self, entry: str) -> Kind:
        return getattr(self, entry.partition(":")[2])

    def opener(self, entry: str) -> Opener:
        raise KeyError(entry)

    def _note(self, context: Context) -> None:
        self.ran.append(context.stage.partition(".")[2].rstrip("0123456789"))

    async def upper(self, context: Context, arguments: Arguments) -> str:
        self._note(context)
        context.usage.add("letters", len(arguments["text"]))
        return arguments["text"].upper()

    async def both(self, context: Context, arguments: Arguments) -> str:
        self._note(context)
        return arguments["left"] + arguments["right"]

    async def word(self, context: Context, arguments: Arguments) -> str:
        self._note(context)
        del arguments
        return "word"

    async def broken(self, context: Context, arguments: Arguments) -> str:
        self._note(context)
        raise ValueError(arguments["text"])

    async def strict(self, context: Context, arguments: Arguments) -> str:
        if arguments["text"] == "no":
            raise StageFailure("refused", Problem("it-said-no", f"{arguments['text']} is not taken"))
        return arguments["text"]

    async def slow(self, context: Context, arguments: Arguments) -> str:
        self._note(context)
        await anyio.sleep(1)
        return arguments["text"]


def fused(graph: Graph) -> Graph:
    """After `fuse_stages`, verified. The operations have places, by which problems are told."""
    module, problems = irc.run_passes(Module(emit_module(_placed(graph))), Cheap(), passes=["fuse_stages"])
    assert module is not None, [problem.title for problem in problems]
    made = module.graph()
    assert any(operation.name == FUSED for operation in walk(made.pipelines[0].body))
    return made


def _placed(graph: Graph) -> Graph:
    lines = iter(range(1, 1000))

    def region(given: Region) -> Region:
        return Region(given.arguments, tuple(map(operation, given.operations)))

    def operation(given: Operation) -> Operation:
        line = next(lines)
        span = Span("x.agent", 0, 0, line, 1, line, 9)
        without = (Region((), ()),) if given.name == "agent.map" and len(given.regions) == 1 else ()
        return replace(given, span=span, regions=(*map(region, given.regions), *without))

    (pipeline,) = graph.pipelines
    return replace(graph, pipelines=(replace(pipeline, body=region(pipeline.body)),))


def alone(graph: Graph) -> Graph:
    return unfused(graph, lambda _: True)


async def run(graph: Graph, backend: Backend, *observers: Observer, **inputs: object) -> End:
    async with open_shell(Deployment(graph), backend, observers=observers) as shell:
        return await shell.start("p", inputs).result()


async def alike(graph: Graph, **inputs: object) -> End:
    """How both end, which is the same in every word."""
    kinds = Kinds(), Kinds()
    ends = [
        await run(each, LocalBackend(kind), **inputs) for each, kind in zip((graph, alone(graph)), kinds, strict=True)
    ]
    problems = [end.outcome.problem for end in ends]
    crashed = ends[0].outcome.reason == "crashed"
    outcomes = [replace(end.outcome, problem=None) for end in ends]
    assert outcomes[0] == outcomes[1]
    if crashed:
        # The traceback is of the code that ran it.
        problems = [replace(each, detail=None) for each in problems if each is not None]
    assert problems[0] == problems[1]
    assert ends[0].usage == ends[1].usage
    assert sorted(kinds[0].ran) == sorted(kinds[1].ran)
    return ends[0]


def greeting() -> Graph:
    body = Body("p")
    name = body.input("name", TEXT)
    shout = body.stage("text:upper", TEXT, text=body.template("dear ", name))
    both = body.stage("text:both", TEXT, left=shout, right=body.stage("text:word", TEXT))
    return fused(body.graph(body.template(both, "!")))


def share(of: str = "divide") -> Graph:
    """`1 / number`, and a chain behind it."""
    body = Body("p")
    number = body.input("number", INT)
    texts = body.input("texts", TEXTS)
    if of == "divide":
        made = body.binary("/", body.constant(1.0, FLOAT), number, FLOAT)
    else:
        made = body.operation("agent.index", (texts, number), TEXT)
    return fused(body.graph(body.stage("text:upper", TEXT, text=body.template("x", made, body.length(texts)))))


async def test_a_tree_of_stages_gives_what_it_gave() -> None:
    graph = greeting()
    assert [operation.name for operation in graph.pipelines[0].body.operations] == [FUSED, "agent.return"]
    end = await alike(graph, name="Ada")
    assert end.outcome.value == "DEAR ADAword!"
    assert end.usage == {"letters": 8.0}


async def test_it_runs_again_and_again_and_in_turns() -> None:
    body = Body("p")
    names = body.input("names", TEXTS)
    made = body.each(
        names, lambda inner, name: inner.stage("text:upper", TEXT, text=inner.template("<", name, ">")), TEXTS
    )
    graph = fused(body.graph(made))
    names_given = tuple(f"n{number}" for number in range(300))
    end = await alike(graph, names=names_given)
    assert end.outcome.value == tuple(f"<N{number}>" for number in range(300))
    assert end.usage == {"letters": float(sum(len(name) + 2 for name in names_given))}


async def test_only_plain_operations_are_computed_by_the_machine() -> None:
    body = Body("p")
    number = body.input("number", INT)
    twice = body.binary("*", number, body.constant(2, INT), INT)
    graph = fused(body.graph(body.binary(">", twice, body.length(body.template("n", twice)), BOOL)))
    assert (await alike(graph, number=4)).outcome.value is True
    null = await run(graph, NullBackend(by_name({})), number=1)
    assert null.outcome.value is False and null.timings.stages == ()


@pytest.mark.parametrize(("of", "slug"), [("divide", "division-by-zero"), ("index", "index-outside")])
async def test_what_fails_inside_fails_as_it_did(of: str, slug: str) -> None:
    graph = share(of)
    end = await alike(graph, number=0, texts=())
    outcome = end.outcome
    assert (outcome.status, outcome.reason, outcome.stage) == ("failed", "bad_value", None)
    assert outcome.problem is not None and outcome.problem.slug == slug
    failing = next(o for o in walk(graph.pipelines[0].body) if o.name in ("agent.binary", "agent.index"))
    assert outcome.problem.span == failing.span
    assert (await alike(graph, number=1, texts=("a", "b"))).outcome.status == "done"


@pytest.mark.parametrize(("entry", "reason"), [("text:broken", "crashed"), ("text:strict", "refused")])
async def test_a_stage_inside_is_to_blame_by_its_name(entry: str, reason: str) -> None:
    body = Body("p")
    name = body.input("name", TEXT)
    failing = body.stage(entry, TEXT, text=body.stage("text:upper", TEXT, text=name))
    graph = fused(body.graph(body.template(body.stage("text:strict", TEXT, text=name), failing)))
    named = "no" if reason == "refused" else "yes"
    outcome = (await alike(graph, name=named)).outcome
    assert outcome.reason == reason and outcome.problem is not None
    wanted = [o for o in walk(graph.pipelines[0].body) if o.attributes.get("entry") == entry]
    assert outcome.stage in [o.id for o in wanted]
    assert outcome.problem.span in [o.span for o in wanted]


async def test_a_failure_is_caught_in_its_own_region() -> None:
    body = Body("p")
    number = body.input("number", INT)

    def left(inner: Body) -> Value:
        made = inner.binary("/", inner.constant(1.0, FLOAT), number, FLOAT)
        return inner.stage("text:upper", TEXT, text=inner.template("x", made))

    def right(inner: Body) -> Value:
        return inner.stage("text:upper", TEXT, text=inner.template("none of ", number))

    graph = fused(body.graph(body.attempt(left, right, TEXT, "bad_value")))
    assert len([o for o in walk(graph.pipelines[0].body) if o.name == FUSED]) == 2
    assert (await alike(graph, number=0)).outcome.value == "NONE OF 0"
    assert (await alike(graph, number=2)).outcome.value == "X0.5"


def waiting() -> tuple[Body, Value, Value]:
    body = Body("p")
    number = body.input("number", INT)
    return body, number, body.stage("x:slow", TEXT, text=body.constant("late"))


async def test_a_failure_does_not_wait_for_what_comes_later() -> None:
    body, number, late = waiting()
    made = body.binary("/", body.constant(1.0, FLOAT), number, FLOAT)
    module = Module(emit_module(body.graph(body.stage("text:upper", TEXT, text=body.template(made, late)))))
    after, _ = irc.run_passes(module, Cheap(), passes=["fuse_stages"])
    assert after is not None
    graph = after.graph()
    (one,) = (o for o in walk(graph.pipelines[0].body) if o.name == FUSED)
    assert "agent.binary" not in [o.name for o in one.regions[0].operations]
    end = await alike(graph, number=0)
    assert end.outcome.reason == "bad_value" and end.timings.finish < 0.5
    assert (await alike(graph, number=1)).outcome.value == "1.0LATE"


async def test_what_can_fail_behind_what_comes_later_is_fused_with_it() -> None:
    body, number, late = waiting()
    made = body.binary("/", body.length(late), number, FLOAT)
    graph = fused(body.graph(body.stage("text:upper", TEXT, text=body.template(made))))
    (one,) = (o for o in walk(graph.pipelines[0].body) if o.name == FUSED)
    assert "agent.binary" in [o.name for o in one.regions[0].operations]
    assert (await alike(graph, number=0)).outcome.reason == "bad_value"


# --- who has to know of each -----------------------------------------------------------------------------------------


async def test_watchers_hear_of_the_stages_inside() -> None:
    class Watching(Observer):
        def __init__(self) -> None:
            self.heard: list[tuple[str, str]] = []

        def stage_started(self, event: StageStarted) -> None:
            self.heard.append(("started", event.entry))

        def stage_over(self, event: StageOver) -> None:
            self.heard.append((event.how, event.stage))

    graph = greeting()
    heard: list[list[tuple[str, str]]] = []
    for each in (graph, alone(graph)):
        watching = Watching()
        assert (await run(each, LocalBackend(Kinds()), watching, name="Ada")).outcome.status == "done"
        heard.append(sorted(watching.heard))
    assert heard[0] == heard[1] and len(heard[0]) == 6


async def test_where_its_stages_may_wait_they_run_one_by_one() -> None:
    """A simulation has an answer and a time for each of them."""
    graph = greeting()
    answers = {"text:upper": Answer("U", seconds=1.0), "text:both": Answer("B", seconds=2.0), "text:word": Answer("W")}
    end = await run(graph, NullBackend(by_name(answers)), name="Ada")
    assert end.outcome.value == "B!" and end.timings.finish == pytest.approx(3.0)
    names = {stage.stage for stage in end.timings.stages}
    assert names == {o.id for o in walk(graph.pipelines[0].body) if o.name == "agent.stage"}


class Told:
    """A backend that wants to know of every call of some of its stages."""

    def __init__(self, inner: Backend, entries: tuple[str, ...]) -> None:
        self._inner = inner
        self._entries = entries
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.open, self.run, self.immediate, self.close = inner.open, inner.run, inner.immediate, inner.close

    def now(self, call: Call) -> object:
        self.calls.append((call.operation.id, dict(call.arguments)))
        return self._inner.now(call)

    def bound(self, call: Call) -> Bound | None:
        return None if call.entry in self._entries else self._inner.bound(call)


async def test_a_backend_that_has_to_know_is_told_each_call() -> None:
    graph = greeting()
    told = [Told(LocalBackend(Kinds()), ("text:both",)) for _ in range(2)]
    for backend, each in zip(told, (graph, alone(graph)), strict=True):
        assert (await run(each, backend, name="Ada")).outcome.value == "DEAR ADAword!"
    assert sorted(told[0].calls, key=repr) == sorted(told[1].calls, key=repr) and len(told[0].calls) == 3


async def test_a_cassette_is_the_same_with_and_without() -> None:
    """What only computes is not recorded; what is given the value of it is, with the labels that it has."""
    body = Body("p")
    name = body.input("name", TEXT)
    shout = body.stage("text:upper", TEXT, text=body.template("dear ", name))
    body.operations[-1] = replace(
        body.operations[-1], attributes={**body.operations[-1].attributes, "labels": ("pii",)}
    )
    graph = fused(body.graph(body.stage("x:slow", TEXT, text=body.template(shout, "!"))))
    recorded: list[list[Recorded]] = []
    for each in (graph, alone(graph)):
        calls: list[Recorded] = []
        backend = RecordingBackend(LocalBackend(Kinds()), calls.append, labels=by_stage(each))
        assert (await run(each, backend, name="Ada")).outcome.value == "DEAR ADA!"
        recorded.append(calls)
    assert recorded[0] == recorded[1]
    assert recorded[0][0].arguments == {"text": "<@pii>"}
    reasons: list[str | None] = []
    for each in (graph, alone(graph)):
        backend = ReplayBackend(Cassette(tuple(recorded[1]), "", ()), LocalBackend(Kinds()), labels=by_stage(each))
        reasons.append((await run(each, backend, name="Ada")).outcome.reason)
    assert reasons == ["not_recorded", "not_recorded"], "its answer is masked"


def test_labels_of_each_operation_inside_stay() -> None:
    graph = greeting()
    inner = [o for o in walk(graph.pipelines[0].body) if o.name not in (FUSED, "agent.yield")]
    held, before = labels_of(graph), labels_of(alone(graph))
    assert {o.id: held[o.id] for o in inner} == {o.id: before[o.id] for o in inner}


async def test_a_run_that_is_stopped_stops_what_stands_around() -> None:
    """A deadline passes while another stage waits; the fused one behind it never runs."""
    body, number, late = waiting()
    del number
    graph = fused(body.graph(body.stage("text:upper", TEXT, text=body.template(late, "!"))))
    kinds = Kinds()
    async with open_shell(Deployment(graph), LocalBackend(kinds)) as shell:
        end = await shell.start("p", {"number": 1}, timeout=0.5).result()
    assert end.outcome.reason == "timeout"
    assert kinds.ran == ["slow"]
