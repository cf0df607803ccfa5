"""A change of a program in its own words, as `--what-if` takes it: `tier h100 price $1.80 per h`, `first_token p95 <= 1
s`, `link gpu <-> cpu 10 Gbit/s, 1 ms`, `assume prompt 2_000 tokens`.

The words are parsed by the language's parser, in the place where they would stand, and put into the text: what is then
planned is a program like any other, with the language's own checks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...base.source import Source, Span
from ...lang.parser import parse
from ...lang.syntax import (
    AssumeTerm,
    BoundTerm,
    File,
    FleetDecl,
    GoalDecl,
    GoalTerm,
    KeepTerm,
    SoftTerm,
)


class NotAChange(Exception):
    """The words are no change of a fleet or a goal; says why, for people."""


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


def changed(source: Source, file: File, words: str, *, goal: str = "", fleet: str = "") -> Source:
    """The text with a change made: of the goal of pipeline `goal`, and of the fleet of that name (else the only one).
    NotAChange where the words say none, or speak of what is not there."""
    first = words.split(maxsplit=1)[0] if words.split() else ""
    if first == "tier":
        edits = _tier(_fleet(file, fleet), words)
    elif first == "link":
        edits = _link(_fleet(file, fleet), words)
    else:
        edits = _goal(file, goal, words.removeprefix("goal ").strip())
    text = source.text
    for edit in sorted(edits, key=lambda each: -each.start):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return Source(source.path, text)


def _fleet(file: File, name: str) -> FleetDecl:
    fleets = [each for each in file.declarations if isinstance(each, FleetDecl)]
    found = [each for each in fleets if each.name.text == name] if name else fleets
    if len(found) != 1:
        raise NotAChange("the file has no fleet" if not fleets else "say which fleet with `--fleet NAME`")
    return found[0]


def _tier(fleet: FleetDecl, words: str) -> list[_Edit]:
    """Settings of a tier, each in place of the one of its name; or the whole tier, where its device is said too."""
    name, _, rest = words.removeprefix("tier").strip().partition(" ")
    whole = rest.lstrip().startswith("=")
    written = f"tier {name} {rest}" if whole else f"tier {name} = catalog.laptop {{ {rest} }}"
    asked, said = _parsed(f"fleet asked {{\n{written}\n}}\n", words)
    (decl,) = (each for each in asked.declarations if isinstance(each, FleetDecl))
    tiers = {each.name.text: each for each in fleet.tiers}
    (new,) = decl.tiers
    old = tiers.get(name)
    if old is None:
        if whole:
            return [_after(fleet.entries[-1].span, f"\n  {written}")]
        raise NotAChange(f"fleet {fleet.name.text} has no tier {name!r}; it has {', '.join(tiers)}")
    if whole:
        return [_Edit(old.span.start, old.span.end, written)]
    edits: list[_Edit] = []
    for setting in new.settings:
        text = _slice(said, setting.span)
        present = next((each for each in old.settings if each.name.text == setting.name.text), None)
        if present is not None:
            edits.append(_Edit(present.span.start, present.span.end, text))
        elif old.settings:
            edits.append(_after(old.settings[-1].span, f", {text}"))
        else:
            edits.append(_after(old.span, f" {{ {text} }}"))
    return edits


def _link(fleet: FleetDecl, words: str) -> list[_Edit]:
    asked, _ = _parsed(f"fleet asked {{\ntier asked = catalog.laptop\n{words}\n}}\n", words)
    (decl,) = (each for each in asked.declarations if isinstance(each, FleetDecl))
    (new,) = decl.links
    for old in fleet.links:
        if {old.left.text, old.right.text} == {new.left.text, new.right.text}:
            return [_Edit(old.span.start, old.span.end, words)]
    return [_after(fleet.entries[-1].span, f"\n  {words}")]


def _goal(file: File, pipeline: str, words: str) -> list[_Edit]:
    if words.startswith("assume") and "{" not in words:
        words = f"assume {{ {words.removeprefix('assume').strip()} }}"
    asked, said = _parsed(f"goal asked {{\n{words}\n}}\n", words)
    (decl,) = (each for each in asked.declarations if isinstance(each, GoalDecl))
    goal = next(
        (each for each in file.declarations if isinstance(each, GoalDecl) and each.pipeline.text == pipeline), None
    )
    if goal is None:
        return [_Edit(file.span.end, file.span.end, f"\ngoal {pipeline} {{\n  {words}\n}}\n")]
    edits: list[_Edit] = []
    for term in decl.terms:
        if isinstance(term, AssumeTerm):
            edits += _assumed(goal, term, said)
            continue
        text = _slice(said, term.span)
        old = next((each for each in goal.terms if _key(each) == _key(term)), None)
        edits.append(_Edit(old.span.start, old.span.end, text) if old else _after(goal.terms[-1].span, f"\n  {text}"))
    return edits


def _assumed(goal: GoalDecl, term: AssumeTerm, said: Source) -> list[_Edit]:
    given = [each for old in goal.terms if isinstance(old, AssumeTerm) for each in old.assumptions]
    edits: list[_Edit] = []
    for new in term.assumptions:
        text = _slice(said, new.span)
        old = next((each for each in given if (each.subject, each.output) == (new.subject, new.output)), None)
        if old is not None:
            edits.append(_Edit(old.span.start, old.span.end, text))
        elif given:
            edits.append(_after(given[-1].span, f"\n    {text}"))
        else:
            edits.append(_after(goal.terms[-1].span, f"\n  assume {{ {text} }}"))
    return edits


def _key(term: GoalTerm) -> tuple[str, ...]:
    """Terms of one key stand for each other."""
    match term:
        case BoundTerm(metric, percentile):
            return ("limit", metric.text, percentile.text if percentile else "")
        case SoftTerm(metric):
            return ("soft", metric.text)
        case KeepTerm(label):
            return ("keep", label.name.text)
        case _:
            return (type(term).__name__,)


def _parsed(text: str, words: str) -> tuple[File, Source]:
    source = Source("--what-if", text)
    file, problems = parse(source)
    if problems:
        raise NotAChange(f"{words!r} is no change of a fleet or a goal: {problems[0].title}")
    return file, source


def _slice(source: Source, span: Span) -> str:
    return source.text[span.start : span.end]


def _after(span: Span, text: str) -> _Edit:
    return _Edit(span.end, span.end, text)
