"""The shop behind the mail: its orders, from a file, and refunds, which are written down in another.

Money comes and goes as a number of dollars, for JSON has no units; the program's types say what it is.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
REFUNDS = FOLDER / "refunds.json"


def order(id: int) -> dict[str, object]:
    """An order by its number."""
    for found in json.loads((FOLDER / "orders.json").read_text()):
        if found["id"] == id:
            return found
    raise LookupError(f"no order has the number {id}")


def refund(id: int, amount: float) -> dict[str, object]:
    """Pay an order back, once: asked again for the same order, it gives the same receipt. That is what `idempotent by
    id` promises, and what lets the program retry."""
    refunds = json.loads(REFUNDS.read_text()) if REFUNDS.exists() else {}
    if str(id) not in refunds:
        if amount > order(id)["paid"]:
            raise ValueError(f"order {id} was paid with less than {amount:.2f}")
        refunds[str(id)] = {"id": id, "text": f"Refunded ${amount:.2f} for order {id}."}
        part = REFUNDS.with_suffix(".part")
        part.write_text(json.dumps(refunds, indent=1))
        part.replace(REFUNDS)
    return refunds[str(id)]
