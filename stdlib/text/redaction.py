"""Personal data in a text, replaced by marks such as `[email]`.

Patterns propose and checks decide: a card number must pass Luhn and begin as an issuer's does, an account number must
pass its mod-97 check and have the length of its country, an address must parse. What has no check (a phone number) must
be written as one, or be announced as one ("call ..."). A number that passes none of that stays: "30 days" and
"order 1234567" are what the answer needs. Names and street addresses are not found: that takes a model, and
`redact_found` is what replaces what one finds.

What has a check is found wherever it begins and ends at a group of its digits, in a longer row of numbers too: behind a
date, before another one of its kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w+%'-]+(?:\.[\w+%'-]+)*@(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,50})(?![\w-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ \u00a0\u2009\u202f-]?[A-Za-z0-9]){11,30}")
# Groups of digits with one mark between two. (A group is as long as it is: what is longer than a number is none.)
_ROW = re.compile(r"(?<![0-9])[0-9]+(?:[ .\u00a0\u2009\u2010-\u2013\u202f-][0-9]+)*")
_DECIMAL = re.compile(r"[0-9]\.|\.[0-9]")
_GROUP = re.compile(r"[0-9]+")
# The groups in which cards show their numbers.
_CARD_GROUPS = frozenset(
    {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3), (6, 13)}
)
_SSN = re.compile(r"(?<![0-9])(?<![0-9][.-])([0-9]{3})-([0-9]{2})-([0-9]{4})(?![0-9])(?!-[0-9])")
_SSN_ANNOUNCED = re.compile(
    r"(?i)(\b(?:ssn|social security(?: number| no\.?)?)\b[^0-9\n]{0,12})"
    r"([0-9]{3})[ .-]?([0-9]{2})[ .-]?([0-9]{4})(?![0-9])"
)
_IPV4 = re.compile(r"(?i)(?<![\w.])(?<!version )(?<!release )[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![\w:])")

# As people write them: +49 30 901820, (212) 555-0123, 212-555-0123, 020 7946 0958.
_GAP = r"[ .\u00a0/-]"
_PHONE = re.compile(
    r"(?<![\w.,])(?<![0-9][ .-])(?:"
    rf"(?:\+|00)[1-9][0-9]{{0,2}}(?:{_GAP}?\(0\))?(?:{_GAP}?\(?[0-9]{{1,5}}\)?){{2,6}}"
    rf"|(?:1{_GAP})?\([2-9][0-9]{{2}}\){_GAP}?[0-9]{{3}}{_GAP}[0-9]{{4}}"
    r"|(?:1[.-])?[2-9][0-9]{2}([.-])[2-9][0-9]{2}\1[0-9]{4}"
    rf"|\(?0[1-9][0-9]{{1,4}}\)?{_GAP}[0-9]{{3,4}}(?:{_GAP}?[0-9]{{3,4}})?"
    r")(?![0-9])(?![ .-][0-9])(?![.,][0-9])"
)
_PHONE_ANNOUNCED = re.compile(
    r"(?i)(?<!\[)(\b(?:phone|telephone|tel|mobile|cell|cellphone|fax|whatsapp|call|ring|text|reach|dial|sms)\b"
    r"(?![^0-9\n]{0,24}\b(?:order|invoice|ticket|item|ref|reference|case|id|code|account)\b)"
    r"[^0-9\n+(]{0,24})"
    # A date is written much like a number to call.
    r"(?![0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}(?![0-9]))"
    rf"((?:\+|\()?[0-9](?:{_GAP}?[()]?[0-9]){{6,14}})(?![0-9%])(?![.,][0-9])"
)

# Lengths of account numbers by country (the IBAN registry).
_IBAN_LENGTHS: dict[str, int] = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH CR HR LI LV",
        22: "BG BH DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO EG GT HU LB NI PL SV",
        29: "BR PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def redact(text: str) -> str:
    """The text with e-mail addresses, account and card numbers, US social security numbers, IP addresses and phone
    numbers replaced by `[email]`, `[iban]`, `[card]`, `[ssn]`, `[ip]` and `[phone]`.

    Redacting twice gives the same as once.
    """
    text = _EMAIL.sub("[email]", text)
    text = _replaced(text, _ibans(text), "[iban]")
    text = _replaced(text, _cards(text), "[card]")
    text = _SSN.sub(_if(_is_ssn, "[ssn]"), text)
    text = _SSN_ANNOUNCED.sub(lambda found: f"{found[1]}[ssn]", text)
    text = _IPV4.sub(_if(_is_address, "[ip]"), text)
    text = _IPV6.sub(_if(_is_address6, "[ip]"), text)
    text = _PHONE.sub(_if(_is_phone, "[phone]"), text)
    while True:
        # "Call 1234567 or 7654321": with the first gone, the second is announced. Each turn leaves fewer digits.
        further = _PHONE_ANNOUNCED.sub(lambda found: f"{found[1]}[phone]", text)
        if further == text:
            return text
        text = further


# What `redact` and `redact_found` leave behind.
MARK = re.compile(r"\[[a-z]{2,}(?: [a-z]+)*\]")


def redact_found(text: str, found: Iterable[tuple[int, int, str]]) -> str:
    """The text with parts of it, `text[start:end]`, replaced by their marks (`name` by `[name]`).

    Parts come from left to right and do not overlap. What stands in a mark already stays. Parts of the same mark with
    nothing but white space, commas and the like between them are one, a mark that was there among them: `[name]`, not
    `[name] [name]`.
    """
    marks = [(each.start(), each.end(), each[0][1:-1]) for each in MARK.finditer(text)]
    new = [
        (start, end, mark)
        for start, end, mark in found
        if re.search(r"\w", text[start:end]) and not any(start < after and before < end for before, after, _ in marks)
    ]
    if not new:
        return text
    words = {mark for _, _, mark in new}
    parts: list[tuple[int, int, str]] = []
    for start, end, mark in sorted([*new, *(each for each in marks if each[2] in words)]):
        if parts and parts[-1][2] == mark and _JOINT.fullmatch(text, parts[-1][1], start):
            start = parts.pop()[0]
        parts.append((start, end, mark))
    out: list[str] = []
    at = 0
    for start, end, mark in parts:
        out += (text[at:start], f"[{mark}]")
        at = end
    return "".join((*out, text[at:]))


_JOINT = re.compile(r"[ \u00a0\t]*[,.'’-]?[ \u00a0\t]*\n?[ \t]*")


def _replaced(text: str, spans: Iterator[tuple[int, int]], mark: str) -> str:
    out: list[str] = []
    at = 0
    for start, end in spans:
        out += (text[at:start], mark)
        at = end
    return "".join((*out, text[at:]))


def _if(check: Callable[[str], bool], mark: str) -> Callable[[re.Match[str]], str]:
    return lambda found: mark if check(found[0]) else found[0]


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter in "0123456789")


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """Where account numbers stand. A match may run into the words behind a number: the country says how long it is."""
    at = 0
    while (found := _IBAN.search(text, at)) is not None:
        end = _iban_end(found)
        at = end or found.start() + 1
        if end:
            yield found.start(), end


def _iban_end(found: re.Match[str]) -> int:
    length = _IBAN_LENGTHS.get(found[0][:2].upper())
    letters = 0
    for at, letter in enumerate(found[0]):
        letters += letter.isalnum()
        if letters == length:
            rest = found[0][at + 1 :] or found.string[found.end() : found.end() + 1]
            whole = not rest or not rest[0].isalnum()
            return found.start() + at + 1 if whole and _is_mod97(found[0][: at + 1]) else 0
    return 0


def _cards(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers stand: rows of digits that are one, or hold one in the groups that cards show."""
    for row in _ROW.finditer(text):
        if "." not in row[0] and 12 <= len(_digits(row[0])) <= 19 and _is_card(row[0]):
            yield row.span()
            continue
        groups = [(group.start() + row.start(), group.end() + row.start()) for group in _GROUP.finditer(row[0])]
        number = 0
        while number < len(groups):
            taken = _card_groups(text, groups[number : number + 5])
            if taken:
                yield groups[number][0], groups[number + taken - 1][1]
            number += taken or 1


