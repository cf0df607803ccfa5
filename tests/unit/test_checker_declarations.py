"""What declarations become: enums, tools with their settings and effects, stages, memories, endpoints, answers."""

from __future__ import annotations

import pytest
from agent_sources import checked, slugs, sound

from agentlang.base.problems import Fix
from agentlang.base.units import DURATION, MONEY, Quantity
from agentlang.lang import program as p
from agentlang.lang.checker.interfaces import load
from agentlang.lang.types import (
    INT,
    MESSAGE,
    TEXT,
    EnumType,
    HandleType,
    ListType,
    MapType,
    OptionType,
    RecordType,
    TensorType,
)
from agentlang.stdlib.interfaces import MODULES, interface

WRITER = 'use std/llm\nmodel writer = llm.chat("smollm2-135m-instruct")\n'


def tools(text: str) -> dict[str, p.StageSignature]:
    """The tools of a text that may leave them unused."""
    program, problems = checked(text + '\npipeline last(t: Text) -> Text { return "{t}" }\n')
    assert program is not None, [problem.title for problem in problems]
    return {tool.name: tool for tool in program.tools}


@pytest.mark.parametrize("module", MODULES)
def test_interfaces_of_the_library_have_no_faults(module: str) -> None:
    found = load(f"std/{module}", interface)
    assert found is not None
    assert [problem.title for problem in found.problems] == []


# --- types


def test_enums_hold_payloads_and_defaults() -> None:
    program = sound(
        "enum Size { Small, Large(extra: Int = 1, why: Text?) }\n"
        "type Order {\n"
        "  id: Int, size: Size = Small, notes: {Text: [Text]}, score: Tensor[f32, 3, 2], next: Order? = none\n"
        "}\n"
        'pipeline f(order: Order) -> Text { return "{order.id}" }\n'
    )
    (size,) = program.enums.values()
    assert [(c.name, [(f.name, f.type) for f in c.payload]) for c in size.cases] == [
        ("Small", []),
        ("Large", [("extra", INT), ("why", OptionType(TEXT))]),
    ]
    assert size.cases[1].payload[0].default is not None
    fields = {field.name: field for field in program.records["Order"].fields}
    assert fields["size"].type == EnumType("Size")
    assert fields["size"].default is not None and fields["size"].default.value == p.CaseValue("Small")
    assert fields["notes"].type == MapType(ListType(TEXT))
    assert fields["score"].type == TensorType("f32", (3, 2))
    assert fields["next"].type == OptionType(RecordType("Order"))
    assert fields["next"].default is not None and fields["next"].default.value is None


def test_messages_are_in_a_program_that_uses_them_alone() -> None:
    plain = sound(f"{WRITER}pipeline f(t: Text) -> stream Text {{ return writer.chat(t) }}\n")
    assert (dict(plain.records), dict(plain.enums)) == ({}, {})
    talk = sound(f"{WRITER}pipeline f(said: [Message]) -> stream Text {{ return writer.chat(said) }}\n")
    assert [field.type for field in talk.records["Message"].fields] == [EnumType("Role"), TEXT]
    assert [case.name for case in talk.enums["Role"].cases] == ["System", "User", "Assistant", "Tool"]


@pytest.mark.parametrize(
    ("types", "endless"),
    [
        ("type A { a: A }", ["A"]),
        ("type A { b: B }\ntype B { c: C }\ntype C { b: B }", ["B"]),
        ("enum A { One(a: A), Two(a: A) }", ["A"]),
        ("enum A { One(a: A), Two }", []),
        ("type A { a: [A], b: {Text: A}, c: A? }", []),
        ("type A { b: B }\nenum B { Leaf, Node(a: A) }", []),
    ],
)
def test_types_that_hold_themselves(types: str, endless: list[str]) -> None:
    _, problems = checked(f'{types}\npipeline f(a: A) -> Text {{ return "x" }}\n')
    found = [problem for problem in problems if problem.slug == "endless-type"]
    assert [problem.title.split("`")[1] for problem in found] == endless
    assert len(problems) == len(found)


# --- tools

SHOP = "use std/http\nuse std/process\nuse std/mcp\n"


