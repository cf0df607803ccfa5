"""Why there is no plan: a smallest set of requirements that cannot hold together, and the nearest that can.

`conflict` is the way in; `core` finds the set, `least` how far each member would have to give, `words` says it, `ways`
changes the problem until it holds. All of them only ask a search whether something is possible (`asked`) and what a
choice comes to (`space.evaluate`), so nothing is said here that a search would not confirm.
"""

from .find import Conflict, Reason, Relaxation, conflict
from .ways import Sizes

__all__ = ["Conflict", "Reason", "Relaxation", "Sizes", "conflict"]
