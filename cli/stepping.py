"""Stepping through a run in a terminal: one screen, which keys move from record to record. What a key does is pure
(`Steps`), so that it is the same without a terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import trace_problems as words
from .console import Console, Exit

if TYPE_CHECKING:
    from ..executor.journal.view import View

KEYS = "n next, p before, N and P ten, 0-9 then g: go to, e end, b beginning, q quit"


@dataclass
class Steps:
    """Where one stands among `last` records; `typed` is a number that is being typed."""

    last: int
    number: int = 0
    typed: str = ""

    def press(self, key: str) -> bool:
        """What a key does; False where it ends the stepping."""
        if key == "q":
            return False
        if key.isdigit():
            self.typed = (self.typed + key)[-9:]
            return True
        to = {
            "n": self.number + 1,
            "p": self.number - 1,
            "N": self.number + 10,
            "P": self.number - 10,
            "b": 0,
            "e": self.last,
            "g": int(self.typed or self.number),
        }.get(key, self.number)
        self.typed = ""
        self.number = max(0, min(self.last, to))
        return True


def step(view: View, run: str, console: Console) -> int:
    """Until q is pressed."""
    if not (sys.stdin.isatty() and console.err.isatty()):
        return console.fail((words.stepping_needs_terminal(run),), {}, Exit.USAGE)
    from ..stdlib.extras import need

    need("repl", "stepping through a run")
    application(view, Steps(len(view))).run()
    return Exit.DONE


def application(view: View, steps: Steps, **streams: Any) -> Any:
    """The screen; `streams` are prompt_toolkit's `input` and `output`, where it is not the terminal's."""
    from prompt_toolkit.application import Application
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.layout import Layout, Window
    from prompt_toolkit.layout.controls import FormattedTextControl

    from .trace import moment_text

    def text() -> str:
        typed = f"  {steps.typed}" if steps.typed else ""
        return f"{moment_text(view.at(steps.number), len(view))}\n\n{KEYS}{typed}"

    keys = KeyBindings()

    def pressed(event: KeyPressEvent) -> None:
        named = {"right": "n", "left": "p", "pagedown": "N", "pageup": "P", "home": "b", "end": "e", "enter": "g"}
        key = event.key_sequence[0].key
        name = str(getattr(key, "value", key))
        if name in ("c-c", "c-d") or not steps.press(named.get(name, "g" if name == "c-m" else name)):
            event.app.exit()

    for key in ("<any>", "right", "left", "pagedown", "pageup", "home", "end", "enter", "c-c", "c-d"):
        keys.add(key)(pressed)
    window = Window(FormattedTextControl(text), wrap_lines=True)
    return Application[None](layout=Layout(window), key_bindings=keys, full_screen=True, **streams)
