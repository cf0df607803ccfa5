"""How Whisper's tokens are chosen and read: what may follow what, which stretch of time a text belongs to.

The decoder writes timestamps between texts, `<|0.00|> And so it was.<|3.20|>`, and they hold it to what it hears: they
come in pairs, never go back, and one is chosen where all of them together are likelier than any word. A window of
which the model says itself that nobody speaks, and of whose text it is unsure, says nothing. The rules and their
figures are those of the published reference code (`whisper/decoding.py`, `whisper/transcribe.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...executor.engines.families import Segment
from .checkpoint import DamagedFile
from .whisper_config import POSITION_SECONDS, RATE, WhisperConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LANGUAGE = re.compile(r"<\|[a-z]{2,3}\|>")
_SILENT = 0.6
"""From this likelihood on that nobody speaks …"""
_UNSURE = -1.0
"""… a text whose tokens have this mean log-probability or less is not said."""
_ENGLISH_END = 50_256
"""The end of a text in the vocabulary of the models that know English alone."""
_FIRST_TIMESTAMP = 50
"""The first timestamp is one of the first so many: a second."""


class WhisperWords:
    """The vocabulary, and which tokens are what. Raises `DamagedFile` where the files do not fit the model."""

    def __init__(self, tokenizer: Path, config_file: Path, config: WhisperConfig) -> None:
        from tokenizers import Tokenizer

        try:
            self._library: Any = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises a bare Exception
            raise DamagedFile(f"{tokenizer.name}: {error}") from error
        self.vocab = config.vocab
        self.context = config.context
        self.end = self._token("<|endoftext|>")
        self.start = self._token("<|startoftranscript|>")
        self.transcribe = self._token("<|transcribe|>")
        self.untimed = self._token("<|notimestamps|>")
        self.silent = self._token("<|nospeech|>", "<|nocaptions|>")
        self.first_time = self.untimed + 1
        # One timestamp for each position, and one more: from the first moment to the last.
        if self.first_time + config.positions + 1 != config.vocab:
            raise DamagedFile(f"{tokenizer.name} leaves no room for timestamps among {config.vocab:,} tokens")
        # The English models have the tokens of languages too, and never saw them.
        self.languages: Mapping[int, str] = {} if self.end == _ENGLISH_END else self._languages()
        never, never_first = self._lists(config_file)
        # No marker but the end and timestamps, whatever the file says.
        self.never = (*never, *range(self.end + 1, self.first_time))
        self.never_first = never_first

    def text(self, tokens: Sequence[int]) -> str:
        """The words of tokens, timestamps and other markers left out."""
        return str(self._library.decode([token for token in tokens if token < self.end]))

    def _token(self, *names: str) -> int:
        for name in names:
            found = self._library.token_to_id(name)
            if found is not None and 0 <= int(found) < self.vocab:
                return int(found)
        raise DamagedFile(f"its vocabulary has no {names[0]}")

    def _languages(self) -> Mapping[int, str]:
        """Which tokens name languages: those between the start and what is to be done."""
        found: dict[int, str] = {}
        for token in range(self.start + 1, self.transcribe):
            name = self._library.id_to_token(token) or ""
            if _LANGUAGE.fullmatch(name):
                found[token] = name[2:-2]
        return found

    def _lists(self, path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What is never written (noises, other markers), and what not first."""
        try:
            data: Any = json.loads(path.read_bytes())
            lists = tuple(tuple(map(int, data[name])) for name in ("suppress_ids", "suppress_ids_begin"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedFile(f"{path.name} does not say which tokens are not written ({error})") from error
        if any(not 0 <= token < self.vocab for each in lists for token in each):
            raise DamagedFile(f"{path.name} names tokens that are none")
        return cast("tuple[tuple[int, ...], tuple[int, ...]]", lists)


class WhisperReading:
    """One window (see `executor.engines.speech.sources.Reading`)."""

    def __init__(self, words: WhisperWords, samples: int, language: str | None) -> None:
        self._words = words
        self._samples = samples
        self._tokens: list[int] = []
        self._sum = 0.0
        self._no_speech = 0.0
        self._language = language
        self._prompt = [words.start]
        named = {name: token for token, name in words.languages.items()}
        if language in named:
            self._prompt += [named[language], words.transcribe]

    @property
    def prompt(self) -> Sequence[int]:
        return self._prompt

    @property
    def language(self) -> str | None:
        return self._language

    def choose(self, logits: NDArray[Any], position: int) -> int | None:
        import numpy as np

        words = self._words
        if position == 0:
            self._no_speech = float(np.exp(_log_shares(logits)[words.silent]))
            if words.languages and len(self._prompt) == 1:
                token = max(words.languages, key=lambda candidate: float(logits[candidate]))
                self._language = words.languages[token]
                self._prompt += [token, words.transcribe]
        if position + 1 < len(self._prompt):
            return self._prompt[position + 1]
        if len(self._tokens) >= words.context // 2:
            return None
        allowed = self._allowed(logits)
        token = int(np.argmax(allowed))
        self._sum += float(_log_shares(allowed)[token])
        if token == words.end:
            return None
        self._tokens.append(token)
        return token

    def _allowed(self, logits: NDArray[Any]) -> NDArray[Any]:
        """The logits, with minus infinity where nothing may be chosen."""
        import numpy as np

        words, tokens, first = self._words, self._tokens, self._words.first_time
        out = np.array(logits, dtype=np.float32)
        out[list(words.never)] = -np.inf
        if not tokens:
            # A text begins with when it begins.
            out[list(words.never_first)] = -np.inf
            out[:first] = -np.inf
            out[first + _FIRST_TIMESTAMP + 1 :] = -np.inf
            return out
        last_is_time = tokens[-1] >= first
        if last_is_time and (len(tokens) < 2 or tokens[-2] >= first):
            out[first:] = -np.inf  # A pair, or the beginning: words come.
        elif last_is_time:
            out[: words.end] = -np.inf  # The end of a text: its pair comes, or the end.
        times = [token for token in tokens if token >= first]
        if times:
            # Time does not go back, and a text takes some of it.
            out[first : times[-1] + (0 if last_is_time and tokens[-2:-1] and tokens[-2] < first else 1)] = -np.inf
        shares = _log_shares(out)
        together = float(np.logaddexp.reduce(shares[first:])) if np.isfinite(out[first:]).any() else -np.inf
        if together > float(shares[:first].max()):
            out[:first] = -np.inf
        return out

    def segments(self) -> Sequence[Segment]:
        mean = self._sum / (len(self._tokens) + 1)
        if self._no_speech > _SILENT and mean <= _UNSURE:
            return ()
        found: list[Segment] = []
        for start, end, tokens in self._parts():
            text = self._words.text(tokens)
            if text.strip() and end > start:
                found.append(Segment(start, end, text))
        return tuple(found)

    @property
    def heard(self) -> int:
        first, tokens = self._words.first_time, self._tokens
        if len(tokens) >= 2 and tokens[-1] >= first and tokens[-2] >= first:
            # It ends with when the next text begins, which the next window hears whole.
            until = int((tokens[-2] - first) * POSITION_SECONDS * RATE)
            if 0 < until < self._samples:
                return until
        return self._samples

    def _parts(self) -> list[tuple[float, float, list[int]]]:
        """Texts by the timestamps around them; what has no end lasts until the window's."""
        first, whole = self._words.first_time, self._samples / RATE
        parts: list[tuple[float, float, list[int]]] = []
        start, words = 0.0, list[int]()
        for token in self._tokens:
            if token < first:
                words.append(token)
                continue
            time = min((token - first) * POSITION_SECONDS, whole)
            if words:
                parts.append((start, time, words))
                words = []
            start = time
        if words:
            parts.append((start, whole, words))
        return parts


def _log_shares(logits: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    top = float(np.max(logits))
    return logits - (top + np.log(np.sum(np.exp(logits - top))))
