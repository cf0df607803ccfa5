"""An agent as its author thinks of it: a model that may use tools for some steps, and then answers.

The operation says what is this agent's own: how the model is asked, what a call of a tool gives, how it is asked for
the last time. What all agents have in common (that the conversation grows, that calls of one reply run at once, when it
ends) is said once, by `passes/split_agent.py`, which makes a bounded loop of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...lang.types import EnumType, ListType, RecordType, StreamType
from .spec import Is, View, fits, operation

MESSAGE = RecordType("Message")
SAID = ListType(MESSAGE)
NAMES = ("turn", "done", "answer", "calls", "call", "results", "found")
"""What the parts of the loop are called, unless `names` says otherwise: an agent may have parameters of such names."""
FEWEST = 2
"""Steps: one to use a tool, one to answer."""


def names_of(given: Mapping[str, Any]) -> dict[str, str]:
    """What the parts of an agent's loop are called, by its attributes."""
    return {role: given.get("names", {}).get(role, role) for role in NAMES}


def _regions(op: View) -> Iterator[str]:
    step, use, last = (op.region(at) for at in range(3))
    if step is None or use is None or last is None:
        yield "lacks a body: how the model is asked, what a call gives, how it is asked for the last time"
        return
    for word, body in (("step", step), ("last", last)):
        if body.arguments != (SAID,):
            yield f"has a body {word!r} that takes {', '.join(map(str, body.arguments)) or 'nothing'}, not {SAID}"
    if len(step.results) != 1 or not isinstance(step.results[0], EnumType):
        yield f"has a body 'step' that yields {', '.join(map(str, step.results)) or 'nothing'}, not a reply"
    if len(use.arguments) != 1 or not isinstance(use.arguments[0], EnumType):
        yield f"has a body 'use' that takes {', '.join(map(str, use.arguments)) or 'nothing'}, not a call"
    if use.results != (MESSAGE,):
        yield f"has a body 'use' that yields {', '.join(map(str, use.results)) or 'nothing'}, not {MESSAGE}"
    if len(last.results) != 1 or not fits(last.results[0], op.result):
        yield f"gives {op.result}, but its body 'last' yields {', '.join(map(str, last.results)) or 'nothing'}"


@operation(
    "agent",
    attributes={"name": Is.TEXT, "model": Is.TEXT, "tools": Is.TEXTS, "at_most": Is.INTEGER, "record": Is.TEXT},
    optional={"names": Is.MAP},
    operands=(1, 1),
    regions=("step", "use", "last"),
    verify_regions=_regions,
)
def agent(op: View) -> Iterator[str]:
    """`agent name(…) -> T { … at most N steps }`: a conversation, to which a model adds a reply in each step, until one
    is an answer. The operand is what is said before the first step; `model` is the handle that is asked, `tools` are
    what it may call, by the names it uses, `at_most` is the most steps, `record` the type of a turn (what is said, with
    the answer if there is one). `split_agent` makes a loop of it.

    `step` takes what was said and yields the reply: a case `Use(calls)` or `Answer(answer)`. `use` takes one call and
    yields the message of what it gave. `last` takes what was said and yields the answer, when the steps are used up.

    %1 = "agent.agent"(%0) ({ ^bb0(%said: !agent.list_of<!agent.record_of<"Message">>): … "agent.yield"(%2) },
                            { ^bb0(%call: !agent.enum_of<"desk.Call">): … "agent.yield"(%3) },
                            { ^bb0(%said: !agent.list_of<!agent.record_of<"Message">>): … "agent.yield"(%4) })
      {name = "desk", model = "writer", tools = ["order"], at_most = 5 : i64, record = "desk.Turn"}
      : (!agent.list_of<!agent.record_of<"Message">>) -> !agent.text
    """
    tools, names = op.attributes["tools"], op.attributes.get("names", {})
    if op.operands[0] != SAID:
        yield f"begins with {op.operands[0]}, not {SAID}"
    if isinstance(op.result, StreamType):
        yield f"gives a value, not {op.result}"
    if op.attributes["at_most"] < FEWEST:
        yield "must allow at least two steps: one to use a tool, one to answer"
    if not tools:
        yield "has no tool"
    if len(set(tools)) != len(tools):
        yield "names a tool twice"
    for word in ("name", "model", "record"):
        if not op.attributes[word]:
            yield f"has an empty {word!r}"
    if not all(name in NAMES and isinstance(value, str) and value for name, value in names.items()):
        yield f"has names of something else than {', '.join(NAMES)}"
