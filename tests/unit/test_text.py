"""Text without models: the laws of splitting, of sentences and of redaction, and examples of each rule."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from agent_sources import checked
from hypothesis import given
from hypothesis import strategies as st

from agentlang.stdlib.text import Sentences, join, redact, sentences, split


def words(text: str) -> int:
    return len(text.split())


def bare(text: str) -> str:
    return "".join(text.split())


# Texts made of what the rules look at, far denser than prose.
PARTS = st.sampled_from(
    [
        *'.!?…。！？ \n\t"”)*-1aZ。',
        "Dr",
        "No",
        "e.g",
        "U.S",
        "etc",
        "word ",
        "Word ",
        "\n\n",
        "\n- ",
        "\n2. ",
        "3.14",
        "你好",
    ]
)
TEXTS = st.lists(PARTS, max_size=60).map("".join) | st.text(max_size=200)


def test_join() -> None:
    assert join(["a", "b", "c"], "; ") == "a; b; c"
    assert join(["a", "b"]) == "ab"
    assert join([], ", ") == ""


# split


@given(TEXTS, st.integers(1, 12), st.sampled_from([words, len]))
def test_split_loses_only_white_space(text: str, tokens: int, count: Callable[[str], int]) -> None:
    pieces = split(text, tokens, count)
    assert bare(join(pieces)) == bare(text)
    assert all(piece and piece == piece.strip() for piece in pieces)
    # Pieces are parts of the text, in order, and not longer than allowed (a character with its accents stays whole).
    at = 0
    for piece in pieces:
        at = text.index(piece, at) + len(piece)
        assert count(piece) <= tokens or not re.search(r"[a-zA-Z0-9.!? ]{2}", piece)


def test_split_prefers_paragraphs_then_sentences_then_words() -> None:
    first, second = "One two three. Four five.", "Six seven eight. Nine."
    assert split(f"{first}\n\n{second}", 5, words) == [first, second]
    assert split(f"{first}\n\n{second}", 9, words) == [f"{first}\n\n{second}"]
    assert split(f"{first} {second}", 4, words) == ["One two three.", "Four five.", "Six seven eight. Nine."]
    assert split("one two three four five", 2, words) == ["one two", "three four", "five"]
    assert split("abcdefgh", 3, len) == ["abc", "def", "gh"]


def test_split_keeps_characters_whole() -> None:
    family, accented = "👩‍👩‍👧", "e\u0301"
    assert split(family * 2, 3, len) == [family, family]
    assert split(accented * 3, 3, len) == [accented] * 3


def test_split_of_nothing_and_of_too_little() -> None:
    assert split("", 5, words) == split(" \n ", 5, words) == []
    with pytest.raises(ValueError, match="at least one"):
        split("a", 0, words)


def test_split_counts_little() -> None:
    """A count costs a run of a tokenizer: few of them, over not much more than the text."""
    seen: list[int] = []

    def count(text: str) -> int:
        seen.append(len(text))
        return words(text)

    text = "\n\n".join("This is a sentence of eight words here. " * 10 for _ in range(200))
    pieces = split(text, 400, count)
    assert max(words(piece) for piece in pieces) <= 400
    assert words(text) / 400 <= len(pieces) <= 1.3 * words(text) / 400
    assert sum(seen) < 4 * len(text)


# sentences


@given(TEXTS, st.data())
def test_any_chunking_gives_the_same_sentences(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    longest = data.draw(st.sampled_from([5, 30, 2_000]))
    assert _fed(chunks, longest) == _fed([text], longest) == _fed(list(text), longest)


@given(TEXTS)
def test_sentences_lose_only_white_space(text: str) -> None:
    found = sentences(text)
    assert bare(join(found)) == bare(text)
    assert all(sentence and sentence == sentence.strip() for sentence in found)


def _fed(chunks: list[str], longest: int) -> list[str]:
    reader = Sentences(longest)
    return [sentence for chunk in chunks for sentence in reader.feed(chunk)] + reader.end()


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith paid $3.50.|Mrs. Jones did not.",
        '"Really?" he asked.|"Yes!"|They left.',
        "Wait...|What?|Well... maybe.|And so on…|Good.",
        "See Fig. 2 and No. 5, e.g. here, cf. Jones et al. in vol. 3.|Done.",
        "J. R. R. Tolkien wrote it.|So did I.|It sold in the U.S. Senate shop.",
        "He said no.|Then he left at 5 p.m. for Paris, Rome, etc. by train.",
        "It was version 2.0.1 of example.com.|Fine?!|Yes.",
        "这是第一句。|这是第二句！|“好吗？”|他问。|完",
        "これは文です。|「はい。」|次。",
        "# A heading|Text after it.|- one|- two|3. three|The end",
        "1. First we go.|2. Then we rest.",
        "**Note.**|Bold ends (as does this.)|Next.",
        "a single line\nthat goes on\nover three.|New one.",
    ],
)
def test_where_sentences_end(text: str) -> None:
    wanted = text.split("|")
    # A heading and list items stand on lines of their own; all else is separated by a space, or by nothing in Chinese.
    joined = wanted[0]
    for before, after in pairwise(wanted):
        if before.startswith("#"):
            joined += "\n\n"
        elif re.match(r"- |\d\. ", after) or re.match(r"- |\d\. three", before):
            joined += "\n" if re.match(r"- |\d\. ", after) else "\n\n"
        elif not re.search("[。！？][”」]?$", before):
            joined += " "
        joined += after
    assert sentences(joined) == wanted


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("Stop! ", ["Stop!"]),
        ("Stop!", []),
        ("Stop. G", ["Stop."]),
        ("Stop. ", []),
        ("Stop.\n\n", ["Stop."]),
        ("停。下", ["停。"]),
        ("A heading\n\n", ["A heading"]),
        ("Dr. S", []),
        ("pi is 3.", []),
    ],
)
def test_a_sentence_leaves_as_soon_as_it_is_certain(text: str, known: list[str]) -> None:
    assert Sentences().feed(text) == known


def test_a_text_without_stops_does_not_wait_for_ever() -> None:
    reader = Sentences(longest=100)
    given_out = [sentence for _ in range(100) for sentence in reader.feed("word " * 10)]
    assert len(given_out) >= 49
    assert all(len(sentence) <= 100 and sentence.endswith("word") for sentence in given_out)


def test_long_texts_take_linear_time() -> None:
    def seconds(text: str) -> float:
        started = time.process_time()
        reader = Sentences()
        for letter in text:
            reader.feed(letter)
        reader.end()
        sentences(text)
        return time.process_time() - started

    for unit in (".", " ", "\n", '"', "a.", "a" * 500, "1. "):
        small, large = unit * (8_000 // len(unit)), unit * (32_000 // len(unit))
        # Four times the text: far from sixteen times the time.
        assert seconds(large) < 10 * max(seconds(small), 0.02), unit


# redaction


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Write to ann.o'neil+news@mail.ex-ample.co.uk.", "Write to [email]."),
        ("<müller@exämple.de>, a@b.museum", "<[email]>, [email]"),
        ("Card 4111 1111 1111 1111, exp 12/29", "Card [card], exp 12/29"),
        ("Amex 3782-822463-10005 or 5555555555554444", "Amex [card] or [card]"),
        ("IBAN DE89 3704 0044 0532 0130 00 AT ONCE", "IBAN [iban] AT ONCE"),
        ("GB82WEST12345698765432, NO9386011117947.", "[iban], [iban]."),
        ("My SSN is 123-45-6789.", "My SSN is [ssn]."),
        ("social security number: 123456789", "social security number: [ssn]"),
        ("from 192.168.1.10:8080 and 10.0.0.1.", "from [ip]:8080 and [ip]."),
        ("at 2001:db8::8a2e:370:7334, ::1, fe80:0:0:0:202:b3ff:fe1e:8329", "at [ip], [ip], [ip]"),
        ("Call (212) 555-0123 or 212-555-0123.", "Call [phone] or [phone]."),
        ("+1 212 555 0123, +49 (0)30 901820, +442079460958", "[phone], [phone], [phone]"),
        ("London 020 7946 0958; 01632 960 983", "London [phone]; [phone]"),
        ("call me on 5550123456 or 5550654321", "call me on [phone] or [phone]"),
        ("Call us for a repair: 555 0123 456", "Call us for a repair: [phone]"),
    ],
)
def test_personal_data_is_marked(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "You have 30 days to return order 1234567.",
        "On 2024-01-15 at 12:30:45 it cost $1,234.56 (20 % less), or 1 000 000 yen.",
        "Call us by 2024-01-15 10:30, or on 15/01/2024, about order 12345678.",
        "Open 0930-1730 and 0930 1730, room 020, pages 100-200, 1990-2024.",
        "Card 4111 1111 1111 1112 fails Luhn; 1234 5678 9012 3452 passes, but nobody issues it.",
        "IBAN DE89 3704 0044 0532 0130 01 fails its check.",
        "000-12-3456, 666-12-3456, 912-34-5678 and 123-00-4567 are nobody's.",
        "version 1.2.3.4, v1.2.3.4, 999.1.1.1, 1.2.3.4.5, std::vector, a::b, 10:20, a:b:c",
        "ISBN 978-3-16-148410-0, tracking 1Z999AA10123456784, 12345678901234567890",
        "user@localhost, @handle, a@b, price@checkout",
        "sha 3f786850e387550fdab836ed7e6dc881de23001b, id 550e8400-e29b-41d4-a716-446655440000",
        "pi is 3.14159265358979, e is 2.718281828",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert redact(text) == text


@given(st.text(alphabet="0123456789 .-:+()/@[]acdeltphonDE89\n", max_size=80))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.integers(0, 10**10 - 1), st.sampled_from(["DE", "NL", "GB"]))
def test_every_valid_account_number_is_found(number: int, country: str) -> None:
    body = {"DE": f"37040044{number:010}", "NL": f"ABNA{number:010}", "GB": f"WEST1234{number:010}"}[country]
    value = int("".join(str(int(letter, 36)) for letter in f"{body}{country}00"))
    check = 98 - value % 97
    good = f"{country}{check:02}{body}"
    assert redact(f"to {good}, please") == "to [iban], please"
    bad = f"{country}{check % 97 + 1:02}{body}"
    assert "[iban]" not in redact(bad)


@given(st.integers(0, 10**14 - 1))
def test_every_valid_card_number_is_found(number: int) -> None:
    body = f"4{number:014}"
    good = [d for d in range(10) if redact(f"pay {body}{d} now") == "pay [card] now"]
    assert len(good) == 1, "one check digit in ten is right"


def test_redaction_takes_linear_time() -> None:
    for unit in ("a@", "a.", "1 ", "1.", "DE89 ", "+1 ", "a:", "call ", "1-", "x@y.", "0(0)"):
        started = time.process_time()
        redact(unit * (100_000 // len(unit)))
        assert time.process_time() - started < 5, unit


# recognisers


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ("letter", ["label-reaches-tool"]),
        ("clean.redact(letter)", []),
        ("text.redact(letter)", []),
        ("clean.find(letter)[0].text", ["label-reaches-tool"]),
        ('"{clean.redact(letter)} {letter}"', ["label-reaches-tool"]),
    ],
)
def test_what_a_recogniser_redacts_has_no_label(sent: str, found: list[str]) -> None:
    program = f"""
use std/text

model clean = text.recognizer("rampart-pii")
tool post(words: Text) -> Bool = python("office:post") effects [network]

pipeline send(letter: Text @pii) -> Bool {{
  return post({sent})
}}

goal send {{
  keep @pii on [cpu]
}}

fleet office {{
  tier cpu = catalog.laptop {{ count 1 }}
}}
"""
    errors = [problem.slug for problem in checked(program)[1] if problem.slug != "unused"]
    assert errors == found
