"""Regular expressions, for a worker: this file is loaded there by itself."""

from __future__ import annotations

import re


def matches(text: str, pattern: str) -> bool:
    return re.search(pattern, text) is not None
