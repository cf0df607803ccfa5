"""Pages that made way come back whole or not at all: whatever is read, damaged, lost or spoilt on the way, what comes
out of a sequence is the same, and nothing private is put on a disk. `Device` checks each page; see there."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paged_device import Device, whole

from agentlang.executor.scheduler import Priced, Settings

FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
rooms = st.sampled_from([(1, 0), (3, 0), (8, 0), (1, 1), (2, 6), (8, 40)])


def run(device: Device, tokens: list[int], private: bool = False) -> int:
    number = device.arrive(tokens, private=private)
    while device.begin() is not None:
        device.end()
    device.leave(number)
    return number


@FEW
@given(rooms, st.integers(0, 2**32))
def test_whatever_happens_on_the_way_the_tokens_are_the_same(room: tuple[int, int], seed: int) -> None:
    draw = random.Random(seed)
    device = Device(Settings(draw.randint(4, 10), draw.randint(1, 3), 3, 12, 8, host=room[0], disk=room[1]))
    texts = [[draw.choice((1, 1, 1, 2)) for _ in range(draw.randint(1, 14))] for _ in range(4)]
    for _ in range(40):
        here = [number for number in device.known if number not in device.gone and not device.known[number].ended]
        match draw.randrange(8):
            case 0 | 1 | 2:
                tokens = draw.choice(texts)[: device.settings.capacity]
                device.arrive([*tokens], private=draw.random() < 0.3)
            case 3 if device.step is None and device.coming:
                device.read(damaged=draw.random() < 0.4)
            case 4 if here:
                device.leave(draw.choice(here), cancel=draw.random() < 0.5)
            case 5 if device.disk and device.step is None:
                device.spoil(draw.choice(sorted(device.disk)))
            case 6 if device.step is None:
                device.tell(Priced(device.now, *(draw.random() for _ in range(4))))
            case _ if device.step is None:
                device.begin()
            case _:
                device.end()
        device.check()
    device.drain()
    device.check()
    host, disk = device.scheduler.put_away
    assert (host, disk) == (len(device.host), len(device.disk))
    assert host <= room[0] and disk <= room[1]


@FEW
@given(st.integers(2, 4), st.integers(2, 6), st.booleans())
def test_what_was_put_away_is_not_computed_again(page: int, length: int, to_disk: bool) -> None:
    """Two prompts that do not fit beside each other, in turns: the second turn computes the last page alone."""
    pages = length + 1
    away = (2 * pages, 0) if not to_disk else (max(2, 2 * pages), 4 * pages)
    device = Device(Settings(pages, page, 2, 64, 64, host=away[0], disk=away[1]))
    one, other = [1] * (page * length + 1), [2] * (page * length + 1)
    first = [run(device, tokens) for tokens in (one, other)]
    again = [run(device, tokens) for tokens in (one, other, one)]
    assert all(device.known[number].cached == 0 for number in first)
    assert all(device.known[number].cached == page * length for number in again)
    if to_disk:
        # Another process finds what the first left on the disk.
        for number in range(3, 3 + 3 * pages):
            run(device, [number] * (page * length + 1))
        later = device.again()
        kept = set(later.disk)
        found = later.known[run(later, one)].cached
        assert kept and (found == page * length or len(kept) == device.settings.disk)


def test_pages_come_back_where_that_is_faster() -> None:
    def cached(prefill: float, load: float) -> int:
        device = Device(Settings(5, 4, 2, 64, 64, host=16))
        device.tell(Priced(0.0, prefill, 0.0, 0.0))
        run(device, [1] * 17)
        run(device, [2] * 17)
        device.tell(Priced(0.0, prefill, 0.0, load))
        return device.known[run(device, [1] * 17)].cached

    assert cached(0.01, 0.03) == 16
    assert cached(0.01, 0.05) == 0


def test_a_prompt_of_many_pages_is_put_away() -> None:
    device = Device(Settings(1501, 1, 2, 2000, 2000, host=4000))
    run(device, [1] * 1500)
    run(device, [2] * 1500)
    assert device.known[run(device, [1] * 1500)].cached == 1499


def test_what_is_private_stays_in_memory() -> None:
    device = Device(Settings(5, 4, 2, 64, 64, host=2, disk=100))
    run(device, [7] * 17, private=True)
    for number in range(1, 6):
        run(device, [number] * 17)
    assert len(device.disk) > 0
    assert device.scheduler.put_away[0] == 2
    own = {name for name, states in device.host.items() if states[-1] not in whole_of(7)}
    assert len(own) == len(device.host), "what was private was forgotten"


def whole_of(token: int) -> set[bytes]:
    return {whole([token] * count) for count in range(1, 18)}
