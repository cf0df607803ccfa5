"""A function's parameters as BFCL describes them, as JSON Schema: one that holds a reply, one that checks it.

The set's types are Python's (`dict`, `float`, `tuple`, `any`). What holds a reply is of the dialect of
`executor/engines/constraint`, and bounds what a small model would go on with for ever. What checks is written apart, in
full JSON Schema, and knows no bounds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker

Schema = dict[str, Any]
TEXT, ITEMS = 120, 16
"""The most characters of a text and items of a list: twice what any truth has."""
_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
_UNCHECKED = {"description", "default", "optional"}
"""Words that promise nothing of a value."""


def choice(functions: Sequence[Mapping[str, Any]], left_out: Counter[str]) -> str:
    """The schema of one call of one of the functions: `{"name": {arguments}}`, as tools are called in a program.

    What the dialect has no word for is counted in `left_out`.
    """
    calls = [_call(function["name"], _held(function["parameters"], left_out)) for function in functions]
    return json.dumps(calls[0] if len(calls) == 1 else {"anyOf": calls})


def _call(name: str, arguments: Schema) -> Schema:
    return {"type": "object", "properties": {name: arguments}, "required": [name], "additionalProperties": False}


def _held(given: Mapping[str, Any], left_out: Counter[str]) -> Schema:
    known = {"type", "properties", "required", "items", "enum", *_UNCHECKED}
    left_out.update(word for word in given if word not in known)
    if "enum" in given:
        return {"enum": list(given["enum"])}
    match given.get("type"):
        case "string":
            return {"type": "string", "maxLength": TEXT}
        case "integer" | "boolean" as plain:
            return {"type": plain}
        case "float":
            return {"type": "number"}
        case "array" | "tuple":
            return {"type": "array", "items": _held(given.get("items", {}), left_out), "maxItems": ITEMS}
        case "dict" if given.get("properties"):
            return {
                "type": "object",
                "properties": {name: _held(part, left_out) for name, part in given["properties"].items()},
                "required": list(given.get("required", ())),
                "additionalProperties": False,
            }
        case "dict":
            return {"type": "object", "additionalProperties": _plain()}
        case _:
            return _plain()


def _plain() -> Schema:
    """Where the set says nothing of a value: one that is not nested."""
    return {"anyOf": [{"type": "string", "maxLength": TEXT}, {"type": "number"}, {"type": "boolean"}]}


def well_formed(reply: str, functions: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, dict[str, Any]] | None, str]:
    """The name and arguments of the call that a reply is, or None and why it is none."""
    try:
        call: object = json.loads(reply)
    except ValueError as error:
        return None, f"no JSON ({error})"
    if not isinstance(call, dict) or len(cast("dict[str, object]", call)) != 1:
        return None, "not one call"
    name, arguments = next(iter(cast("dict[str, object]", call).items()))
    function = next((each for each in functions if each["name"] == name), None)
    if function is None:
        return None, f"no function {name}"
    validator: Any = Draft202012Validator(_checked(function["parameters"]), format_checker=FormatChecker())
    error: Any = next(iter(validator.iter_errors(arguments)), None)
    if error is not None:
        return None, f"{'/'.join(map(str, error.absolute_path)) or 'arguments'}: {error.message}"
    return (name, cast("dict[str, Any]", arguments)), ""


def _checked(given: Mapping[str, Any]) -> Schema:
    """The set's words as they stand, with the names of types that JSON Schema has."""
    schema: Schema = {}
    for word, value in given.items():
        if word == "type":
            if value != "any":
                schema["type"] = _TYPES.get(value, value)
        elif word == "properties":
            schema[word] = {name: _checked(part) for name, part in value.items()}
            schema["additionalProperties"] = False
        elif word == "items":
            schema[word] = _checked(value)
        elif word not in _UNCHECKED:
            schema[word] = value
    return schema
