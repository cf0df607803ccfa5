"""The words for lines that do not fit the grammar: what is missing, too much, or from another language. Loaded by the
first fault. Facts come in; each slug has a page in `docs/problems/`.
"""

from __future__ import annotations

from ..base.problems import Edit, Fix, Problem, Related
from ..base.source import Span


def _insert(title: str, at: Span, text: str) -> Fix:
    return Fix(title, (Edit(at, text),))


def _replace(title: str, span: Span, text: str) -> Fix:
    return Fix(title, (Edit(span, text),))


def unopened_text(at: Span, closing: Span) -> Problem:
    return Problem(
        "unclosed-text",
        f'the `"""` that opens a text is missing; the one on line {closing.line} closes it',
        at,
        hint='open the text with `"""`',
        related=(Related(closing, "this closes the text"),),
        fix=_insert('open the text with `"""`', at, ' """'),
    )


def unexpected(span: Span, found: str, expected: str) -> Problem:
    return Problem("unexpected-token", f"{found} does not fit here", span, hint=f"here could stand {expected}")


def out_of_place(span: Span, found: str, expected: str) -> Problem:
    return Problem(
        "unexpected-token",
        f"{found} does not fit here",
        span,
        hint=f"remove it; here could stand {expected}",
        fix=_replace("remove it", span, ""),
    )


def written_twice(span: Span, text: str) -> Problem:
    return Problem(
        "unexpected-token",
        f"`{text}` is written twice",
        span,
        hint=f"remove one `{text}`",
        fix=_replace(f"remove one `{text}`", span, ""),
    )


def closes_nothing(span: Span, text: str) -> Problem:
    return Problem(
        "unexpected-token",
        f"this `{text}` closes nothing",
        span,
        hint="remove it, or open what it should close",
        fix=_replace(f"remove `{text}`", span, ""),
    )


def instead(span: Span, found: str, wanted: str, text: str | None) -> Problem:
    return Problem(
        "unexpected-token",
        f"{found} stands where {wanted} belongs",
        span,
        hint=f"write {wanted} here",
        fix=_replace(f"write {wanted}", span, text) if text else None,
    )


def missing_newline(span: Span, found: str, gap: Span) -> Problem:
    return Problem(
        "missing-token",
        f"before {found} an operator, a comma or a new line is missing",
        gap,
        hint=f"if {found} begins a statement, put it on a line of its own",
        related=(Related(span, "this does not continue what stands before"),),
    )


def line_start(span: Span, found: str) -> Problem:
    return Problem(
        "unexpected-token",
        f"a line cannot begin with {found}",
        span,
        hint=f"move {found} to the end of the line before, which then goes on here",
    )


def missing(span: Span, what: str, text: str | None, before: str) -> Problem:
    return Problem(
        "missing-token",
        f"{what} {'are' if ' and ' in what else 'is'} missing before {before}",
        span,
        hint=f"add {what}",
        fix=_insert(f"add {what}", span, text) if text else None,
    )


def unclosed(span: Span, text: str, insert: str, opened: Span | None, at: Span) -> Problem:
    where = f": what was opened on line {opened.line} is not closed" if opened and opened.line != span.line else ""
    return Problem(
        "unclosed-bracket",
        f"`{text}` is missing{where}",
        span,
        hint=f"add `{text}`",
        related=(Related(opened, "opened here"),) if opened else (),
        fix=_insert(f"add `{text}`", at, insert),
    )


def reserved_word(span: Span, word: str) -> Problem:
    return Problem(
        "reserved-word",
        f"`{word}` is a word of the language and cannot be a name here",
        span,
        hint=f"choose another name, for example `{word}_`; only fields and arguments may be called `{word}`",
    )


def misspelt_declaration(span: Span, found: str, word: str) -> Problem:
    return Problem(
        "not-a-declaration",
        f"`{found}` starts no declaration; `{word}` is meant",
        span,
        hint=f"write `{word}`",
        fix=_replace(f"write `{word}`", span, word),
    )


def loose_binding(span: Span, name: str) -> Problem:
    before = Span(span.path, span.start, span.start, span.line, span.column, span.line, span.column)
    return Problem(
        "not-a-declaration",
        f"outside of pipelines a constant is declared by `let {name} = …`",
        span,
        hint="add `let`, or move the line into a pipeline",
        fix=_insert("add `let`", before, "let "),
    )


