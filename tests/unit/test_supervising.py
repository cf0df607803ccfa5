"""What a coordinator decides, without processes: events in, orders out."""

from __future__ import annotations

import random

import pytest

from agentlang.executor.workers import supervision as sv
from agentlang.executor.workers.supervising import HOPELESS, REDONE, Supervisor


def launched(orders: list[sv.Order]) -> list[str]:
    return [order.name for order in orders if isinstance(order, sv.Launch)]


def up(supervisor: Supervisor, tier: str = "gpu", count: int = 1, at: float = 0.0) -> list[str]:
    names = launched(supervisor.handle(sv.Wanted(at, tier, count)))
    for name in names:
        supervisor.handle(sv.Joined(at, name))
    return names


def test_a_run_begins_when_every_tier_has_a_worker() -> None:
    supervisor = Supervisor()
    (name,) = launched(supervisor.handle(sv.Wanted(0.0, "gpu", 1)))
    assert supervisor.handle(sv.Begun(0.0, 1, ("gpu",))) == []
    assert supervisor.handle(sv.Joined(0.1, name)) == [sv.StartRun(1, {"gpu": name})]
    assert supervisor.handle(sv.RunOver(0.2, 1)) == []


@pytest.mark.parametrize(("before", "redone"), [(None, True), (sv.Given, False), (sv.Acted, False)])
def test_a_run_is_done_again_only_while_nothing_of_it_was_seen(before: object, redone: bool) -> None:
    supervisor = Supervisor()
    (name,) = up(supervisor)
    supervisor.handle(sv.Begun(0.0, 1, ("gpu",)))
    if before is not None:
        supervisor.handle(before(0.0, 1))  # type: ignore[operator]
    orders = supervisor.handle(sv.Gone(1.0, name))
    assert orders[0] == (sv.Redo(1) if redone else sv.Lose(1, "gpu"))


def test_what_cannot_be_given_again_is_not_done_again() -> None:
    supervisor = Supervisor()
    (name,) = up(supervisor)
    supervisor.handle(sv.Begun(0.0, 1, ("gpu",), replayable=False))
    assert supervisor.handle(sv.Gone(1.0, name))[0] == sv.Lose(1, "gpu")


def test_a_run_is_done_again_a_few_times_and_then_lost() -> None:
    supervisor = Supervisor()
    (name,) = up(supervisor)
    supervisor.handle(sv.Begun(0.0, 1, ("gpu",)))
    seen: list[type] = []
    for turn in range(REDONE + 1):
        at = 20.0 * turn
        orders = supervisor.handle(sv.Gone(at, name))
        seen.append(type(orders[0]))
        timer = next(order for order in orders if isinstance(order, sv.SetTimer))
        (name,) = launched(supervisor.handle(sv.Fired(timer.at)))
        supervisor.handle(sv.Joined(timer.at, name))
        if seen[-1] is sv.Redo:
            assert any(isinstance(order, sv.StartRun) for order in supervisor.handle(sv.Begun(at, 1, ("gpu",))))
    assert seen == [sv.Redo] * REDONE + [sv.Lose]


def test_the_pause_before_another_worker_grows_and_one_that_never_comes_is_given_up() -> None:
    supervisor = Supervisor()
    (name,) = launched(supervisor.handle(sv.Wanted(0.0, "gpu", 1)))
    supervisor.handle(sv.Begun(0.0, 1, ("gpu",)))
    pauses: list[float] = []
    at = 0.0
    for _ in range(HOPELESS - 1):
        (timer,) = supervisor.handle(sv.Gone(at, name))
        assert isinstance(timer, sv.SetTimer)
        pauses.append(timer.at - at)
        at = timer.at
        (name,) = launched(supervisor.handle(sv.Fired(at)))
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.0
    assert pauses[-1] >= 2.0
    assert supervisor.handle(sv.Gone(at, name)) == [sv.GivenUp("gpu", 0), sv.StartRun(1, {}, ("gpu",))]


