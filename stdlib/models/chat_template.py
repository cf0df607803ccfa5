"""How a conversation becomes a prompt: the model's own template, read without running it.

Templates are programs in Jinja. The common ones do one thing: each turn is fixed markup around the role and the text,
sometimes behind a default system turn, and at the end the reply is opened. Templates of that form (ChatML and its
relatives) are parsed into a value here; any other form is refused by name, never guessed at.

Being a value, a template keeps apart what is markup and what somebody wrote, so that no text inside a message can act
as markup.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ...executor.engines.protocol import Message


class UnsupportedTemplate(Exception):
    """A template of a form that is not understood, stuck at `place`."""

    def __init__(self, place: str) -> None:
        super().__init__(f"its chat template is written in a form that is not understood: {place}")


class Slot(Enum):
    """What a turn is filled with."""

    ROLE = "role"
    TEXT = "content"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of a prompt. In `markup`, special tokens count; elsewhere they are plain text."""

    text: str
    markup: bool


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """`default_system` stands before a conversation without a system turn at its start; `reply` opens the answer."""

    turn: tuple[str | Slot, ...]
    default_system: str = ""
    reply: str = ""

    def render(self, messages: Sequence[Message]) -> Iterator[Piece]:
        """The prompt of a conversation, ready for the reply."""
        if self.default_system and messages and messages[0].role != "system":
            yield Piece(self.default_system, True)
        for message in messages:
            for part in self.turn:
                if isinstance(part, str):
                    yield Piece(part, True)
                else:
                    yield Piece(message.role if part is Slot.ROLE else message.text, False)
        if self.reply:
            yield Piece(self.reply, True)


def parse_template(source: str, constants: dict[str, str] | None = None) -> ChatTemplate:
    """Read a template. `constants` are the names it may use (`bos_token`, `eos_token`).

    Raises `UnsupportedTemplate`.
    """
    if len(source) > _LARGEST:
        raise UnsupportedTemplate(f"it has {len(source):,} characters")
    return _Parser(list(_tags(source)), constants or {}).template()


_LARGEST = 1 << 16
_OPEN, _CLOSE = re.compile(r"\{([%{])(-?)"), re.compile(r"(-?)[%}]\}")
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_SLOTS = {
    "message['role']": Slot.ROLE,
    'message["role"]': Slot.ROLE,
    "message.role": Slot.ROLE,
    "message['content']": Slot.TEXT,
    'message["content"]': Slot.TEXT,
    "message.content": Slot.TEXT,
}
_NO_SYSTEM = re.compile(
    r"loop\.first and messages\[0\](?:\[['\"]role['\"]\]|\.role) != ['\"]system['\"]|"
    r"loop\.first and message(?:\[['\"]role['\"]\]|\.role) != ['\"]system['\"]"
)


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: str
    """`%` a statement, `{` an expression, empty plain text"""
    text: str


def _tags(source: str) -> Iterator[_Tag]:
    """Statements, expressions and the text between them, white space cut as the templates' users do it.

    They set `trim_blocks` (a statement swallows the newline behind it) and `lstrip_blocks` (and the spaces before it).
    """
    end, cut, after_statement = 0, False, False
    # Opened and closed one by one: a pattern for both takes minutes on a source that never closes.
    while (opened := _OPEN.search(source, end)) and (closed := _CLOSE.search(source, opened.end())):
        statement = opened[1] == "%"
        yield from _between(source[end : opened.start()], cut, after_statement, opened[2] == "-", statement)
        yield _Tag(opened[1], source[opened.end() : closed.start()].strip())
        end, cut, after_statement = closed.end(), closed[1] == "-", statement
    yield from _between(source[end:], cut, after_statement, False, False)


