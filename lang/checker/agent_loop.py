"""The program that an agent stands for, as syntax: enums for its replies, and a bounded loop of chat calls.

```
pipeline NAME(question: Text) -> T {
  said = [Message(role: Role.System, text: "…"), Message(role: Role.User, text: question)]
  done = repeat turn = NAME.Turn(said: said), at most N - 1 times {
    step = model.chat(turn.said) into NAME.Step
    match step {
      Answer(answer) => { stop NAME.Turn(said: turn.said, answer: answer) }
      Use(calls)     => {
        results = for call in calls { a message with what the tool gave }
        next NAME.Turn(said: turn.said + [the reply] + results)
      }
    }
  }
  return match done.answer { some(found) => found, none => the answer of a last chat into NAME.Final }
}
```

Where T is Text, the last chat gives it as it is, and there is no NAME.Final: a plain text cannot end too early.

It is checked as if it had been written, so that an agent has no rules of its own; every part has the span of what in
the agent it comes from.
"""

from __future__ import annotations

from collections.abc import Callable

from ...base.source import Span
from .. import syntax as s
from ..program import Agent
from ..types import MESSAGE, TEXT, EnumType, ListType, RecordType, Type
from .agent_words import Tool, is_plain

# Reasons for which a tool fails that the model is told; of the others it is told that the tool failed.
_REASONS = ("denied", "timeout", "unreachable")


class Usable:
    """A tool of an agent: what the model sees of it, how it is called, and where the agent names it."""

    __slots__ = ("path", "streams", "tool")

    def __init__(self, tool: Tool, path: s.Path, streams: bool) -> None:
        self.tool = tool
        self.path = path
        self.streams = streams


