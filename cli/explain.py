"""`agentlang explain SLUG | FILE:LINE`: the page of a problem, or what stands in that line: types, labels, effects,
the worst case, the prompt as it will be sent, and where the plan puts it.

The pages are those of `docs/problems/`: in a checkout where they are written, and installed in the same place below
the package, for `setup.py` takes them along. There is no second copy to fall behind.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.suggest import suggest
from . import explain_problems as words
from .console import Console, Exit, unread

if TYPE_CHECKING:
    from ..api import Checked
    from ..base.source import Source, Span
    from ..lang.analysis.amounts import Bound
    from ..lang.analysis.bounds import Worst
    from ..lang.analysis.explain import Fact, Prompt
    from ..lang.program import Program
    from ..planner.plan import StagePlan

PAGES = Path(__file__).parents[1] / "docs" / "problems"
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>[0-9]{1,9})(?::[0-9]+)?")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="SLUG | FILE:LINE", help="a problem, or a line of a program")
    parser.add_argument("--no-plan", action="store_true", help="leave out where the plan puts it")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    what: str = arguments.what
    place = _PLACE.fullmatch(what)
    if place is not None and not Path(what).exists():
        return _line(place["file"], int(place["line"]), not arguments.no_plan, console)
    return _page(what, console)


# --- problems --------------------------------------------------------------------------------------------------------


def slugs() -> tuple[str, ...]:
    """The problems that have a page."""
    return tuple(sorted(page.stem for page in PAGES.glob("*.md")))


def page(slug: str) -> str | None:
    """The text of a problem's page."""
    return (PAGES / f"{slug}.md").read_text("utf-8") if slug in slugs() else None


def _page(word: str, console: Console) -> int:
    # `error[wrong-type]` is what people copy.
    slug = word.rpartition("[")[2].rstrip("]:")
    text = page(slug)
    if text is None:
        return console.fail((words.nothing_to_explain(word, suggest(slug, slugs())),), {}, Exit.USAGE)
    if console.json:
        console.document({"slug": slug, "page": text})
    else:
        console.print(text.rstrip("\n"))
    return Exit.DONE


# --- lines -----------------------------------------------------------------------------------------------------------


def _line(name: str, line: int, planned: bool, console: Console) -> int:
    from ..api import check, read
    from ..lang.analysis.explain import explain_line

    source, problems = read(name)
    if source is None:
        return console.fail(problems, {}, unread(problems))
    checked = check(source)
    if checked.program is None:
        return console.fail(checked.problems, checked.sources)
    facts = explain_line(checked.program, line, _loops(checked))
    if not facts:
        near = _nearest(checked.program, source, line)
        problem = words.line_says_nothing(name, line, len(source.text.splitlines()), near)
        return console.fail((problem,), {}, Exit.USAGE)
    stages = _placed(checked.program, facts, line) if planned else []
    if console.json:
        document = {"file": name, "line": line, "facts": [_json(fact) for fact in facts]}
        console.document({**document, "stages": [_stage_json(cell, stage) for cell, stage in stages]})
        return Exit.DONE
    console.print("\n\n".join("\n".join(_text(fact)) for fact in facts))
    for cell, stage in stages:
        console.print("\n" + "\n".join(_stage(cell, stage)))
    return Exit.DONE


def _loops(checked: Checked) -> dict[str, str]:
    """What the agents of a file stand for, as it could have been written."""
    from ..lang import syntax
    from ..lang.checker import expand_agents
    from ..lang.layout import lay_out
    from ..lang.printer import declaration
    from ..stdlib.interfaces import interface

    if not any(isinstance(node, syntax.AgentDecl) for node in checked.file.declarations):
        return {}
    agents = expand_agents(checked.file, checked.source, interface)
    return {name: lay_out("\n\n".join(map(declaration, parts))).rstrip("\n") for name, parts in agents.items()}


def _nearest(program: Program, source: Source, line: int) -> int | None:
    """A line that says something, the next if there is one."""
    from ..lang import program as p

    spans = [q.span for q in (*program.pipelines, *program.handles, *program.tools, *program.goals)]
    spans += [e.span for q in program.pipelines for e in p.walk(q.body)]
    lines = {span.line for span in spans if span.path == source.path} - {line}
    return min(lines, key=lambda other: (other < line, abs(other - line)), default=None)


def _placed(program: Program, facts: Iterable[Fact], line: int) -> list[tuple[str, StagePlan]]:
    """The stages of the plan that come from this line, each with the cell that it is in, if there are several. Best
    effort: a program without a plan still has its facts."""
    from ..api import choose, compile, plan_in_cells
    from ..base.problems import OutsideError
    from ..planner import hardware
    from ..planner.cells.plan import placements
    from ..stdlib.library import Library

    machine = hardware.load()
    wanted = dict.fromkeys(fact.pipeline for fact in facts if fact.pipeline is not None)
    if machine is None or not wanted:
        return []
    path = program.source.path
    chosen, _ = choose(program)
    names = [chosen.name] if chosen is not None else []
    names += [name for name in wanted if name not in names]
    try:
        compiled, _ = compile(program, Library(Path(path).parent), plain=True)
        for name in names if compiled is not None else ():
            made, _ = plan_in_cells(compiled, name, machine) if compiled is not None else (None, ())
            parts = placements(made) if made is not None else ()
            found = [(cell, s) for cell, part in parts for s in part.stages if _in_line(s.place, path, line)]
            if found:
                return found
    except OutsideError:
        pass
    return []


def _in_line(place: str, path: str, line: int) -> bool:
    return place.startswith(f"{path}:{line}:")


