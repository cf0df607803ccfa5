"""Whether a call is the right one, by BFCL's rules for Python: what it calls the AST check.

A truth lists for each argument the values that count; `""` among them says that it may be left out. Texts are compared
without case and without `,./-_*^` and spaces, a whole number counts for a float, everything else as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

_PASSED_OVER = re.compile(r"[ \,\.\/\-\_\*\^]")
_KINDS: dict[str, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}
_NESTED = ("array", "tuple")


def wrong(
    call: tuple[str, Mapping[str, Any]],
    functions: Sequence[Mapping[str, Any]],
    truth: Mapping[str, Mapping[str, Sequence[Any]]],
) -> str | None:
    """What is wrong with a call, in a few words; None where it is right."""
    name, arguments = call
    wanted, values = next(iter(truth.items()))
    if name != wanted:
        return "another function"
    parameters = next(function for function in functions if function["name"] == name)["parameters"]
    described = cast("dict[str, dict[str, Any]]", parameters["properties"])
    if any(required not in arguments for required in parameters["required"]):
        return "an argument missing"
    for argument, value in arguments.items():
        if argument not in described or argument not in values:
            return "an argument too many"
        found = _wrong_value(described[argument], value, values[argument])
        if found is not None:
            return found
    if any(argument not in arguments and "" not in among for argument, among in values.items()):
        return "an argument missing"
    return None


def _wrong_value(described: Mapping[str, Any], value: Any, among: Sequence[Any]) -> str | None:
    kind = described["type"]
    expected = _KINDS[kind]
    inner = _KINDS[described["items"]["type"]] if kind in _NESTED else None
    if kind == "float" and type(value) is int:
        value = float(value)
    of_kind, stands_for = _of_kind(value, among, expected, inner)
    if not of_kind:
        return "another type"
    # A truth of another type than the parameter's is a variable's name, and is compared as it is.
    if not stands_for:
        if expected is dict:
            return None if any(_same_fields(value, each) for each in among if each != "") else "another value"
        if expected is list and inner is dict:
            return None if any(_same_records(value, each) for each in among) else "another value"
        if expected is str:
            texts = [plain(each) for each in among if isinstance(each, str)]
            return None if plain(value) in texts else "another value"
        if expected is list:
            lists = [[_plain(part) for part in each] for each in among]
            return None if [_plain(part) for part in value] in lists else "another value"
    return None if value in among else "another value"


def _of_kind(value: Any, among: Sequence[Any], expected: type, inner: type | None) -> tuple[bool, bool]:
    """Whether a value is of the type that is asked for, and whether it stands for one of another type."""
    kinds: list[Any] = [type(each) for each in among if each != ""]
    told = kinds[0] if kinds else None
    stands_for = told is not None and told is not expected
    if type(value) is expected:
        if inner is None:
            return True, stands_for
        for each in among:
            if not isinstance(each, list) or all(
                _of_kind(part, cast("list[Any]", each), inner, None)[0] for part in value
            ):
                return True, stands_for
        return False, False
    return (True, True) if told is not None and type(value) is told else (False, False)


def plain(text: str) -> str:
    return _PASSED_OVER.sub("", text).lower().replace("'", '"')


def _plain(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value


def _same_fields(value: Mapping[str, Any], wanted: Mapping[str, Sequence[Any]]) -> bool:
    for name, each in value.items():
        if name not in wanted or _plain(each) not in [_plain(other) for other in wanted[name]]:
            return False
    return all(name in value or "" in among for name, among in wanted.items())


def _same_records(value: Sequence[Any], wanted: Any) -> bool:
    return len(value) == len(wanted) and all(
        other != "" and _same_fields(each, other) for each, other in zip(value, wanted, strict=True)
    )