def _card_groups(text: str, groups: list[tuple[int, int]]) -> int:
    """How many groups, from the first on, are a card number; the most that are."""
    sizes = [end - start for start, end in groups]
    for count in range(len(groups), 0, -1):
        start, end = groups[0][0], groups[count - 1][1]
        # One group beside a point is a decimal number.
        decimal = _DECIMAL.search(text, max(start - 2, 0), start) or _DECIMAL.match(text, end)
        shaped = 13 <= sizes[0] <= 19 and not decimal if count == 1 else tuple(sizes[:count]) in _CARD_GROUPS
        if shaped and _is_card(text[start:end]):
            return count
    return 0


def _is_mod97(number: str) -> bool:
    letters = "".join(letter for letter in number if letter.isalnum()).upper()
    return int("".join(str(int(letter, 36)) for letter in letters[4:] + letters[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    digits = _digits(text)
    return _is_issued(digits) and _is_luhn(digits)


def _is_issued(digits: str) -> bool:
    """Whether the number begins and is as long as one of a large issuer's."""
    first, length = int(digits[:4]), len(digits)
    return (
        (first // 1000 == 4 and length in (13, 16, 19))
        or (51 <= first // 100 <= 55 and length == 16)
        or (2221 <= first <= 2720 and length == 16)
        or (first // 100 in (34, 37) and length == 15)
        or ((300 <= first // 10 <= 305 or first // 100 in (36, 38, 39)) and length in (14, 16))
        or (3528 <= first <= 3589 and length == 16)
        or ((first == 6011 or 644 <= first // 10 <= 659 or first // 100 == 62) and 16 <= length <= 19)
        or (first // 100 in (50, 56, 57, 58, 63, 67) and 12 <= length <= 19)
    )


def _is_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _is_ssn(text: str) -> bool:
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _is_address(text: str) -> bool:
    return all(int(part) <= 255 and (part == "0" or part[0] != "0") for part in text.split("."))


def _is_address6(text: str) -> bool:
    import ipaddress

    groups = [group for group in text.split(":") if group]
    # "a::b" is C++ more often than an address; "12:30:45" does not parse.
    if len(groups) < 3 and text != "::1":
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_phone(text: str) -> bool:
    # Without a country code, eight digits may be two times of day: "0930 1730".
    least = 8 if text.startswith(("+", "00")) else 9
    return least <= len(_digits(text)) <= 15
