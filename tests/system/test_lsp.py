"""The language server, as an editor has it: a process, JSON-RPC over its pipes, a client that knows nothing of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from ide_texts import PROGRAM, body
from lsp_client import UTF8, Client, apply, server
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from agentlang.api import check
from agentlang.base.source import Source
from agentlang.lang.ide.tokens import KINDS, MODIFIERS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

GOOD = body(
    "  found = order(3)\n  kind = writer.chat(question) into Intent\n  match kind {\n    Refund(id, why) => why\n"
    '    _ => "{found.id}: {top}"\n  }'
)
SHOP = """## An order of the shop.
type Order { id: Int, note: Text }

pipeline first(orders: [Order]) -> Order {
  orders[0]
}
"""
USES = "use ./shop\n\npipeline note(orders: [shop.Order]) -> Text {\n  found = shop.first(orders)\n  found.note\n}\n"


def drive(
    folder: Path, test: Callable[[Client], Awaitable[None]], encoding: types.PositionEncodingKind | None = None
) -> None:
    async def run() -> None:
        async with server(folder, encoding or types.PositionEncodingKind.Utf16) as client:
            await test(client)

    asyncio.run(run())


# --- problems


def test_problems_come_and_go_as_one_types(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", GOOD)
        assert await client.problems("main.agent") == []
        at = GOOD.index("found.id") + len("found.")
        client.change("main.agent", at, at + 2, "idd")
        (problem,) = await client.problems("main.agent")
        assert problem.code == "unknown-member"
        assert client.span("main.agent", problem.range) == "idd"
        assert problem.severity == types.DiagnosticSeverity.Error
        assert "did you mean `id`" in problem.message
        assert problem.code_description and problem.code_description.href.endswith("/unknown-member.md")
        client.change("main.agent", at, at + 3, "id")
        assert await client.problems("main.agent") == []

    drive(tmp_path, test)


def test_a_problem_says_where_its_cause_is(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", body("  top = 3\n  question"))
        problems = {problem.code: problem for problem in await client.problems("main.agent")}
        related = problems["bound-twice"].related_information
        assert related and client.span("main.agent", related[0].location.range) == "top"

    drive(tmp_path, test)


def test_an_unsaved_buffer_is_what_others_import(tmp_path: Path) -> None:
    (tmp_path / "shop.agent").write_text(SHOP)

    async def test(client: Client) -> None:
        client.open("main.agent", USES)
        assert await client.problems("main.agent") == []
        client.open("shop.agent", SHOP.replace("note: Text", "remark: Text"))
        (problem,) = await client.next_problems("main.agent")
        assert problem.code == "unknown-member"
        client.replace("shop.agent", SHOP)
        assert await client.next_problems("main.agent") == []
        client.replace("shop.agent", SHOP + "pipeline broken() -> Text {\n  nothing\n}\n")
        (problem,) = await client.next_problems("main.agent")
        assert client.span("main.agent", problem.range) == "./shop"
        assert problem.related_information and problem.related_information[0].location.uri == client.uri("shop.agent")
        # What was never saved is gone with its buffer.
        client.close("shop.agent")
        assert await client.next_problems("main.agent") == []

    drive(tmp_path, test)


def test_a_fault_has_no_echoes(tmp_path: Path) -> None:
    faulty = GOOD.replace("found = order(3)", "found = order(3")

    async def test(client: Client) -> None:
        client.open("main.agent", faulty)
        seen = await client.problems("main.agent")
        told = [problem.slug for problem in check(Source("main.agent", faulty)).problems if problem.slug != "unused"]
        assert [problem.code for problem in seen] == told == ["unclosed-bracket"]
        # After an edit above it, as in the text read afresh.
        client.change("main.agent", 0, 0, "# A line.\n\n")
        assert [problem.code for problem in await client.problems("main.agent")] == told

    drive(tmp_path, test)


SETTINGS = "[tools]\ntimeout = 10\n\n[modles.small]\nuse = 'x'\n"


def test_the_problems_of_the_settings_are_shown_in_their_file(tmp_path: Path) -> None:
    place = tmp_path / "agentlang.toml"
    place.write_text(SETTINGS)
    (tmp_path / "below").mkdir()

    async def test(client: Client) -> None:
        client.texts["agentlang.toml"] = SETTINGS
        client.open("below/main.agent", GOOD)
        found = {p.code: p for p in await client.next_problems("agentlang.toml")}
        assert set(found) == {"settings-wrong-value", "settings-unknown-key"}
        assert client.span("agentlang.toml", found["settings-wrong-value"].range).startswith("timeout")
        assert "models" in found["settings-unknown-key"].message
        assert found["settings-unknown-key"].code_description is not None

        def touched() -> None:
            event = types.FileEvent(client.uri("agentlang.toml"), types.FileChangeType.Changed)
            client.lsp.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))

        place.write_text('[tools]\ntimeout = "10 s"\n')
        touched()
        assert await client.next_problems("agentlang.toml") == []
        place.write_text("[tools\n")
        touched()
        assert [p.code for p in await client.next_problems("agentlang.toml")] == ["settings-not-toml"]
        # A client that sends the buffer has its problems as one types.
        client.published.clear()
        client.open("agentlang.toml", SETTINGS)
        assert len(await client.problems("agentlang.toml")) == 2
        at = SETTINGS.index("modles")
        client.change("agentlang.toml", at, at + len("modles"), "models")
        assert [p.code for p in await client.problems("agentlang.toml")] == ["settings-wrong-value"]
        # It is no program, whatever is asked of it.
        params = types.HoverParams(client.document("agentlang.toml"), types.Position(0, 2))
        assert await client.ask(types.TEXT_DOCUMENT_HOVER, params) is None
        client.published.clear()
        client.close("agentlang.toml")
        assert [p.code for p in await client.next_problems("agentlang.toml")] == ["settings-not-toml"]
        place.unlink()
        touched()
        assert await client.next_problems("agentlang.toml") == []

    drive(tmp_path, test)


def test_a_closed_file_has_no_problems(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", "pipeline p(")
        assert await client.problems("main.agent") != []
        client.close("main.agent")
        assert await client.next_problems("main.agent") == []

    drive(tmp_path, test)


# --- places


@pytest.mark.parametrize("encoding", list(types.PositionEncodingKind))
def test_places_are_counted_as_the_client_counts(tmp_path: Path, encoding: types.PositionEncodingKind) -> None:
    """An emoji is one code point, two units of UTF-16, and four bytes."""
    text = 'pipeline p() -> Text {\n  a = "😀é"  |> nothing()\n  a\n}\n'
    line = text.split("\n")[1]
    before = line[: line.index("nothing")]
    codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding.value]
    units = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding.value]
    column = len(before.encode(codec)) // units

    async def test(client: Client) -> None:
        assert client.capabilities.position_encoding == encoding
        client.open("main.agent", text)
        (problem,) = await client.problems("main.agent")
        assert problem.range.start == types.Position(1, column)
        # An edit behind it lands where it is meant.
        client._versions["main.agent"] += 1  # pyright: ignore[reportPrivateUsage]
        document = types.VersionedTextDocumentIdentifier(2, client.uri("main.agent"))
        place = types.Range(types.Position(1, column), types.Position(1, column + len("nothing()")))
        params = types.DidChangeTextDocumentParams(document, [types.TextDocumentContentChangePartial(place, "p2()")])
        client.lsp.text_document_did_change(params)
        (problem,) = await client.problems("main.agent")
        assert "p2" in problem.message

    drive(tmp_path, test, encoding)


# --- what is under the cursor


async def _hover(client: Client, text: str) -> str:
    place = client.at("main.agent", text)
    found = await client.ask(types.TEXT_DOCUMENT_HOVER, types.HoverParams(place.text_document, place.position))
    return "" if found is None else found.contents.value


def test_hover_says_what_a_word_is(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        assert "order(id: Int) -> Order" in await _hover(client, body("  found = ord¦er(3)\n  found.note"))
        shown = await _hover(client, body("  found = ord¦er(3)\n  found.note"))
        assert "Looks an order up." in shown and 'reads "orders"' in shown
        assert "found: Order" in await _hover(client, body("  fou¦nd = order(3)\n  found.note"))
        assert "note: Text @pii" in await _hover(client, body("  found = order(3)\n  found.no¦te"))
        chat = await _hover(client, body("  all(writer.ch¦at(question))"))
        assert "-> stream Text" in chat and "at most" in chat
        assert "let window: Int = 30" in await _hover(client, body("  x = win¦dow\n  question"))
        assert "A model that writes." in await _hover(client, body("  all(wri¦ter.chat(question))"))
        assert await _hover(client, body("  question  ¦\n")) == ""

    drive(tmp_path, test)


def test_hover_predicts_where_a_goal_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goal = "goal answer {\n  assume { question 40 tokens }\n  finish p95 <= 60 s\n}\n"

    async def test(client: Client) -> None:
        text = body("  all(writer.ch¦at(question))") + goal
        async with asyncio.timeout(60):
            while "predicted decode" not in (shown := await _hover(client, text)):
                await asyncio.sleep(0.2)
        assert "tokens out" in shown
        place = client.at("main.agent", text.replace("¦", "").replace("pipeline answer", "pipeline ans¦wer"))
        found = await client.ask(types.TEXT_DOCUMENT_HOVER, types.HoverParams(place.text_document, place.position))
        assert "predicted finish p95" in found.contents.value and "limit 1 min" in found.contents.value

    drive(tmp_path, test)


def test_definition_and_references_across_files(tmp_path: Path) -> None:
    (tmp_path / "shop.agent").write_text(SHOP)

    async def test(client: Client) -> None:
        place = client.at("main.agent", USES.replace("found.note", "found.no¦te"))
        params = types.DefinitionParams(place.text_document, place.position)
        found = await client.ask(types.TEXT_DOCUMENT_DEFINITION, params)
        assert found.uri == client.uri("shop.agent")
        assert found.range.start == types.Position(1, SHOP.split("\n")[1].index("note"))
        context = types.ReferenceContext(include_declaration=True)
        place = client.at("shop.agent", SHOP.replace("type Order", "type Or¦der"))
        params = types.ReferenceParams(context, place.text_document, place.position)
        found = await client.ask(types.TEXT_DOCUMENT_REFERENCES, params)
        assert sorted((f.uri.rpartition("/")[2], f.range.start.line) for f in found) == [
            ("main.agent", 2),
            ("shop.agent", 1),
            ("shop.agent", 3),
            ("shop.agent", 3),
        ]

    drive(tmp_path, test)


def test_a_library_stage_is_defined_in_its_interface(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        place = client.at("main.agent", body("  all(writer.ch¦at(question))"))
        params = types.DefinitionParams(place.text_document, place.position)
        found = await client.ask(types.TEXT_DOCUMENT_DEFINITION, params)
        assert found.uri.endswith("interfaces/llm.agent")
        assert Path(found.uri.removeprefix("file://")).is_file()

    drive(tmp_path, test)


# --- changes


def test_rename_across_two_files(tmp_path: Path) -> None:
    (tmp_path / "shop.agent").write_text(SHOP)
    (tmp_path / "main.agent").write_text(USES)

    async def test(client: Client) -> None:
        place = client.at("shop.agent", SHOP.replace("type Order", "type Or¦der"))
        client.texts["main.agent"] = USES
        params = types.RenameParams(place.text_document, place.position, "Purchase")
        edit = await client.ask(types.TEXT_DOCUMENT_RENAME, params)
        assert set(edit.changes) == {client.uri("shop.agent"), client.uri("main.agent")}
        for name in ("shop.agent", "main.agent"):
            (tmp_path / name).write_text(apply(client.texts[name], edit.changes[client.uri(name)]))
        text = (tmp_path / "main.agent").read_text()
        assert "shop.Purchase" in text and "Order" not in text
        checked = check(Source(str(tmp_path / "main.agent"), text))
        assert checked.problems == ()

    drive(tmp_path, test)


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        (body("  fou¦nd = order(3)\n  found.note"), "question", "already"),
        (body("  fou¦nd = order(3)\n  found.note"), "match", "a word of the language"),
        (body("  fou¦nd = order(3)\n  found.note"), "two words", "no name"),
        (body("  found = order(3)\n  all(writer.ch¦at(found.note))"), "say", "library"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, text: str, name: str, why: str) -> None:
    async def test(client: Client) -> None:
        place = client.at("main.agent", text)
        with pytest.raises(JsonRpcException, match=why):
            await client.ask(types.TEXT_DOCUMENT_RENAME, types.RenameParams(place.text_document, place.position, name))

    drive(tmp_path, test)


def test_formatting_gives_canonical_text(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", GOOD.replace("  found = order(3)", "  found   =   order( 3 )"))
        options = types.FormattingOptions(tab_size=2, insert_spaces=True)
        params = types.DocumentFormattingParams(client.document("main.agent"), options)
        edits = await client.ask(types.TEXT_DOCUMENT_FORMATTING, params)
        assert all(edit.range.end.line - edit.range.start.line <= 2 for edit in edits)
        formatted = apply(client.texts["main.agent"], edits)
        assert "\n  found = order(3)\n" in formatted
        client.replace("main.agent", formatted)
        assert not await client.ask(types.TEXT_DOCUMENT_FORMATTING, params)

    drive(tmp_path, test)


def test_a_range_is_formatted_and_nothing_beside_it(tmp_path: Path) -> None:
    untidy = (
        "pipeline one(a: Text) -> Text {\n    x  =  a\n    x\n}\n\n\n\n"
        "pipeline two(b: Text) -> Text {\n  y  =  b\n  y\n}\n"
    )

    async def test(client: Client) -> None:
        client.open("main.agent", untidy)
        options = types.FormattingOptions(tab_size=2, insert_spaces=True)

        async def formatted(first: int, last: int, character: int = 0) -> str:
            within = types.Range(types.Position(first, 0), types.Position(last, character))
            params = types.DocumentRangeFormattingParams(client.document("main.agent"), within, options)
            return apply(untidy, await client.ask(types.TEXT_DOCUMENT_RANGE_FORMATTING, params))

        assert client.capabilities.document_range_formatting_provider
        first = untidy.replace("    x  =  a\n    x\n", "  x = a\n  x\n")
        assert await formatted(0, 4) == first
        assert await formatted(1, 2) == untidy.replace("    x  =  a\n", "  x = a\n")
        assert await formatted(1, 1, 3) == untidy.replace("    x  =  a\n", "  x = a\n")
        assert await formatted(8, 9) == untidy.replace("  y  =  b\n", "  y = b\n")
        assert await formatted(0, 0) == untidy
        whole = first.replace("  y  =  b\n", "  y = b\n").replace("\n\n\n\n", "\n\n")
        assert await formatted(0, 12) == whole
        # What does not parse is left as it is.
        client.replace("main.agent", untidy + "pipeline (\n")
        assert await formatted(0, 12) == untidy

    drive(tmp_path, test)


PRIVATE = """type Order { id: Int, note: Text @pii }

