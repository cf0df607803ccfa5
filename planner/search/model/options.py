"""The flags of options, and what stages in one pool have to do with each other beside load."""

from __future__ import annotations

from ...space.evaluate import SLACK
from ..linear import CONSTANT, Program, Terms, plus
from ..reading import Reading


class Options:
    """`flags[stage][option]` are the variables of the options that are not forbidden, `members` by pool the stages and
    options that can be in it, `pools_of` by stage the pools."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.problem, self.program = reading, reading.problem, Program()
        self.flags: list[dict[int, int]] = []
        self.members = self._members()
        self.pools_of = [
            {reading.pool_of(stage, place) for place in allowed} for stage, allowed in enumerate(reading.allowed)
        ]
        self._options()
        self._together()
        self._memory()

    def _members(self) -> dict[int, list[tuple[int, int]]]:
        found: dict[int, list[tuple[int, int]]] = {}
        for stage, allowed in enumerate(self.reading.allowed):
            for place in allowed:
                found.setdefault(self.reading.pool_of(stage, place), []).append((stage, place))
        return found

    def _options(self) -> None:
        for allowed in self.reading.allowed:
            flags = {place: self.program.flag() for place in allowed}
            self.flags.append(flags)
            self.program.branch += flags.values()
            self.program.one_of(flags.values(), {CONSTANT: 1.0})

    def _together(self) -> None:
        for stage, flags in enumerate(self.flags):
            for place, flag in flags.items():
                option = self.reading.option(stage, place)
                for name in option.together:
                    other = self.reading.stage_at[name]
                    same = {
                        self.flags[other][there]: -1.0
                        for there in self.flags[other]
                        if self.reading.option(other, there).pool == option.pool
                    }
                    self.program.at_most(plus({flag: 1.0}, same), 0.0)

    def _memory(self) -> None:
        """Of a pool that one stage alone can use, the options that do not fit are forbidden already."""
        for pool, members in self.members.items():
            room = self.reading.room(pool)
            if room is None or len({stage for stage, _ in members}) == 1:
                continue
            sizes: dict[str, dict[float, list[int]]] = {}
            for stage, place in members:
                largest: dict[str, float] = {}
                for held in self.reading.option(stage, place).held:
                    largest[held.key] = max(largest.get(held.key, 0.0), held.bytes)
                for key, size in largest.items():
                    sizes.setdefault(key, {}).setdefault(size, []).append(self.flags[stage][place])
            total: Terms = {}
            for by_size in sizes.values():
                # A flag for each size: something at least as large is held. Their steps add up to the largest.
                before = 0.0
                for size in sorted(by_size):
                    above = [flag for other, flags in by_size.items() if other >= size for flag in flags]
                    held = above[0] if len(above) == 1 else self._any(above)
                    total[held] = total.get(held, 0.0) + size - before
                    before = size
            self.program.at_most(total, room * (1 + SLACK))

    def _any(self, flags: list[int]) -> int:
        """A flag that is 1 where one of these is."""
        found = self.program.count(1, lambda at: max(at[flag] for flag in flags))
        for flag in flags:
            self.program.at_most({flag: 1.0, found: -1.0}, 0.0)
        return found
