"""What holds of the scheduler, whatever comes in whatever order.

`Device` (tests/paged_device.py) does what it is ordered to and checks every page that is read, written, copied or
dropped; the machine below makes up requests that share beginnings, extends, cancels and releases them, and lets steps
end or fail.
"""

from __future__ import annotations

import ast
import inspect
import random
from pathlib import Path

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from paged_device import Device, whole

from agentlang.executor.scheduler import Refusal, Scheduler, Settings

FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

shapes = st.builds(
    lambda pages, page, rows, more, chunk, fairness, away: Settings(
        pages, page, rows, rows + more, chunk, fairness=fairness, patience=20.0, host=away[0], disk=away[1]
    ),
    st.integers(2, 12),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 12),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([(0, 0), (0, 0), (1, 0), (4, 0), (1, 3), (4, 20)]),
)
# Few different tokens, long runs of the same: beginnings are shared, and part in the middle of pages.
texts = st.lists(st.sampled_from([1, 1, 1, 1, 2]), min_size=1, max_size=30)
tenants = st.sampled_from(["a", "b", "c"])


class Requests(RuleBasedStateMachine):
    """Any requests on any device."""

    device: Device

    @initialize(shape=shapes)
    def start(self, shape: Settings) -> None:
        note(str(shape))
        self.device = Device(shape)

    def open(self, held: bool = False) -> list[int]:
        known = self.device.known
        return [
            n
            for n in known
            if n not in self.device.gone and not known[n].ended and (not held or known[n].out is not None)
        ]

    @rule(
        tokens=texts,
        tenant=tenants,
        due=st.none() | st.integers(0, 40),
        scope=st.sampled_from(["", "", "private"]),
        like=st.none() | st.integers(0, 20),
    )
    def arrive(self, tokens: list[int], tenant: str, due: int | None, scope: str, like: int | None) -> None:
        deadline = None if due is None else self.device.now + due
        number = self.device.arrive(tokens, tenant, deadline, scope=scope, prefix=like)
        fits = len(tokens) <= self.device.settings.capacity
        assert (number in self.device.refused) != fits

    @precondition(lambda self: self.open(held=True))
    @rule(which=st.integers(0), tokens=st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4))
    def extend(self, which: int, tokens: list[int]) -> None:
        held = self.open(held=True)
        number = held[which % len(held)]
        fits = len(self.device.known[number].tokens) + len(tokens) <= self.device.settings.capacity
        self.device.extend(number, tokens)
        assert (number in self.device.refused) != fits

    @precondition(lambda self: self.open())
    @rule(which=st.integers(0), cancel=st.booleans(), keep=st.booleans())
    def leave(self, which: int, cancel: bool, keep: bool) -> None:
        number = self.open()[which % len(self.open())]
        self.device.leave(number, cancel, keep)

    @precondition(lambda self: self.device.step is None)
    @rule()
    def begin(self) -> None:
        self.device.begin()

    @precondition(lambda self: self.device.step is not None)
    @rule(made=st.sampled_from([0, 1, 1, 1]))
    def end(self, made: int) -> None:
        """What came to its end goes on at once, as a reply does, or is held."""
        step = self.device.step
        assert step is not None
        parts = [*(part.sequence for part in step.prefill if part.last), *(row.sequence for row in step.decode)]
        room = self.device.settings.capacity
        open_now = self.open()
        more = {n: [1] for n in parts if made and n in open_now and len(self.device.known[n].tokens) < room}
        over = [p.sequence for p in (*step.prefill, *step.decode) if self.device.known[p.sequence].ended]
        self.device.end(more)
        assert set(over) <= self.device.gone, "what is cancelled is gone within a step"

    @precondition(lambda self: self.device.step is not None)
    @rule(luck=st.integers(0, 5))
    def fail(self, luck: int) -> None:
        if not luck:
            self.device.fail()

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "device"):
            self.device.check()

    def teardown(self) -> None:
        if hasattr(self, "device"):
            self.device.drain()
            self.device.check()