class Loop:
    """Everything that the loop of one agent is made of. `free` gives a name that nothing else has."""

    def __init__(
        self,
        node: s.AgentDecl,
        model: s.Ident,
        tools: tuple[Usable, ...],
        steps: int,
        steps_span: Span,
        system: s.Template | None,
        told: str,
        parameters: tuple[tuple[s.Ident, Type], ...],
        result: Type,
        qualified: Callable[[str], str],
        free: Callable[[str], str],
    ) -> None:
        self.node = node
        self.model = model
        self.tools = tools
        self.steps = steps
        self.steps_span = steps_span
        self.system = system
        self.told = told
        self.parameters = parameters
        self.result = result
        self.free = free
        name = node.name.text
        self.call_name, self.step_name = f"{name}.Call", f"{name}.Step"
        self.turn_name, self.final_name = f"{name}.Turn", f"{name}.Final"
        self.call_type = EnumType(qualified(self.call_name))
        self.step_type = EnumType(qualified(self.step_name))
        self.final_type = EnumType(qualified(self.final_name))
        self.at = node.name.span

    # --- declarations

    def facts(self, model: str) -> Agent:
        """What is kept of the declaration beside its loop; `model` is the handle's name in the program."""
        return Agent(model, tuple(item.tool.case for item in self.tools), self.steps)

    def enums(self) -> tuple[s.EnumDecl, ...]:
        """What a reply may be: `NAME.Call`, `NAME.Step`, and `NAME.Final` when no tools may be used any more."""
        name = self.node.name.text
        calls = tuple(
            s.CaseDecl(
                s.Ident(item.tool.case, span=item.path.span),
                tuple(self._field(p.name, p.type, item.path.span) for p in item.tool.parameters),
                span=item.path.span,
            )
            for item in self.tools
        )
        answer = s.CaseDecl(self._word("Answer"), (self._field("answer", self.result, self.at),), span=self.at)
        use = s.CaseDecl(self._word("Use"), (self._field("calls", ListType(self.call_type), self.at),), span=self.at)
        made = (
            self._enum(self.call_name, calls, f"A call of one of the tools of `{name}`."),
            self._enum(self.step_name, (use, answer), f"What the model of `{name}` does next."),
        )
        if self.result == TEXT:
            return made
        return (
            *made,
            self._enum(self.final_name, (answer,), f"The answer of `{name}`, once it may use no more tools."),
        )

    def record(self) -> s.RecordDecl:
        """`NAME.Turn`: the conversation so far, with the answer once there is one."""
        said = self._field("said", ListType(MESSAGE), self.at)
        known = s.OptionType(s.KnownType(self.result, span=self.at), span=self.at)
        answer = s.FieldDecl(self._word("answer"), known, self._name("none"), span=self.at)
        doc = s.Doc(
            f"What was said to `{self.node.name.text}` and by it, with the answer once there is one.", span=self.at
        )
        return s.RecordDecl(self._word(self.turn_name), (said, answer), doc, span=self.at)

    def pipeline(self) -> s.PipelineDecl:
        """The loop."""
        node = self.node
        said, done = self.free("said"), self.free("done")
        statements: list[s.Statement] = [s.Bind(self._word(said), self._opening(), span=self.at)]
        looped = self._repeat(self._call(self.turn_name, said=self._name(said)))
        statements += [s.Bind(self._word(done), looped, span=self.at)]
        statements += [s.Return(self._answer(done), span=self.at)]
        return s.PipelineDecl(
            node.name, node.parameters, node.result, s.Block(tuple(statements), span=self.at), node.doc, span=node.span
        )

    # --- parts of the loop

    def _opening(self) -> s.Expr:
        """The system message, the conversation that the agent is given, and the question."""
        told = f"\n\n{self.told}" if self.system is not None else self.told
        parts = (*(self.system.parts if self.system is not None else ()), s.TextPart(told, span=self.at))
        if len(parts) > 1 and isinstance(parts[-2], s.TextPart):
            parts = (*parts[:-2], s.TextPart(parts[-2].text + told, span=parts[-2].span))
        span = self.system.span if self.system is not None else self.at
        found: s.Expr = self._list(self._message("System", s.Template(parts, multiline=True, span=span)))
        asked = [(word, type) for word, type in self.parameters if type != ListType(MESSAGE)]
        for word, type in self.parameters:
            if type == ListType(MESSAGE):
                found = self._plus(found, self._name(word.text))
        if not asked:
            return found
        lines: list[s.TextPart | s.Hole] = []
        for position, (word, type) in enumerate(asked):
            before = "\n" if position else ""
            label = f"{before}{word.text}: " if len(asked) > 1 else ""
            if label:
                lines.append(s.TextPart(label, span=self.at))
            value: s.Expr = self._name(word.text)
            lines.append(s.Hole(value if is_plain(type) else self._as_json(value), span=self.at))
        return self._plus(found, self._list(self._message("User", s.Template(tuple(lines), span=self.at))))

    def _repeat(self, first: s.Expr) -> s.Expr:
        turn, step = self.free("turn"), self.free("step")
        said = s.Access(self._name(turn), self._word("said"), span=self.at)
        reply = self._message("Assistant", self._text(self._as_json(self._name(step))))
        results = s.Bind(self._word(self.free("results")), self._results(calls := self.free("calls")), span=self.at)
        spoken = self._plus(self._plus(said, self._list(reply)), self._name(results.name.text))
        answer = self.free("answer")
        stop = s.Stop(self._call(self.turn_name, said=said, answer=self._name(answer)), None, span=self.at)
        following = s.Next(self._call(self.turn_name, said=spoken), span=self.at)
        chosen = s.Match(
            self._name(step),
            (
                self._arm("Answer", (answer,), s.Block((stop,), span=self.at)),
                self._arm("Use", (calls,), s.Block((results, following), span=self.at)),
            ),
            span=self.at,
        )
        asked = self._into(self._chat(said), self.step_type)
        body: tuple[s.Statement, ...] = (
            s.Bind(self._word(step), asked, span=self.model.span),
            s.ExprStatement(chosen, span=self.at),
        )
        times = s.Number(str(self.steps - 1), span=self.steps_span)
        return s.Repeat(self._word(turn), first, times, s.Block(body, span=self.at), span=self.at)

    def _results(self, calls: str) -> s.Expr:
        """The calls of one reply, at the same time; a message for each."""
        call = self.free("call")
        arms: list[s.Arm] = []
        for item in self.tools:
            binders = tuple(self.free(p.name) for p in item.tool.parameters)
            arms.append(self._arm(item.tool.case, binders, self._observed(item, binders), item.path.span))
        chosen = s.Match(self._name(call), tuple(arms), span=self.at)
        body = s.Block((s.ExprStatement(chosen, span=self.at),), span=self.at)
        return s.For(self._word(call), self._name(calls), None, None, body, span=self.at)

    def _observed(self, item: Usable, binders: tuple[str, ...]) -> s.Expr:
        """What a call gave, or why it failed, as a message."""
        span, case = item.path.span, item.tool.case
        first, *more = item.path.parts
        function: s.Expr = s.Name(first.text, span=first.span)
        for part in more:
            function = s.Access(function, part, span=span)
        arguments = tuple(
            s.Argument(s.Ident(p.name, span=span), s.Name(binder, span=span), span=span)
            for p, binder in zip(item.tool.parameters, binders, strict=True)
        )
        result: s.Expr = s.Call(function, arguments, span=span)
        if item.streams:
            result = s.Call(s.Name("all", span=span), (s.Argument(None, result, span=span),), span=span)
        gave = (s.TextPart(f"{case}: ", span=span), s.Hole(self._as_json(result), span=span))
        found: s.Expr = s.Template(gave, span=span)
        for reason in _REASONS:
            told = s.Template((s.TextPart(f"{case} failed: {reason}", span=span),), span=span)
            found = s.Otherwise(found, (s.Ident(reason, span=span),), told, span=span)
        found = s.Otherwise(found, (), s.Template((s.TextPart(f"{case} failed", span=span),), span=span), span=span)
        return self._message("Tool", found)

    def _answer(self, done: str) -> s.Expr:
        """The answer of the loop, or that of a last call which may use no tools."""
        said = s.Access(self._name(done), self._word("said"), span=self.at)
        found, answer = self.free("found"), self.free("answer")
        plainly = " Answer now, in plain words." if self.result == TEXT else " Answer now."
        hurry = s.Template((s.TextPart(f"No more tools may be used.{plainly}", span=self.at),), span=self.at)
        chat = self._chat(self._plus(said, self._list(self._message("User", hurry))))
        subject = s.Access(self._name(done), self._word("answer"), span=self.at)
        if self.result == TEXT:
            whole = s.Call(s.Name("all", span=chat.span), (s.Argument(None, chat, span=chat.span),), span=chat.span)
            arms = (self._arm("some", (found,), self._name(found)), self._arm("none", (), whole))
            return s.Match(subject, arms, span=self.at)
        asked = self._into(chat, self.final_type)
        last = s.Bind(self._word(self.free("last")), asked, span=self.model.span)
        chosen = s.Match(
            self._name(last.name.text), (self._arm("Answer", (answer,), self._name(answer)),), span=self.at
        )
        block = s.Block((last, s.ExprStatement(chosen, span=self.at)), span=self.at)
        arms = (self._arm("some", (found,), self._name(found)), self._arm("none", (), block))
        return s.Match(subject, arms, span=self.at)

    # --- building blocks

    def _word(self, text: str) -> s.Ident:
        return s.Ident(text, span=self.at)

    def _name(self, text: str) -> s.Name:
        return s.Name(text, span=self.at)

    def _field(self, name: str, type: Type, span: Span) -> s.FieldDecl:
        return s.FieldDecl(s.Ident(name, span=span), s.KnownType(type, span=span), None, span=span)

    def _enum(self, name: str, cases: tuple[s.CaseDecl, ...], doc: str) -> s.EnumDecl:
        return s.EnumDecl(self._word(name), cases, s.Doc(doc, span=self.at), span=self.at)

    def _call(self, function: str, **arguments: s.Expr) -> s.Call:
        given = tuple(s.Argument(self._word(name), value, span=self.at) for name, value in arguments.items())
        return s.Call(self._name(function), given, span=self.at)

    def _message(self, role: str, text: s.Expr) -> s.Expr:
        span = text.span
        who = s.Access(s.Name("Role", span=span), s.Ident(role, span=span), span=span)
        given = (
            s.Argument(s.Ident("role", span=span), who, span=span),
            s.Argument(s.Ident("text", span=span), text, span=span),
        )
        return s.Call(s.Name("Message", span=span), given, span=span)

    def _list(self, *items: s.Expr) -> s.Expr:
        return s.ListLiteral(items, span=self.at)

    def _plus(self, left: s.Expr, right: s.Expr) -> s.Expr:
        return s.Binary(left, s.Symbol("+", span=self.at), right, span=self.at)

    def _as_json(self, value: s.Expr) -> s.Expr:
        span = value.span
        json = s.NamedType(s.Path((s.Ident("Json", span=span),), span=span), span=span)
        return s.As(value, json, span=span)

    def _text(self, value: s.Expr) -> s.Expr:
        return s.Template((s.Hole(value, span=self.at),), span=self.at)

    def _chat(self, messages: s.Expr) -> s.Call:
        model = s.Name(self.model.text, span=self.model.span)
        function = s.Access(model, s.Ident("chat", span=self.model.span), span=self.model.span)
        return s.Call(function, (s.Argument(None, messages, span=self.at),), span=self.model.span)

    def _into(self, call: s.Expr, type: EnumType | RecordType) -> s.Expr:
        return s.Into(call, s.KnownType(type, span=self.model.span), span=self.model.span)

    def _arm(self, case: str, binders: tuple[str, ...], body: s.Expr | s.Block, span: Span | None = None) -> s.Arm:
        at = span or self.at
        words = tuple(s.Ident(binder, span=at) for binder in binders)
        pattern = s.CasePattern(s.Path((s.Ident(case, span=at),), span=at), words, span=at)
        return s.Arm(pattern, body, span=at)
