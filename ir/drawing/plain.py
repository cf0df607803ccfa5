"""The picture as JSON, for those who draw it themselves."""

from __future__ import annotations

import json
from dataclasses import asdict

from .picture import Picture


def plain(picture: Picture) -> str:
    """One JSON document: `boxes` (a tree), `edges`, `tiers`."""
    return json.dumps(asdict(picture), indent=2, ensure_ascii=False) + "\n"
