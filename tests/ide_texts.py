"""Texts with a cursor: `¦` marks where it stands, and is taken out of the text."""

from __future__ import annotations

from collections.abc import Mapping

from agentlang.base.source import Source
from agentlang.lang.ide import Analysis, Document
from agentlang.lang.ide.completion import World, completion
from agentlang.lang.ide.items import Item
from agentlang.stdlib.interfaces import MODULES, interface

CURSOR = "¦"
WORLD = World(modules=MODULES, files=("./shop",), devices=("h100", "laptop"))

PROGRAM = """use std/llm
use std/text

## A model that writes.
model writer = llm.chat("smollm2-135m-instruct")

enum Intent { Refund(order: Int, why: Text), Question, Other }

## What is known of an order.
type Order { id: Int, note: Text @pii, sure: Float = 0.5 }

## Looks an order up.
tool order(id: Int) -> Order = python("shop:order") effects [reads "orders"]

let window = 30

"""


def cut(text: str) -> tuple[str, int]:
    """The text without the cursor, and where that stood."""
    at = text.index(CURSOR)
    return text[:at] + text[at + 1 :], at


def analysed(text: str, path: str = "main.agent", files: Mapping[str, str] | None = None) -> Analysis:
    """An analysis of a text; `files` are others by the name that an import gives them (`./shop`)."""
    known = files or {}

    def find(_: str, module: str) -> Source | None:
        return Source(f"{module.removeprefix('./')}.agent", known[module]) if module in known else None

    return Document(interface).update(Source(path, text), find)


def completed(text: str) -> tuple[str, list[Item]]:
    """What has been written of the word at the cursor, and what may stand there."""
    source, at = cut(text)
    start, found = completion(source, at, analysed, WORLD)
    return source[start:at], list(found)


def labels(text: str) -> list[str]:
    return [item.label for item in completed(text)[1]]


def body(lines: str) -> str:
    """A whole program whose last pipeline has the given lines."""
    return f"{PROGRAM}pipeline answer(question: Text, top: Int = 8) -> Text {{\n{lines}\n}}\n"
