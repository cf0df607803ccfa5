"""What a keystroke costs in a file of 2,000 lines: from the edit to fresh problems, beside checking the file afresh.

The edits are those of somebody who types: a letter in a prompt, a new line, a name that is not there yet, a bracket
that is still open, at the start, the middle and the end of the file. Times are those of this process, not of the clock,
and medians; the ratio to a whole check is the figure that does not depend on the machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from agentlang.base.source import Source
from agentlang.lang.checker import check
from agentlang.lang.ide import Analysis, Document
from agentlang.lang.ide.completion import World, completion
from agentlang.lang.ide.tokens import colours
from agentlang.lang.parser import parse
from agentlang.stdlib.interfaces import interface

LINES = 2000
HEAD = 'use std/llm\nuse std/text\n\nmodel writer = llm.chat("smollm2-135m-instruct")\n'
UNIT = """
## What is known of a customer, {n}.
type Note{n} {{ text: Text @pii, sure: Float = 0.5, tags: [Text] }}

enum Kind{n} {{ Refund{n}(order: Int), Question{n}, Other{n} }}

tool order{n}(id: Int) -> Json = python("shop:order") effects [reads "orders"]

pipeline help{n}(question: Text, top: Int = 4) -> Text {{
  kind = writer.chat("What is wanted? {{question}}") into Kind{n}
  note = Note{n}(text: question, tags: ["a", "b"])
  said = match kind {{
    Refund{n}(order) => "{{order}} {{order{n}(order)}} {{note.text}}"
    Question{n}      => note.text
    _             => "{{top}}"
  }}
  draft = repeat state = said, at most 3 times {{
    better = all(writer.chat("Improve:\\n{{state}}", max_tokens: 64))
    stop state when len(better) > 100
    next better
  }}
  words = for tag in note.tags where len(tag) > 0, at most 4 at once {{
    all((writer.chat("Say {{tag}}") with timeout 2 s, retry 1)) otherwise on timeout tag
  }}
  return text.join(words, "; ") + draft
}}

pipeline answer{n}(question: Text) -> stream Text {{
  hits = text.lower(question)
  best = help{n}(hits, top: 3)
  writer.chat("Question: {{question}}\\nFacts: {{best}}", max_tokens: 120)
}}

goal answer{n} {{
  assume {{ question 40 tokens }}
  first_token p95 <= 800 ms
  finish p99 <= 60 s
}}
"""


def program(lines: int = LINES) -> str:
    """A program of about so many lines, without problems."""
    units = [UNIT.format(n=n) for n in range(max(1, lines // UNIT.count("\n")))]
    return HEAD + "".join(units)


def keystrokes(text: str) -> dict[str, tuple[int, str]]:
    """Edits by what they are: where, and what is put in."""
    near, far = len(text) // 2, text.rindex("Improve")
    return {
        "a letter in a prompt, first lines": (text.index("Improve"), "x"),
        "a letter in a prompt, in the middle": (text.index("Improve", near), "x"),
        "a letter in a prompt, last lines": (far, "x"),
        "a new line": (text.index("  draft", near), "\n"),
        "a name that is not there": (text.index("note.text", near), "x"),
        "a bracket that is open": (text.index("draft = ", near) + 8, "("),
        "a letter of a parameter": (text.index("question: Text", near), "x"),
        "a letter of a field": (text.index("tags: [Text]", near) + 4, "x"),
        "a digit of a goal": (text.index("800 ms", near), "1"),
    }


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median time that this process needs."""
    times: list[float] = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def whole(text: str) -> object:
    """A file read and checked as `agentlang check` does."""
    source = Source("big.agent", text)
    file, problems = parse(source)
    return problems, check(file, source, interface)


def typed(document: Document, text: str, at: int, piece: str, repeats: int) -> float:
    """The median time from an edit to fresh problems."""
    times: list[float] = []
    for _ in range(repeats):
        # The edit and its undoing, of which only the first counts.
        document.update(Source("big.agent", text))
        edited = Source("big.agent", text[:at] + piece + text[at:])
        began = time.process_time()
        document.update(edited)
        times.append(time.process_time() - began)
    return statistics.median(times)


def main(repeats: int = 7) -> None:
    text = program()
    all_of_it = seconds(lambda: whole(text), repeats)
    print(f"a file of {text.count(chr(10)):,} lines, {len(text):,} characters")
    print(f"checked afresh: {all_of_it * 1e3:.0f} ms")
    document = Document(interface)
    for name, (at, piece) in keystrokes(text).items():
        once = typed(document, text, at, piece, repeats)
        print(f"{name}: {once * 1e3:.0f} ms, {all_of_it / once:.1f} x less")
    analysis: Analysis = document.update(Source("big.agent", text))
    scratch = Document(interface)

    def look(edited: str) -> Analysis:
        return scratch.update(Source("big.agent", edited))

    look(text)
    at = text.index("note.text", len(text) // 2) + len("note.")
    shown = seconds(lambda: completion(text[:at] + text[at + 4 :], at, look, World()), repeats)
    print(f"completion behind a point: {shown * 1e3:.0f} ms")
    print(f"colours of all words: {seconds(lambda: colours(analysis), repeats) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
