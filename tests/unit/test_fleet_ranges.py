"""Figures of a fleet that no device, network or service has are refused by name; those at the ends are not."""

import pytest

from agentlang.api import check, decode

PROGRAM = """use std/llm

model writer = llm.chat("llama-3-8b-instruct", dtype: "fp8")

pipeline ask(question: Text) -> stream Text {
  return writer.chat(question, max_tokens: 16)
}

fleet market {
  tier own = catalog.h100 { count COUNT, price PRICE }
  tier far = endpoint("https://models.example") {
    serves ["llama-3-8b-instruct"], price TOKEN, first_token FIRST, rate RATE
  }
  link * <-> * LINK
}
"""
USUAL = {
    "COUNT": "0..8",
    "PRICE": "$1.80 per h",
    "TOKEN": "$0.60 per 1_000_000 tokens",
    "FIRST": "400 ms",
    "RATE": "20 per s",
    "LINK": "100 Gbit/s, 5 us",
}


def said(**given: str) -> list[tuple[str, str, str]]:
    text = PROGRAM
    for name, usual in USUAL.items():
        text = text.replace(name, given.get(name, usual))
    source, _ = decode("fleet.agent", text.encode())
    assert source is not None
    found = check(source).problems
    return [(each.slug, each.title, source.text[each.span.start : each.span.end]) for each in found if each.span]


@pytest.mark.parametrize(
    ("name", "figure", "what"),
    [
        ("PRICE", "$1e300 per h", "this is too much for a `price`"),
        ("PRICE", "$1e-300 per h", "this is too little for a `price`"),
        ("TOKEN", "$2 per token", "this is too much for a `price`"),
        ("FIRST", "1e300 s", "this is too much for a `first_token`"),
        ("RATE", "1e300 per s", "this is too much for a `rate`"),
        ("LINK", "1e300 Gbit/s, 5 us", "this is too much for the bandwidth of a link"),
        ("LINK", "1e-9 bit/s, 5 us", "this is too little for the bandwidth of a link"),
        ("LINK", "100 Gbit/s, 1e300 s", "this is too much for the latency of a link"),
        ("COUNT", "0..99999999999999", "99_999_999_999_999 devices are more than a tier has"),
    ],
)
def test_what_there_cannot_be_is_refused_where_it_stands(name: str, figure: str, what: str) -> None:
    ((slug, title, text),) = said(**{name: figure})
    assert (slug, title) == ("bad-bound", what)
    assert text in figure


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("PRICE", "$0 per h"),
        ("PRICE", "$1_000_000 per h"),
        ("TOKEN", "$1_000_000 per 1_000_000 tokens"),
        ("FIRST", "1 h"),
        ("RATE", "1_000_000 per s"),
        ("LINK", "8_000_000 Gbit/s, 0 s"),
        ("COUNT", "1_000_000"),
    ],
)
def test_what_is_at_the_end_is_none_of_that(name: str, figure: str) -> None:
    assert said(**{name: figure}) == []