Requests.TestCase.settings = settings(
    max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRequests = Requests.TestCase


@FEW
@given(shapes, st.lists(st.tuples(texts, st.integers(0, 6)), min_size=1, max_size=6), st.integers(0, 2**32))
def test_what_comes_out_does_not_depend_on_the_company(
    shape: Settings, requests: list[tuple[list[int], int]], seed: int
) -> None:
    """All at once, in any turn, every sequence is served to its end with what it gives alone."""
    draw, device = random.Random(seed), Device(shape)
    left: dict[int, int] = {}
    for tokens, more in requests:
        if len(tokens) + more <= shape.capacity:
            left[device.arrive(tokens, draw.choice("ab"))] = more
    total = sum(len(tokens) + more for tokens, more in requests)
    while device.begin() is not None:
        step = device.step
        assert step is not None
        ends = [*(part.sequence for part in step.prefill if part.last), *(row.sequence for row in step.decode)]
        now = {n: [draw.choice((1, 2))] for n in ends if left[n]}
        device.end(now)
        for number in now:
            left[number] -= 1
        # A preemption costs a prompt again, but one that was admitted before all others goes on: no endless to and fro.
        assert device.steps <= 40 * (total + 1)
    assert not any(left.values())
    for number in left:
        assert device.known[number].out == whole(device.known[number].tokens)
    device.drain()
    device.check()


@FEW
@given(shapes, texts, st.integers(0, 2**32))
def test_nobody_starves(shape: Settings, tokens: list[int], seed: int) -> None:
    """While others keep coming, all of them due sooner, a request without a deadline is served in bounded steps."""
    draw, device = random.Random(seed), Device(shape)
    tokens = tokens[: shape.capacity]
    mine = device.arrive(tokens, "mine")
    come, most = 0, 0
    while device.known[mine].out is None:
        for _ in range(2):
            if len(device.known) - len(device.gone) < 8:
                length = draw.randint(1, min(6, shape.capacity))
                device.arrive([draw.choice((1, 2)) for _ in range(length)], draw.choice(("x", "y")), device.now + 1)
                come += 1
        most += 1
        assert device.begin() is not None
        device.end()
        for number in [n for n in device.known if n not in device.gone and n != mine and device.known[n].out]:
            device.leave(number, keep=False)
        # Patience of 20 steps, then whoever was due before it (8 at most, of 6 tokens), then its own work.
        fair = shape.fairness * (12 * most if shape.fairness else 0)
        assert most <= 20 + 8 * 6 + len(tokens) + fair + 30
    device.leave(mine)
    device.drain()


@FEW
@given(st.lists(st.integers(1, 100), min_size=2, max_size=8, unique=True), st.integers(1, 3), st.integers(1, 20))
def test_equal_work_ends_in_order_of_deadlines(dues: list[int], rows: int, length: int) -> None:
    device = Device(Settings(64, 4, rows, rows + 8, 8))
    numbers = {device.arrive([index + 1] * length, deadline=float(due)): due for index, due in enumerate(dues)}
    order: list[int] = []
    while device.begin() is not None:
        device.end()
        order += sorted((n for n in numbers if device.known[n].out and n not in order), key=lambda n: numbers[n])
    assert [numbers[number] for number in order] == sorted(dues)


@FEW
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 8))
def test_tenants_get_their_shares(requests: int, mine: int, weight: int) -> None:
    """However many requests one tenant has, another gets its share of the tokens for as long as it asks for more."""
    device = Device(Settings(200, 4, 1, 4, 4, patience=0.0, fairness=1000.0, weights={"few": float(weight)}))
    draw = random.Random(requests)
    many = {device.arrive([draw.randrange(100) for _ in range(4)], "many") for _ in range(requests)}
    few = {device.arrive([draw.randrange(100) for _ in range(4)], "few") for _ in range(mine)}

    def served(numbers: set[int]) -> int:
        return sum(device.known[number].computed for number in numbers)

    while device.begin() is not None:
        device.end()
        if any(device.known[n].out is None for n in many) and any(device.known[n].out is None for n in few):
            assert abs(served(few) / weight - served(many)) <= 4 + 4 / weight


