"""From a type to a value: its schema is understood, what a mask lets through is JSON of the type, and nothing else."""

from __future__ import annotations

import json
import random

import ir_programs as P
import numpy as np
import pytest

from agentlang.executor.engines.constraint.inventing import invent
from agentlang.executor.engines.constraint.masks import Masks
from agentlang.executor.engines.constraint.reading import read
from agentlang.executor.values import Shapes, from_json
from agentlang.ir.graph import EnumShape, RecordShape
from agentlang.ir.schema import canonical, json_schema
from agentlang.lang import program as p
from agentlang.lang.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    MONEY,
    TEXT,
    EnumType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    Type,
)
from agentlang.stdlib.models.tiny import TinyLlama

FIELDS: dict[str, dict[str, Type]] = {
    "Finding": {"found": BOOL, "quote": TEXT, "sure": FLOAT},
    "Tree": {"value": INT, "children": ListType(RecordType("Tree"))},
    "shop.Order": {"id": INT, "paid": MONEY, "notes": MapType(TEXT), "best": OptionType(RecordType("Finding"))},
}
CASES: dict[str, dict[str, dict[str, Type]]] = {
    "Intent": {"Refund": {"order": INT, "amount": MONEY}, "Question": {"topic": TEXT}, "Spam": {}, "Other": {}},
    "Colour": {"Red": {}, "Green": {}},
    "Maths": {"Number": {"n": FLOAT}, "Sum": {"left": EnumType("Maths"), "right": EnumType("Maths")}},
}
PLAIN = (TEXT, INT, FLOAT, BOOL, MONEY, JSON, Primitive("Bytes"), *map(RecordType, FIELDS), *map(EnumType, CASES))


def _parameters(fields: dict[str, Type]) -> tuple[p.Parameter, ...]:
    return tuple(P.parameter(name, given) for name, given in fields.items())


RECORDS = {name: p.RecordDeclaration(name, _parameters(fields), P.at(1)) for name, fields in FIELDS.items()}
ENUMS = {
    name: p.EnumDeclaration(
        name, tuple(p.EnumCase(case, _parameters(f), P.at(1)) for case, f in cases.items()), P.at(1)
    )
    for name, cases in CASES.items()
}
SHAPES = Shapes(
    {name: RecordShape(name, tuple(fields.items())) for name, fields in FIELDS.items()},
    {name: EnumShape(name, tuple((c, tuple(f.items())) for c, f in cases.items())) for name, cases in CASES.items()},
)


def random_type(draw: random.Random, depth: int) -> Type:
    if depth == 0 or draw.random() < 0.4:
        return draw.choice(PLAIN)
    return draw.choice((ListType, MapType, OptionType))(random_type(draw, depth - 1))


@pytest.mark.parametrize("seed", range(4))
def test_what_a_mask_lets_through_is_a_value_of_the_type(seed: int) -> None:
    tokenizer = TinyLlama().tokenizer()
    masks, draw, whole = Masks(tokenizer, 259), random.Random(seed), 0
    for _ in range(40):
        given = random_type(draw, 3)
        schema = canonical(json_schema(given, RECORDS, ENUMS))
        texts = [invent(read(schema), draw, ("a", "bc"))]
        constraint, made = masks.constraint(schema), list[int]()
        while not constraint.complete and len(made) < 300:
            allowed = np.flatnonzero(np.unpackbits(constraint.mask().view(np.uint8), bitorder="little")).tolist()
            closing = [token for token in allowed if tokenizer.token_bytes(token) in (b'"', b"]", b"}")]
            token = draw.choice(closing if closing and draw.random() < 0.5 else allowed)
            if token in tokenizer.end_tokens:
                texts.append(tokenizer.decode(made))
                break
            if constraint.take(token):
                made.append(token)
        if constraint.complete:
            texts.append(tokenizer.decode(made))
        for text in texts:
            _, problems = from_json(json.loads(text), given, SHAPES, "reply")
            assert problems == (), (str(given), text)
        whole += len(texts) - 1
    assert whole > 20
