"""The prompt of a chat call as it will be sent: nothing that a model is told is hidden.

What is known before a run is the text around the holes, in which order what comes, and the settings. A model's own
template of turns comes around it when it is sent; it belongs to the model's files.
"""

from __future__ import annotations

from ...base.frozen import frozen
from .. import program as p
from .flow import receiver
from .sources import text_at

_SYSTEM, _USER = "System", "User"


@frozen
class Message:
    """One message of a prompt. Holes are written `{…}`; `holes` gives the type of each by its text."""

    role: str
    text: str
    holes: tuple[tuple[str, str], ...] = ()


@frozen
class Prompt:
    """What a chat call sends. `messages` that are a value of the program are one with the role `Conversation`;
    `answer` is the type that the answer is constrained to, and `settings` the other arguments."""

    model: str
    messages: tuple[Message, ...]
    settings: tuple[tuple[str, str], ...] = ()
    answer: str | None = None


def prompt_of(program: p.Program, node: p.Expression) -> Prompt | None:
    """The prompt of a chat call, also where policies, `all` or `into` stand around it."""
    answer = None
    while True:
        match node:
            case p.With() | p.Into():
                answer = str(node.type) if isinstance(node, p.Into) else answer
                node = node.call
            case p.Collect() | p.Buffered():
                node = node.stream
            case p.StageCall() if node.stage.entry == "llm:chat":
                return _chat(program, node, answer)
            case _:
                return None


def _chat(program: p.Program, node: p.StageCall, answer: str | None) -> Prompt:
    given = {a.name: a.value for a in node.arguments}
    messages: list[Message] = []
    system = given.pop("system", None)
    if system is not None and not (isinstance(system, p.Literal) and system.value == ""):
        messages.append(_message(program, _SYSTEM, system))
    sent = given.pop("prompt", None)
    if sent is not None:
        text = str(sent.type) == "Text"
        messages.append(_message(program, _USER if text else "Conversation", sent))
    name = receiver(node) or ""
    handle = program.handle(name)
    first = handle.arguments[0].value if handle and handle.arguments else None
    model = f"{name} ({first.value})" if isinstance(first, p.Literal) else name
    settings = tuple((key, text_of(program, value)) for key, value in given.items() if key != "self")
    return Prompt(model, tuple(messages), settings, answer)


def _message(program: p.Program, role: str, node: p.Expression) -> Message:
    if isinstance(node, p.Literal) and isinstance(node.value, str):
        return Message(role, node.value)
    if not isinstance(node, p.Template):
        text = text_of(program, node)
        return Message(role, f"{{{text}}}", ((text, str(node.type)),))
    parts: list[str] = []
    holes: dict[str, str] = {}
    for part in node.parts:
        if isinstance(part, str):
            parts.append(part)
        else:
            text = text_of(program, part)
            holes[text] = str(part.type)
            parts.append(f"{{{text}}}")
    return Message(role, "".join(parts), tuple(holes.items()))


def text_of(program: p.Program, node: p.Expression) -> str:
    """An expression as it is written; a default, which is written nowhere in this file, as its value."""
    written = text_at(program, node.span) if node.span.path == program.source.path else ""
    match node:
        case p.Reference() | p.HandleReference():
            return node.name
        case p.FieldOf():
            return f"{text_of(program, node.base)}.{node.field_name}"
        case p.Binary() if node.operator not in written:
            return f"{text_of(program, node.left)} {node.operator} {text_of(program, node.right)}"
        case p.ListOf():
            return f"[{', '.join(text_of(program, item) for item in node.items)}]"
        case p.BuildRecord():
            return f"{node.record}({', '.join(f'{a.name}: {text_of(program, a.value)}' for a in node.fields)})"
        case p.BuildCase() if not node.payload:
            return node.case
        case _:
            pass
    # What an agent makes stands where its entries do, whose text is another.
    if written and (written.startswith('"') or not isinstance(node, p.Template | p.Literal)):
        return " ".join(written.split())
    if isinstance(node, p.Template):
        return f'"{"".join(q if isinstance(q, str) else f"{{{text_of(program, q)}}}" for q in node.parts)}"'
    if isinstance(node, p.Literal):
        value = node.value
        return f'"{value}"' if isinstance(value, str) else written or ("[]" if value == () else str(value))
    return "…"
