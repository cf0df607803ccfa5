"""The line editor: colours from the scanner, completion, history; Enter ends an input only when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from ...base import paths
from ...base.source import Source
from ...lang.scanner import scan
from ...lang.tokens import DECLARATION_WORDS, RESERVED
from .reading import is_whole

if TYPE_CHECKING:
    from .loop import Loop

_STYLE = Style.from_dict(
    {
        "keyword": "ansimagenta",
        "text": "ansigreen",
        "number": "ansicyan",
        "comment": "ansibrightblack italic",
        "type": "ansiyellow",
        "hole": "ansiblue",
    }
)


class Terminal:
    """Inputs from a terminal. Ctrl-C drops the line, Ctrl-D on an empty line ends."""

    watched = True

    def __init__(self, loop: Loop, history: bool = True) -> None:
        self._prompt: PromptSession[str] = PromptSession(
            history=_history() if history else InMemoryHistory(),
            lexer=Colours(),
            completer=Words(loop),
            complete_while_typing=False,
            style=_STYLE,
            key_bindings=_keys(),
            multiline=True,
            prompt_continuation="  … ",
        )
        loop.console.note("agentlang: type an expression or a definition; :help lists more, Ctrl-D ends")

    async def next(self) -> str | None:
        while True:
            try:
                with patch_stdout():
                    return await self._prompt.prompt_async("» ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None


def _history() -> FileHistory | InMemoryHistory:
    """Kept beside the cache, for this user alone; a folder that cannot be written costs only the history."""
    try:
        return FileHistory(str(paths.private("repl") / "history"))
    except OSError:
        return InMemoryHistory()


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        behind = buffer.document.text_after_cursor.strip()
        if not behind and is_whole(buffer.text + ("\n" if buffer.document.current_line.strip() else "\n\n")):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n" + _indent(buffer.document))

    @keys.add("escape", "enter")
    def newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _indent(document: Document) -> str:
    line = document.current_line_before_cursor
    inner = "  " if line.rstrip().endswith(("{", "(", "[")) else ""
    return line[: len(line) - len(line.lstrip())] + inner


class Colours(Lexer):
    """The scanner's tokens in colour."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        lines = coloured(document.text)
        return lambda number: lines[number] if number < len(lines) else []


def coloured(text: str) -> list[StyleAndTextTuples]:
    """Each line of an input as pieces with a style."""
    scanned = scan(Source("input", text))
    marks: list[tuple[int, int, str]] = [(c.start, c.start + len(c.text), "class:comment") for c in scanned.comments]
    for token in scanned.tokens:
        style = _style(token.kind, token.text)
        if style:
            marks.append((token.start, token.end, style))
    marks.sort()
    pieces: StyleAndTextTuples = []
    at = 0
    for start, end, style in marks:
        if start < at:
            continue
        pieces += [("", text[at:start]), (style, text[start:end])]
        at = end
    pieces.append(("", text[at:]))
    lines: list[StyleAndTextTuples] = [[]]
    for piece in pieces:
        first, *rest = piece[1].split("\n")
        lines[-1].append((piece[0], first))
        for part in rest:
            lines.append([(piece[0], part)])
    return lines


def _style(kind: str, text: str) -> str:
    if text in RESERVED or text in DECLARATION_WORDS:
        return "class:keyword"
    if kind in ("NUMBER", "QUANTITY"):
        return "class:number"
    if kind in ("HOLE", "HOLE_END"):
        return "class:hole"
    if kind.startswith(("TEXT", "PART")):
        return "class:text"
    return "class:type" if kind == "NAME" and text[:1].isupper() else ""


class Words(Completer):
    """What may stand at the cursor, in its context."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        from .completing import completions

        del complete_event
        text = document.text
        for word, back, meaning in completions(self._loop.session, text, document.cursor_position):
            yield Completion(word, start_position=-back, display_meta=meaning)
