"""What holds a reply to a schema: reading schemas, grammars, masks, keys. No model: tokens are drawn at random."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from json_schemas import complaints, random_schema
from jsonschema import Draft202012Validator

from agentlang.base import paths
from agentlang.base.problems import OutsideError
from agentlang.executor.engines.constraint.inventing import invent
from agentlang.executor.engines.constraint.keys import Keys
from agentlang.executor.engines.constraint.masks import Constraint, Masks, without
from agentlang.executor.engines.constraint.reading import read
from agentlang.executor.engines.protocol import ChatTokenizer, Message, Tokens
from agentlang.stdlib.models import open_chat
from agentlang.stdlib.models.tiny import TinyLlama

WORDS = ("some", "two words", "Ä", "名")


class Pieces:
    """A tokenizer of bytes and of pieces that cross what a grammar keeps apart; the longest piece comes first."""

    END = 0
    PIECES = (
        '": "',
        '", "',
        '"}',
        '"]',
        '"}]',
        "]}",
        "}}",
        '{"',
        '[{"',
        "[]",
        "{}",
        ": ",
        ", ",
        "true",
        "false",
        "null",
    )
    MORE = (
        '": {"',
        '"}, {"',
        "00",
        "12",
        ".5",
        "1e",
        "e9",
        "-1",
        "\\n",
        '\\"',
        "\\\\",
        "\\u",
        "ä",
        " a",
        "a b",
        'a": ',
        'a", "a',
    )

    def __init__(self) -> None:
        texts = [text.encode() for text in (*self.PIECES, *self.MORE)]
        self.table = [b"", b"", *(bytes((i,)) for i in range(256)), *texts, "名".encode()[:2], "名".encode()[2:] + b'"']
        self._longest_first = sorted(range(2, len(self.table)), key=lambda token: -len(self.table[token]))

    @property
    def end_tokens(self) -> frozenset[int]:
        return frozenset({self.END})

    def encode(self, text: str, special: bool = False) -> Tokens:
        data, tokens = text.encode(), list[int]()
        while data:
            tokens.append(next(t for t in self._longest_first if data.startswith(self.table[t])))
            data = data[len(self.table[tokens[-1]]) :]
        return tuple(tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self.token_bytes, tokens)).decode()

    def token_bytes(self, token: int) -> bytes:
        return self.table[token]

    def chat(self, messages: Sequence[Message]) -> Tokens:
        raise NotImplementedError

    def detokenizer(self) -> Any:
        raise NotImplementedError


def allowed(constraint: Constraint, vocabulary: int) -> np.ndarray[Any, Any]:
    bits = np.unpackbits(constraint.mask().view(np.uint8), bitorder="little")
    assert not bits[vocabulary:].any()
    return np.flatnonzero(bits[:vocabulary])


def walk(
    masks: Masks, tokenizer: ChatTokenizer, vocabulary: int, schema: str, draw: random.Random, most: int
) -> str | None:
    """A document of tokens drawn at random, mostly such as end something; None if it is not whole after `most`."""
    constraint, made = masks.constraint(schema), list[int]()
    while not constraint.complete:
        tokens = allowed(constraint, vocabulary)
        assert len(tokens), "nothing may follow, and the document is not whole"
        closing = [t for t in tokens[:2000] if b'"' in (text := tokenizer.token_bytes(int(t))) or text[-1:] in b"]}"]
        token = int(draw.choice(closing if closing and draw.random() < 0.5 else tokens))
        if token in tokenizer.end_tokens:
            break
        if len(made) == most:
            return None
        if constraint.take(token):
            made.append(token)
    return b"".join(map(tokenizer.token_bytes, made)).decode()


def check_walks(tokenizer: ChatTokenizer, vocabulary: int, count: int, most: int) -> None:
    masks, whole = Masks(tokenizer, vocabulary), 0
    for number in range(count):
        draw = random.Random(number)
        schema = random_schema(draw)
        for _ in range(2):
            text = walk(masks, tokenizer, vocabulary, schema, draw, most)
            if text is not None:
                whole += 1
                assert complaints(text, schema) == [], (number, schema, text)
                assert Draft202012Validator(json.loads(schema)).is_valid(json.loads(text)), (number, schema, text)
    assert whole > count, f"only {whole} of {2 * count} documents were completed: too few to show anything"


def test_tokens_drawn_at_random_make_valid_documents() -> None:
    pieces = Pieces()
    check_walks(pieces, len(pieces.table), 300, 400)


@pytest.mark.models
def test_tokens_drawn_at_random_from_a_real_vocabulary_make_valid_documents() -> None:
    path = next((paths.models_home() / "smollm2-135m-instruct").glob("*.gguf"), None)
    if path is None:
        pytest.skip("smollm2-135m-instruct is not here; `agentlang models pull smollm2-135m-instruct` fetches it")
    source = open_chat(path, "smollm2-135m-instruct")
    check_walks(source.tokenizer(), source.facts().vocabulary, 300, 200)


def test_invented_documents_are_valid_and_no_mask_keeps_them_out() -> None:
    source = TinyLlama()
    tokenizer = source.tokenizer()
    masks = Masks(tokenizer, source.facts().vocabulary)
    for number in range(400):
        draw = random.Random(number)
        schema = random_schema(draw)
        text = invent(read(schema), draw, WORDS)
        assert complaints(text, schema) == [], (number, schema, text)
        constraint = masks.constraint(schema)
        for at, token in enumerate(tokenizer.encode(text)):
            assert token in allowed(constraint, 259), (number, schema, text[:at])
            assert constraint.take(token)
        assert constraint.complete or tokenizer.end_tokens & set(allowed(constraint, 259).tolist())


def accepts(schema: object, text: str) -> bool:
    """Whether a document is let through, byte by byte, and may end there."""
    source = TinyLlama()
    constraint = Masks(source.tokenizer(), 259).constraint(json.dumps(schema))
    for token in source.tokenizer().encode(text):
        if constraint.complete or token not in allowed(constraint, 259) or not constraint.take(token):
            return False
    return constraint.complete or 2 in allowed(constraint, 259)


OBJECT = {"type": "object", "additionalProperties": False}
PAIR = {**OBJECT, "properties": {"a": {"type": "integer"}, "b": {"type": "number"}}, "required": ["a"]}
MAP = {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (PAIR, '{"a": 1}'),
        (PAIR, '{"a": 1, "b": -2.5e-7}'),
        (MAP, "{}"),
        (MAP, '{"a": 1, "aa": 2, "": 3}'),
        ({"type": "integer"}, "-0"),
        ({"type": "integer"}, "9" * 18),
        ({"type": "number"}, "1" * 15 + "." + "1" * 15 + "e+99"),
        ({"type": "string"}, '"\\n\\t\\"\\\\ é 名 👋 /"'),
        ({"type": "string", "maxLength": 2}, '"👋\\n"'),
        ({"type": "array", "items": True, "minItems": 1, "maxItems": 2}, '[1, {"a": [null]}]'),
        ({"type": "array", "items": True, "maxItems": 0}, "[]"),
        ({"type": "array", "items": True, "minItems": 3}, "[1, 2, 3, 4]"),
        ({"type": "array", "items": True, "minItems": 1, "maxItems": 1}, "[1]"),
        ({"enum": ["a", "ab", 1, None, True]}, '"ab"'),
        ({}, '{"x": [[[[[[[1]]]]]]]}'),
    ],
)
def test_what_is_let_through(schema: object, text: str) -> None:
    assert accepts(schema, text)
    assert complaints(text, json.dumps(schema)) == []


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (PAIR, '{"b": 1, "a": 1}'),
        (PAIR, '{"a": 1, "a": 1}'),
        (PAIR, '{"a": 1.5}'),
        (PAIR, '{"a":1}'),
        (PAIR, '{"a":  1}'),
        (PAIR, ' {"a": 1}'),
        (PAIR, '{"a": 1}\n'),
        (PAIR, '{"a": 1, }'),
        (PAIR, '{"a": 1, "c": 1}'),
        (PAIR, "{}"),
        (MAP, '{"a": 1, "a": 2}'),
        (MAP, '{"\\n": 1, "\\n": 2}'),
        (MAP, '{"\\u0061": 1}'),
        ({}, '[{"a": {"b": 1}, "c": "a", "a": 2}]'),
        ({"type": "integer"}, "01"),
        ({"type": "integer"}, "1e3"),
        ({"type": "integer"}, "9" * 19),
        ({"type": "number"}, "1e999"),
        ({"type": "number"}, ".5"),
        ({"type": "number"}, "NaN"),
        ({"type": "number"}, "1" * 16),
        ({"type": "string"}, '"\n"'),
        ({"type": "string"}, '"\\ud800"'),
        ({"type": "string", "maxLength": 2}, '"abc"'),
        ({"type": "array", "items": True, "maxItems": 2}, "[1, 2, 3]"),
        ({"type": "array", "items": True, "minItems": 1}, "[]"),
        ({"enum": ["a", "ab"]}, '"abc"'),
        ({}, "[" * 9 + "]" * 9),
    ],
)
def test_what_is_not_let_through(schema: object, text: str) -> None:
    assert not accepts(schema, text)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "string", "pattern": "a+"}, "#/pattern is a keyword that is not supported"),
        (
            {**OBJECT, "properties": {"a/b": {"type": "integer", "minimum": 0}}},
            "#/properties/a~1b/minimum is a keyword",
        ),
        ({"oneOf": [{"type": "string"}]}, "#/oneOf is a keyword"),
        ({"anyOf": [{"type": "string"}], "type": "string"}, "#/type is a keyword"),
        ({"anyOf": []}, "#/anyOf is empty"),
        ({"enum": []}, "#/enum is empty"),
        ({"enum": [[1]]}, "#/enum/0 is no text, number, boolean or null"),
        ({"type": "text"}, '#/type names the type "text", which there is not'),
        ({"type": "object", "properties": {"a": True}}, "#/additionalProperties must be false beside properties"),
        ({**OBJECT, "properties": {}, "required": ["b"]}, '#/required names "b", which is not declared'),
        ({"type": "array", "items": False}, "#/items allows nothing"),
        ({"type": "array", "minItems": 2, "maxItems": 1}, "#/maxItems is below minItems"),
        ({"type": "string", "maxLength": -1}, "#/maxLength is no whole number"),
        ({"type": "string", "contentEncoding": "gzip"}, '#/contentEncoding names "gzip"'),
        ({"$ref": "#/$defs/none"}, "#/$defs/none is referred to and is not there"),
        ({"$ref": "https://example.com/schema"}, "#/$ref refers to another document"),
        ({"$ref": "#"}, "# describes only documents that never end"),
        (
            {
                "$defs": {"A": {**OBJECT, "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"]}},
                "$ref": "#/$defs/A",
            },
            "#/$defs/A describes only documents that never end",
        ),
        (3, "# is no schema"),
        (False, "# allows nothing"),
    ],
)
def test_what_is_not_understood_is_named(schema: object, said: str) -> None:
    with pytest.raises(OutsideError) as caught:
        read(json.dumps(schema))
    assert caught.value.problem.slug == "schema-unsupported"
    assert said in caught.value.problem.title


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"anyOf": [' * 5_000 + "true" + "]}" * 5_000])
def test_no_schema_is_a_problem(text: str) -> None:
    with pytest.raises(OutsideError, match="the schema is"):
        read(text)


def test_annotations_promise_nothing() -> None:
    assert read('{"title": "T", "description": "D", "type": "integer", "$schema": "x"}') == read('{"type": "integer"}')


def test_keys_are_found_across_pieces_and_objects() -> None:
    def after(*pieces: str | bytes) -> bool:
        keys: Keys | None = Keys()
        for piece in pieces:
            assert keys is not None
            keys = keys.after(piece.encode() if isinstance(piece, str) else piece)
        return keys is not None

    assert after('{"a": 1, "b": "a", "c": {"a": ["a", "a", {"a": 1}], "b": 2}')
    assert not after('{"a": 1, "a"')
    assert not after('{"a', '": {"x": 1}', ', "', "a", '"')
    assert after('{"a\\', '"": 1, "a\\\\": 2, "a": 3')
    assert not after('{"a\\\\": 2, "a\\', "\\", '"')
    half, rest = "é".encode()[:1], "é".encode()[1:]
    assert not after('[{"x": {"é": 1, "y": [], "', half, rest, '"')
    assert after('[{"x": {"è": 1, "y": [], "', half, rest, '"')


def test_a_mask_without_a_token_keeps_the_others() -> None:
    mask = np.array([0b1010, 1 << 31], np.uint32)
    assert without(mask, 63).tolist() == [0b1010, 0]
    assert without(mask, 1).tolist() == [0b1000, 1 << 31]
    assert mask.tolist() == [0b1010, 1 << 31]


def test_schemas_are_compiled_once_and_replies_do_not_meet() -> None:
    source = TinyLlama()
    masks = Masks(source.tokenizer(), 259)
    schema = json.dumps(MAP)
    first, second = masks.constraint(schema), masks.constraint(schema)
    for token in source.tokenizer().encode('{"a": 1'):
        assert first.take(token)
    assert allowed(second, 259).tolist() == list(source.tokenizer().encode("{"))
    assert second.take(source.tokenizer().encode("{")[0])
    for token in source.tokenizer().encode('"a'):
        assert second.take(token)
    assert second.take(source.tokenizer().encode('"')[0])
