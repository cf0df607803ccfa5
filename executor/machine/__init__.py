"""The pure half of the executor: `Machine.handle(event) -> orders`. See `core`."""

from .core import Machine
from .events import Event
from .faults import ProtocolError
from .orders import Order, Outcome, StageTiming, Timings

__all__ = ["Event", "Machine", "Order", "Outcome", "ProtocolError", "StageTiming", "Timings"]