def _between(
    text: str, cut_left: bool, after_statement: bool, cut_right: bool, before_statement: bool
) -> Iterator[_Tag]:
    if cut_left:
        text = text.lstrip()
    elif after_statement:
        text = text.removeprefix("\n")
    if cut_right:
        text = text.rstrip()
    elif before_statement:
        line_start = text.rfind("\n") + 1
        if not text[line_start:].strip(" \t") and (line_start or not text.strip(" \t")):
            text = text[:line_start]
    if text:
        yield _Tag("", text)


class _Parser:
    """Recursive descent over the few forms that are understood."""

    def __init__(self, tags: list[_Tag], constants: dict[str, str]) -> None:
        self._tags = tags
        self._at = 0
        self._constants = constants

    def template(self) -> ChatTemplate:
        self._expect("for message in messages")
        default = ""
        if self._next_matches(_NO_SYSTEM):
            self._at += 1
            default = _only_text(self._output())
            self._expect("endif")
        turn = self._output()
        self._expect("endfor")
        if turn.count(Slot.TEXT) != 1 or turn.count(Slot.ROLE) > 1:
            raise UnsupportedTemplate("a turn does not hold its text once")
        reply = ""
        if not self._ended():
            self._expect("if add_generation_prompt")
            reply = _only_text(self._output())
            self._expect("endif")
        if not self._ended():
            raise UnsupportedTemplate(f"something follows the reply: {self._here()}")
        return ChatTemplate(turn, default, reply)

    def _output(self) -> tuple[str | Slot, ...]:
        """Text and expressions up to the next statement, neighbouring texts joined."""
        parts: list[str | Slot] = []
        while not self._ended() and self._tags[self._at].kind != "%":
            tag = self._tags[self._at]
            for part in (tag.text,) if tag.kind == "" else self._sum(tag.text):
                if isinstance(part, str) and parts and isinstance(parts[-1], str):
                    parts[-1] += part
                else:
                    parts.append(part)
            self._at += 1
        return tuple(parts)

    def _sum(self, expression: str) -> Iterator[str | Slot]:
        """The terms of `'text' + message['role'] + …`."""
        rest = expression.strip()
        while True:
            literal = _LITERAL.match(rest)
            if literal:
                yield _literal(literal[0])
                rest = rest[literal.end() :].lstrip()
            else:
                term, plus, behind = rest.partition("+")
                name = term.strip()
                if name in _SLOTS:
                    yield _SLOTS[name]
                elif name in self._constants:
                    yield self._constants[name]
                else:
                    raise UnsupportedTemplate(f"the expression {name!r}")
                rest = plus + behind
            if not rest:
                return
            if not rest.startswith("+"):
                raise UnsupportedTemplate(f"the expression {rest!r}")
            rest = rest[1:].lstrip()

    def _expect(self, statement: str) -> None:
        tag = None if self._ended() else self._tags[self._at]
        if tag is None or tag.kind != "%" or " ".join(tag.text.split()) != statement:
            raise UnsupportedTemplate(f"{self._here()} where {statement!r} was expected")
        self._at += 1

    def _next_matches(self, pattern: re.Pattern[str]) -> bool:
        tag = None if self._ended() else self._tags[self._at]
        if tag is None or tag.kind != "%" or not tag.text.startswith("if "):
            return False
        return pattern.fullmatch(" ".join(tag.text.removeprefix("if ").split())) is not None

    def _ended(self) -> bool:
        return self._at >= len(self._tags)

    def _here(self) -> str:
        return "the end" if self._ended() else repr(self._tags[self._at].text[:80])


def _literal(written: str) -> str:
    """The text of a literal, whose line breaks stand as they are."""
    try:
        return str(ast.literal_eval(written.replace("\n", "\\n")))
    except (SyntaxError, ValueError):
        raise UnsupportedTemplate(f"the text {written[:80]}") from None


def _only_text(parts: tuple[str | Slot, ...]) -> str:
    if any(isinstance(part, Slot) for part in parts):
        raise UnsupportedTemplate("a message is used outside of its turn")
    return "".join(part for part in parts if isinstance(part, str))
