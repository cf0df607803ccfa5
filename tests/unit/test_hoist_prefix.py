"""Which prompts share what is prefilled ahead, where that stands, and what it needs: on programs as people write."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_sources import checked

from agentlang.base.problems import has_errors
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Graph, Operation, walk
from agentlang.ir.labels import labels_of
from agentlang.ir.passes import PASSES
from agentlang.ir.place import placed
from agentlang.ir.sizes import resolve
from agentlang.stdlib.library import Library

HEAD = """
use std/llm
use std/text
model writer = llm.chat("smollm2-135m-instruct")
model other = llm.chat("smollm2-135m-instruct")
"""
LONG = "You read a page of a handbook, and answer in few words what is asked, from the page and from nothing else. "
"""27 tokens by estimate, which is not worth a prefill of its own for two prompts."""


def compiled(text: str, without: tuple[str, ...] = (), **options: int) -> Module:
    program, problems = checked(HEAD + text)
    assert program is not None and not has_errors(problems), [problem.title for problem in problems]
    module, problems = irc.lower(program)
    assert module is not None, problems
    chosen = [name for name in PASSES if name not in without]
    module, problems = irc.run_passes(module, Library(Path()), passes=chosen, options={"hoist_prefix": options})
    assert module is not None, [problem.title for problem in problems]
    return module


def prefills(graph: Graph, pipeline: str) -> dict[str, str | None]:
    """Each prefill of a pipeline by its id, with the one that it goes on from; without what all ids share."""
    body = graph.pipeline(pipeline).body
    found = [operation for operation in walk(body) if operation.name == "agent.prefill"]
    made = {operation.results[0].id: short(operation) for operation in found}
    return {short(each): made[each.operands[2].id] if len(each.operands) == 3 else None for each in found}


def short(operation: Operation) -> str:
    return operation.id.partition(".")[2].removesuffix(".prefill")


def depth(graph: Graph, pipeline: str) -> dict[str, int]:
    """In how many bodies each prefill stands."""
    found: dict[str, int] = {}

    def look(operations: tuple[Operation, ...], level: int) -> None:
        for operation in operations:
            if operation.name == "agent.prefill":
                found[short(operation)] = level
            for region in operation.regions:
                look(region.operations, level + 1)

    look(graph.pipeline(pipeline).body.operations, 0)
    return found


def shared(text: str, **options: int) -> dict[str, str | None]:
    return prefills(compiled(text, **options).graph(), "p")


# --- what is shared --------------------------------------------------------------------------------------------------


def test_neighbours_share_their_beginning() -> None:
    assert shared(
        "pipeline p(page: Text) -> Text {\n"
        f'  a = all(writer.chat("{LONG}{{page}}\\nThe title?", max_tokens: 8))\n'
        f'  b = all(writer.chat("{LONG}{{page}}\\nThe date?", max_tokens: 8))\n'
        '  return "{a} {b}"\n}'
    ) == {"chat.prefix": None, "chat": "chat.prefix", "chat_2": "chat.prefix"}


@pytest.mark.parametrize(
    "second",
    [
        'other.chat("{LONG}{page}\\nThe date?", max_tokens: 8)',
        'writer.chat("{LONG}{page}\\nThe date?", system: "Be brief.", max_tokens: 8)',
        'writer.chat("{page}{LONG}\\nThe date?", max_tokens: 8)',
        'writer.chat("Listen. {LONG}{page}\\nThe date?", max_tokens: 8)',
    ],
    ids=["of another model", "another system text", "in another order", "behind something else"],
)
def test_what_does_not_begin_alike_shares_nothing(second: str) -> None:
    assert shared(
        "pipeline p(page: Text) -> Text {\n"
        f'  a = all(writer.chat("{LONG}{{page}}\\nThe title?", max_tokens: 8))\n'
        f"  b = all({second.replace('{LONG}', LONG)})\n"
        '  return "{a} {b}"\n}'
    ) == {"chat": None, "chat_2": None}


def test_templates_are_taken_apart_and_texts_that_are_joined() -> None:
    assert shared(
        "pipeline p(page: Text) -> Text {\n"
        f'  head = "{LONG}{{page}}"\n'
        '  a = all(writer.chat("{head}\\nThe title?", max_tokens: 8))\n'
        f'  b = all(writer.chat("{LONG}" + page + "\\nThe date?", max_tokens: 8))\n'
        '  return "{a} {b}"\n}'
    ) == {"chat.prefix": None, "chat": "chat.prefix", "chat_2": "chat.prefix"}


def test_calls_of_other_pipelines_share_too() -> None:
    assert shared(
        "pipeline title(page: Text) -> Text {\n"
        f'  return all(writer.chat("{LONG}{{page}}\\nThe title?", max_tokens: 8))\n}}\n'
        "pipeline p(page: Text) -> Text {\n"
        f'  b = all(writer.chat("{LONG}{{page}}\\nThe date?", max_tokens: 8))\n'
        '  return "{title(page)} {b}"\n}'
    ) == {"chat.prefix": None, "chat": "chat.prefix", "title.chat": "chat.prefix"}


def test_system_texts_that_begin_alike() -> None:
    found = compiled(
        "pipeline p(a: Text, b: Text) -> Text {\n"
        f'  x = all(writer.chat("{{a}}", system: "{LONG * 3}Answer in French.", max_tokens: 8))\n'
        f'  y = all(writer.chat("{{b}}", system: "{LONG * 3}Answer in Latin.", max_tokens: 8))\n'
        '  return "{x} {y}"\n}'
    ).graph()
    assert prefills(found, "p") == {"chat.prefix": None, "chat": "chat.prefix", "chat_2": "chat.prefix"}
    (tokenize,) = (each for each in walk(found.pipeline("p").body) if each.id == "p.chat.prefix.tokenize")
    made = {value.id: each for each in walk(found.pipeline("p").body) for value in each.results}
    prompt, system = (made[value.id] for value in tokenize.operands[1:])
    assert (prompt.name, prompt.operands) == ("agent.list", ())
    assert system.attributes["value"] == f"{LONG * 3}Answer in "


# --- where -----------------------------------------------------------------------------------------------------------


def test_out_of_as_many_loops_as_it_can() -> None:
    graph = compiled(
        "pipeline p(pages: [Text], questions: [Text]) -> [[Text]] {\n"
        "  return for page in pages { for question in questions {\n"
        f'    all(writer.chat("{LONG}{{page}}\\n{{question}}", max_tokens: 8))\n'
        "  } }\n}"
    ).graph()
    first, second, chat = "page.question.chat.prefix", "page.question.chat.prefix_2", "page.question.chat"
    assert prefills(graph, "p") == {first: None, second: first, chat: second}
    assert depth(graph, "p") == {first: 0, second: 1, chat: 2}


def test_out_of_a_repeat_and_what_stands_around_in_it() -> None:
    graph = compiled(
        "pipeline p(page: Text, brief: Bool) -> Text {\n"
        '  return repeat story = "", at most 3 times {\n'
        f'    said = if brief {{ all(writer.chat("{LONG}{{page}} {{story}}", max_tokens: 8)) }} else {{ story }}\n'
        '    next "{said}."\n'
        "  }\n}"
    ).graph()
    found = depth(graph, "p")
    assert sorted(found.values()) == [0, 2]
    assert next(name for name, level in found.items() if not level).endswith(".prefix")


@pytest.mark.parametrize(
    "value",
    [
        "if brief { all(writer.chat(A, max_tokens: 8)) } else { all(writer.chat(B, max_tokens: 8)) }",
        "all(writer.chat(A, max_tokens: 8)) otherwise all(writer.chat(B, max_tokens: 8))",
        'all(writer.chat("Of {page} the first word", max_tokens: 8))',
    ],
    ids=["one branch is taken", "a fallback", "once"],
)
def test_what_is_used_once_is_not_prefilled_ahead(value: str) -> None:
    text = value.replace("A", f'"{LONG}{{page}} A"').replace("B", f'"{LONG}{{page}} B"')
    found = shared(f"pipeline p(page: Text, brief: Bool) -> Text {{\n  return {text}\n}}")
    assert set(found.values()) == {None}
    assert not any("prefix" in name for name in found)


def test_two_arms_of_a_match_in_a_loop() -> None:
    graph = compiled(
        "enum Kind { Long, Short }\n"
        "pipeline p(page: Text, kinds: [Kind]) -> [Text] {\n"
        "  return for kind in kinds { match kind {\n"
        f'    Long => all(writer.chat("{LONG}{{page}} At length", max_tokens: 8))\n'
        f'    Short => all(writer.chat("{LONG}{{page}} In short", max_tokens: 8))\n'
        "  } }\n}"
    ).graph()
    assert next(iter(depth(graph, "p").values())) == 0
    assert list(prefills(graph, "p").values()).count(None) == 1


def test_what_is_worth_it_can_be_said() -> None:
    text = (
        "pipeline p(a: Text, b: Text) -> Text {\n"
        '  x = all(writer.chat("Say {a}", max_tokens: 8))\n'
        '  y = all(writer.chat("Say {b}", max_tokens: 8))\n'
        '  return "{x} {y}"\n}'
    )
    assert not any(shared(text).values())
    assert any(shared(text, least=1, cost=1).values())


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_labels_go_with_what_carries_them() -> None:
    graph = compiled(
        "pipeline p(page: Text @pii, question: Text) -> Text {\n"
        f'  a = all(writer.chat("{LONG}{{page}}\\nThe title?", max_tokens: 8))\n'
        f'  b = all(writer.chat("{LONG}{{page}}\\nThe date?", max_tokens: 8))\n'
        f'  c = all(writer.chat("{LONG * 2}{{question}}", max_tokens: 8))\n'
        f'  d = all(writer.chat("{LONG * 2}Why {{question}}", max_tokens: 8))\n'
        '  return text.redact("{a} {b}") + c + d\n}'
    ).graph()
    held = labels_of(graph)
    labels = {
        short(each): held[each.id].result for each in walk(graph.pipeline("p").body) if each.name == "agent.prefill"
    }
    assert {name for name, found in labels.items() if "pii" in found} == {"chat", "chat_2", "chat.prefix"}
    for name, begun in prefills(graph, "p").items():
        if begun is not None:
            assert labels[begun] <= labels[name], (name, begun)
    assert not labels["chat_3"]
    assert not labels["chat_4"]


def test_it_is_placed_where_it_is_used() -> None:
    text = (
        "fleet f {\n  tier near = catalog.laptop { count 1..1 }\n  tier far = catalog.l40s { count 0..1 }\n"
        "  link near <-> far 1 Gbit/s, 1 ms\n}\n"
        "pipeline p(page: Text) -> Text {\n"
        f'  a = all(writer.chat("{LONG}{{page}}\\nThe title?", max_tokens: 8))\n'
        f'  b = all(writer.chat("{LONG}{{page}}\\nThe date?", max_tokens: 8))\n'
        '  return "{a} {b}"\n}'
    )
    module = compiled(text)
    chats = ("chat", "chat_2")
    placement = {f"p.{chat}.{word}": "far" for chat in chats for word in ("prefill", "transfer", "decode")}
    made, problems = placed(module, placement, home="near")
    assert made is not None, [problem.title for problem in problems]
    tiers = {each.id: each.attributes.get("tier") for each in walk(made.graph().pipeline("p").body)}
    assert tiers["p.chat.prefix.prefill"] == tiers["p.chat.prefix.tokenize"] == "far"
    done, problems = irc.run_passes(made, Library(Path()), passes=["insert_transfers", "partition"])
    assert done is not None, [problem.title for problem in problems]


def test_it_needs_less_and_the_prompt_is_as_long() -> None:
    text = (
        "pipeline p(page: Text) -> Text {\n"
        f'  a = all(writer.chat("{LONG}{{page}}\\nThe title?", max_tokens: 8))\n'
        f'  b = all(writer.chat("{LONG}{{page}}\\nThe date?", max_tokens: 8))\n'
        '  return "{a} {b}"\n}'
    )
    needs: list[dict[str, float]] = []
    for graph in (compiled(text).graph(), compiled(text, without=("hoist_prefix",)).graph()):
        sizes = {each.name: each.value for each in resolve(graph.pipeline("p").sizes, {"page.tokens": 1000.0})[0]}
        found = {"compute": 0.0, "tokens_in": 0.0}
        for each in walk(graph.pipeline("p").body):
            if each.name == "agent.prefill":
                assert each.demand is not None
                found["compute"] += each.demand.compute.value(sizes)
                found["tokens_in"] += each.demand.tokens_in.value(sizes)
        needs.append(found)
    ahead, plain = needs
    assert ahead["tokens_in"] == plain["tokens_in"]
    assert 0.5 < ahead["compute"] / plain["compute"] < 0.56


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_text_that_doubles_itself_ends() -> None:
    doubled = "".join(f'  t{n + 1} = "{{t{n}}}{{t{n}}}"\n' for n in range(40))
    found = shared(
        "pipeline p(t0: Text) -> Text {\n" + doubled + '  a = all(writer.chat("{t40} a", max_tokens: 8))\n'
        '  b = all(writer.chat("{t40} b", max_tokens: 8))\n  return "{a} {b}"\n}'
    )
    assert "chat.prefix" in found


def test_many_chats_take_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        lines = "".join(
            f'  a{n} = all(writer.chat("{LONG}{{page}} {n % 10} {n}", max_tokens: 8))\n' for n in range(count)
        )
        program, _ = checked(HEAD + "pipeline p(page: Text) -> Text {\n" + lines + '  return "{a0}"\n}')
        assert program is not None
        module, _ = irc.lower(program)
        assert module is not None
        took: dict[str, float] = {}
        used = [name for name in PASSES[: PASSES.index("hoist_prefix") + 1] if name != "drop_unread"]
        module, problems = irc.run_passes(module, Library(Path()), passes=used, laws=False, timed=took.__setitem__)
        assert module is not None, problems
        return took["hoist_prefix"]

    few, many = seconds(50), seconds(400)
    assert many < 8 * few * 4 + 0.2, (few, many)
