"""Secrets by reference: a program names one, its value comes from the environment or the system's keyring, and no text
of ours ever holds it.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

from ...executor.kinds import StageFailure
from .. import tool_problems as problems

_SHORTEST = 4  # a shorter value would mask half of every text
_SERVICE = "agentlang"


class Secrets:
    """The secrets that a program has asked for so far."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def value(self, name: str) -> str:
        """The secret itself, for the one place that needs it. Raises `StageFailure` (denied) where it is not here."""
        if name not in self._values:
            found = os.environ.get(name) or _from_keyring(name)
            if not found:
                raise StageFailure("denied", problems.secret_missing(name))
            self._values[name] = found
        return self._values[name]

    def mask(self, text: str) -> str:
        """The text with every known value replaced by its name."""
        for name, value in sorted(self._values.items(), key=lambda item: -len(item[1])):
            if len(value) >= _SHORTEST:
                text = text.replace(value, f"[secret {name}]")
        return text


def is_set(name: str) -> bool:
    """Whether a secret has a value here."""
    return bool(os.environ.get(name) or _from_keyring(name))


def _from_keyring(name: str) -> str | None:
    if find_spec("keyring") is None:
        return None
    try:
        return cast("str | None", cast(Any, import_module("keyring")).get_password(_SERVICE, name))
    except Exception:  # a keyring without a desktop raises what it likes
        return None