def test_settings_keep_arguments_apart_from_the_text_of_the_program() -> None:
    found = tools(
        f"""{SHOP}
        let base = "https://shop.example"
        type Order {{ id: Int }}
        tool get(id: Int, q: Text) -> Order =
          http.get("{{base}}/{{id}}/{{q}}", headers: {{"X-Key": secret("KEY")}}, key: secret("TOKEN")) effects [network]
        tool send(order: Order) -> Json = http.post(secret("HOOK"), body: "{{order as Json}}") effects [network]
        tool count(path: Text) -> Int = process.run(["wc", "-l", path]) effects [process]
        """
    )
    assert found["get"].entry == "http:get" and found["get"].behind == "http.get"
    assert found["get"].settings == {
        "url": {"parts": ("https://shop.example", "/", {"argument": "id"}, "/", {"argument": "q"})},
        "headers": {"X-Key": {"secret": "KEY"}},
        "key": {"secret": "TOKEN"},
    }
    assert found["send"].settings == {"url": {"secret": "HOOK"}, "body": {"parts": ({"argument": "order"},)}}
    assert found["count"].settings == {"command": ("wc", "-l", {"parts": ({"argument": "path"},)})}


def test_effects_and_what_tells_calls_apart() -> None:
    found = tools(
        """
        tool look(q: Text @pii) -> Text @seen = python("web:look") effects [network]

        ## Sends money
        ## back.
        tool refund(id: Int, amount: Money) -> Text = python("shop:refund")
          effects [writes "payments", reads "orders", spends $0.10] idempotent by id
        """
    )
    refund, look = found["refund"], found["look"]
    assert (refund.keyword, refund.entry, refund.settings) == ("tool", "python:call", {"target": "shop:refund"})
    assert [(e.kind, e.what, e.dangerous) for e in refund.effects] == [
        ("writes", "payments", True),
        ("reads", "orders", False),
        ("spends", Quantity(0.1, MONEY), True),
    ]
    assert (refund.idempotent_by, refund.doc) == ("id", "Sends money\nback.")
    assert refund.result_labels == frozenset()
    # What comes from the network is a stranger's.
    assert look.result_labels == {"seen", "untrusted"}
    assert look.parameters[0].labels == {"pii"}


def test_a_tool_of_a_server_takes_the_server_first() -> None:
    program = sound(
        'use std/mcp\nserver web = mcp.stdio(["web-mcp", "--fast"])\n'
        'tool search(query: Text) -> [Text] = web("search") effects [network]\n'
        "pipeline f(q: Text) -> [Text] { return search(q) }\n"
    )
    (web,) = program.handles
    assert (web.keyword, web.type) == ("server", HandleType("mcp.Server"))
    assert isinstance(value := web.arguments[0].value, p.Literal) and value.value == ("web-mcp", "--fast")
    (search,) = program.tools
    assert (search.entry, search.behind, search.server, search.settings) == (
        "mcp:call",
        "web",
        "web",
        {"tool": "search"},
    )
    call = program.pipelines[0].body.result
    assert isinstance(call, p.StageCall)
    receiver = call.arguments[0]
    assert receiver.name == "self" and isinstance(receiver.value, p.HandleReference) and receiver.value.name == "web"


def test_an_effect_that_is_not_stated_is_added_by_the_fix() -> None:
    text = 'use std/http\ntool t(id: Int) -> Text = http.get("https://x.example/{id}") effects [reads "orders"]\n'
    _, problems = checked(text)
    (problem,) = [found for found in problems if found.slug == "unstated-effect"]
    assert isinstance(problem.fix, Fix)
    (edit,) = problem.fix.edits
    mended = text[: edit.span.start] + edit.text + text[edit.span.end :]
    assert 'effects [network, reads "orders"]' in mended
    assert "unstated-effect" not in slugs(mended)


def test_a_stage_of_a_program_says_what_it_needs() -> None:
    program = sound(
        'stage clean(raw: Text) -> Text = python("pkg.shop:clean") needs [cpu 2 ms, memory 10 MiB]\n'
        "pipeline f(q: Text) -> Text { return clean(q) }\n"
    )
    call = program.pipelines[0].body.result
    assert isinstance(call, p.StageCall)
    assert (call.stage.keyword, call.stage.entry, call.stage.name) == ("stage", "python:call", "clean")
    assert call.stage.needs["cpu"] == Quantity(0.002, DURATION)
    assert call.stage.settings == {"target": "pkg.shop:clean", "memory": 10.0 * 2**20}


