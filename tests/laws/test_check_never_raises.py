"""Whatever stands in a file, parsing and checking it ends with problems, not with an exception.

Programs are damaged as an editor sees them while somebody types: tokens left out, doubled, swapped, taken from
elsewhere, and the end cut off.
"""

from __future__ import annotations

import re

from agent_sources import ACCEPTANCE, EXAMPLES, checked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentlang.base.problems import has_errors
from agentlang.base.render import json_text
from agentlang.base.source import Source
from agentlang.lang.checker import check
from agentlang.lang.checker.conversions import is_open, is_unknown
from agentlang.lang.parser import parse
from agentlang.lang.program import walk
from agentlang.stdlib.interfaces import interface

# A program that uses more of the language than the examples do, so that damage reaches more rules.
BROAD = """
use std/llm
use std/search: reranker, Passage
use std/text as words

type Card { owner: Text @name, number: Int = 3, score: Float = 0.5, tags: [Text] = [] }
let most = 4
let wait = 250 ms
model writer = llm.chat("smollm2-135m-instruct")
model judge = reranker("ms-marco-minilm-l12")

pipeline best(question: Text, hits: [Passage]) -> [Passage] {
  return hits |> judge.rerank(question, keep: most)
}

pipeline cards(question: Text @pii, hits: [Passage], loud: Bool) -> [Card] {
  found = best(words.redact(question), hits)
  kept = for hit in found where hit.score > 0.2 and not (hit.line == 3), at most 2 at once {
    Card(owner: hit.path, number: hit.line * 2 - 1, score: hit.score)
  }
  return if loud { kept } else if len(kept) > most { [] } else { kept + [Card("x", score: 1)] }
}

pipeline told(question: Text, slow: Duration = 2 s) -> stream Text {
  sentences = words.sentences(writer.chat("{question} {slow + wait} {wait / 1 s}", max_tokens: 32))
  return for sentence in sentences { writer.chat(sentence) }
}

goal told {
  rate 4 per s
  first_token p95 <= 800 ms
  cost <= $0.40 per 1000 runs
  prefer cheapest
  assume { question 40 tokens, told output 20 tokens }
}

fleet lab {
  tier cpu = catalog.laptop { count 0..2 }
  tier gpu = catalog.h100 { count 1 }
  link cpu <-> gpu 10 Gbit/s, 10 us
}

test "told" { expect all(told("x")) contains "x" }
"""

# Every form of expression.
FORMS = """
use std/llm
use std/list

model writer = llm.chat("smollm2-135m-instruct")
enum Intent { Refund(order: Int, amount: Money), Question(topic: Text), Spam }
type Order { id: Int, paid: Money, note: Text? }
type Verdict { done: Bool, why: Text }
let turns = 3

pipeline ask(question: Text @pii) -> Text { return all(writer.chat(question)) }

pipeline sort(mail: Text, raw: Json, wait: Text?) -> Text {
  intent = writer.chat(mail, max_tokens: 8) into Intent
  order = raw as Order otherwise on bad_value Order(id: 1, paid: $2.50, note: none)
  known = {"id": order.id, "note": order.note, "kinds": [Intent.Spam, Question("x")]} as Json
  tags = {"a": 1, "b": 2}
  first = list.first([intent, Spam])
  told = match intent {
    Refund(id, amount) => if amount > order.paid { "too much" } else { "{id} of {known}" }
    Question(_) => match wait {
      some(long) => long
      none => "at once"
    }
    Spam => ask(mail) with timeout 800 ms, retry 2 backoff 50 ms, approve "Ask {mail}?"
  }
  draft = repeat text = told, at most turns times {
    verdict = writer.chat("Good?\\n{text}") into Verdict
    stop text when verdict.done and tags["a"] == 1
    match first {
      some(kind) => if kind == Spam { stop "spam" } else { next verdict.why }
      none => ask(text)
    }
  }
  return race {
    ask(draft)
    ask("Shorter: {draft}") otherwise on timeout, refused draft
  }
}

pipeline loud(mail: Text) -> stream Text {
  parts = for kind in [Refund(1, $2), Spam] where kind != Spam, at most 2 at once { declassify(mail) }
  emit interruptible {
    reply = buffered(writer.chat([Message(User, parts[0])])) with idle 2 s, buffer 8 drop oldest
    reply
  }
  return writer.chat(mail) otherwise writer.chat("again") with buffer latest
}

test "sorts" {
  given ask("a") = "b"
  expect ask("a") == "b" and [1] + [] == list.sorted([1])
}
"""

SOURCES = [BROAD, FORMS, *(path.read_text("utf-8") for path in [*EXAMPLES, *sorted(ACCEPTANCE.glob("*.agent"))])]
_TOKEN = re.compile(r'"""|[A-Za-z_]\w*|\d[\d_.]*|\s+|[<>=!|-]+|.', re.DOTALL)
TOKENS = [_TOKEN.findall(source) for source in SOURCES]
ODD = [
    *("{", "}", "(", ")", "[", "]", '"', "\n", ",", ":", "|>", "=", "@", "$", "%", "match", "repeat", "with", "into"),
    "0",
]

edits = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "swap", "other", "odd", "cut"]),
        st.integers(0, 10_000),
        st.integers(0, 10_000),
    ),
    min_size=1,
    max_size=4,
)


def damaged(tokens: list[str], changes: list[tuple[str, int, int]]) -> str:
    out = list(tokens)
    for kind, first, second in changes:
        if len(out) < 2:
            break
        at, to = first % len(out), second % len(out)
        match kind:
            case "drop":
                del out[at]
            case "double":
                out.insert(at, out[at])
            case "swap":
                out[at], out[to] = out[to], out[at]
            case "other":
                others = TOKENS[second % len(TOKENS)]
                out[at] = others[(first + second) % len(others)]
            case "odd":
                out.insert(at, ODD[second % len(ODD)])
            case _:
                del out[max(at, len(out) // 2) :]
    return "".join(out)


def test_the_broad_program_is_sound() -> None:
    assert checked(BROAD)[1] == ()
    assert checked(FORMS)[1] == ()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(TOKENS) - 1), edits)
def test_damaged_programs_give_problems(which: int, changes: list[tuple[str, int, int]]) -> None:
    source = Source("damaged.agent", damaged(TOKENS[which], changes))
    file, misspelt = parse(source)
    program, found = check(file, source, interface)
    if has_errors(found):
        assert program is None
    if program is not None:
        # Nothing that could not be understood, or that waits for its type, gets into a program.
        bodies = [*(pipeline.body for pipeline in program.pipelines), *(test.body for test in program.tests)]
        parts = [part for body in bodies for part in walk(body)]
        assert not any(is_unknown(part.type) or is_open(part.type) for part in parts)
    for problem in (*misspelt, *found):
        assert problem.title and problem.span is not None
        assert 0 <= problem.span.start <= problem.span.end <= len(source.text)
    # A name that the parser made up to go on is never blamed.
    assert not any("``" in problem.title for problem in found)
    json_text((*misspelt, *found))
