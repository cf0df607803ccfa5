"""Runtime values as texts: what a hole of a template inserts. A fact of the language, so below the executor."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import cast

from ..base import units
from ..base.audio import Audio, encoded
from ..lang.types import DIMENSIONS, JSON, OptionType, Primitive
from .graph import ValueType


def text_form(value: object, type_: ValueType) -> str:
    """What a hole of a template inserts."""
    if type_ == JSON:
        return json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(type_, Primitive) and type_.name in DIMENSIONS:
        return units.show(units.Quantity(cast(float, value), DIMENSIONS[type_.name]))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(type_, OptionType) and value is not None:
        return text_form(value, type_.element)
    return json.dumps(to_json(value), ensure_ascii=False)


def to_json(value: object) -> object:
    """Plain data for `json.dumps`. Opaque values (handles, caches) become a text that only says what they are."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Audio):
        return encoded(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, Sequence):
        return [to_json(item) for item in cast("Sequence[object]", value)]
    return f"<{type(value).__name__}>"
