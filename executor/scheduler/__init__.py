"""The scheduler of an engine: which sequences a device step advances, and which pages of KV cache they fill.

Pure: events in, orders out (`Scheduler.handle`), without a clock, arrays, randomness or I/O. Time comes on events, so
every engine of ours runs it, and so does the null engine on a virtual clock: latency under load is simulated by the
code that causes it. See `core`.
"""

from .core import Scheduler
from .events import (
    Arrived,
    Cancelled,
    Event,
    Extended,
    Fetched,
    Kept,
    Priced,
    Released,
    Spoilt,
    StepDone,
    StepFailed,
    StepWanted,
)
from .orders import (
    Admitted,
    Chunk,
    Copy,
    Drop,
    Fetch,
    Forget,
    Gone,
    Load,
    Order,
    Preempted,
    Refusal,
    Refuse,
    Row,
    Save,
    Spill,
    Step,
)
from .settings import Settings

__all__ = [
    "Admitted",
    "Arrived",
    "Cancelled",
    "Chunk",
    "Copy",
    "Drop",
    "Event",
    "Extended",
    "Fetch",
    "Fetched",
    "Forget",
    "Gone",
    "Kept",
    "Load",
    "Order",
    "Preempted",
    "Priced",
    "Refusal",
    "Refuse",
    "Released",
    "Row",
    "Save",
    "Scheduler",
    "Settings",
    "Spill",
    "Spoilt",
    "Step",
    "StepDone",
    "StepFailed",
    "StepWanted",
]
