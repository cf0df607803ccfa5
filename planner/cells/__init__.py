"""Cells: a fleet that serves a pipeline in several placements at once, each a share of the runs.

Where no tier has devices enough for all runs, or where the cheapest has not, a mixture may do what one placement
cannot. Each cell is an ordinary plan of the same problem at its own rate with its own devices, so that it is certified,
verified and simulated as any plan is. The cells' devices add up to what there is, their rates to the goal's; and as
every run is in one cell, which keeps every promise for its runs, the whole keeps them: no percentiles are averaged.
"""

from .find import Cell, Divided, divided
from .settle import Settled, divided_and_tried

__all__ = ["Cell", "Divided", "Settled", "divided", "divided_and_tried"]
