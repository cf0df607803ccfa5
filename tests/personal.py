"""Numbers that pass their checks, for tests of redaction: payment cards, account numbers, social security numbers."""

from __future__ import annotations

from hypothesis import strategies as st

from agentlang.stdlib.text.redaction import _IBAN_LENGTHS

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def luhn(body: str) -> str:
    """The check digit behind `body`."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 - place % 2)
        total += value - 9 * (value > 9)
    return str(-total % 10)


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A card of a large issuer, in one piece or in the groups that it shows."""
    prefix, length = draw(
        st.sampled_from(
            [
                ("4", 16),
                ("51", 16),
                ("55", 16),
                ("2221", 16),
                ("2720", 16),
                ("34", 15),
                ("37", 15),
                ("6011", 16),
                ("36", 14),
                ("3530", 16),
                ("4", 13),
                ("62", 17),
            ]
        )
    )
    body = prefix + "".join(
        draw(
            st.lists(
                st.sampled_from("0123456789"), min_size=length - 1 - len(prefix), max_size=length - 1 - len(prefix)
            )
        )
    )
    number = body + luhn(body)
    mark = draw(st.sampled_from(["", "", " ", "-", "\u00a0", "\u2013", "."]))
    cuts = {16: (4, 8, 12), 15: (4, 10), 14: (4, 10)}.get(length, ())
    if not mark or not cuts:
        return number
    return mark.join(number[a:b] for a, b in zip((0, *cuts), (*cuts, length), strict=True))


@st.composite
def ibans(draw: st.DrawFn) -> str:
    """An account number of any country, in one piece or in fours, in capitals or not."""
    country = draw(st.sampled_from(sorted(_IBAN_LENGTHS)))
    length = _IBAN_LENGTHS[country] - 4
    body = "".join(draw(st.lists(st.sampled_from("0123456789" + LETTERS), min_size=length, max_size=length)))
    value = int("".join(str(int(letter, 36)) for letter in f"{body}{country}00"))
    number = f"{country}{98 - value % 97:02}{body}"
    mark = draw(st.sampled_from(["", "", " ", "-", "\u00a0"]))
    number = mark.join(number[at : at + 4] for at in range(0, len(number), 4))
    return draw(st.sampled_from([number, number, number.lower()]))


@st.composite
def social_security(draw: st.DrawFn) -> str:
    area = draw(st.integers(1, 899).filter(lambda number: number != 666))
    return f"{area:03}-{draw(st.integers(1, 99)):02}-{draw(st.integers(1, 9999)):04}"
