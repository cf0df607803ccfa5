"""What the checker must catch: every fault that the language's description lists, each as a small file of its own.

The words of the primary span stand between « and ». Where a fault is reported at several places (each call of a
circle), each of them is marked. A file holds its fault and nothing else that is worth a word.
"""

from __future__ import annotations

from dataclasses import dataclass

MODEL = 'use std/llm\nmodel writer = llm.chat("smollm2-135m-instruct")\n'
LOOK = 'tool look(query: Text) -> Text = python("web:look") effects [reads "pages"]\n'
TOOLS = LOOK + 'tool other(query: Text) -> Text = python("web:other") effects [reads "pages"]\n'
FETCH = 'tool fetch(query: Text) -> Text = python("web:fetch") effects [network]\n'
PAY = 'tool pay(order: Text) -> Bool = python("shop:pay") effects [writes "payments"]\n'
INTENT = "enum Intent { Refund(order: Int), Question, Other }\n"
GOAL = "pipeline answer(question: Text) -> stream Text {\n  return writer.chat(question)\n}\n"


@dataclass(frozen=True)
class Fault:
    """One fault: what the list calls it, its slug, the file with marks, and whether a machine can mend it."""

    name: str
    slug: str
    marked: str
    severity: str = "error"
    fix: bool = False

    @property
    def text(self) -> str:
        return self.marked.replace("«", "").replace("»", "")

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each marked part starts and ends in `text`."""
        found: list[tuple[int, int]] = []
        at = start = 0
        for character in self.marked:
            if character == "«":
                start = at
            elif character == "»":
                found.append((start, at))
            else:
                at += 1
        return found


def main(body: str, parameters: str = "t: Text", result: str = "Text") -> str:
    return f"pipeline main({parameters}) -> {result} {{\n  {body}\n}}\n"


FAULTS = (
    Fault("unknown name, nothing near", "unknown-name", main("return «zebra»")),
    Fault(
        "unknown name, one suggestion",
        "unknown-name",
        main("question = t\n  other = question\n  return «questoin» + other"),
        fix=True,
    ),
    Fault("unknown type", "unknown-name", "pipeline main(t: «Txet») -> Text {\n  return t\n}\n", fix=True),
    Fault("wrong type of an argument", "wrong-type", LOOK + main("return look(«n»)", "n: Int")),
    Fault("wrong type of a result", "wrong-type", main("return «n»", "n: Int")),
    Fault("wrong type of a field", "wrong-type", "type A { n: Int }\n" + main("a = A(n: «t»)\n  return a", result="A")),
    Fault("wrong type of an option", "wrong-type", main('return «o» + "x"', "o: Text?")),
    Fault(
        "stream used as a value",
        "stream-as-value",
        MODEL + main('reply = writer.chat(t)\n  return "{«reply»}"'),
        fix=True,
    ),
    Fault(
        "stream given for a value", "stream-as-value", MODEL + LOOK + main("return look(«writer.chat(t)»)"), fix=True
    ),
    Fault("seconds and dollars", "unit-mismatch", main("a = d «+» m\n  return a", "d: Duration, m: Money", "Money")),
    Fault("bytes for seconds", "unit-mismatch", LOOK + main("return look(t) with timeout «2 GiB»")),
    Fault("comparison across units", "unit-mismatch", main("return d «<» 3", "d: Duration", "Bool")),
    Fault("name bound twice", "bound-twice", main('a = t + "x"\n  «a» = t + "y"\n  return a')),
    Fault("parameter bound again", "bound-twice", main('«t» = "x"\n  return t')),
    Fault("declaration twice", "bound-twice", "let limit = 3\nlet «limit» = 4\n" + main("return limit", "", "Int")),
    Fault(
        "missing arm",
        "missing-arm",
        INTENT + main("return «match i» {\n    Question => 1\n  }", "i: Intent", "Int"),
        fix=True,
    ),
    Fault("missing arm of an option", "missing-arm", main("return «match o» { some(v) => v }", "o: Text?"), fix=True),
    Fault(
        "unreachable arm",
        "unreachable-arm",
        INTENT + main("return match i {\n    _ => 1\n    «Question => 2»\n  }", "i: Intent", "Int"),
    ),
    Fault(
        "arm twice",
        "unreachable-arm",
        INTENT + main("return match i { Question => 1, «Question» => 2, _ => 3 }", "i: Intent", "Int"),
    ),
    Fault("unreachable fallback", "unreachable-fallback", main('return t + "a" «otherwise "x"»'), fix=True),
    Fault(
        "unreachable second fallback",
        "unreachable-fallback",
        TOOLS + main("return look(t) otherwise t «otherwise other(t)»"),
        fix=True,
    ),
    Fault("loop without a bound", "unbounded-loop", main("return repeat a = t«» { next a }")),
    Fault("while", "unbounded-loop", main('«while» t != "" { t }\n  return t')),
    Fault(
        "loop with a bound of the run",
        "not-constant",
        main("return repeat a = t, at most «n» times { next a }", "t: Text, n: Int"),
    ),
    Fault(
        "recursion",
        "recursion",
        "pipeline ping(t: Text) -> Text {\n  return «pong(t)»\n}\n"
        "pipeline pong(t: Text) -> Text {\n  return «ping(t)»\n}\n",
    ),
    Fault("recursion of one", "recursion", main("return «main(t)»")),
    Fault(
        "retries longer than the deadline",
        "deadline-too-short",
        LOOK
        + "pipeline find(query: Text) -> Text {\n  return look(query) with timeout 800 ms, retry 2 backoff 50 ms\n}\n"
        + main("return find(t) with «timeout 2 s»"),
        fix=True,
    ),
    Fault(
        "a fallback that the deadline never lets run",
        "fallback-never-runs",
        TOOLS + main("return (look(t) with timeout 2 s otherwise «other(t)») with timeout 2 s"),
    ),
    Fault(
        "a hedge after the timeout",
        "hedge-never-starts",
        LOOK + main("return look(t) with timeout 500 ms, «hedge after 800 ms»"),
    ),
    Fault(
        "a percentile below the worst case",
        "goal-below-worst-case",
        LOOK + main("return look(t) with timeout 3 s, retry 1") + "goal main {\n  «finish p95 <= 4 s»\n}\n",
        "warning",
    ),
    Fault(
        "a dangerous tool retried",
        "dangerous-repeated",
        PAY + main("return pay(t) with «retry 2»", result="Bool"),
        fix=True,
    ),
    Fault(
        "a dangerous tool hedged",
        "dangerous-repeated",
        PAY + main("return pay(t) with «hedge after 1 s»", result="Bool"),
        fix=True,
    ),
    Fault(
        "a dangerous tool raced",
        "dangerous-repeated",
        PAY + main("return «race» {\n    pay(t)\n    pay(t)\n  }", result="Bool"),
        fix=True,
    ),
    Fault("into on a value", "into-misplaced", "type A { n: Int }\n" + main("return «t» into A", result="A")),
    Fault(
        "into on a tool", "into-misplaced", LOOK + "type A { n: Int }\n" + main("return «look(t)» into A", result="A")
    ),
    Fault(
        "a label that reaches a tier",
        "label-reaches-tier",
        'use std/llm\nmodel writer = llm.chat("gpt-oss-120b")\n'
        "pipeline main(mail: Text @pii) -> stream Text {\n  return writer.chat(«mail»)\n}\n"
        "goal main {\n  keep @pii on [office]\n}\n"
        "fleet lab {\n"
        '  tier office = endpoint("https://a.example") { serves ["gpt-oss-20b"] }\n'
        '  tier cloud = endpoint("https://b.example") { serves ["gpt-oss-120b"] }\n'
        "  link office <-> cloud 1 Gbit/s, 20 ms\n}\n",
    ),
    Fault(
        "a label that reaches a tool",
        "label-reaches-tool",
        FETCH
        + 'pipeline main(mail: Text @pii) -> Text {\n  words = "New: {mail}"\n  return fetch(«words»)\n}\n'
        + "goal main {\n  keep @pii on [office]\n}\nfleet here {\n  tier office = catalog.laptop { count 1 }\n}\n",
    ),
    Fault(
        "a goal for an unknown pipeline",
        "goal-unknown-pipeline",
        MODEL + GOAL + "goal «anwser» {\n  finish p95 <= 6 s\n}\n",
        fix=True,
    ),
    Fault(
        "a goal twice",
        "goal-twice",
        MODEL + GOAL + "goal answer {\n  finish p95 <= 6 s\n}\ngoal «answer» {\n  finish p99 <= 9 s\n}\n",
    ),
    Fault(
        "a contradictory goal",
        "goal-contradictory",
        MODEL + GOAL + "goal answer {\n  finish p95 <= 6 s\n  «finish p95 <= 9 s»\n}\n",
    ),
    Fault(
        "a tier that no link reaches",
        "tier-unreachable",
        main("return t")
        + "fleet lab {\n  tier «cpu» = catalog.laptop { count 1 }\n  tier «gpu» = catalog.h100 { count 1 }\n}\n",
    ),
    Fault(
        "untrusted data for a dangerous tool",
        "untrusted-input",
        FETCH + PAY + main("found = fetch(t)\n  return pay(«found»)", result="Bool"),
    ),
    Fault("a hole without a text form", "no-text-form", main('return "{«ts»}"', "ts: [Text]")),
    Fault("a record in a hole", "no-text-form", "type A { n: Int }\n" + main('return "{«a»}"', "a: A")),
    Fault("an option in a hole", "no-text-form", main('return "{«o»}"', "o: Text?")),
    Fault("an unused binding", "unused", main('«a» = t + "x"\n  return t'), "warning"),
    Fault(
        "an unused model",
        "unused",
        'use std/llm\nmodel «writer» = llm.chat("smollm2-135m-instruct")\n' + main("return t"),
        "warning",
    ),
    Fault("an unused tool", "unused", LOOK.replace("look", "«look»", 1) + main("return t"), "warning"),
    Fault("an unused import", "unused", "use «std/list»\n" + main("return t"), "warning", True),
)

TOGETHER = """use std/llm
use std/text
model writer = llm.chat("smollm2-135m-instruct")
type Order { id: Int, paid: «unknown-name:Mony» }
enum Intent { Refund(order: Int), Question, Other }
tool look(query: Text) -> Text = python("web:look") effects [network]
tool pay(order: Text) -> Bool = python("shop:pay") effects [writes "payments"]
let «unused:window» = 30