@FEW
@given(st.integers(1, 5), st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(0, 40), st.integers(1, 20))
def test_what_is_computed_is_computed_once(page: int, beginning: list[int], shared: int, own: int) -> None:
    """A later request computes what it does not share, and its last token, and nothing else."""
    shared = min(shared, len(beginning))
    device = Device(Settings(100, page, 2, 64, 64))
    first = device.arrive(beginning)
    while device.begin() is not None:
        device.end()
    device.leave(first)
    second = device.arrive(beginning[:shared] + [50] * own)
    while device.begin() is not None:
        device.end()
    assert device.known[second].cached == min(shared, shared + own - 1)
    assert device.known[second].computed == own
    device.leave(second)
    third = device.arrive(beginning, scope="elsewhere")
    while device.begin() is not None:
        device.end()
    assert device.known[third].cached == 0


@FEW
@given(st.integers(1, 7), st.integers(1, 30), st.integers(0, 30), st.integers(0, 12))
def test_a_prefix_that_is_here_is_shared_to_the_token(page: int, length: int, shared: int, more: int) -> None:
    """Also the page that it still fills, which it goes on filling undisturbed."""
    shared = min(shared, length)
    device = Device(Settings(100, page, 2, 64, 64))
    first = device.arrive([1] * length)
    while device.begin() is not None:
        device.end()
    device.extend(first, [2] * more) if more else None
    tokens = [1] * shared + [3] * (1 if shared else 4)
    second = device.arrive(tokens, prefix=first)
    while device.begin() is not None:
        device.end()
    assert device.known[second].cached == min(shared, len(tokens) - 1)
    device.drain()
    device.check()


@FEW
@given(st.integers(1, 16), st.integers(0, 30))
def test_what_comes_together_is_computed_once(many: int, own: int) -> None:
    """Requests that come at once with the same beginning do not each compute it."""
    device = Device(Settings(200, 4, 16, 64, 64))
    beginning = [7] * 32
    for number in range(many):
        device.arrive([*beginning, *[100 + number] * own, 5])
    while device.begin() is not None:
        device.end()
    assert sum(step.tokens for step in device.work) <= len(beginning) + many * (own + 1 + 3)
    device.drain()
    device.check()


@FEW
@given(st.integers(1, 6), st.integers(0, 60), st.integers(1, 30))
def test_a_strict_deadline_is_kept_or_refused(rows: int, late: int, length: int) -> None:
    device = Device(Settings(64, 4, rows, rows + 4, 4))
    others = [device.arrive([number] * 12) for number in range(5)]
    mine = device.arrive([99] * length, deadline=device.now + late, strict=True)
    begun = False
    while device.begin() is not None:
        step = device.step
        assert step is not None
        if not begun and mine in {part.sequence for part in (*step.prefill, *step.decode)}:
            begun = True
            assert device.now < late
        device.end()
    assert begun != (device.refused.get(mine) is Refusal.LATE)
    assert not set(others) & device.refused.keys()
    device.drain()


def test_a_full_queue_refuses() -> None:
    device = Device(Settings(8, 4, 1, 4, 4, queue=2))
    numbers = [device.arrive([1]) for _ in range(4)]
    assert {n: device.refused.get(n) for n in numbers} == {
        1: None,
        2: None,
        3: Refusal.QUEUE_FULL,
        4: Refusal.QUEUE_FULL,
    }
    assert device.begin() is not None
    assert device.arrive([1]) not in device.refused
    device.drain()


@FEW
@given(st.integers(2, 6), st.integers(1, 4), st.integers(1, 4))
def test_the_preempted_come_back_and_finish(many: int, page: int, rows: int) -> None:
    """Each needs nearly all the memory by the end, so all but one have to give it up on the way."""
    shape = Settings(8, page, rows, rows + 8, 8)
    device = Device(shape)
    goal = shape.capacity - 1
    numbers = [device.arrive([number] * 2) for number in range(1, many + 1)]
    while device.begin() is not None:
        step = device.step
        assert step is not None
        ends = [*(part.sequence for part in step.prefill if part.last), *(row.sequence for row in step.decode)]
        more = {number: [number] for number in ends if len(device.known[number].tokens) < goal}
        device.end(more)
        for number in ends:
            if number not in more and number not in device.gone:
                device.leave(number)
        assert device.steps < 60 * many * goal
    assert all(len(device.known[number].tokens) == max(goal, 2) for number in numbers)
    if many > 4 and rows > 1 and page > 1:
        assert any(device.known[number].preemptions for number in numbers)
    device.check()