pipeline first(orders: [Order], who: Text @pii @internal) -> Text {
  "{who}: {orders[0].note}"
}
"""
KEEPS = """use ./private

pipeline note(orders: [private.Order], who: Text @pii) -> Text {
  private.first(orders, who)
}

fleet lab {
  tier home = catalog.laptop { count 1 }
}

goal note {
  keep @pii on [home]
}
"""


def test_a_label_is_found_and_renamed_in_all_files_of_a_program(tmp_path: Path) -> None:
    (tmp_path / "private.agent").write_text(PRIVATE)
    (tmp_path / "main.agent").write_text(KEEPS)
    (tmp_path / "alone.agent").write_text("pipeline other(who: Text @pii) -> Text {\n  who\n}\n")
    other = KEEPS.replace("pipeline note", "pipeline other").split("fleet")[0]
    (tmp_path / "beside.agent").write_text(other)
    texts = {"private.agent": PRIVATE, "main.agent": KEEPS, "beside.agent": other}

    async def test(client: Client) -> None:
        place = client.at("main.agent", KEEPS.replace("keep @pii", "keep @p¦ii"))
        client.texts.update(texts)
        context = types.ReferenceContext(include_declaration=True)
        asked = types.ReferenceParams(context, place.text_document, place.position)
        found = await client.ask(types.TEXT_DOCUMENT_REFERENCES, asked)
        where = [(location.uri.rsplit("/", 1)[-1], location.range.start.line) for location in found]
        # Another program of the folder that has no file in common has labels of its own.
        assert sorted(where) == [
            *(("beside.agent", 2),),
            *(("main.agent", 2), ("main.agent", 11)),
            *(("private.agent", 0), ("private.agent", 2)),
        ]
        assert all(client.span(location.uri.rsplit("/", 1)[-1], location.range) == "pii" for location in found)
        here = types.DocumentHighlightParams(place.text_document, place.position)
        assert len(await client.ask(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, here)) == 2

        word = types.PrepareRenameParams(place.text_document, place.position)
        assert client.span("main.agent", await client.ask(types.TEXT_DOCUMENT_PREPARE_RENAME, word)) == "pii"
        edit = await client.ask(
            types.TEXT_DOCUMENT_RENAME, types.RenameParams(place.text_document, place.position, "@personal")
        )
        assert set(edit.changes) == {client.uri(name) for name in texts}
        for name, text in texts.items():
            changed = apply(text, edit.changes[client.uri(name)])
            assert changed == text.replace("@pii", "@personal")
            (tmp_path / name).write_text(changed)
        checked = check(Source(str(tmp_path / "main.agent"), (tmp_path / "main.agent").read_text()))
        assert [problem.slug for problem in checked.problems] == []

    drive(tmp_path, test)


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        ("pipeline p(a: Text @p¦ii, b: Text @internal) -> Text {\n  a + b\n}\n", "internal", "a label already"),
        ("pipeline p(a: Text @p¦ii) -> Text {\n  a\n}\n", "untrusted", "a label already"),
        ("pipeline p(a: Text @p¦ii) -> Text {\n  a\n}\n", "two words", "no name"),
        ("pipeline p(a: Text @untr¦usted) -> Text {\n  a\n}\n", "safe", "belongs to the language"),
    ],
)
def test_a_label_that_cannot_be_is_refused(tmp_path: Path, text: str, name: str, why: str) -> None:
    async def test(client: Client) -> None:
        place = client.at("main.agent", text)
        with pytest.raises(JsonRpcException, match=why):
            await client.ask(types.TEXT_DOCUMENT_RENAME, types.RenameParams(place.text_document, place.position, name))

    drive(tmp_path, test)


def test_a_code_action_mends_the_file(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", GOOD.replace("use std/llm\n", ""))
        first = (await client.problems("main.agent"))[0]
        context = types.CodeActionContext([first])
        params = types.CodeActionParams(client.document("main.agent"), first.range, context)
        (action, *_) = await client.ask(types.TEXT_DOCUMENT_CODE_ACTION, params)
        assert action.title == "add `use std/llm`"
        client.replace("main.agent", apply(client.texts["main.agent"], action.edit.changes[client.uri("main.agent")]))
        assert await client.problems("main.agent") == []

    drive(tmp_path, test)


# --- while writing


def test_completion_in_context(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        name = "main.agent"
        members = await client.completions(name, body("  found = order(3)\n  found.¦"))
        assert set(members) == {"id", "note", "sure"} and members["note"].detail == "Text @pii"
        arguments = await client.completions(name, body("  all(writer.chat(question, ¦))"))
        assert arguments["max_tokens:"].detail == "Int"
        arms = await client.completions(
            name, body("  kind = writer.chat(question) into Intent\n  match kind {\n    ¦\n  }")
        )
        assert {"Refund", "Question", "Other", "_"} <= set(arms)
        assert set(await client.completions(name, body("  x = all(writer.chat(question) with timeout 2 ¦)"))) >= {
            "s",
            "ms",
        }
        policies = await client.completions(name, body("  x = writer.chat(question) with ¦"))
        assert {"timeout", "retry", "hedge", "cache"} <= set(policies) and "question" not in policies
        reasons = await client.completions(name, body("  x = all(writer.chat(question)) otherwise on ¦"))
        assert "timeout" in reasons and "order" not in reasons
        types_ = await client.completions(name, PROGRAM + "pipeline p(q: ¦")
        assert {"Text", "Order", "Intent", "stream"} <= set(types_) and "order" not in types_
        assert "std/llm" in await client.completions(name, "use ¦")
        item = (await client.completions(name, body("  fo¦\n  question")))["for"]
        assert item.kind == types.CompletionItemKind.Keyword

    drive(tmp_path, test)


def test_signature_help_follows_the_argument(tmp_path: Path) -> None:
    async def help(client: Client, text: str) -> types.SignatureHelp:
        place = client.at("main.agent", text)
        params = types.SignatureHelpParams(place.text_document, place.position)
        return await client.ask(types.TEXT_DOCUMENT_SIGNATURE_HELP, params)

    async def test(client: Client) -> None:
        found = await help(client, body("  all(writer.chat(question, max_tokens: ¦"))
        (one,) = found.signatures
        assert one.label.startswith("chat(prompt: Text") and one.label.endswith("-> stream Text")
        assert one.parameters and found.active_parameter is not None
        start, end = one.parameters[found.active_parameter].label  # pyright: ignore[reportGeneralTypeIssues]
        assert one.label[start:end].startswith("max_tokens: Int")
        found = await help(client, body("  order(¦)\n  question"))
        assert found.signatures[0].label == "order(id: Int) -> Order" and found.active_parameter == 0

    drive(tmp_path, test)


# --- the whole file


def test_symbols_of_a_file_and_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "shop.agent").write_text(SHOP)

    async def test(client: Client) -> None:
        client.open("main.agent", GOOD)
        params = types.DocumentSymbolParams(client.document("main.agent"))
        symbols = {symbol.name: symbol for symbol in await client.ask(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, params)}
        assert {"writer", "Intent", "Order", "order", "window", "answer"} <= set(symbols)
        assert [child.name for child in symbols["Order"].children] == ["id", "note", "sure"]
        assert [child.name for child in symbols["answer"].children] == ["found", "kind"]
        found = await client.ask(types.WORKSPACE_SYMBOL, types.WorkspaceSymbolParams("frst"))
        assert [(symbol.name, symbol.location.uri) for symbol in found] == [("first", client.uri("shop.agent"))]

    drive(tmp_path, test)


def test_semantic_tokens_know_what_names_stand_for(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", GOOD)
        params = types.SemanticTokensParams(client.document("main.agent"))
        data = (await client.ask(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, params)).data
        legend = client.capabilities.semantic_tokens_provider.legend
        assert list(legend.token_types) == list(KINDS) and list(legend.token_modifiers) == list(MODIFIERS)
        lines, line, start = GOOD.split("\n"), 0, 0
        shown: dict[str, set[str]] = {}
        for i in range(0, len(data), 5):
            start = data[i + 1] + (0 if data[i] else start)
            line += data[i]
            shown.setdefault(lines[line][start : start + data[i + 2]], set()).add(KINDS[data[i + 3]])
        assert shown["Refund"] == {"enumMember"} and shown["Order"] == {"type"} and shown["order"] >= {"function"}
        assert shown["question"] == {"parameter"} and shown["note"] == {"property"} and shown["match"] == {"keyword"}
        assert shown["chat"] >= {"method"} and shown["@pii"] == {"decorator"} and shown["Text"] == {"type"}
        assert shown["## Looks an order up."] == {"comment"} and shown["30"] == {"number"}

    drive(tmp_path, test)


def test_inlay_hints_say_inferred_types(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", GOOD)
        whole = types.Range(types.Position(0, 0), types.Position(GOOD.count("\n"), 0))
        params = types.InlayHintParams(client.document("main.agent"), whole)
        hints = await client.ask(types.TEXT_DOCUMENT_INLAY_HINT, params)
        lines = GOOD.split("\n")
        shown = {lines[h.position.line][: h.position.character].split("(")[-1].split()[-1]: h.label for h in hints}
        assert shown == {"found": ": Order", "kind": ": Intent", "id": ": Int", "why": ": Text"}

    drive(tmp_path, test)


def test_folding(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", GOOD)
        params = types.FoldingRangeParams(client.document("main.agent"))
        found = await client.ask(types.TEXT_DOCUMENT_FOLDING_RANGE, params)
        first = GOOD[: GOOD.index("pipeline")].count("\n")
        assert any(f.start_line == first and f.end_line == GOOD.count("\n") - 1 for f in found)
        assert any(f.kind == types.FoldingRangeKind.Imports for f in found)

    drive(tmp_path, test)


# --- bad input


def test_garbage_does_not_end_the_server(tmp_path: Path) -> None:
    async def test(client: Client) -> None:
        process: asyncio.subprocess.Process = client.lsp._server  # pyright: ignore[reportPrivateUsage, reportAssignmentType]
        assert process.stdin is not None
        bodies = [
            b"not json at all",
            b"[]",
            b"{}",
            b"[" * 50_000 + b"]" * 50_000,
            json.dumps({"jsonrpc": "2.0", "id": 900, "method": "textDocument/hover", "params": {"x": 1}}).encode(),
            json.dumps({"jsonrpc": "2.0", "id": 901, "method": "no/such/method", "params": {}}).encode(),
            json.dumps({"jsonrpc": "2.0", "method": "no/such/notification"}).encode(),
            json.dumps({"jsonrpc": "2.0", "id": 902, "result": None}).encode(),
        ]
        for data in bodies:
            process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        process.stdin.write(b"Nonsense: 3\r\n\r\n")
        await process.stdin.drain()
        missing = types.TextDocumentIdentifier((tmp_path / "nowhere.agent").as_uri())
        far = types.Position(10_000, 10_000)
        assert await client.ask(types.TEXT_DOCUMENT_HOVER, types.HoverParams(missing, far)) is None
        client.open("main.agent", GOOD)
        assert await client.problems("main.agent") == []
        assert (
            await client.ask(types.TEXT_DOCUMENT_HOVER, types.HoverParams(client.document("main.agent"), far)) is None
        )

    drive(tmp_path, test)


@pytest.mark.parametrize("text", ["(" * 10_000, "{" * 10_000 + "}" * 10_000, 'pipeline p() -> Text {\n  "{' * 3_000])
def test_ten_thousand_brackets(tmp_path: Path, text: str) -> None:
    async def test(client: Client) -> None:
        client.open("main.agent", text)
        assert await client.problems("main.agent") != []
        place = types.Position(0, len(text.split("\n")[0]))
        document = client.document("main.agent")
        await client.ask(types.TEXT_DOCUMENT_COMPLETION, types.CompletionParams(document, place))
        await client.ask(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, types.SemanticTokensParams(document))
        client.replace("main.agent", GOOD)
        assert await client.problems("main.agent") == []

    drive(tmp_path, test, UTF8)
