"""Calls that become one (`batch_calls`): which do, which must not, and that nobody can tell from what a program
answers, how it fails, how long it may take and what its cassette holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import ir_programs as P
import pytest
from agent_sources import checked
from cli_runs import EXAMPLES, models_here
from ir_meaning import keeps_meaning, passed
from tool_calls import call, context, failure, library

from agentlang.base.problems import OutsideError, Problem, has_errors
from agentlang.executor.backends import Backend
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.recording import RecordingBackend
from agentlang.executor.backends.replaying import ReplayBackend
from agentlang.executor.cassettes import Cassette, Recorded
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.deployment import Deployment
from agentlang.executor.kinds import StageFailure
from agentlang.executor.shell import open_shell
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Graph, walk
from agentlang.ir.library import Library as Asked
from agentlang.ir.passes import PLAIN
from agentlang.ir.sizes import resolve
from agentlang.lang.program import Program
from agentlang.lang.types import ListType
from agentlang.stdlib.kinds import embed, search
from agentlang.stdlib.library import OURS, Library

HEAD = """
use std/embed
use std/llm
use std/text as words
model encoder = embed.sentence("all-minilm-l6-v2")
model other = embed.sentence("all-minilm-l6-v2")
model writer = llm.chat("smollm2-135m-instruct")
tool order(id: Text) -> Text = python("shop:order") effects [reads "orders"]
"""
LOOP = "pipeline answer(notes: [Text]) -> [[Float]] { return for note in notes { encoder.embed(note) } }"
PAIR = "pipeline answer(a: Text, b: Text) -> Float { return embed.similarity(encoder.embed(a), encoder.embed(b)) }"


def program(text: str) -> Program:
    made, problems = checked(HEAD + text)
    assert made is not None and not has_errors(problems), [problem.title for problem in problems]
    return made


def batched(text: str, asked: Asked | None = None) -> Graph:
    _, after = passed(program(text), "batch_calls", library=asked)
    return ready(after, asked)


def ready(module: Module, asked: Asked | None = None) -> Graph:
    rest = [name for name in PLAIN if name not in module.passes]
    done, problems = irc.run_passes(module, asked or P.SmallLibrary(), passes=rest)
    assert done is not None, problems
    return done.graph()


def plain(text: str) -> Graph:
    graph, problems = irc.compile_graph(program(text), P.SmallLibrary(), passes=PLAIN)
    assert graph is not None, problems
    return graph


def entries(graph: Graph) -> list[str]:
    body = graph.pipeline("answer").body
    return [
        str(each.attributes["entry"])
        for each in walk(body)
        if str(each.attributes.get("entry", "")).startswith("embed:e")
    ]


class Encoder:
    """Vectors of two numbers, after a second for each text; it writes down what it was asked."""

    def __init__(self, seconds: float = 1.0, fails: Exception | None = None, opens: bool = True) -> None:
        self.asked: list[object] = []
        self._seconds = seconds
        self._fails = fails
        self._opens = opens

    def kind(self, entry: str) -> Any:
        async def one(context: object, arguments: Mapping[str, Any]) -> object:
            del context
            self.asked.append(arguments["text"])
            return await self._vector(arguments["text"])

        async def several(context: object, arguments: Mapping[str, Any]) -> object:
            del context
            self.asked.append(arguments["texts"])
            return tuple([await self._vector(text) for text in arguments["texts"]])

        async def similarity(context: object, arguments: Mapping[str, Any]) -> float:
            del context
            return sum(x * y for x, y in zip(arguments["a"], arguments["b"], strict=True))

        return {"embed:embed": one, "embed:embed_all": several, "list:cosine": similarity}[entry]

    def opener(self, entry: str) -> Any:
        async def opened(name: str, arguments: Mapping[str, object]) -> object:
            del name, arguments
            if not self._opens:
                raise OutsideError(Problem("model-does-not-load", "it does not load"))
            return self

        del entry
        return opened

    async def _vector(self, text: str) -> tuple[float, ...]:
        await anyio.sleep(self._seconds)
        if self._fails is not None:
            raise self._fails
        return (float(len(text)), 1.0)


def outcome(graph: Graph, backend: Backend, **inputs: object) -> Any:
    async def main() -> Any:
        async with open_shell(Deployment(graph), backend) as shell:
            return (await shell.start("answer", inputs).result()).outcome

    return anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})


# --- what becomes one ------------------------------------------------------------------------------------------------


def test_a_loop_of_calls_is_one_call() -> None:
    encoder = Encoder()
    found = outcome(batched(LOOP), LocalBackend(encoder), notes=("a", "bb"))
    assert found.value == ((1.0, 1.0), (2.0, 1.0))
    assert encoder.asked == [("a", "bb")]


def test_neighbours_are_one_call() -> None:
    encoder = Encoder()
    assert outcome(batched(PAIR), LocalBackend(encoder), a="a", b="bb").value == 3.0
    assert encoder.asked == [("a", "bb")]


def test_only_what_the_filter_takes_is_asked_for() -> None:
    text = """
    pipeline answer(notes: [Text]) -> [Text] {
      return for note in notes where note != "" {
        vector = encoder.embed(words.lower(note))
        "{note}: {vector[0]}"
      }
    }
    """
    before, after = passed(program(text), "batch_calls")
    toys = Encoder()
    rest = outcome_of_texts(ready(after), toys, notes=("", "a", "bb", ""))
    assert rest.value == ("a: 1.0", "bb: 2.0")
    assert toys.asked == [("a", "bb")]
    assert entries(ready(before)) == ["embed:embed"]


def outcome_of_texts(graph: Graph, encoder: Encoder, **inputs: object) -> Any:
    """With the library's own stages on texts."""

    class Both:
        def kind(self, entry: str) -> Any:
            return encoder.kind(entry) if entry.startswith("embed:") else Library(Path()).kind(entry)

        def opener(self, entry: str) -> Any:
            return encoder.opener(entry)

    return outcome(graph, LocalBackend(Both()), **inputs)


