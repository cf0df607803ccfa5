"""The canonical text of a tree: `parse(show(file))` is `file` again.

Comments are not part of the tree; `format` keeps them and shares the layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import syntax as s
from .layout import lay_out
from .print_expressions import POSTFIX, block, expression, quantity, template, type_text

# A record, an enum or a tier longer than this gets a line for each part.
_LONGEST = 100


def show(file: s.File) -> str:
    """The file as text, with a newline at its end; empty for an empty file."""
    parts: list[str] = []
    if file.doc is not None:
        parts.append(_doc(file.doc))
    elif file.declarations and file.declarations[0].doc is not None:
        # A `##` block that opens a file would be the file's.
        parts.append("#\n")
    previous: str | None = None
    for node in file.declarations:
        text = (_doc(node.doc) if node.doc else "") + declaration(node) + "\n"
        kind = type(node).__name__
        # Short declarations of one kind stand together.
        apart = previous not in (None, kind) or (previous is not None and "\n" in text[:-1])
        after_file_doc = previous is None and file.doc is not None and node.doc is not None
        if apart or after_file_doc:
            text = "\n" + text
        previous = kind if "\n" not in text.strip("\n") else ""
        parts.append(text)
    return lay_out("".join(parts))


def _doc(doc: s.Doc) -> str:
    return "".join(f"## {line}".rstrip() + "\n" for line in doc.text.split("\n"))


def declaration(node: s.Declaration) -> str:
    """One declaration without its doc, and without the layout of lines."""
    match node:
        case s.UseDecl():
            return _use(node)
        case s.RecordDecl(name, fields):
            return f"type {name.text} {_braced([_field(part) for part in fields])}"
        case s.EnumDecl(name, cases):
            return f"enum {name.text} {_braced([_case(part) for part in cases])}"
        case s.HandleDecl(name):
            return f"type {name.text}"
        case s.LetDecl(name, value):
            return f"let {name.text} = {expression(value)}"
        case s.ModelDecl(name, value):
            return f"model {name.text} = {expression(value)}"
        case s.ResourceDecl(name, value):
            return f"resource {name.text} = {expression(value)}"
        case s.MemoryDecl(name, value):
            return f"memory {name.text} = {expression(value)}"
        case s.ServerDecl(name, value):
            return f"server {name.text} = {expression(value)}"
        case s.ToolDecl():
            return _tool(node)
        case s.StageDecl():
            needs = ", ".join(f"{need.kind.text} {quantity(need.amount)}" for need in node.needs)
            text = f"stage {node.name.text}{_signature(node)} = {_implementation(node.implementation)}"
            return f"{text} needs [{needs}]" if needs else text
        case s.PipelineDecl():
            return f"pipeline {node.name.text}{_signature(node)} {block(node.body, always_lines=True)}"
        case s.AgentDecl():
            return f"agent {node.name.text}{_signature(node)} {_lines(map(_agent_entry, node.entries))}"
        case s.GoalDecl():
            return f"goal {node.pipeline.text} {_lines(map(_term, node.terms))}"
        case s.FleetDecl():
            return f"fleet {node.name.text} {_lines(map(_fleet_entry, node.entries))}"
        case s.TestDecl(title, body):
            return f"test {template(title)} {block(body, always_lines=True)}"


def _use(node: s.UseDecl) -> str:
    text = f"use {node.module.text}"
    if node.alias:
        return f"{text} as {node.alias.text}"
    return f"{text}: {', '.join(name.text for name in node.names)}" if node.names else text


def _lines(texts: Iterable[str]) -> str:
    return "{\n" + "\n".join(texts) + "\n}"


def _braced(texts: Sequence[str]) -> str:
    line = f"{{ {', '.join(texts)} }}"
    return line if len(line) <= _LONGEST and "\n" not in line else _lines(texts)


def _field(node: s.FieldDecl | s.Parameter) -> str:
    text = f"{node.name.text}: {type_text(node.type)}"
    return f"{text} = {expression(node.default, plain=True)}" if node.default else text


def _case(node: s.CaseDecl) -> str:
    return f"{node.name.text}({', '.join(map(_field, node.fields))})" if node.fields else node.name.text


def _signature(node: s.ToolDecl | s.StageDecl | s.PipelineDecl | s.AgentDecl) -> str:
    return f"({', '.join(map(_field, node.parameters))}) -> {type_text(node.result)}"


def _implementation(node: s.Expr) -> str:
    return expression(node, POSTFIX)


def _tool(node: s.ToolDecl) -> str:
    effects = ", ".join(map(_effect, node.effects))
    text = f"tool {node.name.text}{_signature(node)} = {_implementation(node.implementation)} effects [{effects}]"
    return f"{text} idempotent by {node.idempotent_by.text}" if node.idempotent_by else text


def _effect(node: s.Effect) -> str:
    return f"{node.kind.text} {expression(node.value)}" if node.value else node.kind.text


def _agent_entry(node: s.AgentEntry) -> str:
    match node:
        case s.AgentModel(model):
            return f"model {model.text}"
        case s.AgentTools(tools):
            return f"tools [{', '.join(tool.text for tool in tools)}]"
        case s.AgentSteps(count):
            return f"at most {expression(count)} steps"
        case s.AgentSystem(text):
            return f"system {template(text)}"


def _term(node: s.GoalTerm) -> str:
    match node:
        case s.RateTerm(rate):
            return f"rate {quantity(rate)}"
        case s.AssumeTerm(assumptions):
            return f"assume {_lines(map(_assumption, assumptions))}"
        case s.BoundTerm(metric, percentile, limit):
            return f"{metric.text}{f' {percentile.text}' if percentile else ''} <= {quantity(limit)}"
        case s.KeepTerm(label, tiers):
            return f"keep @{label.name.text} on [{', '.join(tier.text for tier in tiers)}]"
        case s.SoftTerm(metric, weight):
            return f"soft {metric.text} {weight.text}"
        case s.PreferTerm(aim):
            return f"prefer {aim.text}"


def _assumption(node: s.Assumption) -> str:
    return f"{node.subject.text}{' output' if node.output else ''} {quantity(node.amount)}"


def _fleet_entry(node: s.TierDecl | s.LinkDecl) -> str:
    if isinstance(node, s.LinkDecl):
        return f"link {node.left.text} <-> {node.right.text} {quantity(node.bandwidth)}, {quantity(node.latency)}"
    text = f"tier {node.name.text} = {_implementation(node.device)}"
    return f"{text} {_braced([_setting(part) for part in node.settings])}" if node.settings else text


def _setting(node: s.TierSetting) -> str:
    if isinstance(node.value, s.Range):
        return f"{node.name.text} {node.value.low.text}..{node.value.high.text}"
    return f"{node.name.text} {expression(node.value, plain=True)}"