def loose_statement(span: Span) -> Problem:
    return Problem(
        "not-a-declaration",
        "a statement stands outside of any pipeline",
        span,
        hint="move it into a pipeline; a declaration starts with a word like `pipeline`, `model` or `type`",
    )


def after_declaration(span: Span) -> Problem:
    return Problem(
        "unexpected-token",
        "the declaration ends before this; what follows needs a line of its own",
        span,
        hint="put it on a line of its own, or remove it",
    )


def no_result(span: Span, name: str) -> Problem:
    return Problem(
        "missing-token", f"it is not said what `{name}` returns", span, hint="add `-> Text`, or the type it returns"
    )


def no_type(span: Span, name: str) -> Problem:
    return Problem("missing-token", f"the type of `{name}` is missing", span, hint=f"write `{name}: Text`, or its type")


def inner_declaration(span: Span, word: str, is_constant: bool) -> Problem:
    if is_constant:
        gone = Span(
            span.path,
            span.start,
            span.end + 1,
            span.line,
            span.column,
            span.end_line,
            span.end_column + 1,
        )
        return Problem(
            "unexpected-token",
            "`let` stands outside of blocks; inside, a name is bound by `name = …`",
            span,
            hint="remove `let`",
            fix=_replace("remove `let`", gone, ""),
        )
    return Problem(
        "unexpected-token",
        f"`{word}` is declared outside of blocks",
        span,
        hint="move the declaration to the left margin, before or after this one",
    )


def empty_block(span: Span) -> Problem:
    return Problem("empty-block", "a block is never empty", span, hint="write the value that it gives")


def empty_fleet(span: Span) -> Problem:
    hint = "add one, as in `tier gpu = catalog.h100 { count 1 }`"
    return Problem("empty-block", "a fleet has at least one tier", span, hint=hint)


def negative(span: Span) -> Problem:
    return Problem(
        "unexpected-token",
        "a figure below zero means nothing here",
        span,
        hint="remove the `-`",
        fix=_replace("remove the `-`", span, ""),
    )


def no_while(span: Span, word: str) -> Problem:
    return Problem(
        "unbounded-loop",
        f"there is no `{word}`: a loop says how often it may turn",
        span,
        hint="write `repeat state = first, at most 3 times { … next … }`",
    )


def unbounded(span: Span) -> Problem:
    return Problem(
        "unbounded-loop",
        "a loop says how often it may turn at most",
        span,
        hint="write `, at most 3 times` before the `{`, with the number that you mean",
    )


def in_place(span: Span, text: str) -> Problem:
    return Problem(
        "unexpected-token",
        f"a name is bound once, so there is no `{text}`",
        span,
        hint="bind the new value to a new name",
    )


def policies_in_list(span: Span) -> Problem:
    return Problem(
        "policies-in-list",
        "where commas separate or a block follows, a call with policies stands in parentheses",
        span,
        hint="write `(call(…) with …)`",
    )


def comparison_chain(span: Span) -> Problem:
    return Problem("comparison-chain", "comparisons do not chain", span, hint="write `a < b and b < c`")


def braced_record(span: Span, opening: Span, closing: Span, name: str) -> Problem:
    return Problem(
        "unexpected-token",
        f"a record is built as `{name}(field: value)`",
        span,
        hint="use parentheses",
        fix=Fix("use parentheses", (Edit(opening, "("), Edit(closing, ")"))),
    )


def bare_key(span: Span, key: str) -> Problem:
    return Problem(
        "unexpected-token",
        f'the keys of a map are texts: `"{key}"`',
        span,
        hint=f'write `"{key}"`',
        fix=_replace("make it a text", span, f'"{key}"'),
    )


def ternary(span: Span) -> Problem:
    return Problem(
        "unexpected-token",
        "a choice is written `if condition { a } else { b }`",
        span,
        hint="`?` only marks a type whose value may be absent",
    )


def text_prefix(span: Span, prefix: str) -> Problem:
    return Problem(
        "unexpected-token",
        "a text is already a template and takes no letter before it",
        span,
        hint=f"remove `{prefix}`",
        fix=_replace(f"remove `{prefix}`", span, ""),
    )
