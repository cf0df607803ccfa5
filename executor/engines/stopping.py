"""Stop texts: where a reply ends because the caller said so.

A stop text may begin in one token and end in another, so text that could still become one is held back. Decoding uses
this to know when to end, detokenizing to know where to cut; both see the same tokens and so agree.
"""

from __future__ import annotations

from .protocol import Detokenizer


class StopDetokenizer:
    """A detokenizer whose text ends before the first stop text. Without stop texts it passes everything on."""

    def __init__(self, inner: Detokenizer, stop: tuple[str, ...]) -> None:
        self._inner = inner
        self._stop = stop
        self._held: str = ""
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether a stop text was met. Nothing more comes then."""
        return self._stopped

    def push(self, token: int) -> str:
        return self._pass(self._inner.push(token))

    def finish(self) -> str:
        text = self._pass(self._inner.finish()) + self._held
        self._held = ""
        return text

    def _pass(self, text: str) -> str:
        if self._stopped:
            return ""
        if not self._stop:
            return text
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self._stopped, self._held = True, ""
            return text[: min(found)]
        keep = max(_overlap(text, stop) for stop in self._stop)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` with which `stop` begins."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
