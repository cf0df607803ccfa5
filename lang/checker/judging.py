"""`judge.agrees(text, claim)`: a chat with a model that answers whether a claim holds of a text.

It is sugar for a call that a program could write itself, so that all that is known of chats holds of it, and its prompt
is shown like any other:

    judge.agrees(reply, "it is polite")    =>    (judge.chat("Text: … {reply} …") into llm.Verdict).ok
"""

from __future__ import annotations

from .. import program
from ..program import Argument, StageSignature
from ..types import BOOL, TEXT, VERDICT
from .body import Body

ENTRY = "llm:agrees"
_BEFORE = "Text:\n-----\n"
_BETWEEN = "\n-----\nClaim about the text: "
_AFTER = '\n\nDoes the claim hold? Give "why" in one short sentence, then "ok": true if it holds, else false.'


def judged(body: Body, call: program.StageCall) -> program.Expression:
    """What a call of `agrees` stands for."""
    chat = _chat(body, call)
    known = {argument.name: argument.value for argument in call.arguments}
    text, claim = known["text"], known["claim"]
    parts = (_BEFORE, text, _BETWEEN, claim, _AFTER)
    prompt = program.Template(type=TEXT, span=call.span, labels=text.labels | claim.labels, parts=parts)
    given: dict[str, program.Expression] = {p.name: p.default for p in chat.parameters if p.default is not None}
    given |= {**known, "prompt": prompt}
    arguments = tuple(Argument(p.name, given[p.name]) for p in chat.parameters)
    asked = program.StageCall(type=chat.result, span=call.span, labels=call.labels, stage=chat, arguments=arguments)
    verdict = program.Into(type=VERDICT, span=call.span, labels=call.labels, call=asked)
    return program.FieldOf(type=BOOL, span=call.span, labels=call.labels, base=verdict, field_name="ok")


def _chat(body: Body, call: program.StageCall) -> StageSignature:
    """The model's `chat` that takes a text."""
    model = call.stage.parameters[0].type
    signatures = body.context.methods[str(model)]["chat"]
    return next(s for s in signatures if s.parameters[1].type == TEXT)
