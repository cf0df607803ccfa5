"""Sentences of a text that still arrives, each given out as soon as it is certain.

A stop is the end of a sentence or not depending on a few characters before it (an abbreviation, an initial, the
number of a list item) and after it (a closing quote, white space, a small letter). `_end_at` decides one stop and may
answer "not yet known" while those characters are missing. It never looks at where the text was cut into chunks, so any
chunking gives the same sentences. How far it looks is bounded, so that each character is looked at a few times only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# A text without any stop is cut here, at white space if there is some: what waits for sentences must not wait for ever.
LONGEST = 2_000

_FULL_WIDTH = "。！？｡"
_STOPS = ".!?…" + _FULL_WIDTH
_STOP = re.compile(f"[{_STOPS}\n]")
# Closing quotes and brackets belong to the sentence before; so do the marks that end Markdown emphasis.
_CLOSERS = "\"')]}”’»›」』）】*_`"
_FURTHEST = 64

# Words whose full stop does not end a sentence, whatever follows.
_TITLES = frozenset(
    re.findall(
        r"\S+",
        "mr mrs ms mx dr prof st mt rev fr hon pres gov sen rep gen col maj capt lt cmdr sgt messrs mme mlle"
        " vs cf viz e.g i.e eg ie approx dept ca al",
    )
)
# Words that do so before a number: "No. 5", "Fig. 2", "Jan. 3".
_BEFORE_NUMBERS = frozenset(
    re.findall(
        r"\S+",
        "no nos nr fig figs eq eqs p pp vol art sec sect ch chap par para ver v"
        " jan feb mar apr jun jul aug sep sept oct nov dec",
    )
)
_WORD_BEFORE = re.compile(r"(?:[^\W\d_]\.)*[^\W_]+\Z")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z])\Z")


class Sentences:
    """Takes a text in chunks and gives its sentences, without the white space around them.

    A blank line ends a sentence, and so does a line break before a list item.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._text = ""  # Starts where the sentence starts.
        self._at = 0  # Everything before is decided: no sentence ends there.

    def feed(self, chunk: str) -> list[str]:
        """The sentences that are certain now."""
        self._text += chunk
        return list(self._sentences(final=False))

    def end(self) -> list[str]:
        """The sentences that are left when no more text comes."""
        found = list(self._sentences(final=True))
        rest = self._text.strip()
        self._text, self._at = "", 0
        return [*found, rest] if rest else found

    def _sentences(self, final: bool) -> Iterator[str]:
        # Cut off by offset and only once: taking each sentence off the front would copy a long text again and again.
        text, start, at = self._text, 0, self._at
        while True:
            if at == start:
                while start < len(text) and text[start].isspace():
                    start += 1
                at = start
            stop = _STOP.search(text, at, start + self._longest)
            if stop is None and len(text) - start < self._longest:
                at = len(text)
                break
            if stop is None:
                end = after = _last_space(text, start, start + self._longest)
            else:
                decided = _end_at(text, start, stop.start(), final)
                if decided is None:
                    at = stop.start()
                    break
                end, after = decided
            if end is None:
                at = after
                continue
            yield text[start:end].strip()
            start = at = end
        self._text, self._at = text[start:], at - start


def sentences(text: str) -> list[str]:
    """The sentences of a whole text."""
    reader = Sentences()
    return reader.feed(text) + reader.end()


def _last_space(text: str, start: int, end: int) -> int:
    """Where to cut a text that has no stop: after its last white space, else at `end`."""
    at = end - 1
    while at > start and not text[at].isspace():
        at -= 1
    return at if at > start else end


def _end_at(text: str, start: int, stop: int, final: bool) -> tuple[int | None, int] | None:
    """Whether the sentence that begins at `start` ends at the stop (or line break) at `stop`.

    Gives where it ends (None: not here) and where to look on; or None if more text is needed to know.
    """
    if text[stop] == "\n":
        return _end_at_line(text, stop, final)
    run = _while(text, stop, _STOPS)
    after = _while(text, run, _CLOSERS)
    if after == len(text) and not final:
        return None
    stops = text[stop:run]
    if any(mark in _FULL_WIDTH for mark in stops):
        return after, after
    if after == len(text):
        return after, after
    if not text[after].isspace():
        return None, after
    if after == run and stops[-1] in "!?":
        return after, after
    following = after
    while following < len(text) and following < after + _FURTHEST and text[following].isspace():
        following += 1
    if text.count("\n", after, following) > 1:
        return after, after
    if following == len(text) and not final and following < after + _FURTHEST:
        return None
    if following == len(text) or text[following].isspace():
        return after, after
    if text[following].islower() or (stops == "." and _is_abbreviation(text, start, stop, text[following])):
        return None, after
    return after, after


def _end_at_line(text: str, stop: int, final: bool) -> tuple[int | None, int] | None:
    """A blank line ends a sentence, and a line break before `- ` or `2. ` does."""
    limit = stop + _FURTHEST
    at = stop + 1
    while at < len(text) and at < limit and text[at] in " \t\r":
        at += 1
    if at == len(text) and not final:
        return None
    if at < len(text) and text[at] == "\n":
        return stop, stop
    mark = at
    while mark < len(text) and mark < at + 3 and text[mark] in "0123456789":
        mark += 1
    marks = "-*•–" if mark == at else ".)"
    if mark + 1 >= len(text) and not final and (mark == len(text) or text[mark] in marks):
        return None
    if mark + 1 < len(text) and text[mark] in marks and text[mark + 1] in " \t":
        return stop, stop
    return None, stop + 1


def _while(text: str, at: int, marks: str) -> int:
    """The end of the run of `marks` at `at`, which is not followed further than any real text needs."""
    limit = min(len(text), at + _FURTHEST)
    while at < limit and text[at] in marks:
        at += 1
    return at


def _is_abbreviation(text: str, start: int, stop: int, following: str) -> bool:
    before = text[max(start, stop - _FURTHEST) : stop]
    if stop - start <= 4 and _LIST_NUMBER.match(before) and before != "I":
        # "1. First" and "a. First": a number alone is the head of a list item.
        return True
    found = _WORD_BEFORE.search(before)
    if found is None:
        return False
    word = found[0]
    if word.lower() in _TITLES:
        return True
    if word.lower() in _BEFORE_NUMBERS:
        return following in "0123456789"
    # Initials: "J. R. Smith", "the U.S. Senate". "I" is a word far more often.
    return (len(word) == 1 and word.isupper() and word != "I") or (len(word) > 1 and word[-2] == "." and word.isupper())
