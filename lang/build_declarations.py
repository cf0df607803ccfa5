"""Nodes of declarations, agents, goals and fleets; what stands inside them comes from `build`."""

# Every method has the same two parameters, whether its rule needs both or not.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ..base.source import Span
from . import syntax as s
from . import syntax_problems as problems
from .build import ExpressionBuilder, Parts
from .lalr import Build
from .tables import Tables
from .tokens import Token


class Builder(ExpressionBuilder):
    """Every rule of the grammar."""

    # What a declaration's optional clauses give; checked for and taken apart by the declaration.
    Clause = tuple[str, Any]

    # Imports

    def module(self, parts: Parts, span: Span) -> s.Ident:
        return s.Ident("".join(token.text for token in parts), span=span)

    def use(self, parts: Parts, span: Span) -> s.UseDecl:
        return s.UseDecl(parts[0], None, (), span=span)

    def use_as(self, parts: Parts, span: Span) -> s.UseDecl:
        return s.UseDecl(parts[0], self.ident(parts[1]), (), span=span)

    def use_names(self, parts: Parts, span: Span) -> s.UseDecl:
        return s.UseDecl(parts[0], None, self.idents(parts[1:]), span=span)

    # Types

    def record(self, parts: Parts, span: Span) -> s.RecordDecl:
        return s.RecordDecl(self.ident(parts[0]), tuple(parts[1:]), span=span)

    def handle(self, parts: Parts, span: Span) -> s.HandleDecl:
        return s.HandleDecl(self.ident(parts[0]), span=span)

    def enum(self, parts: Parts, span: Span) -> s.EnumDecl:
        return s.EnumDecl(self.ident(parts[0]), tuple(parts[1:]), span=span)

    def case(self, parts: Parts, span: Span) -> s.CaseDecl:
        return s.CaseDecl(self.ident(parts[0]), tuple(parts[1:]), span=span)

    def field(self, parts: Parts, span: Span) -> s.FieldDecl:
        return s.FieldDecl(self.ident(parts[0]), parts[1], parts[2] if len(parts) > 2 else None, span=span)

    # Values

    def constant(self, parts: Parts, span: Span) -> s.LetDecl:
        return s.LetDecl(self.ident(parts[0]), parts[1], span=span)

    def model(self, parts: Parts, span: Span) -> s.ModelDecl:
        return s.ModelDecl(self.ident(parts[0]), parts[1], span=span)

    def resource(self, parts: Parts, span: Span) -> s.ResourceDecl:
        return s.ResourceDecl(self.ident(parts[0]), parts[1], span=span)

    def memory(self, parts: Parts, span: Span) -> s.MemoryDecl:
        return s.MemoryDecl(self.ident(parts[0]), parts[1], span=span)

    def server(self, parts: Parts, span: Span) -> s.ServerDecl:
        return s.ServerDecl(self.ident(parts[0]), parts[1], span=span)

    # What can be called

    def parameters(self, parts: Parts, span: Span) -> tuple[s.Parameter, ...]:
        return tuple(parts)

    def parameter(self, parts: Parts, span: Span) -> s.Parameter:
        return s.Parameter(self.ident(parts[0]), parts[1], parts[2] if len(parts) > 2 else None, span=span)

    def tool(self, parts: Parts, span: Span) -> s.ToolDecl:
        name, parameters, result, implementation, *rest = parts
        clauses = dict(cast("list[Builder.Clause]", rest))
        if "effects" not in clauses:
            end = implementation.span
            self.report(problems.missing_effects(self.source.span(end.end, end.end), name.text))
        return s.ToolDecl(
            self.ident(name),
            parameters,
            result,
            implementation,
            clauses.get("effects", ()),
            clauses.get("idempotent"),
            span=span,
        )

    def effects(self, parts: Parts, span: Span) -> Clause:
        return "effects", tuple(parts)

    def effect(self, parts: Parts, span: Span) -> s.Effect:
        kind, *value = parts
        found = value[0] if value else None
        if isinstance(found, Token):
            found = self.figure(found)
        return s.Effect(self.ident(kind), found, span=span)

    def idempotent(self, parts: Parts, span: Span) -> Clause:
        return "idempotent", self.ident(parts[0])

    def stage(self, parts: Parts, span: Span) -> s.StageDecl:
        name, parameters, result, implementation, *needs = parts
        return s.StageDecl(name, parameters, result, implementation, needs[0] if needs else (), span=span)

    def needs(self, parts: Parts, span: Span) -> tuple[s.Need, ...]:
        return tuple(parts)

    def need(self, parts: Parts, span: Span) -> s.Need:
        return s.Need(self.ident(parts[0]), self.figure(parts[1]), span=span)

    def pipeline(self, parts: Parts, span: Span) -> s.PipelineDecl:
        return s.PipelineDecl(self.ident(parts[0]), parts[1], parts[2], parts[3], span=span)

    def test(self, parts: Parts, span: Span) -> s.TestDecl:
        return s.TestDecl(parts[0], parts[1], span=span)

    # Agents

    def agent(self, parts: Parts, span: Span) -> s.AgentDecl:
        name, parameters, result, *entries = parts
        return s.AgentDecl(self.ident(name), parameters, result, tuple(entries), span=span)

    def agent_model(self, parts: Parts, span: Span) -> s.AgentModel:
        return s.AgentModel(self.ident(parts[0]), span=span)

    def agent_tools(self, parts: Parts, span: Span) -> s.AgentTools:
        return s.AgentTools(tuple(parts), span=span)

    def agent_steps(self, parts: Parts, span: Span) -> s.AgentSteps:
        return s.AgentSteps(parts[0], span=span)

    def agent_system(self, parts: Parts, span: Span) -> s.AgentSystem:
        return s.AgentSystem(parts[0], span=span)

    # Goals

    def goal(self, parts: Parts, span: Span) -> s.GoalDecl:
        return s.GoalDecl(self.ident(parts[0]), tuple(parts[1:]), span=span)

    def rate(self, parts: Parts, span: Span) -> s.RateTerm:
        return s.RateTerm(self.figure(parts[0]), span=span)

    def assume(self, parts: Parts, span: Span) -> s.AssumeTerm:
        return s.AssumeTerm(tuple(parts), span=span)

    def assumption(self, parts: Parts, span: Span) -> s.Assumption:
        return s.Assumption(parts[0], False, self.figure(parts[1]), span=span)

    def assumed_output(self, parts: Parts, span: Span) -> s.Assumption:
        return s.Assumption(parts[0], True, self.figure(parts[1]), span=span)

    def limit(self, parts: Parts, span: Span) -> s.BoundTerm:
        metric, *percentile, bound = parts
        named = self.ident(percentile[0]) if percentile else None
        return s.BoundTerm(self.ident(metric), named, self.figure(bound), span=span)

    def keep(self, parts: Parts, span: Span) -> s.KeepTerm:
        return s.KeepTerm(parts[0], self.idents(parts[1:]), span=span)

    def soft(self, parts: Parts, span: Span) -> s.SoftTerm:
        metric, weight = parts
        return s.SoftTerm(self.ident(metric), s.Number(weight.text, span=self.place(weight)), span=span)

    def prefer(self, parts: Parts, span: Span) -> s.PreferTerm:
        return s.PreferTerm(self.ident(parts[0]), span=span)

    # Fleets

    def fleet(self, parts: Parts, span: Span) -> s.FleetDecl:
        return s.FleetDecl(self.ident(parts[0]), tuple(parts[1:]), span=span)

    def tier(self, parts: Parts, span: Span) -> s.TierDecl:
        return s.TierDecl(self.ident(parts[0]), parts[1], tuple(parts[2:]), span=span)

    def setting(self, parts: Parts, span: Span) -> s.TierSetting:
        return s.TierSetting(self.ident(parts[0]), parts[1], span=span)

    def range(self, parts: Parts, span: Span) -> s.Range:
        low, high = (s.Number(token.text, span=self.place(token)) for token in parts)
        return s.Range(low, high, span=span)

    def link(self, parts: Parts, span: Span) -> s.LinkDecl:
        left, right, bandwidth, latency = parts
        return s.LinkDecl(self.ident(left), self.ident(right), self.figure(bandwidth), self.figure(latency), span=span)


def actions(builder: Builder, tables: Tables) -> Sequence[Build | None]:
    """The method for each rule, by its number; None where a rule's parts go to its parent.

    A method has the rule's name, with a `_` behind it where Python reserves the word or the builder uses it.
    """
    out: list[Build | None] = []
    for rule in tables.rules:
        if rule.splice:
            out.append(None)
        else:
            out.append(getattr(builder, f"{rule.action}_", None) or getattr(builder, rule.action))
    return out