pipeline names(question: Text) -> Text {
  return «unknown-name:questoin»
}

pipeline types(question: Text) -> Int {
  return «wrong-type:question»
}

pipeline streams(question: Text) -> Text {
  return «stream-as-value:writer.chat(question)»
}

pipeline units(time: Duration, price: Money) -> Money {
  return time «unit-mismatch:+» price
}

pipeline twice(question: Text) -> Text {
  a = text.trim(question)
  «bound-twice:a» = text.lower(question)
  return a
}

pipeline arms(intent: Intent) -> Text {
  return «missing-arm:match intent» {
    Question => "asks"
  }
}

pipeline circle(question: Text) -> Text {
  return «recursion:circle(question)»
}

pipeline late(question: Text) -> Text {
  return (look(question) with timeout 2 s, retry 2) with «deadline-too-short:timeout 3 s»
}

pipeline again(order: Text) -> Bool {
  return pay(order) with «dangerous-repeated:retry 2»
}

pipeline strangers(question: Text) -> Bool {
  found = look(question)
  return pay(«untrusted-input:found»)
}

pipeline decoded(question: Text) -> Order {
  return «into-misplaced:question» into Order
}

pipeline holes(intents: [Intent]) -> Text {
  return "{«no-text-form:intents»}"
}

pipeline spare(question: Text) -> Text {
  «unused:draft» = text.trim(question)
  return question
}

