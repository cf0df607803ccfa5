"""The settings of a tool, filled in: a text of the program with the call's arguments in its holes, secrets by name.

A setting is plain data; `{"parts": ["https://shop/", {"argument": "id"}]}` is a text with holes, `{"secret": "NAME"}` a
secret. Keeping parts apart from arguments until here lets each user escape the values and never the program's text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from ...executor.values import to_json
from .secrets import Secrets

Escape = Callable[[str], str]


def plainly(text: str) -> str:
    """No escape."""
    return text


def text_of(value: object) -> str:
    """An argument in a hole. Quantities are numbers of base units here, for settings carry no types."""
    if isinstance(value, str):
        return value
    return json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":"))


def filled(setting: object, arguments: Mapping[str, object], secrets: Secrets, escape: Escape = plainly) -> str:
    """The text that a setting stands for; `escape` is applied to what arguments put in."""
    if not isinstance(setting, Mapping):
        return text_of(setting)
    form = cast("Mapping[str, object]", setting)
    if "secret" in form:
        return secrets.value(str(form["secret"]))
    if "argument" in form:
        return escape(text_of(arguments[str(form["argument"])]))
    parts = cast("Sequence[object]", form["parts"])
    return "".join(part if isinstance(part, str) else filled(part, arguments, secrets, escape) for part in parts)


def used(setting: object) -> frozenset[str]:
    """The names of the arguments that stand in a setting, however deep."""
    if isinstance(setting, Mapping):
        form = cast("Mapping[str, object]", setting)
        if isinstance(form.get("argument"), str) and len(form) == 1:
            return frozenset({str(form["argument"])})
        return frozenset[str]().union(*map(used, form.values()))
    if isinstance(setting, list | tuple):
        return frozenset[str]().union(*map(used, cast("Sequence[object]", setting)))
    return frozenset()
