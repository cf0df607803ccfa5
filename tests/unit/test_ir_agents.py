"""Agents in the dialect: what `agent.agent` holds, its rules and laws, and the loop that `split_agent` makes of it."""

from __future__ import annotations

import hashlib
import re

import ir_programs as P
import pytest
from agent_sources import ACCEPTANCE, EXAMPLES, checked
from ir_meaning import keeps_meaning

from agentlang.base.frozen import replace
from agentlang.base.problems import has_errors
from agentlang.executor.machine.prepared import prepare
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.drawing import picture
from agentlang.ir.emit import emit_module
from agentlang.ir.graph import Graph, Operation, walk
from agentlang.ir.passes import PASSES, PLAIN
from agentlang.ir.read import read_graph
from agentlang.lang import program as p

HEAD = """
use std/llm
use std/mcp
model writer = llm.chat("smollm2-135m-instruct")
server shop = mcp.stdio(["shop-mcp"])
enum Size { Small, Large(extra: Int, who: Text @pii) }
type Order { id: Int, mail: Text @pii, size: Size?, paid: Money }
tool order(id: Int) -> Order = python("shop:order") effects [reads "orders"]
tool today() -> Text = python("shop:today") effects []
tool save(order: Order, note: Text?) -> Bool = shop("save") effects [writes "orders"]
pipeline poem(topic: Text, lines: Int) -> stream Text { return writer.chat("{lines} lines on {topic}.") }
"""
DESK = """
agent desk(question: Text) -> Text {
  model writer
  tools [order, today]
  system "You help."
  at most 5 steps
}
"""
# Every kind of result, of parameter and of tool; labels; names that the loop would use; agents that use agents.
AGENTS = {
    "text": DESK,
    "record": "agent one(about: Order, size: Size) -> Order { model writer, tools [order], at most 3 steps }",
    "labelled": "agent one(it: Text @pii, by: [Message]) -> Text @pii { model writer, tools [save], at most 2 steps }",
    "labelled record": "agent one(mail: Text) -> Order @pii { model writer, tools [save, order], at most 3 steps }",
    "option": "agent one(id: Int?) -> Order? { model writer, tools [order], at most 2 steps }",
    "labelled option": "agent one(mail: Text?) -> Text? @pii { model writer, tools [today], at most 2 steps }",
    "list": "agent one(messages: [Message]) -> [Order] { model writer, tools [order], at most 4 steps }",
    "enum": "agent one(orders: {Text: Order}, when: Duration) -> Size { model writer, tools [order], at most 4 steps }",
    "number": "agent one(x: Float, y: Bool) -> Float { model writer, tools [today], at most 1000 steps }",
    "json": "agent one(x: Json) -> Json { model writer, tools [order, poem], at most 9 steps }",
    "nothing taken": "agent one() -> Money { model writer, tools [today], at most 9 steps }",
    "names": """
agent one(said: Text, done: Text, turn: Int, calls: Text, call: Text, results: Text, found: Text) -> Order {
  model writer
  tools [order, today, save, poem, other]
  system "You know {done}."
  at most 7 steps
}
agent other(answer: Text, step: Text, last: Text) -> Int { model writer, tools [today], at most 2 steps }
pipeline use(mail: Text @pii) -> [Int] {
  kept = for part in [mail, mail] { one(part, part, 1, part, part, part, part) with timeout 3 s }
  return for each in kept { other(each.mail, "s", "l") otherwise 3 }
}
""",
}


def written(source: str) -> p.Program:
    """The program of a text, whatever it does not use."""
    program, problems = checked(source)
    assert program is not None and not has_errors(problems), [problem.title for problem in problems]
    return program


def lowered(program: p.Program, tests: bool = True) -> Module:
    module, problems = irc.lower(program, tests)
    assert module is not None, problems
    return module


def passed(module: Module, *names: str) -> Module:
    made, problems = irc.run_passes(module, P.SmallLibrary(), passes=names)
    assert made is not None, problems
    return made


def as_loops(program: p.Program) -> Module:
    """The program lowered as if its author had written the loops."""
    return lowered(replace(program, pipelines=tuple(replace(each, agent=None) for each in program.pipelines)))


def text(module: Module) -> str:
    """With every location; without what says which passes it has been through."""
    return re.sub(r"agent\.passes = \[[^]]*\], ", "", module.text())