def test_a_memory_is_a_handle_with_the_default_of_its_library() -> None:
    program = sound(
        "use std/memory\nmemory notes = memory.session()\npipeline f(t: Text) -> [Message] { return notes.load() }\n"
    )
    (notes,) = program.handles
    assert (notes.keyword, notes.type) == ("memory", HandleType("memory.Session"))
    assert isinstance(limit := notes.arguments[0].value, p.Literal)
    assert str(limit.value) == "8000 tokens"
    assert program.pipelines[0].result == ListType(MESSAGE)


# --- fleets and goals


def test_endpoints() -> None:
    program = sound(
        """
        pipeline f(t: Text) -> Text { return t }
        fleet office {
          tier one = endpoint(secret("URL")) {
            serves ["a", "b"], price $2 per 1_000_000 tokens, first_token 400 ms, rate 20 per s
          }
          tier two = endpoint("https://models.example") { serves ["c"] }
          tier gpu = catalog.h100 { count 0..2, price $3.60 per h }
          link * <-> * 1 Gbit/s, 20 ms
        }
        """
    )
    one, two, gpu = program.fleets[0].tiers
    assert one.endpoint is not None and two.endpoint is not None and gpu.endpoint is None
    assert (one.device, one.endpoint.secret, one.endpoint.url, one.endpoint.serves) == ("", "URL", None, ("a", "b"))
    assert one.endpoint.price is not None and one.endpoint.price.value == pytest.approx(2e-6)
    assert one.endpoint.first_token is not None and one.endpoint.first_token.value == pytest.approx(0.4)
    assert one.endpoint.rate is not None and one.endpoint.rate.value == 20.0
    assert (two.endpoint.url, two.endpoint.price) == ("https://models.example", None)
    assert gpu.settings["price"].value == pytest.approx(0.001)


def test_goals_keep_soften_and_share() -> None:
    program = sound(
        WRITER
        + """
        enum Intent { Refund(order: Int), Other }
        pipeline f(mail: Text @pii) -> Text {
          intent = inner(mail)
          return match intent { Refund(order) => "{order}", Other => "other" }
        }
        pipeline inner(mail: Text) -> Intent {
          kind = writer.chat(mail) into Intent
          return kind
        }
        goal f {
          assume {
            intent.Refund 10 %
            inner.kind.Other 80 %
            inner.kind output 20 tokens
          }
          finish p95 <= 6 s
          keep   @pii on [onprem]
          soft   finish 10
        }
        fleet office { tier onprem = catalog.l40s { count 1 } }
        """
    )
    goal = program.goals[0]
    terms = {term.kind: term for term in goal.terms}
    assert (terms["keep"].word, terms["keep"].tiers) == ("pii", ("onprem",))
    assert terms["soft"].word == "finish"
    assert terms["soft"].limit is not None and terms["soft"].limit.value == 10.0
    assert [(a.name, a.case, a.output, a.quantity.value) for a in goal.assumptions] == [
        ("intent", "Refund", False, 0.1),
        ("inner.kind", "Other", False, 0.8),
        ("inner.kind", None, True, 20.0),
    ]


# --- answers in tests


def test_answers_that_a_test_gives() -> None:
    program = sound(
        WRITER
        + """
        enum Intent { Refund(order: Int), Other }
        tool order(id: Int, note: Text = "x") -> Text = python("shop:order") effects []
        pipeline f(mail: Text) -> Text {
          intent = writer.chat(mail) into Intent
          return match intent { Refund(id) => order(id), Other => all(g(mail)) }
        }
        pipeline g(mail: Text) -> stream Text { return writer.chat(mail) }
        test "refund" {
          given writer.chat = Refund(order: 3)
          given order(note: "x") = "a lamp"
          given g("x") = "said"
          expect f("money back") == "a lamp"
        }
        """
    )
    (test,) = program.tests
    chat, order, streamed = test.givens
    # A value stands for the document that the model would write.
    assert chat.name == "writer.chat" and chat.answer.type == TEXT and isinstance(chat.answer, p.Template)
    assert (order.name, [a.name for a in order.arguments]) == ("order", ["note"])
    assert (streamed.name, streamed.answer.type) == ("g", TEXT)
    assert len(test.body.statements) == 1
