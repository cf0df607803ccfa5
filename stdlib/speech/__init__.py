"""Speech: turns of a conversation out of a microphone's sound."""

from .live import LiveTurn
from .turns import Cutter, Turns

__all__ = ["Cutter", "LiveTurn", "Turns"]
