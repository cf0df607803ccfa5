"""What other languages call the types of this one. Loaded by the first type that is none."""

from __future__ import annotations

_NAMES = {
    "Text": ("str", "string", "varchar", "char", "character"),
    "Int": ("int", "integer", "long", "int32", "int64", "i32", "i64", "uint", "usize", "u32", "u64"),
    "Float": ("float", "double", "number", "decimal", "real", "float32", "float64", "f32", "f64"),
    "Bool": ("bool", "boolean"),
    "Bytes": ("bytes", "bytearray", "blob", "buffer"),
    "Json": ("any", "object", "dict", "dictionary", "map", "hashmap", "mapping"),
    "Duration": ("timedelta", "timespan"),
}
_TYPES = {name: type for type, names in _NAMES.items() for name in names}
_LISTS = ("list", "array", "vec", "vector", "sequence", "tuple", "set", "iterable")
_OPTIONS = ("optional", "option", "maybe")
_MAPS = ("dict", "dictionary", "map", "hashmap", "mapping", "record")
_STREAMS = ("iterator", "asynciterator", "generator", "asyncgenerator", "stream")


def type_here(name: str) -> str | None:
    """The type that people of another language mean by a name; None where it is no such name."""
    return _TYPES.get(name.lower())


def hint_of(name: str) -> str | None:
    """How a type that has parts is written here, where its name alone stands in the text."""
    if name.lower() in _LISTS:
        return "the type of a list names its elements: `[Text]`"
    if name.lower() in _OPTIONS:
        return "a value that may be absent is marked by `?`: `Text?`"
    if name.lower() in _MAPS:
        return "write `Json`, or `{Text: Int}` for a map from texts whose values are of one type"
    if name.lower() in ("none", "null", "void", "unit", "nonetype"):
        return "every pipeline, tool and stage gives a value; write the type of that"
    return None


def of_parts(name: str, parts: tuple[str, ...]) -> str | None:
    """`list[str]`, `Map<String, Int>` and the like, as they are written here; None for what has no such form."""
    inner = [type_here(part) or part for part in parts]
    lowered = name.lower()
    if len(inner) == 2 and lowered in _MAPS:
        return f"{{{inner[0]}: {inner[1]}}}"
    if len(inner) != 1:
        return None
    if lowered in _LISTS:
        return f"[{inner[0]}]"
    if lowered in _OPTIONS:
        return f"{inner[0]}?"
    return f"stream {inner[0]}" if lowered in _STREAMS else None