goal «goal-unknown-pipeline:loop» {
  finish p95 <= 6 s
}

fleet lab {
  tier «tier-unreachable:cpu» = catalog.laptop { count 1 }
  tier «tier-unreachable:gpu» = catalog.h100 { count 1 }
}
"""
"""Faults of almost every kind in one file, each in a declaration of its own; marked as «slug:words»."""


BROKEN = """
pipeline broken(question: Text) -> Text {
  return text.trim(question«unclosed-bracket:»
}

pipeline loops(draft: Text) -> Text {
  return repeat better = draft«unbounded-loop:» {
    next text.trim(better)
  }
}
"""
"""Declarations that do not even parse, to stand behind the others."""


def together(broken: bool = False) -> tuple[str, list[tuple[str, int, int]]]:
    """The file without its marks, and each fault's slug with where its words start and end.

    With `broken`, two declarations do not parse; what is unused is then not reported, for it may be used in there.
    """
    text, found = "", list[tuple[str, int, int]]()
    for piece in (TOGETHER + BROKEN if broken else TOGETHER).split("«"):
        marked, closed, rest = piece.partition("»")
        if closed:
            slug, _, words = marked.partition(":")
            if not (broken and slug == "unused"):
                found.append((slug, len(text), len(text) + len(words)))
            text += words + rest
        else:
            text += piece
    return text, found