def test_two_calls_of_a_turn_are_two_batches() -> None:
    text = """
    pipeline answer(notes: [Text]) -> [Float] {
      return for note in notes { embed.similarity(encoder.embed(note), encoder.embed("About {note}")) }
    }
    """
    encoder = Encoder()
    found = outcome(batched(text), LocalBackend(encoder), notes=("a", "bb"))
    assert found.value == (8.0, 17.0)
    assert sorted(encoder.asked, key=repr) == [("About a", "About bb"), ("a", "bb")]


def test_more_neighbours_than_a_list_holds_are_several_batches() -> None:
    texts = ", ".join(f'encoder.embed("{number}")[0]' for number in range(70))
    text = f"pipeline answer() -> Float {{ return {texts.replace(', ', ' + ')} }}"
    encoder = Encoder()
    assert outcome(batched(text), LocalBackend(encoder)).value == 130.0
    assert [len(asked) for asked in encoder.asked if isinstance(asked, tuple)] == [32, 32, 6]


def test_an_empty_list_asks_nobody_and_needs_no_model() -> None:
    caught = LOOP.replace("return for", "return (for").replace(" } }", " }) otherwise [[0.0]] }")
    for graph in (plain(caught), batched(caught)):
        encoder = Encoder(opens=False)
        assert outcome(graph, LocalBackend(encoder), notes=()).value == ()
        assert outcome(graph, LocalBackend(encoder), notes=("a",)).value == ((0.0,),)
        assert encoder.asked == []


# --- what must stay --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        # Of another model; in a branch; in a policy; as a fallback; of what only its own turn knows.
        "return embed.similarity(encoder.embed(a), other.embed(b))",
        'return embed.similarity(encoder.embed(a), if a == "" { [1.0] } else { encoder.embed(b) })',
        "return embed.similarity(encoder.embed(a), (encoder.embed(b) with timeout 2 s))",
        "return embed.similarity(encoder.embed(a), encoder.embed(b) otherwise [1.0])",
        "return embed.similarity(encoder.embed(a), encoder.embed(order(b)))",
        "return embed.similarity(encoder.embed(a), encoder.embed(all(writer.chat(b, max_tokens: 4))))",
        'return (for note in [a, b] { encoder.embed(order(note))[0] })[0]',
        'return (for note in [a, b] { if note == "" { 0.0 } else { encoder.embed(note)[0] } })[0]',
        "return (for note in [a, b] { (encoder.embed(note) with timeout 2 s)[0] })[0]",
        "return (for note in [a] { encoder.embed(note)[0] })[0]",
        "return (for note in [a, b] where order(note) == a { encoder.embed(note)[0] })[0]",
    ],
)  # fmt: skip
def test_calls_that_stay(body: str) -> None:
    found = entries(batched(f"pipeline answer(a: Text, b: Text) -> Float {{ {body} }}"))
    assert found and "embed:embed_all" not in found, found


