"""Finds the best choice of a problem, and says how sure it is.

`evaluate` is what a choice means; a search only decides which choices to ask it about. Small problems are enumerated
(most programs for one machine have a handful of choices, and a solver takes longer to import than they take to try);
larger ones go to a constraint solver, whose every answer is evaluated before it is given out.
"""

from .baselines import baselines
from .found import Baseline, Found
from .searching import SolverMissingError, feasible, search

__all__ = ["Baseline", "Found", "SolverMissingError", "baselines", "feasible", "search"]
