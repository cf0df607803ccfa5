"""Byte-level BPE: text to token ids and back, with the model's chat markup.

The merges are done by the `tokenizers` library. Markup (`<|im_end|>`) is kept out of it and split off here, because
whether it counts must depend on who wrote the text: a template's markup does, the same letters inside a user's message
do not. Turning ids back into text needs only a table, and an incremental UTF-8 decoder that holds back an unfinished
character.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ...executor.engines.protocol import Message, Tokens
from .chat_template import ChatTemplate, Piece, parse_template

END_MARKUP = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>", "</s>")
"""Markup that ends a reply in the families that use byte-level BPE, if a model has it as a special token."""


class UnsupportedTokenizer(Exception):
    """A tokenizer of another kind. The text says which."""


@dataclass(frozen=True, slots=True)
class TokenizerParts:
    """All that makes a tokenizer, as plain data that can be kept in a file.

    `library` is the JSON of the `tokenizers` library without special tokens; `special` maps markup to ids; `verbatim`
    maps ids of user-defined tokens, which stand for themselves rather than for byte-level letters, to their text.
    `template` is the source of the chat template, or empty.
    """

    library: str
    special: Mapping[str, int]
    end_tokens: tuple[int, ...]
    template: str
    constants: Mapping[str, str]
    verbatim: Mapping[int, str]
    begin_token: int | None = None


class BytePairTokenizer:
    """A `ChatTokenizer`. Raises `UnsupportedTokenizer`, or `UnsupportedTemplate` for its chat template."""

    def __init__(self, parts: TokenizerParts) -> None:
        from tokenizers import Tokenizer

        try:
            self._library: Any = Tokenizer.from_str(parts.library)
        except BaseException as error:  # the library has no narrower one, and panics by what is no `Exception`
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            why = str(error)[:200]
            raise UnsupportedTokenizer(f"the tokenizers library does not take this tokenizer ({why})") from error
        self._special = dict(parts.special)
        self._special_ids = frozenset(self._special.values())
        self._verbatim = dict(parts.verbatim)
        self._begin = parts.begin_token
        known_ends = {self._special[text] for text in END_MARKUP if text in self._special}
        self._end_tokens = frozenset(parts.end_tokens) | known_ends
        longest_first = sorted(self._special, key=len, reverse=True)
        self._markup = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._template = parse_template(parts.template, dict(parts.constants))
        self._bytes: dict[int, bytes] = {}

    @property
    def template(self) -> ChatTemplate:
        return self._template

    @property
    def end_tokens(self) -> frozenset[int]:
        return self._end_tokens

    def encode(self, text: str, special: bool = False) -> Tokens:
        return self._encode((Piece(text, special),))

    def chat(self, messages: Sequence[Message]) -> Tokens:
        tokens = self._encode(tuple(self._template.render(messages)))
        if self._begin is not None and tokens[:1] != (self._begin,):
            return (self._begin, *tokens)
        return tokens

    def _encode(self, pieces: Sequence[Piece]) -> Tokens:
        # Texts between two special tokens are encoded as one, whoever wrote them: merges cross such borders.
        tokens: list[int] = []
        plain: list[str] = []
        for piece in pieces:
            if not piece.markup or self._markup is None:
                plain.append(piece.text)
                continue
            end = 0
            for match in self._markup.finditer(piece.text):
                plain.append(piece.text[end : match.start()])
                self._flush(plain, tokens)
                tokens.append(self._special[match[0]])
                end = match.end()
            plain.append(piece.text[end:])
        self._flush(plain, tokens)
        return tuple(tokens)

    def _flush(self, plain: list[str], tokens: list[int]) -> None:
        text = "".join(plain)
        plain.clear()
        if text:
            # A lone surrogate is no text; it becomes a question mark rather than an error deep in the library.
            text = text.encode("utf-8", "replace").decode("utf-8")
            tokens.extend(cast("list[int]", self._library.encode(text, add_special_tokens=False).ids))

    def token_bytes(self, token: int) -> bytes:
        """The bytes that `token` stands for; none for markup and for ids that the model does not use."""
        known = self._bytes.get(token)
        if known is None:
            known = self._bytes[token] = self._look_up(token)
        return known

    def _look_up(self, token: int) -> bytes:
        if token in self._special_ids:
            return b""
        if token in self._verbatim:
            return self._verbatim[token].encode("utf-8")
        letters = cast("str | None", self._library.id_to_token(token))
        return b"" if letters is None else bytes(_BYTES[letter] for letter in letters)

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self.token_bytes, tokens)).decode("utf-8", "replace")

    def detokenizer(self) -> StreamDetokenizer:
        return StreamDetokenizer(self)


class StreamDetokenizer:
    """Token ids to text as they come; bytes of an unfinished character wait for the rest of it."""

    def __init__(self, tokenizer: BytePairTokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._utf8.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        return self._utf8.decode(b"", True)


def byte_letters() -> tuple[str, ...]:
    """The letter that byte-level BPE writes for each byte (Radford et al. 2019); printable ones are themselves."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    letters: list[str] = []
    moved = 0
    for byte in range(256):
        letters.append(chr(byte) if byte in printable else chr(256 + moved))
        moved += byte not in printable
    return tuple(letters)


_BYTES = {letter: byte for byte, letter in enumerate(byte_letters())}