# --- text ------------------------------------------------------------------------------------------------------------


def _text(fact: Fact) -> Iterator[str]:
    yield f"{fact.span}: {fact.what}"
    rows: list[tuple[str, str]] = []
    if fact.type is not None:
        rows.append(("type", fact.type))
    if fact.labels:
        rows.append(("labels", " ".join(f"@{label}" for label in fact.labels)))
    rows += [("effects", effect) for effect in fact.effects]
    rows += [("policy", policy) for policy in fact.policies]
    rows += [(name, " ".join(value.split())) for name, value in fact.details]
    if fact.worst is not None:
        rows += list(_worst(fact.worst))
        rows += [("because", f"{part.span}: {part.text}") for part in fact.arithmetic]
    rows += [("goal", text) for text in fact.goal]
    if fact.doc:
        rows.append(("about", " ".join(fact.doc.split())))
    wide = max((len(name) for name, _ in rows), default=0)
    last = None
    for name, value in rows:
        yield f"  {'' if name == last else name:<{wide}}  {value}"
        last = name
    if fact.prompt is not None:
        yield from _prompt(fact.prompt)
    if fact.loop is not None:
        yield "  the loop that it stands for:"
        yield from (f"    {line}".rstrip() for line in fact.loop.splitlines())


def _worst(worst: Worst) -> Iterator[tuple[str, str]]:
    from ..lang.analysis.timing import DEADLINE, seconds

    counts = worst.counts
    for bound, name in (
        (counts.steps, "steps"),
        (counts.model_calls, "model calls"),
        (counts.tool_calls, "tool calls"),
    ):
        if bound.terms or name == "steps":
            yield "at most", f"{name}: {bound.show()}"
    if counts.tokens_out.terms:
        yield "at most", f"tokens out: {counts.tokens_out.show()}"
    if worst.seconds.terms:
        assumed = f" (a call that states no timeout has {seconds(DEADLINE)})" if worst.assumed else ""
        yield "at most", f"time: {seconds(worst.seconds)}{assumed}"


def _prompt(prompt: Prompt) -> Iterator[str]:
    settings = "".join(f", {name} {value}" for name, value in prompt.settings)
    yield f"  what is sent to {prompt.model}{settings}:"
    for message in prompt.messages:
        yield f"    {message.role}:"
        yield from (f"      | {line}".rstrip() for line in message.text.splitlines() or [""])
        for name, type in message.holes:
            yield f"      {{{name}}} is {type}"
    if prompt.answer is not None:
        yield f"    the answer can only be a JSON document of type {prompt.answer}"


def _stage(cell: str, stage: StagePlan) -> Iterator[str]:
    from ..planner.figures import show_value

    time = stage.time
    between = f"between {show_value(time.low, 's')} and {show_value(time.high, 's')}"
    where = f"tier {stage.tier} in {cell}" if cell else f"tier {stage.tier}"
    yield f"stage {stage.id} on {where}: {show_value(time.value, 's')} each, {between}"
    yield f"  {stage.executions:.3g} times a run"
    for term in time.terms:
        yield f"  {term.name}  {show_value(term.value, term.unit)}  {term.detail}".rstrip()


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json(fact: Fact) -> dict[str, object]:
    out: dict[str, object] = {"what": fact.what, "place": _place(fact.span)}
    if fact.pipeline is not None:
        out["pipeline"] = fact.pipeline
    if fact.type is not None:
        out["type"] = fact.type
    for name in ("labels", "effects", "policies", "goal"):
        value: tuple[str, ...] = getattr(fact, name)
        if value:
            out[name] = list(value)
    if fact.details:
        out["details"] = dict(fact.details)
    if fact.worst is not None:
        out["worst"] = _worst_json(fact.worst)
        out["because"] = [{"place": _place(part.span), "text": part.text} for part in fact.arithmetic]
    if fact.prompt is not None:
        prompt = fact.prompt
        messages = [{"role": m.role, "text": m.text, "holes": dict(m.holes)} for m in prompt.messages]
        out["prompt"] = {"model": prompt.model, "messages": messages, "settings": dict(prompt.settings)}
        if prompt.answer is not None:
            out["answer"] = prompt.answer
    if fact.loop is not None:
        out["loop"] = fact.loop
    if fact.doc:
        out["doc"] = fact.doc
    return out


def _worst_json(worst: Worst) -> dict[str, object]:
    """Each bound as a text, and as a number where it is one. Times in seconds."""
    counts = worst.counts
    bounds = {
        "steps": counts.steps,
        "model_calls": counts.model_calls,
        "tool_calls": counts.tool_calls,
        "tokens_out": counts.tokens_out,
        "seconds": worst.seconds,
        "stated_seconds": worst.stated,
    }
    shown: dict[str, object] = {n: {"text": b.show(), "number": _number(b)} for n, b in bounds.items()}
    return {**shown, "assumed": worst.assumed}


def _number(bound: Bound) -> float | None:
    number = bound.number
    return number if number is not None and isfinite(number) else None


def _stage_json(cell: str, stage: StagePlan) -> dict[str, object]:
    time = stage.time
    terms = [{"name": t.name, "value": t.value, "unit": t.unit, "detail": t.detail} for t in time.terms]
    predicted = {"value": time.value, "low": time.low, "high": time.high, "unit": time.unit, "terms": terms}
    found = {"id": stage.id, "tier": stage.tier, "executions": stage.executions, "predicted": predicted}
    return {**found, **({"cell": cell} if cell else {})}


def _place(span: Span) -> str:
    return str(span)
