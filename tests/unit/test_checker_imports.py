"""Files that import files: names, one type however it is reached, circles, and faults shown where they are."""

from __future__ import annotations

from pathlib import Path

from agentlang import api
from agentlang.base.render import terminal
from agentlang.lang import program as p
from agentlang.lang.types import EnumType, RecordType

SHOP = """
use std/llm
model writer = llm.chat("smollm2-135m-instruct")
let least = $3
type Order { id: Int, paid: Money = least }
enum Intent { Refund(order: Int), Other }
tool order(id: Int) -> Order = python("shop:order") effects []
pipeline told(about: Order) -> stream Text { return writer.chat("{about.id}") }
pipeline keep(text: Text, other: Text) -> Text { return text }
"""


def written(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.agent"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def check(folder: Path, name: str = "main") -> api.Checked:
    source, found = api.read(folder / f"{name}.agent")
    assert source is not None, found
    return api.check(source)


def test_what_a_file_declares_is_called_by_the_name_it_is_imported_under(tmp_path: Path) -> None:
    written(
        tmp_path,
        shop=SHOP,
        parts__mail="use ../shop: Order, Intent\ntype Mail { order: Order, intent: Intent }\n"
        "pipeline sort(mail: Mail) -> Intent { return mail.intent }\n",
        main="""
use ./shop as store
use ./parts/mail
use ./shop: Intent, told

pipeline f(id: Int, secret_text: Text @pii) -> Text {
  found = store.order(id)
  post  = mail.Mail(order: found, intent: Refund(order: 3))
  sorted = mail.sort(post)
  reply = all(told(found))
  plain = store.keep("x", secret_text)
  asked = all(store.writer.chat("{store.least}"))
  return match sorted {
    Refund(order) => "{order} {reply} {asked}"
    Other         => plain
  }
}
goal f { finish p95 <= 3 s }
""",
    )
    result = check(tmp_path)
    assert not result.problems, [problem.title for problem in result.problems]
    program = result.program
    assert program is not None
    assert set(program.records) == {"store.Order", "mail.Mail"}
    assert set(program.enums) == {"store.Intent"}
    assert [pipeline.name for pipeline in program.pipelines] == ["f", "store.told", "store.keep", "mail.sort"]
    assert [handle.name for handle in program.handles] == ["store.writer"]
    assert [tool.name for tool in program.tools] == ["store.order"]
    fields = {field.name: field.type for field in program.records["mail.Mail"].fields}
    # Reached in two ways, a type is one type.
    assert fields == {"order": RecordType("store.Order"), "intent": EnumType("store.Intent")}
    body = {s.name: s.value for s in program.pipelines[0].body.statements if isinstance(s, p.Bind)}
    assert isinstance(reply := body["reply"], p.Collect) and isinstance(reply.stream, p.PipelineCall)
    assert reply.stream.pipeline == "store.told"
    # Labels flow through a pipeline of another file as through one of this.
    assert body["plain"].labels == frozenset()
    assert {Path(source.path).name for source in program.sources} >= {"main.agent", "shop.agent", "mail.agent"}


def test_files_that_cannot_be_had(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    written(tmp_path, beyond="let a = 1\n")
    written(
        inside,
        a="use ./b\npipeline f(t: Text) -> Text { return b.g(t) }\n",
        b="use ./c\npipeline g(t: Text) -> Text { return c.h(t) }\n",
        c="use ./a\npipeline h(t: Text) -> Text { return a.f(t) }\n",
        main="use ./main as me\nuse ../beyond\nuse ./nothing: x\npipeline f(t: Text) -> Text { return t }\n",
    )
    (inside / "link.agent").symlink_to(tmp_path / "beyond.agent")
    assert [problem.slug for problem in check(inside).problems] == [
        "import-cycle",
        "import-outside",
        "import-not-found",
    ]
    circle = check(inside, "a")
    (problem,) = circle.problems
    assert problem.slug == "import-cycle" and problem.span is not None
    assert Path(problem.span.path).name == "c.agent"
    assert [Path(related.span.path).name for related in problem.related] == ["a.agent", "b.agent"]
    assert "use ./b" in terminal(problem, circle.sources)
    written(inside, main="use ./link\npipeline f(t: Text) -> Text { return t }\n")
    assert [problem.slug for problem in check(inside).problems] == ["import-outside"]


def test_faults_of_an_imported_file_are_shown_there_once(tmp_path: Path) -> None:
    written(
        tmp_path,
        shop="type Order { id: Nt }\nmodel unused = 3\npipeline ok(t: Text) -> Text { return t }\nlet lonely = 3\n",
        other="use ./shop\npipeline g(t: Text) -> Text { return shop.ok(t) }\n",
        main="use ./shop\nuse ./other\npipeline f(t: Text) -> Text { return shop.ok(other.g(tt)) }\n",
    )
    result = check(tmp_path)
    assert [(problem.slug, Path(problem.span.path).name) for problem in result.problems if problem.span] == [
        ("unknown-name", "main.agent"),
        ("unknown-name", "shop.agent"),
        ("not-a-handle", "shop.agent"),
    ]
    assert all(terminal(problem, result.sources).count("^") for problem in result.problems)


def test_a_broken_file_leaves_its_sound_names(tmp_path: Path) -> None:
    written(
        tmp_path,
        shop="pipeline ok(t: Text) -> Text { return t }\npipeline broken(t: Text -> Text { return t }\n",
        main="use ./shop\npipeline f(t: Text) -> Text { return shop.ok(shop.broken(t)) }\n",
    )
    result = check(tmp_path)
    assert result.program is None
    assert {Path(problem.span.path).name for problem in result.problems if problem.span} == {"shop.agent"}


def test_a_chain_of_many_files_ends(tmp_path: Path) -> None:
    for number in range(80):
        written(
            tmp_path,
            **{f"f{number}": f"use ./f{number + 1}\npipeline p(t: Text) -> Text {{ return f{number + 1}.p(t) }}\n"},
        )
    assert [problem.slug for problem in check(tmp_path, "f0").problems] == ["too-deep"]
