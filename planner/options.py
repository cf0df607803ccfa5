"""What a caller may say of a plan beside the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .profile import Profile
from .traces.load import Load


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may say beside the program.

    `price` is dollars an hour of one device and replaces `convention` (`annuity`, `capex`, `rent`, `paper`);
    `environment` is what the environment states, which counts where neither the caller nor the fleet does. `measured`
    are sizes that a run really had, by name, and count before all else; then come `trace`, the load that was recorded,
    `profile`, what past runs had (left out where `unprofiled`), and last what the goal assumes. `enforce_goal` makes a
    missed goal an error. `here` plans for this machine, whatever the fleet says.
    """

    convention: str = "annuity"
    price: float | None = None
    measured: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    enforce_goal: bool = False
    engine: str = "xla"
    here: bool = False
    environment: float | None = None
    trace: Load | None = None
    profile: Profile | None = None
    unprofiled: bool = False
