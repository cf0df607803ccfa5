"""The words for what can be wrong with the meaning of a program; those for its spelling are in `syntax_problems.py`.

One function per slug, in one module per area; all are called as `problems.NAME(…)`. Facts come in, a `Problem` comes
out; each slug has a page in `docs/problems/`. A title stands alone in one line, a hint is the next step, and a fix is
there wherever a machine could apply it. What the analyses of a whole program find is worded in modules that only they
import: most programs have nothing that they are about, and every command would pay for loading them.
"""

# ruff: noqa: F403 - a new slug is written in one place

from .calls import *
from .control import *
from .declarations import *
from .fallbacks import *
from .forms import *
from .goals import *
from .names import *
from .types import *
