"""The tools of the programs here: each does what its name says, and some fail as tools do."""

from __future__ import annotations

import time

ORDERS = {1: {"id": 1, "paid": 19.9, "item": "teapot"}, 2: {"id": 2, "paid": 5.0, "item": "cup"}}


def order(id):
    return ORDERS[id]


def refund(id, amount):
    return {"id": id, "text": f"refunded {amount:.2f} for {id}"}


def fails(text):
    raise ValueError(f"cannot do {text}")


def slow(text, seconds):
    time.sleep(seconds)
    return text


def echo(text):
    return text


def cut(text):
    return text.splitlines()


def page(query):
    return {"title": query.title(), "hits": [{"n": 1, "score": 0.5}, {"n": 2, "score": None}], "next": None}


def wrong(text):
    return {"no": "text"}


def number(text):
    return float(text)
