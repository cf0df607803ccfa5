"""What is shown of the word under the cursor: what it is, its type and labels, its doc, and what it does at worst."""

from __future__ import annotations

from collections.abc import Iterator

from ...base.frozen import frozen
from ...base.source import Source, Span
from ...base.units import Quantity, show
from .. import program as p
from .. import syntax
from ..analysis.explain import Fact, explain_line
from ..analysis.timing import DEADLINE, seconds
from ..checker.facts import Mention
from ..checker.symbols import ModuleSymbol, PipelineSymbol, StageSymbol, ToolSymbol
from ..program import StageSignature
from .analysis import Analysis
from .things import Thing, declared, kind_of, typed
from .words import BUILTINS, REASONS, TYPES


@frozen
class Hover:
    """`code` is a declaration in the language, `lines` are sentences about it, `doc` is what its author wrote.

    `pipeline` is the one whose predicted times say more, where the word is that of a call or of a pipeline; `place` is
    where that call stands in the program.
    """

    span: Span
    code: str
    what: str = ""
    doc: str | None = None
    lines: tuple[str, ...] = ()
    pipeline: str | None = None
    place: Span | None = None


def hover(analysis: Analysis, offset: int) -> Hover | None:
    """What there is to say of an offset, or None."""
    word = analysis.index.word(offset)
    if word is not None:
        span = analysis.source.span(word.start, word.end)
        return _named(analysis, word.mention, span)
    known = _language(analysis, offset)
    if known is not None:
        return known
    found = analysis.index.value(offset)
    if found is None or str(found.type) == "?":
        return None
    code = typed(found.type, found.labels)
    lines: tuple[str, ...] = ()
    if isinstance(found, p.Literal) and isinstance(found.value, Quantity):
        lines = (f"is {show(found.value)}",)
    return Hover(analysis.place(found.span), code, "", lines=lines)


def _named(analysis: Analysis, mention: Mention, span: Span) -> Hover:
    thing = mention.thing
    kind = kind_of(thing)
    if kind == "parameter" and analysis.index.is_field(mention):
        kind = "field"
    what = f"{kind} of `{mention.owner}`" if mention.owner and kind not in ("method", "stage") else kind
    lines = tuple(_lines(thing))
    fact = _fact(analysis, mention)
    if fact is not None:
        lines += tuple(_worst(fact))
    pipeline = thing.qualified if isinstance(thing, PipelineSymbol) else fact.pipeline if fact is not None else None
    code = declared(thing)
    place = fact.span if fact is not None else None
    return Hover(span, code, what, doc_of(analysis, mention), lines, pipeline, place)


def _lines(thing: Thing) -> Iterator[str]:
    signature: StageSignature | None = None
    match thing:
        case StageSignature():
            signature = thing
        case ToolSymbol():
            signature = thing.signature
        case StageSymbol():
            signature = thing.signature
        case _:
            pass
    if signature is None or signature.keyword != "tool":
        return
    from ..analysis.words import effect_text

    effects = ", ".join(effect_text(effect) for effect in signature.effects)
    yield f"effects: {effects or 'none'}"
    if signature.idempotent_by:
        yield f"idempotent by `{signature.idempotent_by}`"
    yield f"stands on {signature.behind}"


def _fact(analysis: Analysis, mention: Mention) -> Fact | None:
    """What the analyses know of the call, or of the pipeline, that the word belongs to."""
    thing, program = mention.thing, analysis.program
    calls = isinstance(thing, StageSignature | ToolSymbol | PipelineSymbol | StageSymbol)
    if program is None or not calls or mention.span.path != analysis.path:
        return None
    around: Fact | None = None
    for fact in explain_line(program, mention.span.line):
        if fact.span == mention.span:
            return fact
        inside = fact.span.start <= mention.span.start and mention.span.end <= fact.span.end
        if inside and (around is None or fact.span.start >= around.span.start):
            around = fact
    return around


def _worst(fact: Fact) -> Iterator[str]:
    worst = fact.worst
    if worst is not None:
        counts = worst.counts
        parts = [f"{b.show()} {name}" for b, name in ((counts.model_calls, "model calls"),) if b.terms]
        if counts.tokens_out.terms:
            parts.append(f"{counts.tokens_out.show()} tokens out")
        if worst.seconds.terms:
            assumed = f" (a call that states no timeout has {seconds(DEADLINE)})" if worst.assumed else ""
            parts.append(f"{seconds(worst.seconds)}{assumed}")
        if parts:
            yield f"at most: {', '.join(parts)}"
    for policy in fact.policies:
        yield f"policy: {policy}"
    for effect in fact.effects:
        yield f"effect: {effect}"
    for goal in fact.goal:
        yield f"goal: {goal}"


# --- documents -------------------------------------------------------------------------------------------------------


def doc_of(analysis: Analysis, mention: Mention) -> str | None:
    """What stands in `##` lines above the declaration of what a word stands for."""
    thing = mention.thing
    if isinstance(thing, StageSignature) and thing.doc:
        return thing.doc
    if isinstance(thing, StageSymbol) and thing.signature.doc:
        return thing.signature.doc
    if isinstance(thing, ModuleSymbol):
        source = None if thing.interface is None else thing.interface.source
        doc = None if source is None else _tree(analysis, source).doc
        return None if doc is None else doc.text
    span = analysis.index.target(mention)
    if span.path == analysis.path:
        file: syntax.File | None = analysis.file
    else:
        source = analysis.sources.get(span.path)
        file = None if source is None else _tree(analysis, source)
    for node in file.declarations if file is not None else ():
        name = name_of(node)
        if name is not None and name.span == span:
            return None if node.doc is None else node.doc.text
    return None


def name_of(node: syntax.Declaration) -> syntax.Ident | syntax.Path | None:
    """The name that a declaration gives something, if it has one of its own."""
    if isinstance(node, syntax.UseDecl | syntax.GoalDecl | syntax.TestDecl):
        return None
    return node.name


def _tree(analysis: Analysis, source: Source) -> syntax.File:
    from ..parser import parse

    del analysis
    known = _trees.get(source.path)
    if known is None or known[0] != source.text:
        known = _trees[source.path] = source.text, parse(source)[0]
    return known[1]


# Trees of interfaces and imported files, by path, with the text that they are of.
_trees: dict[str, tuple[str, syntax.File]] = {}


# --- words of the language -------------------------------------------------------------------------------------------


def _language(analysis: Analysis, offset: int) -> Hover | None:
    """A builtin, a type of the language, or a reason of a failure."""
    text = analysis.text
    start = end = offset
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    word = text[start:end]
    span = analysis.source.span(start, end)
    if word in BUILTINS and text[end : end + 1] == "(":
        code, doc = BUILTINS[word]
        return Hover(span, code, "part of the language", doc)
    if word in TYPES:
        return Hover(span, word, "type of the language", TYPES[word])
    line = text[text.rfind("\n", 0, start) + 1 : start]
    if word in REASONS and "otherwise on" in line:
        return Hover(span, word, "reason of a failure", REASONS[word])
    return None