def test_a_loop_that_sends_its_answers_on_stays() -> None:
    emits = 'pipeline answer(notes: [Text]) -> stream Text { for note in notes { emit "{encoder.embed(note)[0]}" } }'
    streams = """
    pipeline answer(question: Text) -> stream Text {
      return for part in words.sentences(writer.chat(question, max_tokens: 8)) { "{encoder.embed(part)[0]}" }
    }
    """
    whole = """
    pipeline answer(question: Text) -> [[Float]] {
      lengths = all(for part in words.sentences(writer.chat(question, max_tokens: 8)) { len(part) })
      return for length in lengths { encoder.embed("{length}") }
    }
    """
    for text in (emits, streams, whole):
        assert entries(batched(text)) == ["embed:embed"]


def test_a_label_is_not_put_on_a_neighbour() -> None:
    text = PAIR.replace("a: Text", "a: Text @pii")
    assert entries(batched(text)) == ["embed:embed", "embed:embed"]
    both = text.replace("b: Text", "b: Text @pii")
    assert entries(batched(both)) == ["embed:embed_all"]
    loop = "pipeline answer(notes: [Text @pii]) -> [[Float]] { return for note in notes { encoder.embed(note) } }"
    (call,) = [each for each in walk(batched(loop).pipeline("answer").body) if "batch" in each.attributes]
    assert "pii" in str(call.attributes["carried"])


def test_a_call_in_a_turn_that_calls_stays_behind_its_own_item() -> None:
    """The first call of a turn goes before the loop; one that needs its answer cannot."""
    text = """
    pipeline answer(notes: [Text]) -> [Float] {
      return for note in notes {
        near = encoder.embed(note)
        again = encoder.embed("{near[0]}")
        again[0]
      }
    }
    """
    assert entries(batched(text)) == ["embed:embed_all", "embed:embed"]
    encoder = Encoder()
    assert outcome(batched(text), LocalBackend(encoder), notes=("a", "bb")).value == (3.0, 3.0)


# --- failure and time ------------------------------------------------------------------------------------------------


def test_a_batch_fails_where_its_calls_would() -> None:
    text = """
    pipeline answer(notes: [Text]) -> [[Float]] {
      return (for note in notes { encoder.embed(note) }) otherwise on tool_error [[0.0]]
    }
    """
    reason = StageFailure("tool_error", Problem("it-broke", "it broke"))
    for graph in (plain(text), batched(text)):
        assert outcome(graph, LocalBackend(Encoder(fails=reason)), notes=("a", "b")).value == ((0.0,),)
    failed = outcome(batched(LOOP), LocalBackend(Encoder(fails=reason)), notes=("a", "b"))
    assert (failed.reason, failed.stage) == ("tool_error", "answer.note.embed")


def test_a_batch_may_last_as_long_as_its_calls() -> None:
    notes = ("a", "b", "c", "d")
    for graph in (plain(LOOP), batched(LOOP)):
        assert outcome(graph, LocalBackend(Encoder(seconds=50.0)), notes=notes).status == "done"
    late = outcome(batched(LOOP), LocalBackend(Encoder(seconds=70.0)), notes=notes)
    assert late.reason == "timeout" and "4 min" in late.problem.title


# --- cassettes -------------------------------------------------------------------------------------------------------


def recorded(graph: Graph, encoder: Encoder, **inputs: object) -> Cassette:
    calls: list[Recorded] = []
    outcome(graph, RecordingBackend(LocalBackend(encoder), calls.append, salt="s"), **inputs)
    return Cassette(tuple(calls), "s", ("x.agent",))


@pytest.mark.parametrize(("text", "inputs"), [(LOOP, {"notes": ("a", "bb", "a")}), (PAIR, {"a": "a", "b": "bb"})])
def test_a_cassette_holds_the_calls_of_the_program(text: str, inputs: dict[str, object]) -> None:
    """So one that was recorded without batches is played back with them, and the other way round."""
    before, after = (recorded(graph, Encoder(), **inputs) for graph in (plain(text), batched(text)))

    def told(cassette: Cassette) -> list[tuple[object, ...]]:
        return sorted([(c.name, c.key, str(c.arguments), str(c.value)) for c in cassette.calls])

    assert told(before) == told(after)
    assert {c.name for c in after.calls} == {"encoder.embed"}
    wanted = outcome(plain(text), LocalBackend(Encoder()), **inputs).value
    for cassette in (before, after):
        for graph in (plain(text), batched(text)):
            silent = LocalBackend(Encoder(fails=AssertionError("nobody is asked")))
            assert outcome(graph, ReplayBackend(cassette, silent), **inputs).value == wanted


