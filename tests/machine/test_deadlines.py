"""The heap of deadlines against a plain table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentlang.executor.deadlines import Deadlines

STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "cancel", "due"]), st.integers(0, 8), st.integers(0, 50)), max_size=300
)


@given(STEPS)
def test_it_is_a_table_of_times(steps: list[tuple[str, int, int]]) -> None:
    heap: Deadlines[int] = Deadlines()
    table: dict[int, float] = {}
    for what, owner, when in steps:
        if what == "set":
            heap.set(owner, when)
            table[owner] = when
        elif what == "cancel":
            heap.cancel(owner)
            table.pop(owner, None)
        else:
            due = heap.due(when)
            assert [table[owner] for owner in due] == sorted(table[owner] for owner in due)
            assert set(due) == {owner for owner, at in table.items() if at <= when}
            for late in due:
                del table[late]
        assert heap.earliest() == min(table.values(), default=None)
        assert len(heap) == len(table)


def test_what_is_cancelled_does_not_pile_up() -> None:
    heap: Deadlines[int] = Deadlines()
    for number in range(10_000):
        heap.set(number, number)
        heap.cancel(number)
    assert len(heap._heap) < 200
