"""How problems look: for a terminal, one line each for editors, and JSON for programs. Facts come in as values.

No colour library is loaded at kernel start, so the few ANSI codes needed are written here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from .problems import Problem, Severity
from .source import Source, Span

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}
_LONGEST_LINE = 160

Sources = Mapping[str, Source]


def concise(problem: Problem) -> str:
    """`path:line:col: error[slug]: title`, the form that editors parse."""
    place = f"{problem.span.path}:{problem.span.line}:{problem.span.column}: " if problem.span else ""
    return f"{place}{problem.severity.value}[{problem.slug}]: {problem.title}"


def as_json(problem: Problem) -> dict[str, object]:
    """The problem as plain data; stable keys, absent parts left out."""
    out: dict[str, object] = {"slug": problem.slug, "severity": problem.severity.value, "title": problem.title}
    if problem.span:
        out["span"] = _span_json(problem.span)
    if problem.hint:
        out["hint"] = problem.hint
    if problem.detail:
        out["detail"] = problem.detail
    if problem.related:
        out["related"] = [{"span": _span_json(r.span), "text": r.text} for r in problem.related]
    if problem.fix:
        edits = [{"span": _span_json(e.span), "text": e.text} for e in problem.fix.edits]
        out["fix"] = {"title": problem.fix.title, "edits": edits}
    return out


def json_text(problems: Iterable[Problem]) -> str:
    return json.dumps([as_json(p) for p in problems], ensure_ascii=False, indent=2)


def terminal(problem: Problem, sources: Sources, colour: bool = False) -> str:
    """Several lines: title, the source line with a caret, related places, the hint."""
    paint = _painter(colour)
    tone = _COLOURS[problem.severity]
    lines = [
        f"{paint(problem.severity.value, tone + ';1')}{paint(f'[{problem.slug}]', tone)}: {paint(problem.title, '1')}"
    ]
    width = _gutter(problem)
    # What is said of the problem's own place stands at its caret.
    own = next((each for each in problem.related if each.span == problem.span), None)
    if problem.span:
        lines += _excerpt(problem.span, sources, width, paint, tone, own.text if own else "")
    for related in problem.related:
        if related is own:
            continue
        lines += _excerpt(related.span, sources, width, paint, "34", related.text)
    if problem.detail:
        lines += [f"{' ' * width} {paint('|', '34')} {text}" for text in problem.detail.splitlines()]
    if problem.hint:
        lines.append(f"{' ' * width} {paint('=', '34')} {paint('next', '32')}: {problem.hint}")
    return "\n".join(lines)


def _painter(colour: bool) -> Callable[[str, str], str]:
    return (lambda text, code: f"\x1b[{code}m{text}\x1b[0m") if colour else (lambda text, _: text)


def _gutter(problem: Problem) -> int:
    numbers = [span.line for span in (problem.span, *(r.span for r in problem.related)) if span]
    return len(str(max(numbers))) if numbers else 1


def _excerpt(
    span: Span, sources: Sources, width: int, paint: Callable[[str, str], str], tone: str, text: str
) -> list[str]:
    arrow, bar, gap = paint("-->", "34"), paint("|", "34"), " " * width
    out = [f"{gap}{arrow} {span}"]
    source = sources.get(span.path)
    if source is None or span.line > len(source.line_starts):
        return [*out, f"{gap} {bar} {text}"] if text else out
    line = source.line(span.line)
    start = span.column - 1
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    offset = 0
    if len(line) > _LONGEST_LINE:
        # A very long line is shown as a window around the fault, so that the caret stays in sight.
        offset = max(0, start - _LONGEST_LINE // 2)
        line = line[offset : offset + _LONGEST_LINE]
        start, end = start - offset, min(end - offset, len(line))
    line = "".join(c if c == "\t" or c.isprintable() else "\ufffd" for c in line)
    pad = "".join("\t" if c == "\t" else " " for c in line[:start])
    caret = paint("^" * max(1, end - start), tone)
    number = paint(str(span.line).rjust(width), "34")
    return [*out, f"{gap} {bar}", f"{number} {bar} {line}", f"{gap} {bar} {pad}{caret}{' ' + text if text else ''}"]


def _span_json(span: Span) -> dict[str, object]:
    return {
        "path": span.path,
        "start": {"line": span.line, "column": span.column, "offset": span.start},
        "end": {"line": span.end_line, "column": span.end_column, "offset": span.end},
    }


def summary(problems: Iterable[Problem]) -> str:
    """`2 errors, 1 warning`, or an empty text."""
    counts = dict.fromkeys(Severity, 0)
    for problem in problems:
        counts[problem.severity] += 1
    return ", ".join(f"{n} {s.value}{'s' if n > 1 else ''}" for s, n in counts.items() if n)
