"""Which tokens may come next, by llguidance: compiled once for a schema and a tokenizer, then microseconds a token.

Everything here runs on the host, in the thread of the device step whose logits it masks. The library is imported when
the first schema comes.
"""

# The library's annotations are partly unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from ....base.problems import OutsideError
from ..problems import schema_unsupported
from ..protocol import ChatTokenizer
from .grammar import lark
from .keys import Keys
from .reading import read

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEPT = 256
"""Compiled schemas for each model."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    matcher: Any
    """An `LLMatcher` at the start; each reply takes a copy, which shares what was worked out."""
    keys: bool


class Masks:
    """The masks of one tokenizer with `vocabulary` tokens. Methods block for milliseconds, and may be called from any
    thread."""

    def __init__(self, tokenizer: ChatTokenizer, vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._lock = Lock()
        self._library: Any = None
        self._compiled: OrderedDict[str, _Compiled] = OrderedDict()

    def constraint(self, schema: str) -> Constraint:
        """A reply that is to be a document of `schema`. Raises `OutsideError` (schema-unsupported)."""
        with self._lock:
            found = self._compiled.pop(schema, None) or self._compile(schema)
            self._compiled[schema] = found
            if len(self._compiled) > KEPT:
                self._compiled.popitem(last=False)
        return Constraint(found.matcher.deep_copy(), self._tokenizer, self._vocabulary, Keys() if found.keys else None)

    def _compile(self, schema: str) -> _Compiled:
        document = read(schema)
        from llguidance import LLMatcher, LLParserLimits, LLTokenizer

        if self._library is None:
            ends = sorted(self._tokenizer.end_tokens)
            self._library = LLTokenizer(
                _Words(self._tokenizer, self._vocabulary),  # pyright: ignore[reportArgumentType] - it asks for the form
                self._vocabulary,
                ends,
                LLTokenizer.json_slices(),
            )
        matcher = LLMatcher(
            self._library,
            LLMatcher.grammar_from_lark(lark(document)),
            log_level=0,
            limits=LLParserLimits(verbose_errors=False),
        )
        if matcher.is_error():
            raise OutsideError(schema_unsupported("", f"makes too large a grammar ({matcher.get_error()})"))
        return _Compiled(matcher, document.repeats_keys())


class Constraint:
    """How far a reply has come in the document it is to be, and what may follow."""

    def __init__(self, matcher: Any, tokenizer: ChatTokenizer, vocabulary: int, keys: Keys | None) -> None:
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._keys = keys

    @property
    def complete(self) -> bool:
        """Whether the document is whole and nothing can follow."""
        return bool(self._matcher.is_stopped())

    def mask(self) -> NDArray[np.uint32]:
        """A bit for each token that may come next, lowest first. End tokens may come where the document is whole."""
        import numpy as np

        words = np.zeros((self._vocabulary + 31) // 32, np.uint32)
        self._matcher.unsafe_compute_mask_ptr(words.ctypes.data, words.nbytes)
        self._check()
        return words

    def take(self, token: int) -> bool:
        """Add a token that the mask allows. False, and nothing is added, if it would end a key for the second time."""
        if self._keys is not None:
            keys = self._keys.after(self._tokenizer.token_bytes(token))
            if keys is None:
                return False
            self._keys = keys
        self._matcher.consume_token(token)
        self._check()
        return True

    def forced(self) -> tuple[int, ...]:
        """Tokens that come next whatever the model says. They are not added."""
        return tuple(self._matcher.compute_ff_tokens())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise RuntimeError(f"the constraint broke: {self._matcher.get_error()}")


def without(mask: NDArray[np.uint32], token: int) -> NDArray[np.uint32]:
    """A mask that leaves out one token more."""
    less = mask.copy()
    less[token >> 5] &= ~(1 << (token & 31)) & 0xFFFFFFFF
    return less


class _Words:
    """A tokenizer as the library asks for one: `TokenizerWrapper`'s form."""

    is_tokenizer_wrapper = True

    def __init__(self, tokenizer: ChatTokenizer, vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = min(tokenizer.end_tokens)
        self.bos_token_id = None
        self.tokens: Sequence[bytes] = [tokenizer.token_bytes(token) for token in range(vocabulary)]
        self.special_token_ids = [token for token, text in enumerate(self.tokens) if not text]

    def __call__(self, text: str | bytes) -> list[int]:
        return list(self._tokenizer.encode(text if isinstance(text, str) else text.decode("utf-8")))
