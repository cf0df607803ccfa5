"""Personal data in a text, replaced by marks such as `[email]`.

Patterns propose and checks decide: a card number must pass Luhn and begin as an issuer's does, an account number must
pass its mod-97 check and have the length of its country, an address must parse. What has no check (a phone number) must
be written as one, or be announced as one ("call ..."). A number that passes none of that stays: "30 days" and
"order 1234567" are what the answer needs. Names and street addresses are not found: that takes a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w+%'-]+(?:\.[\w+%'-]+)*@(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,50})(?![\w-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}")
_CARD = re.compile(r"(?<![0-9])(?<![0-9][ .-])[2-6][0-9](?:[ -]?[0-9]){10,17}(?![0-9])(?![ .-][0-9])")
_SSN = re.compile(r"(?<![0-9])(?<![0-9][ .-])([0-9]{3})-([0-9]{2})-([0-9]{4})(?![0-9])(?!-[0-9])")
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
    text = _IBAN.sub(_iban, text)
    text = _CARD.sub(_if(_is_card, "[card]"), text)
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


def _if(check: Callable[[str], bool], mark: str) -> Callable[[re.Match[str]], str]:
    return lambda found: mark if check(found[0]) else found[0]


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter in "0123456789")


def _iban(found: re.Match[str]) -> str:
    """The match may run into the words behind the number: the country says how long the number is."""
    length = _IBAN_LENGTHS.get(found[0][:2])
    letters = 0
    for at, letter in enumerate(found[0]):
        letters += letter.isalnum()
        if letters == length:
            number, rest = found[0][: at + 1], found[0][at + 1 :]
            whole = not rest or not rest[0].isalnum()
            return f"[iban]{rest}" if whole and _is_mod97(number) else found[0]
    return found[0]


def _is_mod97(number: str) -> bool:
    letters = "".join(letter for letter in number if letter.isalnum())
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