def test_a_worker_that_is_replaced_goes_when_the_other_is_ready_and_its_runs_are_through() -> None:
    supervisor = Supervisor()
    (old,) = up(supervisor)
    supervisor.handle(sv.Begun(0.0, 1, ("gpu",)))
    (new,) = launched(supervisor.handle(sv.Replace(1.0, "gpu", 0)))
    assert supervisor.handle(sv.Begun(1.0, 2, ("gpu",))) == [sv.StartRun(2, {"gpu": old})]
    assert supervisor.handle(sv.Joined(2.0, new)) == [sv.Went("gpu", 0, True)]
    assert supervisor.handle(sv.Begun(2.0, 3, ("gpu",))) == [sv.StartRun(3, {"gpu": new})]
    assert supervisor.handle(sv.RunOver(3.0, 1)) == []
    assert supervisor.handle(sv.RunOver(3.0, 2)) == [sv.Stop(old)]
    assert supervisor.instances("gpu") == {0: new}


def test_a_tier_grows_and_shrinks() -> None:
    supervisor = Supervisor()
    first, second = up(supervisor, count=2)
    supervisor.handle(sv.Begun(0.0, 1, ("gpu",)))
    supervisor.handle(sv.Begun(0.0, 2, ("gpu",)))
    assert supervisor.handle(sv.Wanted(1.0, "gpu", 1)) == [sv.Went("gpu", 1, False)]
    assert supervisor.handle(sv.Begun(1.0, 3, ("gpu",))) == [sv.StartRun(3, {"gpu": first})]
    assert supervisor.handle(sv.RunOver(1.0, 2)) == [sv.Stop(second)]
    assert len(launched(supervisor.handle(sv.Wanted(2.0, "gpu", 3)))) == 2


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_each_run_ends_and_none_that_was_seen_is_done_again(seed: int) -> None:
    """Workers come and go at random; runs begin, give and act. In the end all is let go and nothing is left."""
    luck = random.Random(seed)
    supervisor = Supervisor()
    pending: list[sv.Order] = list(supervisor.handle(sv.Wanted(0.0, "a", 2)))
    pending += supervisor.handle(sv.Wanted(0.0, "b", 1))
    alive: set[str] = set()
    starting: set[str] = set()
    timers: list[float] = []
    running: dict[int, dict[str, str]] = {}
    seen: set[int] = set()
    lost: set[int] = set()
    begun = 0

    def take(orders: list[sv.Order]) -> None:
        for order in orders:
            match order:
                case sv.Launch():
                    starting.add(order.name)
                case sv.Stop():
                    assert not any(order.name in used.values() for used in running.values())
                    alive.discard(order.name)
                    starting.discard(order.name)
                case sv.StartRun():
                    assert order.run not in running
                    assert set(order.workers.values()) <= alive
                    running[order.run] = dict(order.workers)
                case sv.Redo():
                    assert order.run not in seen
                    assert order.run not in lost
                    del running[order.run]
                    again.append(order.run)
                case sv.Lose():
                    lost.add(order.run)
                case sv.SetTimer():
                    timers.append(order.at)
                case _:
                    pass

    again: list[int] = []
    take(pending)
    at = 0.0
    for _ in range(300):
        at += luck.random()
        while again:
            take(supervisor.handle(sv.Begun(at, again.pop(), ("a", "b"))))
        due = [each for each in timers if each <= at]
        timers = [each for each in timers if each > at]
        if due:
            take(supervisor.handle(sv.Fired(at)))
        match luck.randrange(7):
            case 0 if starting:
                name = starting.pop()
                alive.add(name)
                take(supervisor.handle(sv.Joined(at, name)))
            case 1 if alive:
                name = luck.choice(sorted(alive))
                alive.discard(name)
                take(supervisor.handle(sv.Gone(at, name)))
            case 2:
                begun += 1
                take(supervisor.handle(sv.Begun(at, begun, ("a", "b"))))
            case 3 if running:
                run = luck.choice(sorted(running))
                seen.add(run)
                take(supervisor.handle(luck.choice((sv.Given, sv.Acted))(at, run)))
            case 4 if running:
                run = luck.choice(sorted(running))
                del running[run]
                take(supervisor.handle(sv.RunOver(at, run)))
            case 5:
                take(supervisor.handle(sv.Wanted(at, "a", luck.randrange(1, 4))))
            case 6:
                take(supervisor.handle(sv.Replace(at, "b", 0)))
            case _:
                pass
    for run in tuple(running):
        del running[run]
        take(supervisor.handle(sv.RunOver(at, run)))
