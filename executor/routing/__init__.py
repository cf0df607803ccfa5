"""Which replica of a model a request goes to: queues and cached prefixes weighed against each other.

Pure: events in, orders out (`Router.handle`), without a clock, arrays, randomness or I/O. The simulator, the engine
that runs a model in several processes, and whoever has several instances of anything, all ask this code. See `router`.
"""

from .blocks import chained
from .messages import Arrived, Cancelled, Done, Evicted, Lost, Measured, ReplicaDown, ReplicaUp, Send, Started
from .replicas import Rates
from .router import POLICIES, Policy, Router

__all__ = [
    "POLICIES",
    "Arrived",
    "Cancelled",
    "Done",
    "Evicted",
    "Lost",
    "Measured",
    "Policy",
    "Rates",
    "ReplicaDown",
    "ReplicaUp",
    "Router",
    "Send",
    "Started",
    "chained",
]
