"""A problem as a linear program: its variables are the options, the replicas, and which way each value goes.

Flags: each stage takes one option. A pool that few stages can use has a flag for each content and number of replicas,
so that its load, its waits and its devices are constants. A pool that many share has a flag for each number of replicas
and step of load, of which one is 1 where it is in use; the load must be below that step, and the wait is at least the
flag's factor times the service. What an edge takes is a variable that is at least what each place of its ends makes it.

Everything that is limited or minimised grows with its parts, so a maximum is a variable that is at least each part, and
nothing has to be exact from both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import ceil, exp, prod
from typing import Any

from ..space.evaluate import FULLEST, SLACK, STEPS, transfer, waiting
from ..space.nodes import Constant, Latest, Move, Scaled, Sum, Take, values
from ..space.problem import Choice, Edge, Link
from .linear import CONSTANT, Program, Terms, plus, value
from .reading import Load, Moment, Reading
from .replicas import counts

FINE = 2.0**-30
"""Seconds and dollars are told apart by this part of the largest that matters."""

FEW = 30
"""Contents of a pool that are looked at one by one; with more, its load is a sum."""

NEGLIGIBLE = 0.005
"""What the least edges of a link may take of it together, not to be counted."""

Place = tuple[str, int]
"""Where a stage is, as far as an edge cares: its tier, or its pool where values move within the tier."""


class Model:
    """See the module. `flags[stage][option]` are the variables of the options that are not forbidden."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.problem, self.program = reading, reading.problem, Program()
        self.flags: list[dict[int, int]] = []
        self.sized: dict[int, list[tuple[int, int, int | tuple[tuple[int, int], ...]]]] = {}
        """For each pool its flags: variable, replicas, and the step of the load or what is in it."""
        self.waits: dict[tuple[int, float], Terms] = {}
        self.used: dict[int, Terms] = {}
        self.nodes: dict[tuple[int, float], Terms] = {}
        self.moves: dict[int, Terms] = {}
        self.traffic: dict[tuple[int, int], Terms] = {}
        self.money: Terms = {}
        self.members = self._members()
        self.pools_of = [
            {reading.pool_of(stage, place) for place in allowed} for stage, allowed in enumerate(reading.allowed)
        ]
        self.longest: dict[float, list[float]] = {}
        self._options()
        self.unit = self._unit()
        self._together()
        self._memory()
        self._edges()
        self._pools()
        self._counts()
        self._links()
        self._promises()

    # Options.

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

    # Seconds of nodes.

    def _take(self, stage: int, place: int, first: bool, z: float) -> float:
        option = self.reading.option(stage, place)
        return (option.first if first else option.seconds) * exp(z * option.noise)

    def _most(self, z: float) -> list[float]:
        """No choice makes a node longer."""
        if z not in self.longest:
            tau = self._longest_moves()

            def longest(leaf: Take) -> float:
                stage = self.reading.stage_at[leaf.stage]
                each = (self._take(stage, place, leaf.first, z) for place in self.reading.allowed[stage])
                return leaf.times * max(each, default=0.0)

            self.longest[z] = values(self.problem.nodes, longest, lambda leaf: leaf.times * tau[leaf.edge])
        return self.longest[z]

    def _longest_moves(self) -> list[float]:
        links = dict.fromkeys(self.reading.links.values())
        return [max((transfer(edge, link) for link in links), default=0.0) for edge in self.problem.edges]

    def _unit(self) -> float:
        spans = [
            moment.limit if moment.limit is not None else self._most(moment.z)[moment.node]
            for moment in self.reading.moments
        ]
        if self.problem.objective == "fastest":
            spans.append(self._most(0.0)[self.problem.moment("finish")])
        return max([span for span in spans if span > 0.0], default=1.0) * FINE

    def node(self, index: int, z: float) -> Terms:
        """Seconds of a node at a percentile: at least what the choice makes it, at most that where it matters."""
        found = self.nodes.get((index, z))
        if found is None:
            found = self.nodes[index, z] = self._node(index, z)
        return found

    def _node(self, index: int, z: float) -> Terms:
        match self.problem.nodes[index]:
            case Constant(seconds):
                return {CONSTANT: seconds}
            case Take(name, times, first):
                stage = self.reading.stage_at[name]
                return {flag: self._take(stage, place, first, z) * times for place, flag in self.flags[stage].items()}
            case Move(edge, times):
                return {variable: seconds * times for variable, seconds in self.moves.get(edge, {}).items()}
            case Sum(parts):
                total: Terms = {}
                for part in parts:
                    total = plus(total, self.node(part, z))
                return total
            case Scaled(part, factor):
                return plus({}, self.node(part, z), factor)
            case Latest(parts):
                found = [self.node(part, z) for part in parts]
                if len(found) < 2:
                    return found[0] if found else {}
                largest = self.program.amount(
                    self._most(z)[index] * 1.001, self.unit, lambda at: max(value(each, at) for each in found)
                )
                for each in found:
                    self.program.at_most(plus(each, {largest: -1.0}), 0.0)
                return {largest: 1.0}

    # Edges.

    def _place(self, stage: int, option: int, other: int) -> Place:
        """Within a tier that values move in, a pool is a place of its own where both ends may be in it."""
        pool = self.reading.pool_of(stage, option)
        tier = self.reading.tier_of[pool]
        apart = (tier, tier) in self.reading.links and pool in self.pools_of[stage] & self.pools_of[other]
        return ("pool", pool) if apart else ("tier", tier)

    def _tier(self, place: Place) -> int:
        return place[1] if place[0] == "tier" else self.reading.tier_of[place[1]]

    def _places(self, stage: int, other: int) -> dict[Place, Terms]:
        found: dict[Place, Terms] = {}
        for option, flag in self.flags[stage].items():
            found.setdefault(self._place(stage, option, other), {})[flag] = 1.0
        return found

    def _inseparable(self, stage: int, other: int) -> bool:
        """Whether two stages are always in one pool."""
        for one, two in ((stage, other), (other, stage)):
            name = self.problem.stages[two].name
            if all(name in self.reading.option(one, place).together for place in self.flags[one]):
                return True
        return stage == other

    def _edges(self) -> None:
        narrow = self._narrow()
        for number, edge in enumerate(self.problem.edges):
            source, target = self.reading.stage_at[edge.source], self.reading.stage_at[edge.target]
            if self._inseparable(source, target):
                continue
            left, right = self._places(source, target), self._places(target, source)
            ways: dict[tuple[Place, Place], Link | None] = {}
            for here in left:
                for there in right:
                    tiers = self._tier(here), self._tier(there)
                    link = None if here == there else self.reading.links.get(tiers)
                    if link is not None or tiers[0] == tiers[1] or not self.reading.linked:
                        ways[here, there] = link
            for here, terms in left.items():
                # Where one end is, some places are out of reach of the other.
                beyond = [there for there in right if (here, there) not in ways]
                if beyond:
                    total = dict(terms)
                    for there in beyond:
                        total = plus(total, right[there])
                    self.program.at_most(total, 1.0)
            self._delay(number, edge, left, right, ways)
            for (here, there), link in ways.items():
                tiers = self._tier(here), self._tier(there)
                if link is None or not (link.dollars or number in narrow.get(tiers, ())):
                    continue
                flag = self._both(left[here], right[there])
                moved = edge.bytes * edge.moves
                if link.dollars:
                    self.money[flag] = moved * link.dollars
                row = self.traffic.setdefault(tiers, {})
                row[flag] = row.get(flag, 0.0) + moved

    def _narrow(self) -> dict[tuple[int, int], set[int]]:
        """Pairs of tiers that may need more than one pair of devices for what passes between them, each with the edges
        that count. Those that hardly do are left out, in favour of the choice: `evaluate` counts them."""
        loads: dict[tuple[int, int], list[tuple[float, int]]] = {}
        for number, edge in enumerate(self.problem.edges):
            source, target = self.reading.stage_at[edge.source], self.reading.stage_at[edge.target]
            tiers = {
                (self._tier(a), self._tier(b))
                for a in self._places(source, target)
                for b in self._places(target, source)
            }
            for pair in tiers:
                link = self.reading.links.get(pair)
                if link is not None and self.problem.rate is not None and self.reading.binding(link.carries):
                    load = edge.bytes * edge.moves * self.problem.rate / link.bandwidth
                    loads.setdefault(pair, []).append((load, number))
        found: dict[tuple[int, int], set[int]] = {}
        for pair, each in loads.items():
            if sum(load for load, _ in each) > 1.0:
                little, counted = 0.0, set[int]()
                for load, number in sorted(each):
                    little += load
                    if little > NEGLIGIBLE:
                        counted.add(number)
                found[pair] = counted
        return found

    def _both(self, left: Terms, right: Terms) -> int:
        """A flag that is 1 where both ends are so."""
        found = self.program.count(1, lambda at: min(value(left, at), value(right, at)))
        self.program.at_most(plus(plus(left, right), {found: -1.0}), 1.0)
        return found

    def _delay(
        self,
        number: int,
        edge: Edge,
        left: Mapping[Place, Terms],
        right: Mapping[Place, Terms],
        ways: Mapping[tuple[Place, Place], Link | None],
    ) -> None:
        """Seconds of a transfer: for each place of one end, at least what the place of the other makes it."""
        rows: list[Terms] = []
        for near, far, turned in ((left, right, False), (right, left, True)):
            for here, terms in near.items():
                takes = {
                    there: transfer(edge, link)
                    for there in far
                    if (link := ways.get((there, here) if turned else (here, there))) is not None
                }
                longest = max(takes.values(), default=0.0)
                if longest:
                    row = plus({CONSTANT: -longest}, terms, longest)
                    for there, seconds in takes.items():
                        row = plus(row, far[there], seconds)
                    rows.append(row)
        if rows:
            longest = max(transfer(edge, link) for link in ways.values() if link is not None)
            seconds = self.program.amount(longest, self.unit, lambda at: max(0.0, *(value(row, at) for row in rows)))
            for row in rows:
                self.program.at_most(plus(row, {seconds: -1.0}), 0.0)
            self.moves[number] = {seconds: 1.0}

    # Pools.

    def _percentiles(self, stages: set[int]) -> tuple[float, ...]:
        found = [m.promise.percentile for m in self.reading.moments if m.waits and stages & m.stages]
        return tuple(dict.fromkeys(found))

    def _pools(self) -> None:
        wanted = self._wanted()
        for pool, members in self.members.items():
            stages = {stage for stage, _ in members}
            asked = self._percentiles(stages)
            devices = self.problem.pools[pool].devices
            least = ceil(wanted.get(self.reading.tier_of[pool], 0) / devices) if devices else 0
            self.sized[pool] = []
            together = self._subsets(members)
            if together is not None:
                self._combined(pool, together, asked, least)
            else:
                self._shared(pool, members, asked, least)
            for flag, replicas, _ in self.sized[pool]:
                self.used.setdefault(pool, {})[flag] = float(replicas)

    def _wanted(self) -> dict[int, int]:
        """The most devices that the traffic of a tier could need."""
        found: dict[int, int] = {}
        for pair, row in self.traffic.items():
            link = self.reading.links[pair]
            if self.reading.binding(link.carries):
                for tier in pair:
                    found[tier] = max(found.get(tier, 0), self.reading.pairs_for(sum(row.values()), link))
        return {tier: count if count > 1 else 0 for tier, count in found.items()}

    def _load(self, pool: int, stage: int, place: int) -> Load:
        option = self.reading.option(stage, place)
        busy = self.problem.stages[stage].executions * option.busy
        return Load(pool, busy, busy * (1.0 + option.noise * option.noise) / 2.0)

    def _subsets(self, members: list[tuple[int, int]]) -> list[tuple[tuple[int, int], ...]] | None:
        """What may be in a pool at once, of stages with their options, where that is little."""
        by_stage: dict[int, list[tuple[int, int] | None]] = {}
        for stage, place in members:
            by_stage.setdefault(stage, [None]).append((stage, place))
        found: list[tuple[tuple[int, int], ...]] = []
        if prod(map(len, by_stage.values())) > FEW:
            return None
        for each in product(*by_stage.values()):
            inside = tuple(one for one in each if one is not None)
            stages = {self.problem.stages[stage].name for stage, _ in inside}
            if inside and all(stages.issuperset(self.reading.option(*one).together) for one in inside):
                found.append(inside)
        return found

    def _combined(
        self, pool: int, subsets: list[tuple[tuple[int, int], ...]], asked: tuple[float, ...], least: int
    ) -> None:
        """A flag for each content of a pool and number of replicas: load, waits and devices are then constants."""
        flags_of: dict[tuple[int, int], list[int]] = {}
        for inside in subsets:
            loads = [self._load(pool, *one) for one in inside]
            load = Load(pool, sum(one.served for one in loads), sum(one.service for one in loads))
            for one in inside:
                flags_of.setdefault(one, [])
            for count in counts(self.reading, load, asked, least):
                flag = self.program.flag()
                self.program.branch.append(flag)
                self.sized[pool].append((flag, count.replicas, inside))
                for one in inside:
                    flags_of[one].append(flag)
                for percentile, wait in zip(asked, count.waits, strict=True):
                    self.waits.setdefault((pool, percentile), {})[flag] = wait
        for stage, place in {one for inside in subsets for one in inside}:
            self.program.one_of(flags_of[stage, place], {self.flags[stage][place]: 1.0})
        for stage, place in self.members[pool]:
            if (stage, place) not in flags_of:
                self.program.at_most({self.flags[stage][place]: 1.0}, 0.0)
        self.program.at_most({flag: 1.0 for flag, _, _ in self.sized[pool]}, 1.0)

    def _shared(self, pool: int, members: list[tuple[int, int]], asked: tuple[float, ...], least: int) -> None:
        reading, program = self.reading, self.program
        loads = {self.flags[stage][place]: self._load(pool, stage, place) for stage, place in members}
        largest: dict[int, Load] = {}
        for stage, place in members:
            load = self._load(pool, stage, place)
            known = largest.get(stage, load)
            largest[stage] = Load(pool, max(known.served, load.served), max(known.service, load.service))
        served_most = sum(load.served for load in largest.values())
        service_most = sum(load.service for load in largest.values())
        served_least = min(load.served for load in loads.values())
        slots = self.problem.pools[pool].slots
        cells: list[tuple[int, int, float, float]] = []  # replicas, step, load below it, load at its start
        if reading.rate is None or not slots or not served_most:
            most = reading.most(pool)
            high = max(1, least) if most is None else min(max(1, least), most)
            cells = [(replicas, 0, served_most, 0.0) for replicas in range(1, high + 1)]
        else:
            full = Load(pool, served_most, service_most)
            numbers = counts(reading, full, asked, least)
            most = reading.most(pool)
            high = numbers[-1].replicas if numbers else most or 0
            for replicas in range(1, high + 1):
                per_step = replicas * slots / (STEPS * reading.rate)
                free = 0
                for step in range(1, FULLEST + 1):
                    if all(waiting(replicas * slots, step, percentile) == 0.0 for percentile in asked):
                        free = step
                for step in range(max(1, free), FULLEST + 1):
                    top, start = step * per_step, (step - 1) * per_step if step > free else 0.0
                    if top * (1 + SLACK) >= served_least and start <= served_most:
                        cells.append((replicas, step, top, start))
        flags = [program.flag() for _ in cells]
        program.branch += flags
        self.sized[pool] = [(flag, cell[0], cell[1]) for flag, cell in zip(flags, cells, strict=True)]
        for stage in largest:
            own = {self.flags[stage][place]: 1.0 for at, place in members if at == stage}
            program.at_most(plus(own, dict.fromkeys(flags, -1.0)), 0.0)
        program.at_most(dict.fromkeys(flags, 1.0), 1.0)
        served: Terms = {flag: load.served for flag, load in loads.items()}
        service: Terms = {flag: load.service for flag, load in loads.items()}
        room = {flag: -cell[2] * (1 + 2 * SLACK) for flag, cell in zip(flags, cells, strict=True)}
        program.at_most(plus(served, room), 0.0)
        ratio = min((load.service / load.served for load in loads.values() if load.served), default=0.0)
        for percentile in asked:
            factors = {
                flag: waiting(cell[0] * slots, cell[1], percentile) if slots and reading.rate is not None else 0.0
                for flag, cell in zip(flags, cells, strict=True)
            }
            if not any(factors.values()):
                continue
            most_wait = max(factors.values()) * service_most

            def hint(at: Mapping[int, float], factors: Mapping[int, float] = factors) -> float:
                return value(service, at) * sum(factor * at[flag] for flag, factor in factors.items())

            wait = program.amount(most_wait, self.unit, hint)
            for flag, factor in factors.items():
                if factor:
                    program.at_most(plus(plus({}, service, factor), {wait: -1.0}), 0.0, when=flag)
            floor = {flag: factors[flag] * cell[3] * ratio for flag, cell in zip(flags, cells, strict=True)}
            program.at_most(plus(floor, {wait: -1.0}), 0.0)
            self.waits[pool, percentile] = {wait: 1.0}

    # What is limited.

    def devices(self, tier: int) -> tuple[Terms, ...]:
        """Devices that a tier's pools take, and those that its hosts' pools do: the more of both are in use."""
        both = (self._devices(tier, False), self._devices(tier, True))
        return tuple(terms for terms in both if terms)

    def _devices(self, tier: int, host: bool) -> Terms:
        found: Terms = {}
        for pool, terms in self.used.items():
            if self.reading.tier_of[pool] == tier and self.problem.pools[pool].host is host:
                found = plus(found, terms, float(self.problem.pools[pool].devices))
        return {variable: factor for variable, factor in found.items() if factor}

    def _counts(self) -> None:
        for number, tier in enumerate(self.problem.tiers):
            if self.reading.binding(tier.counted):
                for used in self.devices(number):
                    self.program.at_most(used, tier.high)

    def _links(self) -> None:
        rate = self.problem.rate
        for pair, row in self.traffic.items():
            link = self.reading.links[pair]
            if rate is None or not self.reading.binding(link.carries):
                continue
            flow = plus({}, row, rate / link.bandwidth)
            ends = [tier for tier in dict.fromkeys(pair) if not self.problem.tiers[tier].endpoint]
            if not ends:
                self.program.at_most(flow, 1.0 + 2 * SLACK)
            for tier in ends:
                self._carried(flow, tier)

    def _carried(self, flow: Terms, tier: int) -> None:
        """As much passes as the devices of a tier carry: those that are in use, or always paid for."""
        program, more = self.program, -(1.0 + 2 * SLACK)
        low, each = self.problem.tiers[tier].low, self.devices(tier)
        ways = ([{CONSTANT: float(low)}] if low > 1 or not each else []) + list(each)
        if len(ways) == 1:
            program.at_most(plus(flow, ways[0], more), 0.0)
            return
        flags: list[int] = []
        for number, way in enumerate(ways):

            def largest(at: Mapping[int, float], number: int = number) -> float:
                counts = [value(one, at) for one in ways]
                return float(counts.index(max(counts)) == number)

            flags.append(program.count(1, largest))
            program.at_most(plus(flow, way, more), 0.0, when=flags[-1])
        program.one_of(flags, {CONSTANT: 1.0})

    def _promises(self) -> None:
        reading, problem, program = self.reading, self.problem, self.program
        joules: Terms = {}
        for stage, flags in enumerate(self.flags):
            executions = problem.stages[stage].executions
            for place, flag in flags.items():
                option = reading.option(stage, place)
                joules[flag] = executions * option.joules
                if option.dollars:
                    self.money[flag] = executions * option.dollars
        money = self._dollars()
        if reading.powered is not None:
            program.at_most(joules, reading.powered * (1 + SLACK))
        if reading.capped is not None:
            program.at_most(money, reading.capped * (1 + SLACK))
        match problem.objective:
            case "fastest":
                objective = self.node(problem.moment("finish"), 0.0)
            case "greenest":
                objective = joules
            case _:
                objective = money
        for moment in reading.moments:
            seconds = self._reached(moment)
            if moment.limit is not None:
                program.at_most(seconds, moment.limit * (1 + SLACK))
            if moment.price:
                objective = plus(objective, self._missed(seconds, moment.promise.limit, moment.price))
        for promise in reading.soft_money:
            objective = plus(objective, self._missed(money, promise.limit, promise.soft or 0.0))
        for promise in reading.soft_power:
            objective = plus(objective, self._missed(joules, promise.limit, promise.soft or 0.0))
        program.objective = objective

    def _missed(self, terms: Terms, limit: float, price: float) -> Terms:
        """What a miss costs."""
        high = terms.get(CONSTANT, 0.0) + sum(
            factor * self.program.variables[variable].high
            for variable, factor in terms.items()
            if variable != CONSTANT and factor > 0
        )
        if not price or high <= limit:
            return {}
        unit = high * FINE
        over = self.program.amount(high, unit, lambda at: max(0.0, value(terms, at) - limit))
        self.program.at_most(plus(terms, {over: -1.0}), limit)
        return {over: price}

    def _reached(self, moment: Moment) -> Terms:
        total = dict(self.node(moment.node, moment.z))
        if not moment.waits:
            return total
        for pool, members in self.members.items():
            wait = self.waits.get((pool, moment.promise.percentile), {})
            if not wait:
                continue
            contents = {flag: of for flag, _, of in self.sized[pool]}
            if all(not isinstance(of, int) for of in contents.values()):
                # What is in the pool is known to each flag.
                for flag, seconds in wait.items():
                    of = contents[flag]
                    if not isinstance(of, int) and any(stage in moment.stages for stage, _ in of):
                        total[flag] = total.get(flag, 0.0) + seconds
                continue
            visiting = [self.flags[stage][place] for stage, place in members if stage in moment.stages]
            if len(visiting) == len(members):
                total = plus(total, wait)
            elif visiting:
                visited = visiting[0] if len(visiting) == 1 else self._any(visiting)
                high = max(self.program.variables[variable].high for variable in wait)

                def counted(at: Mapping[int, float], visited: int = visited, wait: Terms = wait) -> float:
                    return value(wait, at) * at[visited]

                own = self.program.amount(high, self.unit, counted)
                self.program.at_most(plus(wait, {own: -1.0}), 0.0, when=visited)
                total = plus(total, {own: 1.0})
        return total

    def _dollars(self) -> Terms:
        problem, program = self.problem, self.program
        paid: Terms = {}
        for number, tier in enumerate(problem.tiers):
            each = self.devices(number)
            if not tier.dollars.value:
                continue
            if not tier.low and len(each) < 2:
                paid = plus(paid, each[0] if each else {}, tier.dollars.value)
                continue

            def most(at: Mapping[int, float], each: tuple[Terms, ...] = each, low: int = tier.low) -> float:
                return max([float(low), *(value(used, at) for used in each)])

            high = tier.low + sum(int(factor) for used in each for factor in used.values())
            count = program.count(high, most)
            program.at_most({CONSTANT: float(tier.low), count: -1.0}, 0.0)
            for used in each:
                program.at_most(plus(used, {count: -1.0}), 0.0)
            paid[count] = tier.dollars.value
        if problem.rate is not None:
            return plus(self.money, paid, 1.0 / problem.rate)
        return self._dollars_alone()

    def _dollars_alone(self) -> Terms:
        """Without a rate, devices are paid while a run takes: for each, a sum that is the run's seconds where it is
        used."""
        program = self.program
        finish = self.node(self.problem.moment("finish"), 0.0)
        high = self._most(0.0)[self.problem.moment("finish")] * 1.001
        total = dict(self.money)

        def taken(flag: int, price: float) -> None:
            seconds = program.amount(high, high * FINE, lambda at: value(finish, at) * at[flag])
            program.at_most(plus(finish, {seconds: -1.0}), 0.0, when=flag)
            total[seconds] = total.get(seconds, 0.0) + price

        for number, tier in enumerate(self.problem.tiers):
            price = tier.dollars.value
            if not price:
                continue
            each = self.devices(number)
            if not tier.low and len(each) < 2:
                for pool, terms in self.used.items():
                    devices = self.problem.pools[pool].devices
                    if self.reading.tier_of[pool] == number and devices and terms:
                        taken(next(iter(terms)) if len(terms) == 1 else self._any(list(terms)), price * devices)
                continue
            total = plus(total, finish, price * tier.low)
            flags: list[int] = []
            for extra in range(tier.low + 1, 1 + max([int(sum(used.values())) for used in each], default=0)):

                def more(at: Mapping[int, float], each: tuple[Terms, ...] = each, extra: int = extra) -> float:
                    return 1.0 if any(value(used, at) >= extra for used in each) else 0.0

                flags.append(program.count(1, more))
                taken(flags[-1], price)
            for used in each:
                program.at_most(plus(used, dict.fromkeys(flags, -1.0)), float(tier.low))
        return total

    # Choices and points.

    def point(self, choice: Choice) -> dict[int, float]:
        """The value of every variable for a choice."""
        reading = self.reading
        at: dict[int, float] = {}
        for stage, flags in enumerate(self.flags):
            for place, flag in flags.items():
                at[flag] = float(choice.options[stage] == place)
        fixed = reading.fixed(choice.options)
        steps = {load.pool: load for load in fixed.loads} if fixed else {}
        for pool, flags in self.sized.items():
            load, replicas = steps.get(pool), choice.replicas[pool]
            step = reading.step(load, replicas) if load is not None else 0
            inside = {one for one in self.members[pool] if choice.options[one[0]] == one[1]}
            done = load is None
            for flag, count, of in flags:
                fits = not done and count == replicas and (of >= step if isinstance(of, int) else set(of) == inside)
                at[flag] = float(fits)
                done = done or fits
        for number, variable in enumerate(self.program.variables):
            if number not in at:
                at[number] = variable.hint(at) if variable.hint else 0.0
        return at

    def choice(self, at: Any) -> Choice:
        """The choice that a point means; `at` gives the value of a variable."""
        options = tuple(next(place for place, flag in flags.items() if at(flag)) for flags in self.flags)
        pools = {self.reading.pool_of(stage, place) for stage, place in enumerate(options)}
        replicas = [0] * len(self.problem.pools)
        for pool in pools:
            replicas[pool] = next(count for flag, count, _ in self.sized[pool] if at(flag))
        return Choice(options, tuple(replicas))