def test_what_is_not_on_a_cassette_is_missing_by_its_own_words() -> None:
    cassette = recorded(plain(LOOP), Encoder(), notes=("a",))
    missing = outcome(batched(LOOP), ReplayBackend(cassette, LocalBackend(Encoder())), notes=("a", "bb"))
    assert missing.reason == "not_recorded" and 'encoder.embed(text: "bb")' in missing.problem.title


def test_a_failure_is_recorded_of_each_call() -> None:
    reason = StageFailure("tool_error", Problem("it-broke", "it broke"))
    cassette = recorded(batched(LOOP), Encoder(fails=reason), notes=("a", "bb"))
    assert [(c.arguments["text"], c.failure) for c in cassette.calls] == [
        ("a", ("tool_error", "it broke")),
        ("bb", ("tool_error", "it broke")),
    ]
    for graph in (plain(LOOP), batched(LOOP)):
        assert (
            outcome(graph, ReplayBackend(cassette, LocalBackend(Encoder())), notes=("a", "bb")).reason == "tool_error"
        )


# --- names, sizes, needs ---------------------------------------------------------------------------------------------


def sizes(graph: Graph, **assumed: float) -> dict[str, float]:
    found, unused = resolve(graph.pipeline("answer").sizes, {name.replace("__", "."): n for name, n in assumed.items()})
    assert not unused, unused
    return {each.name: each.value for each in found}


def test_an_assumption_may_still_name_the_variable_and_the_answer() -> None:
    text = """
    pipeline answer(notes: [Text]) -> [Text] {
      return for note in notes {
        vector = encoder.embed(note)
        "{note}{len(vector)}"
      }
    }
    """
    for source in (LOOP, text):
        modest, large = (needs(batched(source, Library(Path())), note__tokens=tokens) for tokens in (10.0, 1000.0))
        assert large > 50 * modest, source
    assert sizes(batched(text), vector__items=7.0)


def needs(graph: Graph, **assumed: float) -> float:
    """Operations of the model in one run, by the real library's figures."""
    given = sizes(graph, **assumed)
    return sum(
        each.demand.compute.value(given)
        for each in walk(graph.pipeline("answer").body)
        if each.demand is not None and "entry" in each.attributes
    )


def test_the_weights_are_read_once_for_a_batch() -> None:
    def traffic(passes: tuple[str, ...]) -> float:
        graph, problems = irc.compile_graph(program(LOOP), Library(Path()), passes=passes)
        assert graph is not None, problems
        given = sizes(graph, notes__items=8.0, note__tokens=16.0)
        body = graph.pipeline("answer").body
        return sum(
            each.demand.traffic.value(given) * each.times.value(given)
            for each in walk(body)
            if each.demand is not None and each.times is not None
        )

    one_by_one = traffic(PLAIN)
    together = traffic((*PLAIN[: PLAIN.index("split_llm")], "batch_calls", *PLAIN[PLAIN.index("split_llm") :]))
    assert together < 0.3 * one_by_one


def test_a_stage_that_is_batched_keeps_what_it_means() -> None:
    text = """
    pipeline answer(notes: [Text]) -> [Text] {
      return for note in notes where note != "x", at most 2 at once { words.lower("{words.redact(note)} {note}") }
    }
    """
    before, after = passed(program(text), "batch_calls", library=Costly())
    assert [each for each in walk(after.graph().pipeline("answer").body) if "batch" in each.attributes]
    keeps_meaning(before, after, Costly())


class Costly(P.SmallLibrary):
    """Redacting costs something here: it is asked for only where the program asks."""

    def harmless(self, entry: str) -> bool:
        return entry != "text:redact" and super().harmless(entry)


# --- the library -----------------------------------------------------------------------------------------------------


