"""What is limited and what is minimised."""

from __future__ import annotations

from collections.abc import Mapping

from ...space.evaluate import SLACK
from ..linear import CONSTANT, Terms, plus, value
from ..reading import Moment, Reading
from .pools import Pools
from .seconds import FINE


class Limits(Pools):
    def __init__(self, reading: Reading) -> None:
        super().__init__(reading)
        self._counts()
        self._links()
        self._promises()

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
