"""Recorded requests: the load that a plan is made for, and that a simulation lets come. The only place that reads
them."""

from .formats import Request
from .load import Load, Named, Seen, load_of, named
from .opening import opened
from .reading import Reader

__all__ = ["Load", "Named", "Reader", "Request", "Seen", "load_of", "named", "opened"]