def test_what_the_library_batches_is_there_and_is_the_same_each_time() -> None:
    ours = Library(Path())
    found = {f"{word}:{name}": batch for word in OURS for name, batch in getattr(kinds(word), "BATCHED", {}).items()}
    assert set(found) == {"embed:embed", "search:search"}
    for entry, batch in found.items():
        assert ours.batched(entry) == batch and ours.repeatable(entry, {}) and ours.batched(batch.entry) is None
        assert ours.kind(entry) and ours.kind(batch.entry)
        one, several = (signature(each) for each in (entry, batch.entry))
        at = one.index(batch.parameter)
        assert several == [*one[:at], batch.items, *one[at + 1 :]]
    assert ours.batched("search:rerank") is None
    assert ours.batched("nothing:here") is None


def kinds(word: str) -> object:
    return {"embed": embed, "search": search}.get(word)


def signature(entry: str) -> list[str]:
    """The parameters of a stage in its interface, without its handle."""
    source = {
        "embed": "pipeline p(x: Text) -> [[Float]] { return [encoder.embed(x), encoder.embed([x])[0]] }",
        "search": 'use std/search\nresource pages = search.index("*.md", encoder: encoder)\n'
        "pipeline p(x: Text) -> [[search.Passage]] { return [pages.search(x), pages.search([x])[0]] }",
    }[entry.partition(":")[0]]
    graph, problems = irc.compile_graph(program(source), P.SmallLibrary(), passes=("inline_pipelines",))
    assert graph is not None, problems
    (found,) = [each for each in walk(graph.pipeline("p").body) if each.attributes.get("entry") == entry]
    several = entry.endswith("_all")
    assert (
        isinstance(found.results[0].type, ListType) and isinstance(found.results[0].type.element, ListType) == several
    )
    names = found.attributes["parameters"]
    assert isinstance(names, tuple)
    return [str(name) for name in names if name != "self"]


def test_similarity_is_the_cosine() -> None:
    ours = library(Path())
    assert call(ours, "list:cosine", context(), a=(3.0, 4.0), b=(4.0, 3.0)) == pytest.approx(0.96)
    assert call(ours, "list:cosine", context(), a=(0.0, 0.0), b=(4.0, 3.0)) == 0.0
    assert call(ours, "list:cosine", context(), a=(), b=()) == 0.0
    for a, b in (((1.0,), (4.0, 3.0)), ((1e200, 1e200), (-1e200, 1e200)), ((float("inf"), 1.0), (1.0, 1.0))):
        failed = failure(ours, "list:cosine", context(), a=a, b=b)
        assert (failed.reason, failed.problem.slug) == ("bad_value", "bad-value")


@pytest.mark.models
@pytest.mark.skipif(not models_here("all-minilm-l6-v2"), reason="needs the encoder: agentlang models pull")
def test_together_the_numbers_are_those_of_one_by_one(tmp_path: Path) -> None:
    """Texts of several lengths, so that the batches are padded; and searches, whose passages are the same ones."""
    page = EXAMPLES / "handbook" / "handbook"
    texts = [line for file in sorted(page.glob("*.md")) for line in file.read_text().splitlines() if line.strip()][:40]
    texts += [" ".join(texts), "", "a"]
    source = f"""
    {HEAD}
    use std/search
    resource pages = search.index("handbook/*.md", encoder: encoder)
    pipeline vectors(notes: [Text]) -> [[Float]] {{ return for note in notes {{ encoder.embed(note) }} }}
    pipeline found(notes: [Text]) -> [[search.Passage]] {{ return for note in notes {{ pages.search(note, top: 2) }} }}
    """
    made, problems = checked(source)
    assert made is not None and not has_errors(problems), problems
    values: list[list[Any]] = []
    for passes in (PLAIN, None):
        ours = Library(page.parent)
        graph, found = irc.compile_graph(made, ours, passes=passes)
        assert graph is not None, found
        values.append(anyio.run(both, graph, ours, tuple(texts)))
    for one, other in zip(values[0][0], values[1][0], strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    for one, other in zip(values[0][1], values[1][1], strict=True):
        assert [(p["path"], p["line"]) for p in one] == [(p["path"], p["line"]) for p in other]
        assert [p["score"] for p in one] == pytest.approx([p["score"] for p in other], abs=1e-5)


async def both(graph: Graph, ours: Library, texts: tuple[str, ...]) -> list[Any]:
    async with open_shell(Deployment(graph), LocalBackend(ours)) as shell:
        ends = [await shell.start(name, {"notes": texts}).result() for name in ("vectors", "found")]
    assert all(end.outcome.status == "done" for end in ends), ends
    return [end.outcome.value for end in ends]
