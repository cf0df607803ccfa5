"""What redaction promises of what has a form: no number that passes its check survives, wherever it stands."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from personal import cards, ibans, social_security

from agentlang.executor.engines.onnx.recognising import windows
from agentlang.stdlib.text import redact, redact_found
from agentlang.stdlib.text.personal import mark

# What stands before and behind: words, dates, amounts, other numbers. Digits next to a number without anything between
# would make another number of it, and so would a point or a dash with a digit.
AROUND = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "on 12/29 ",
                "exp 29 ",
                "$12.50 ",
                "order 1234567, ",
                "3 × ",
                "¡Olé! ",
                "你好 ",
                "👋 ",
                "(",
                "#",
                "№ ",
                "\n",
                "\t",
                "e\u0301 ",
                "Nr: ",
                "DE89 ",
                "call 5 ",
            ]
        ),
        st.text(alphabet=st.characters(exclude_categories=("Nd", "Cs"), exclude_characters="."), max_size=12).map(
            lambda text: text + " "
        ),
    ),
    max_size=4,
).map("".join)
BEHIND = AROUND.map(lambda text: " " + text)
NUMBERS = st.one_of(cards(), ibans(), social_security())


def survives(number: str, text: str) -> bool:
    return re.sub(r"\W", "", number).lower() in re.sub(r"\W", "", text).lower()


@given(st.lists(st.tuples(AROUND, NUMBERS, BEHIND), min_size=1, max_size=3))
@example([("", "4111111111111111", " "), ("", "DE89370400440532013000", " "), ("", "GB82WEST12345698765432", "")])
@example([("exp 29 ", "4111 1111 1111 1111", " 123 4")])
@example([("XX12 ", "de89 3704 0044 0532 0130 00", " and more")])
@example([("7 ", "123-45-6789", " 8")])
@example([("", "4111.1111.1111.1111", ".")])
def test_no_number_that_passes_its_check_survives(parts: list[tuple[str, str, str]]) -> None:
    text = "".join(before + number + behind for before, number, behind in parts)
    redacted = redact(text)
    for _, number, _ in parts:
        assert not survives(number, redacted), (number, redacted)


@given(st.lists(st.tuples(AROUND, NUMBERS | st.text(max_size=20), BEHIND), max_size=3))
def test_redacting_twice_is_redacting_once(parts: list[tuple[str, str, str]]) -> None:
    once = redact("".join("".join(part) for part in parts))
    assert redact(once) == once


@given(cards())
def test_a_wrong_check_digit_is_no_card(number: str) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert "[card]" not in redact(f"see {wrong} there")


@given(ibans())
def test_a_wrong_check_is_no_account(number: str) -> None:
    place = next(at for at, letter in enumerate(number) if at > 1 and letter.isdigit())
    wrong = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
    assert "[iban]" not in redact(f"see {wrong} there")


# What a model finds


def spans(text: str) -> st.SearchStrategy[list[tuple[int, int, str]]]:
    """Parts of a text, from left to right."""
    places = st.lists(st.integers(0, len(text)), max_size=8).map(sorted)
    words = st.sampled_from(["name", "address", "id"])

    def paired(cuts: list[int], marks: list[str]) -> list[tuple[int, int, str]]:
        pairs = zip(cuts[::2], cuts[1::2], marks, strict=False)
        return [(start, end, mark) for start, end, mark in pairs if start < end]

    return st.builds(paired, places, st.lists(words, min_size=4, max_size=4))


@given(st.data(), st.text(max_size=60) | st.just("Ada 👋 e\u0301 [name] 你好, 김철수 [address] x"))
def test_what_is_found_is_replaced_and_nothing_else(data: st.DataObject, text: str) -> None:
    found = data.draw(spans(text))
    redacted = redact_found(text, found)
    kept, at = [], 0
    for start, end, _ in found:
        kept.append(text[at:start])
        at = end
    kept.append(text[at:])
    place = 0
    for piece in kept:
        # Commas and white space between two parts of one mark go with them.
        piece = piece.strip(" \u00a0\t\n,.'’-")
        assert piece in redacted[place:]
        place = redacted.index(piece, place) + len(piece)


def test_parts_of_one_mark_become_one() -> None:
    text = "Ada Lovelace, 12 Berry Street,\nLondon. Bob"
    found = [
        (0, 3, "name"),
        (4, 12, "name"),
        (14, 16, "address"),
        (17, 29, "address"),
        (31, 37, "address"),
        (39, 42, "name"),
    ]
    assert redact_found(text, found) == "[name], [address]. [name]"
    assert (
        redact_found("[name] and [date of birth]", [(1, 5, "name"), (12, 16, "name")]) == "[name] and [date of birth]"
    )
    assert redact_found("[name] Lovelace of [address]", [(7, 15, "name")]) == "[name] of [address]"
    assert redact_found("[email], Ada, [email]", [(9, 12, "name")]) == "[email], [name], [email]"
    assert redact_found("a - b", [(2, 3, "name")]) == "a - b", "a mark of punctuation alone is no name"


@pytest.mark.parametrize(
    ("label", "word"), [("SURNAME", "name"), ("ROUTING_NUMBER", "routing number"), ("Tax-ID", "tax id"), ("7", "")]
)
def test_marks_have_words(label: str, word: str) -> None:
    assert mark(label) == word


@given(st.lists(st.tuples(st.integers(1, 16), st.booleans()), max_size=120), st.integers(48, 120))
def test_windows_decide_each_word_once_and_fit(words: list[tuple[int, bool]], room: int) -> None:
    decided: list[int] = []
    for begin, keep, until, end in windows(words, room):
        assert begin <= keep < until <= end <= len(words)
        assert sum(tokens for tokens, _ in words[begin:end]) <= room
        decided += range(keep, until)
        # What stands beside a word is seen, unless a sentence or the text ends there.
        beside = sum(tokens for tokens, _ in words[until:end])
        assert end == len(words) or words[until - 1][1] or beside + 16 >= room // 6 or until == keep + 1
    assert decided == list(range(len(words)))