@FEW
@given(st.integers(2, 6), st.integers(1, 30), st.integers(1, 6))
def test_what_a_failed_step_wrote_to_is_not_used(page: int, length: int, more: int) -> None:
    device = Device(Settings(100, page, 2, 64, 64))
    first = device.arrive([1] * length)
    while device.begin() is not None:
        device.end()
    device.extend(first, [2] * more)
    assert device.begin() is not None
    device.fail()
    second = device.arrive([1] * length + [2] * more)
    while device.begin() is not None:
        device.end()
    assert device.known[second].out == whole([1] * length + [2] * more)
    device.drain()
    device.check()


@FEW
@given(st.integers(1, 40), st.integers(2, 10))
def test_to_be_idle_saves_up_nothing(alone: int, both: int) -> None:
    """One who comes when another had the device to itself gets its share from now on, not what it missed."""
    device = Device(Settings(400, 4, 1, 4, 4, patience=0.0, fairness=1000.0))
    draw = random.Random(alone)

    def ask(tenant: str) -> int:
        return device.arrive([draw.randrange(1000) for _ in range(4)], tenant)

    for _ in range(alone):
        ask("early")
        assert device.begin() is not None
        device.end()
    early, late = [ask("early") for _ in range(both)], [ask("late") for _ in range(both)]
    for _ in range(both):
        assert device.begin() is not None
        device.end()
    served = [sum(device.known[number].computed for number in numbers) for numbers in (early, late)]
    assert abs(served[0] - served[1]) <= 4


@FEW
@given(shapes, st.lists(texts, min_size=1, max_size=6), st.integers(0, 2**32))
def test_equal_events_give_equal_orders(shape: Settings, requests: list[list[int]], seed: int) -> None:
    draw = random.Random(seed)
    device = Device(shape)
    for tokens in requests:
        device.arrive(tokens, draw.choice("ab"))
        if draw.random() < 0.5 and device.begin() is not None:
            device.end()
    device.drain()
    again = Scheduler(shape)
    assert [again.handle(event) for event, _ in device.told] == [orders for _, orders in device.told]


def test_it_is_pure() -> None:
    """It imports nothing that has a clock, tasks, arrays or luck."""
    allowed = {
        "__future__",
        "collections",
        "contextlib",
        "dataclasses",
        "enum",
        "hashlib",
        "heapq",
        "itertools",
        "typing",
    }
    folder = Path(inspect.getfile(Scheduler)).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {name.name.split(".")[0] for name in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                assert node.level == 1 or (node.level, module) == (2, "messages") or module.split(".")[0] in allowed, (
                    path
                )


@FEW
@given(shapes, st.integers(1, 4), st.integers(1, 12))
def test_what_is_not_to_be_kept_is_gone(shape: Settings, many: int, more: int) -> None:
    """Also what was left in the cache by a preemption on the way."""
    device = Device(shape)
    length = min(4, shape.capacity)
    left = {device.arrive([number] * length): more for number in range(1, many + 1)}
    while device.begin() is not None:
        step = device.step
        assert step is not None
        ends = [*(part.sequence for part in step.prefill if part.last), *(row.sequence for row in step.decode)]
        now = {n: [n] for n in ends if left[n] and len(device.known[n].tokens) < shape.capacity}
        device.end(now)
        for number in ends:
            left[number] -= 1
            if number not in now:
                device.leave(number, keep=False)
    device.check()
    assert device.scheduler.cached_pages == 0
    assert device.known.keys() == device.gone


@FEW
@given(shapes, st.lists(texts, min_size=2, max_size=8), st.integers(0, 2**32))
def test_admission_promises_the_whole_prompt(shape: Settings, requests: list[list[int]], seed: int) -> None:
    """Where nothing grows behind its prompt, nobody is preempted, however the prompts come and share."""
    draw, device = random.Random(seed), Device(shape)
    waiting = [tokens[: shape.capacity] for tokens in requests]
    while waiting or device.begin() is not None:
        if device.step is None:
            device.arrive(waiting.pop())
            if draw.random() < 0.5:
                continue
            if device.begin() is None:
                continue
        device.end()
        for number in [n for n in device.known if n not in device.gone and device.known[n].out is not None]:
            device.leave(number)
    assert not any(known.preemptions for known in device.known.values())
