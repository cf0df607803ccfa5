"""The words for what is wrong with characters, texts, numbers and single forms, one function per slug; those for lines
that do not fit the grammar, which few files have, are in `structure_problems.py`. Each slug has a page in
`docs/problems/`.
"""

from __future__ import annotations

from ..base.problems import Edit, Fix, Problem, Related
from ..base.source import Span


def _insert(title: str, at: Span, text: str) -> Fix:
    return Fix(title, (Edit(at, text),))


def _replace(title: str, span: Span, text: str) -> Fix:
    return Fix(title, (Edit(span, text),))


def too_deep(span: Span, what: str, limit: int) -> Problem:
    return Problem(
        "too-deep",
        f"{what} nest deeper than {limit}",
        span,
        hint="give a part a name of its own on a line before, and use the name here",
    )


def bad_character(span: Span, text: str, instead: str | None = None) -> Problem:
    shown = f"`{text}`" if text.isprintable() else f"the character U+{ord(text[0]):04X}"
    if text == "$":
        title = "no amount follows this `$`"
        return Problem("bad-character", title, span, hint="write a number of dollars after it, as in `$1.80`")
    if instead is None:
        hint = "remove it" if text.isprintable() else "remove it; if the file is not text, name the source file instead"
        return Problem("bad-character", f"{shown} means nothing here", span, hint=hint)
    return Problem(
        "bad-character",
        f"{shown} is written `{instead}`",
        span,
        hint=f"write `{instead}`",
        fix=_replace(f"write `{instead}`", span, instead),
    )


def bad_quotes(span: Span, content: str) -> Problem:
    return Problem(
        "bad-character",
        "a text stands in double quotes",
        span,
        hint=f'write "{content}"',
        fix=_replace("use double quotes", span, f'"{content}"'),
    )


def bad_comment(span: Span) -> Problem:
    return Problem(
        "bad-character",
        "a comment starts with `#`",
        span,
        hint="write `#` instead of `//`",
        fix=_replace("write `#`", span, "#"),
    )


def statement_mark(span: Span) -> Problem:
    return Problem(
        "bad-character",
        "a statement ends with its line, not with `;`",
        span,
        hint="remove the `;`, and give each statement a line of its own",
        fix=_replace("remove `;`", span, ""),
    )


def comment_in_hole(span: Span) -> Problem:
    return Problem(
        "comment-in-hole",
        "a comment cannot stand inside a hole of a text",
        span,
        hint="move the comment to a line of its own before the statement",
        fix=_replace("remove the comment", span, ""),
    )


def unclosed_text(opened: Span, quotes: str, close_at: Span) -> Problem:
    if quotes == '"':
        return Problem(
            "unclosed-text",
            'a text in single `"` ends on its line; the closing `"` is missing',
            opened,
            hint='close it with `"`, or use `"""` for a text of several lines',
            fix=_insert('close the text with `"`', close_at, '"'),
        )
    return Problem(
        "unclosed-text",
        'a text opened with `"""` is never closed',
        opened,
        hint='close it with `"""`',
        fix=_insert('close the text with `"""`', close_at, '"""'),
    )


def unclosed_hole(opened: Span, close_at: Span | None) -> Problem:
    """`close_at` is where the `}` belongs, if that is known."""
    return Problem(
        "unclosed-bracket",
        "a hole of a text is never closed: `}` is missing",
        close_at or opened,
        hint="close the hole with `}`, or write `{{` for a brace that is text",
        related=(Related(opened, "opened here"),) if close_at else (),
        fix=_insert("close the hole with `}`", close_at, "}") if close_at else None,
    )


def lone_brace(span: Span) -> Problem:
    return Problem(
        "lone-brace",
        "a `}` in a text closes no hole",
        span,
        hint="write `}}` for a brace that is text",
        fix=_replace("write `}}`", span, "}}"),
    )


def bad_escape(span: Span, text: str) -> Problem:
    return Problem(
        "bad-escape",
        f"`{text}` is no escape",
        span,
        hint='the escapes are \\n, \\t, \\r, \\\\, \\" and \\u{1F600}; a backslash itself is `\\\\`',
        fix=_replace("write a backslash", span, "\\" + text) if text != "\\" else None,
    )


def bad_number(span: Span, text: str, fixed: str | None) -> Problem:
    shown = text if len(text) <= 40 else f"{text[:37]}…"
    return Problem(
        "bad-number",
        f"`{shown}` is not a number",
        span,
        hint=f"write `{fixed}`" if fixed else "numbers look like 1_000, 0.5 or 1e-3",
        fix=_replace(f"write `{fixed}`", span, fixed) if fixed else None,
    )


def unknown_unit(span: Span, text: str, known: str | None, all_units: str) -> Problem:
    return Problem(
        "unknown-unit",
        f"`{text}` is no unit" + (f"; `{known}` is" if known else ""),
        span,
        hint=f"write `{known}`" if known else f"the units are {all_units}",
        fix=_replace(f"write `{known}`", span, known) if known else None,
    )


def positional_after_named(span: Span) -> Problem:
    return Problem(
        "positional-after-named",
        "an argument without a name stands after one with a name",
        span,
        hint="move it before the named ones, or give its name",
    )


def pipe_needs_call(span: Span) -> Problem:
    after = Span(span.path, span.end, span.end, span.end_line, span.end_column, span.end_line, span.end_column)
    return Problem(
        "pipe-needs-call",
        "what stands behind `|>` must be a call",
        span,
        hint="`a |> f()` means f(a); add the brackets",
        fix=_insert("add `()`", after, "()"),
    )


def missing_effects(span: Span, tool: str) -> Problem:
    return Problem(
        "missing-effects",
        f"the tool `{tool}` does not state its effects",
        span,
        hint='add `effects [reads "…"]`, or `effects []` if it touches nothing outside',
        fix=_insert("state that it has no effects", span, " effects []"),
    )
