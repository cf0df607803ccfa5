"""Speech: turns of a conversation out of a microphone's sound."""

from .turns import Cutter, Turns

__all__ = ["Cutter", "Turns"]
