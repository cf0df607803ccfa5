"""What models call the personal data that they find, and the marks that stand for it in a redacted text.

A city or a postcode alone is part of an address: whoever reads the mark need not know which.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...executor.engines.families import Entity

_MARKS = {
    "EMAIL": "email",
    "PHONE": "phone",
    "GIVEN_NAME": "name",
    "SURNAME": "name",
    "BUILDING_NUMBER": "address",
    "STREET_NAME": "address",
    "SECONDARY_ADDRESS": "address",
    "CITY": "address",
    "STATE": "address",
    "ZIP_CODE": "address",
    "BANK_ACCOUNT": "account",
    "GOVERNMENT_ID": "id",
    "DRIVERS_LICENSE": "licence",
}


def mark(label: str) -> str:
    """The word of a mark: `name` for `SURNAME`, `routing number` for `ROUTING_NUMBER`."""
    return _MARKS.get(label.upper()) or " ".join("".join(c if c.isalpha() else " " for c in label.lower()).split())


def parts(entities: Iterable[Entity]) -> list[tuple[int, int, str]]:
    """Entities as `redact_found` takes them."""
    return [(entity.start, entity.end, mark(entity.label)) for entity in entities if mark(entity.label)]