def agents(graph: Graph) -> list[Operation]:
    return [each for pipeline in graph.pipelines for each in walk(pipeline.body) if each.name == "agent.agent"]


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_becomes_the_loop_that_it_stands_for(name: str) -> None:
    """To the letter: ids, names, labels, places, and the order of operations."""
    program = written(HEAD + AGENTS[name])
    module = lowered(program)
    assert agents(module.graph())
    assert text(passed(module, "split_agent")) == text(as_loops(program))


def test_so_do_the_agents_of_examples() -> None:
    paths = [path for path in (*EXAMPLES, *sorted(ACCEPTANCE.glob("*.agent"))) if "\nagent " in path.read_text()]
    assert paths
    for path in paths:
        program = written(path.read_text())
        assert text(passed(lowered(program), "split_agent")) == text(as_loops(program)), path


def test_what_an_agent_says_of_itself() -> None:
    (operation,) = agents(lowered(written(HEAD + DESK)).graph())
    assert operation.id == "desk.agent"
    told = {name: operation.attributes[name] for name in ("name", "model", "tools", "at_most", "record")}
    wanted = {"name": "desk", "model": "writer", "tools": ("order", "today"), "at_most": 5, "record": "desk.Turn"}
    assert told == wanted
    assert [[str(value.type) for value in region.arguments] for region in operation.regions] == [
        ["[Message]"],
        ["desk.Call"],
        ["[Message]"],
    ]


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_comes_back_from_text_and_bytecode(name: str) -> None:
    module = lowered(written(HEAD + AGENTS[name]))
    for given in (module.text(), module.bytecode()):
        digest = hashlib.sha256(given).hexdigest() if isinstance(given, bytes) else None
        again, problems = irc.parse(given, digest)
        assert again is not None, problems
        assert again.text() == module.text()
    graph = module.graph()
    assert read_graph(emit_module(graph), module.sources) == graph


@pytest.mark.parametrize("name", AGENTS)
def test_agents_and_pipelines_may_change_places(name: str) -> None:
    """Whether an agent becomes a loop before it is inlined or after, the graph is the same."""
    module = lowered(written(HEAD + AGENTS[name]))
    first = passed(module, "split_agent", "inline_pipelines")
    then = passed(module, "inline_pipelines", "split_agent")
    assert text(then) == text(first)


@pytest.mark.parametrize("name", AGENTS)
def test_the_loop_means_what_the_agent_means(name: str) -> None:
    program = written(HEAD + AGENTS[name])
    module = lowered(program, tests=False)
    split = passed(module, "split_agent")
    keeps_meaning(module, split)
    keeps_meaning(split, passed(split, *[each for each in PASSES if each != "split_agent"]))


def test_an_agent_is_drawn_as_one_box() -> None:
    """What a step may do is inside."""
    drawn = picture(lowered(written(HEAD + DESK)).graph(), "desk")
    (box,) = [box for box in drawn.walk() if box.id == "desk.agent"]
    assert box.title == "agent desk, at most 5 steps"
    assert [part.title for part in box.parts] == ["a step", "a call of a tool", "the last step"]
    assert [inner.title for inner in drawn.walk() if inner.kind == "tool"] == ["order", "today"]


def test_an_agent_does_not_run() -> None:
    module = lowered(written(HEAD + DESK))
    with pytest.raises(ValueError, match="agents become loops before a graph runs"):
        prepare(
            passed(module, *[name for name in PLAIN if name not in ("split_agent", "annotate_demand")])
            .graph()
            .pipeline("desk")
        )


# --- rules -----------------------------------------------------------------------------------------------------------

