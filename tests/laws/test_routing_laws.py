"""Whatever comes in whatever order: the router loses no request, sends none to a replica that is down, keeps replicas
about even, is bounded and repeats."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.executor.routing import (
    POLICIES,
    Arrived,
    Cancelled,
    Done,
    Evicted,
    Lost,
    Policy,
    Rates,
    ReplicaDown,
    ReplicaUp,
    Router,
    Send,
    Started,
    chained,
)
from agentlang.executor.routing.blocks import blocks_of
from agentlang.executor.routing.messages import Event, Order

FEW = settings(max_examples=60, deadline=None)
RATES = Rates(0.001, 0.02, 0.001)
prompts = st.lists(st.integers(0, 2), min_size=0, max_size=8)
words = st.lists(
    st.tuples(
        st.sampled_from(["come"] * 6 + ["start"] * 4 + ["done"] * 3 + ["cancel", "up", "down", "drain", "evict"]),
        st.integers(0, 30),
        prompts,
    ),
    max_size=80,
)


def played(policy: Policy, told: list[tuple[str, int, list[int]]], blocks: int = 12) -> list[tuple[Event, list[Order]]]:
    """Words as events, with the laws checked after each."""
    router = Router(policy, 4)
    out: list[tuple[Event, list[Order]]] = []
    where: dict[int, int | None] = {}
    started: set[int] = set()
    there: set[int] = set()
    full: set[int] = set()
    numbers = 0
    for at, (word, number, prompt) in enumerate(told):
        event: Event | None = None
        known = sorted(where)
        one = known[number % len(known)] if known else None
        replica = number % 4
        match word:
            case "come":
                numbers += 1
                where[numbers] = None
                event = Arrived(at, numbers, 4 * len(prompt) + number % 5, chained(prompt), number)
            case "start" if one is not None and where[one] is not None:
                started.add(one)
                event = Started(at, one, number if number % 3 else None)
            case "done" | "cancel" if one is not None:
                del where[one]
                event = Done(at, one) if word == "done" else Cancelled(at, one)
            case "up":
                there.add(replica)
                full.discard(replica)
                event = ReplicaUp(at, replica, RATES, 2, blocks)
            case "down":
                there.discard(replica)
                full.discard(replica)
                event = ReplicaDown(at, replica)
            case "drain":
                there.discard(replica)
                full.add(replica)
                event = ReplicaDown(at, replica, drains=True)
            case "evict":
                event = Evicted(at, replica, chained(prompt))
            case _:
                continue
        if event is None:
            continue
        orders = router.handle(event)
        for order in orders:
            match order:
                case Send():
                    assert order.replica in there, "none to a replica that is not there"
                    assert order.cached >= 0 and order.expected >= 0
                    where[order.request] = order.replica
                    started.discard(order.request)
                case Lost():
                    assert order.request in started
                    del where[order.request]
        out.append((event, orders))
        waiting = [request for request, place in where.items() if place is None]
        assert router.waiting == len(waiting), "none is lost"
        assert not (waiting and there), "none waits while a replica is there"
        assert set(router.up) == there
        for place in range(4):
            assert router.open(place) == sum(each == place for each in where.values())
            assert router.work(place) >= -1e-12
        assert router.believed <= blocks * 4, "memory is bounded"
    for request in tuple(where):
        router.handle(Done(len(told), request))
    assert all(router.open(place) == 0 and abs(router.work(place)) < 1e-9 for place in range(4))
    return out


@FEW
@given(st.sampled_from(POLICIES), words)
def test_no_request_is_lost_and_none_goes_to_the_dead(policy: Policy, told: list[tuple[str, int, list[int]]]) -> None:
    first = played(policy, told)
    assert played(policy, told) == first, "equal events give equal orders"


@FEW
@given(st.lists(prompts, min_size=1, max_size=40), st.integers(2, 5), st.floats(0.0, 3.0))
def test_affinity_goes_no_further_than_a_prompt(texts: list[list[int]], count: int, affinity: float) -> None:
    """With all requests queued, no replica is ahead of another by more than the longest prompt, times the weight."""
    router = Router("cache_aware", 4, affinity)
    for number in range(count):
        router.handle(ReplicaUp(0.0, number, RATES, 10_000, 1000))
    longest = 0
    for number, text in enumerate(texts):
        tokens = 4 * len(text) + 1
        longest = max(longest, tokens)
        router.handle(Arrived(0.0, number, tokens, chained(text)))
        work = [router.work(replica) for replica in range(count)]
        assert max(work) - min(work) <= (affinity + 1.0) * longest * RATES.prefill + 1e-9


@FEW
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 8))
def test_what_is_believed_is_what_a_cache_would_have(sessions: list[int], room: int) -> None:
    """Beginnings outlive ends, and a miss takes with it what was used before."""
    router = Router("cache_aware", 4)
    router.handle(ReplicaUp(0.0, 0, RATES, 4, room))
    for number, session in enumerate(sessions):
        blocks = chained((session, place) for place in range(4))
        sent = router.handle(Arrived(0.0, number, 17, blocks))
        assert isinstance(sent[0], Send)
        cached = sent[0].cached
        router.handle(Started(0.0, number, 0))
        router.handle(Done(0.0, number))
        assert cached in (0, *range(4, 4 * min(4, room) + 1, 4))
        assert router.believed <= room
        # It was there a moment ago, whatever was before.
        again = router.handle(Arrived(0.0, 1000 + number, 17, blocks))
        assert isinstance(again[0], Send) and again[0].cached == 4 * min(4, room)
        router.handle(Cancelled(0.0, 1000 + number))


def test_a_session_stays_until_its_replica_is_behind() -> None:
    router = Router("cache_aware", 4)
    for number in range(2):
        router.handle(ReplicaUp(0.0, number, RATES, 4, 100))
    blocks = chained(range(10))
    home = router.handle(Arrived(0.0, 1, 41, blocks))[0]
    assert isinstance(home, Send) and home.replica == 0
    router.handle(Started(0.0, 1, 0))
    router.handle(Done(0.0, 1))
    back = router.handle(Arrived(0.0, 2, 41, blocks))[0]
    assert isinstance(back, Send) and (back.replica, back.cached) == (0, 40)
    router.handle(Done(0.0, 2))
    other = router.handle(Arrived(0.0, 3, 400, ()))[0]
    assert isinstance(other, Send) and other.replica == 1, "the one with an empty cache"
    router.handle(Cancelled(0.0, 3))
    # 0 gets a long prompt to compute: to wait for that takes longer than to compute the blocks again.
    router.handle(ReplicaDown(0.0, 1, drains=True))
    router.handle(Arrived(0.0, 4, 400, ()))
    router.handle(ReplicaUp(0.0, 1, RATES, 4, 100))
    away = router.handle(Arrived(0.0, 5, 41, blocks))[0]
    assert isinstance(away, Send) and away.replica == 1


def test_those_that_wait_go_by_their_deadlines() -> None:
    router = Router()
    assert router.handle(Arrived(0.0, 1, 5)) == router.handle(Arrived(0.0, 2, 5, deadline=3.0)) == []
    sent = router.handle(ReplicaUp(1.0, 7, RATES))
    assert [order.request for order in sent] == [2, 1]
    with pytest.raises(ValueError, match="here already"):
        router.handle(Arrived(1.0, 2, 5))


def test_blocks_are_named_by_all_before_them() -> None:
    one, other = blocks_of(range(40), 16), blocks_of([9, *range(1, 40)], 16)
    assert len(one) == 2
    assert one[0] != other[0] and one[1] != other[1]
    assert blocks_of(range(16), 16, "a") != blocks_of(range(16), 16, "b")


def test_it_is_pure() -> None:
    allowed = {"__future__", "collections", "dataclasses", "math", "typing"}
    for path in Path(inspect.getfile(Router)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert {name.name.split(".")[0] for name in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                assert node.level == 1 or (node.level, module) == (2, "messages") or module.split(".")[0] in allowed
