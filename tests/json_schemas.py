"""JSON Schemas drawn at random, and what is wrong with a document: the judge of structured output.

The judge reads the schema itself, by its own rules, and shares no code with what makes masks. It is stricter than JSON
Schema where the toolchain promises more: keys once and in their declared order, finite numbers, whole integers.
"""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Iterator
from typing import Any

NAMES = (
    "order",
    "amount",
    "topic",
    "note",
    "items",
    "ok",
    "Größe",
    "a b",
    'quo"te',
    "back\\slash",
    "x/y~z",
    "名前",
    "id",
)
CASES = ("Refund", "Question", "Spam", "Other", "Ärger", "two words", 'with "quotes"', "new\nline", "Sp", "Spam!", "")


def random_schema(draw: random.Random, depth: int = 4) -> str:
    """The text of a schema, `depth` deep at most (a record that holds itself goes on)."""
    root = _schema(draw, depth, ())
    if draw.random() < 0.2:
        # A type that holds itself, as an option and in a list.
        self_ = {"$ref": "#/$defs/Node"}
        node = _record(
            {
                "value": _schema(draw, 1, ()),
                "next": {"anyOf": [self_, {"type": "null"}]},
                "children": {"type": "array", "items": self_},
            },
            draw,
        )
        root = _record({"root": _schema(draw, depth - 1, ("#/$defs/Node",)), "node": self_}, draw)
        return json.dumps({**root, "$defs": {"Node": node}}, ensure_ascii=draw.random() < 0.5)
    return json.dumps(root, ensure_ascii=draw.random() < 0.5)


def _schema(draw: random.Random, depth: int, references: tuple[str, ...]) -> Any:
    if depth <= 1:
        return _flat(draw, references)
    inner = lambda: _schema(draw, depth - 1, references)  # noqa: E731
    match draw.randrange(7):
        case 0 | 1:
            return _record({name: inner() for name in draw.sample(NAMES, draw.randint(0, 4))}, draw)
        case 2:
            bounds = {"minItems": draw.randint(0, 2)} if draw.random() < 0.3 else {}
            bounds |= {"maxItems": draw.randint(2, 4)} if draw.random() < 0.3 else {}
            return {"type": "array", "items": inner(), **bounds}
        case 3:
            cases = draw.sample(CASES, draw.randint(1, 4))
            plain = cases[: draw.randint(0, len(cases) - 1)]
            tagged = [
                _record({name: _record({"it": inner()}, draw)}, draw, all_required=True) for name in cases[len(plain) :]
            ]
            return {"anyOf": [*([{"enum": plain}] if plain else []), *tagged]}
        case 4:
            return {"anyOf": [inner(), {"type": "null"}]}
        case 5:
            return {"type": "object", "additionalProperties": inner()}
        case _:
            return _flat(draw, references)


def _flat(draw: random.Random, references: tuple[str, ...]) -> Any:
    match draw.randrange(11 if references else 10):
        case 0 | 1:
            return {"type": "string"}
        case 2:
            least = draw.randint(0, 3)
            return {"type": "string", "minLength": least, "maxLength": least + draw.randint(0, 9)}
        case 3:
            return {"type": "integer"}
        case 4:
            return {"type": "number"}
        case 5:
            return {"type": "boolean"}
        case 6:
            return {"enum": draw.sample(CASES, draw.randint(1, 5))}
        case 7:
            return {"type": draw.choice(("null", ["string", "null"], ["integer", "boolean"]))}
        case 8:
            return draw.choice(({"type": "string", "contentEncoding": "base64"}, {"const": draw.choice(CASES)}))
        case 9:
            return {} if draw.random() < 0.5 else {"type": "array", "items": {"type": "integer"}}
        case _:
            return {"$ref": draw.choice(references)}


def _record(fields: dict[str, Any], draw: random.Random, all_required: bool = False) -> dict[str, Any]:
    required = [name for name in fields if all_required or draw.random() < 0.85]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def complaints(text: str, schema: str) -> list[str]:
    """What is wrong with a document, place by place; nothing, if it is valid."""
    try:
        text.encode()
        value = json.loads(text, object_pairs_hook=_Object, parse_constant=_refuse)
    except ValueError as error:
        return [f"no JSON: {error}"]
    root = json.loads(schema)
    return list(_wrong(value, root, root, "$"))


class _Object(list[tuple[str, Any]]):
    """An object's pairs as they stand."""


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _wrong(value: Any, schema: Any, root: Any, at: str) -> Iterator[str]:
    if isinstance(value, _Object):
        names = [name for name, _ in value]
        if len(set(names)) < len(names):
            yield f"{at}: a key comes twice"
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{at}: not finite"
    if schema is True or schema == {}:
        for place, inner in _inside(value):
            yield from _wrong(inner, True, root, f"{at}{place}")
        return
    if "$ref" in schema:
        target = root
        for step in schema["$ref"].split("/")[1:]:
            target = target[step]
        yield from _wrong(value, target, root, at)
    elif "anyOf" in schema:
        found = [list(_wrong(value, part, root, at)) for part in schema["anyOf"]]
        if all(found):
            yield f"{at}: none of {len(found)}: {min(found, key=len)[0]}"
    elif "enum" in schema or "const" in schema:
        among = schema.get("enum", [schema.get("const")])
        if not any(type(value) is type(one) and value == one for one in among):
            yield f"{at}: {value!r} is not among {among}"
    else:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        found = [list(_of_type(value, kind, schema, root, at)) for kind in kinds]
        if all(found):
            yield min(found, key=len)[0]


def _inside(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, _Object):
        return [(f".{name}", inner) for name, inner in value]
    return [(f"[{i}]", inner) for i, inner in enumerate(value)] if isinstance(value, list) else []


def _of_type(value: Any, kind: str, schema: Any, root: Any, at: str) -> Iterator[str]:
    plain = {"string": str, "integer": int, "boolean": bool, "null": type(None), "object": _Object}
    if kind == "number":
        if type(value) not in (int, float):
            yield f"{at}: {value!r} is no number"
    elif kind == "array":
        if not isinstance(value, list) or isinstance(value, _Object):
            yield f"{at}: {value!r} is no array"
            return
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
            yield f"{at}: {len(value)} items"
        for i, item in enumerate(value):
            yield from _wrong(item, schema.get("items", True), root, f"{at}[{i}]")
    elif type(value) is not plain[kind]:
        yield f"{at}: {value!r} is no {kind}"
    elif kind == "string":
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
            yield f"{at}: {len(value)} characters"
        if "contentEncoding" in schema:
            try:
                base64.b64decode(value, validate=True)
            except ValueError as error:
                yield f"{at}: {error}"
    elif kind == "object":
        yield from _of_object(value, schema, root, at)


def _of_object(value: _Object, schema: Any, root: Any, at: str) -> Iterator[str]:
    declared = schema.get("properties", {})
    more = schema.get("additionalProperties", True)
    names = [name for name, _ in value]
    yield from (f"{at}: {name!r} is missing" for name in schema.get("required", ()) if name not in names)
    if [name for name in names if name in declared] != [name for name in declared if name in names]:
        yield f"{at}: not in the declared order"
    for name, inner in value:
        if name not in declared and more is False:
            yield f"{at}: {name!r} is not declared"
        else:
            yield from _wrong(inner, declared.get(name, more), root, f"{at}.{name}")
