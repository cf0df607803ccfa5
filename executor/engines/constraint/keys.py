"""No key twice in one object: the one rule that a grammar cannot hold, kept beside it.

Reads a document as it is made, byte by byte. A value: what follows from some bytes is a new one, so that a token can be
tried and dropped. It relies on the grammar, under which equal keys are equal bytes, and looks at nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

_QUOTE, _BACKSLASH, _COMMA = b'",'[0], b"\\"[0], b","[0]
_OPENING, _CLOSING, _BRACKET, _BRACKET_END = b"{"[0], b"}"[0], b"["[0], b"]"[0]


@dataclass(frozen=True, slots=True)
class _Open:
    """An array (`keys` is None) or object that has begun, inside of `outer`."""

    outer: _Open | None
    keys: frozenset[bytes] | None


@dataclass(frozen=True, slots=True)
class Keys:
    """How far a document has come."""

    inside: _Open | None = None
    text: bytes | None = None
    """Of the text that has begun, what there is, if it is a key; None outside of texts."""
    escaped: bool = False
    """Whether a backslash stands before the next byte of the text."""
    is_key: bool = False
    """Whether the text that has begun, or the next to begin, is a key."""

    def after(self, more: bytes) -> Keys | None:
        """With these bytes behind it; None if one of them ends a key that its object has already."""
        inside, text, escaped, is_key = self.inside, self.text, self.escaped, self.is_key
        for byte in more:
            if text is not None:
                if byte != _QUOTE or escaped:
                    escaped = byte == _BACKSLASH and not escaped
                    text += bytes((byte,)) if is_key else b""
                    continue
                if is_key and inside is not None and inside.keys is not None:
                    if text in inside.keys:
                        return None
                    inside, is_key = _Open(inside.outer, inside.keys | {text}), False
                text = None
            elif byte == _QUOTE:
                text, escaped = b"", False
            elif byte in (_OPENING, _BRACKET):
                is_key = byte == _OPENING
                inside = _Open(inside, frozenset() if is_key else None)
            elif byte in (_CLOSING, _BRACKET_END):
                inside, is_key = (inside.outer if inside is not None else None), False
            elif byte == _COMMA:
                is_key = inside is not None and inside.keys is not None
        return Keys(inside, text, escaped, is_key)