TEXT = lowered(written(HEAD + DESK)).text(locations=False)
SAID = '!agent.list_of<!agent.record_of<"Message">>'
CALL = '!agent.enum_of<"desk.Call">'
BROKEN = [
    ("at_most = 5 : i64", "at_most = 1 : i64", "must allow at least two steps"),
    ('tools = ["order", "today"]', 'tools = ["order", "order"]', "names a tool twice"),
    ('tools = ["order", "today"]', "tools = []", "has no tool"),
    ('tools = ["order", "today"]', 'tools = ["order"]', "the cases of desk.Call are not its tools order"),
    ('tools = ["order", "today"]', "tools = 3 : i64", "has an attribute 'tools' that is not a list of texts"),
    ('record = "desk.Turn", tools', 'record = "", tools', "has an empty 'record'"),
    (
        'record = "desk.Turn", tools',
        'record = "Order", tools',
        "'Order' is no record of said: [Message], answer: Text?",
    ),
    ('record = "desk.Turn", tools', 'record = "None", tools', "'None' is no record of said: [Message], answer: Text?"),
    ('model = "writer", name = "desk"', 'model = "shop", name = "desk"', "'shop' is no declared llm.Model"),
    ('model = "writer", name = "desk"', 'model = "other", name = "desk"', "'other' is no declared llm.Model"),
    ('name = "desk", record', 'name = "desk", names = {other = "x"}, record', "has names of something else than turn"),
    ('name = "desk", record', 'name = "desk", names = {turn = 3 : i64}, record', "has names of something else than"),
    ('name = "Use", payload', 'name = "Call", payload', "a reply is Use(calls: [desk.Call]) or Answer(answer: Text)"),
    (f"^bb0(%arg1: {SAID}):", f"^bb0(%arg1: {SAID}, %x: !agent.text):", "body 'step' that takes [Message], Text, not"),
    (
        f"^bb0(%arg1: {CALL}):",
        f"^bb0(%arg1: {CALL}, %x: !agent.text):",
        "body 'use' that takes desk.Call, Text, not a call",
    ),
]


@pytest.mark.parametrize(("old", "new", "title"), BROKEN, ids=[new for _, new, _ in BROKEN])
def test_an_agent_that_breaks_a_rule(old: str, new: str, title: str) -> None:
    assert old in TEXT
    module, problems = irc.parse(TEXT.replace(old, new, 1))
    assert module is None
    assert any(title in problem.title for problem in problems), [problem.title for problem in problems]


YIELDED = [
    (r'"agent\.yield"\(%\w+\) (\{id = "desk\.turn\.yield"\}) : \(.*\) ->', "a body 'step' that yields [Message], not"),
    (
        r'"agent\.yield"\(%\w+\) (\{id = "desk\.match\.none\.yield"\}) : \(.*\) ->',
        "but its body 'last' yields [Message]",
    ),
    (
        r'"agent\.yield"\(%\w+\) (\{id = "desk\.turn\.match\.Use\.call\.yield"\}) : \(.*\) ->',
        "yields desk.Call, not Message",
    ),
]


@pytest.mark.parametrize(("pattern", "title"), YIELDED, ids=["step", "last", "use"])
def test_a_body_that_yields_something_else(pattern: str, title: str) -> None:
    given = CALL if "Call" in title.split(",")[0] else SAID
    changed, count = re.subn(pattern, rf'"agent.yield"(%arg1) \1 : ({given}) ->', TEXT)
    assert count == 1
    module, problems = irc.parse(changed)
    assert module is None
    assert any(title in problem.title for problem in problems), [problem.title for problem in problems]


def test_no_agent_is_left_after_the_split() -> None:
    said = TEXT.replace("agent.version", 'agent.passes = ["split_agent"], agent.version', 1)
    module, problems = irc.parse(said)
    assert module is None
    assert [problem.title for problem in problems] == ["the module breaks a rule: an agent is left after the split"]


def test_the_conversation_may_be_used_more_than_once() -> None:
    """In a module by hand: each use has a part with an id of its own."""
    line = next(line for line in TEXT.splitlines() if '"agent.yield"' in line and "desk.turn.yield" in line)
    more = "".join(
        f'%more{n} = "agent.length"(%arg1) {{id = "desk.turn.more{n}"}} : ({SAID}) -> !agent.int\n'
        f'%both{n} = "agent.binary"(%arg1, %arg1) {{id = "desk.turn.both{n}", operator = "+"}}'
        f" : ({SAID}, {SAID}) -> {SAID}\n"
        for n in range(2)
    )
    module, problems = irc.parse(TEXT.replace(line, more + line, 1))
    assert module is not None, problems
    split = passed(module, "split_agent")
    graph = split.graph()
    assert not agents(graph)
    fields = [each.id for each in walk(graph.pipeline("desk").body) if each.name == "agent.field"]
    assert {"desk.turn.both0.field", "desk.turn.both0.field_2", "desk.turn.more1.field"} <= set(fields)
