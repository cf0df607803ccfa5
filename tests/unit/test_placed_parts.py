"""The pieces of running in processes: what is sent, what is said, and what is refused, without processes."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from placed_runs import placing

import agentlang
from agentlang.base import version
from agentlang.base.problems import OutsideError, Problem
from agentlang.cli import placed as command
from agentlang.executor.frames import End
from agentlang.executor.machine.orders import Outcome, StageTiming, Timings
from agentlang.executor.wire import WireProblem
from agentlang.executor.workers import messages as m
from agentlang.executor.workers.parts import alone
from agentlang.executor.workers.places import Joining, KeySecret, Papers, split
from agentlang.executor.workers.shipping import Cellar, hash_of
from agentlang.placed import parcel_of


@pytest.mark.parametrize("secret", [KeySecret(b"k" * 32), Papers(b"a", b"b", b"c")])
def test_a_joining_is_handed_over_whole_and_shows_no_secret(secret: KeySecret | Papers) -> None:
    joining = Joining("unix:/run/home", "gpu/0.1", secret)
    assert Joining.read(joining.document()) == joining
    assert "kkk" not in repr(joining)


@pytest.mark.parametrize("document", [b"", b"\xc1", b"\x93\xa1a\xa1b\x90", b"\x90"])
def test_what_is_no_joining_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match="no joining"):
        Joining.read(document)


def test_addresses() -> None:
    assert split("unix:/a/b") == ("unix", "/a/b", 0)
    assert split("tcp://host:70") == ("tcp", "host", 70)
    assert split("tcp://[::1]:70") == ("tcp", "::1", 70)
    for wrong in ("unix:", "tcp://host", "tcp://:1", "tcp://h:99999", "http://h:1", "h:1"):
        with pytest.raises(ValueError, match="no address"):
            split(wrong)


MESSAGES: list[m.Message] = [
    m.Take("gpu/0.1", b"s", b""),
    m.Piece("00", b"data", True),
    m.Meet("far/0.2", "unix:/a"),
    m.Lost("far/0.2"),
    m.Start(7, "answer", None, True, {"far": "far/0.2"}),
    m.Cancel(7),
    m.Over(7),
    m.May(7, 1, False),
    m.Leave(),
]
ANSWERS: list[m.Message] = [
    m.Lacks(("00",)),
    m.Ready("unix:/b"),
    m.Refuses(b"x"),
    m.Met("far/0.2", "nobody"),
    m.Ended(7, b"e"),
    m.Acts(7, 1),
    m.Saw((("over", 0.1, 7, 3, "a.b", "ended", 2, {"tokens_out": 4.0}, True),)),
]


@pytest.mark.parametrize("message", [*MESSAGES, *ANSWERS], ids=lambda each: type(each).__name__)
def test_messages_are_heard_as_they_were_said_and_by_no_other_side(message: m.Message) -> None:
    here, there = m.heard_by_worker, m.heard_by_coordinator
    if message in ANSWERS:
        here, there = there, here
    if not isinstance(message, m.Saw):
        assert here(m.said(message)) == message
    with pytest.raises(WireProblem):
        there(m.said(message))
    with pytest.raises(WireProblem):
        here(m.said(message)[:-1])


def test_the_end_of_a_part_is_heard_as_it_was() -> None:
    timings = Timings(1.5, opening=0.5, stages=(StageTiming("a", 1, 0.0, None, 1.0, 0, 1.0),))
    problem = Problem("tier-gone", "gone")
    for outcome in (Outcome("done"), Outcome("failed", None, "unreachable", problem, "a")):
        end = End(outcome, {"tokens_in": 3.0}, timings)
        assert m.end_heard(m.end_said(end)) == end


def test_a_cellar_takes_what_it_asked_for_and_nothing_else(tmp_path: Path) -> None:
    cellar = Cellar(tmp_path)
    data = b"x" * 3000
    assert cellar.lacks((hash_of(data),)) == (hash_of(data),)
    assert not cellar.piece(hash_of(data), data[:1000], False)
    assert cellar.piece(hash_of(data), data[1000:], True)
    assert cellar.lacks((hash_of(data),)) == ()
    (tmp_path / hash_of(data)).write_bytes(b"changed")
    assert cellar.get(hash_of(data)) is None
    with pytest.raises(OutsideError) as raised:
        cellar.piece(hash_of(data), b"other", True)
    assert raised.value.problem.slug == "shipment-altered"


def test_files_stay_in_the_folder_that_they_are_laid_out_in(tmp_path: Path) -> None:
    cellar = Cellar(tmp_path)
    cellar.piece(hash_of(b"x"), b"x", True)
    for path in ("../out", "/etc/x", "a/../../out"):
        contents = m.Shipment("gpu", "d" * 64, "", None, (m.File(path, "code", hash_of(b"x")),), None)
        with pytest.raises(OutsideError) as raised:
            cellar.lay_out(contents)
        assert raised.value.problem.slug == "shipment-altered"


def test_what_is_sent_elsewhere_has_its_files_with_it(tmp_path: Path) -> None:
    made = placing(tmp_path, "counted")
    here, there = parcel_of(made, "far"), parcel_of(made, "far", elsewhere=True)
    assert here.contents.folder == str(tmp_path.resolve())
    assert here.contents.files == ()
    assert there.contents.folder is None
    assert [file.path for file in there.contents.files] == ["tools.py"]
    assert set(there.files) == {there.contents.module, *(file.hash for file in there.contents.files)}


def test_what_nobody_else_hears_of_is_known(tmp_path: Path) -> None:
    far = placing(tmp_path, "sure").islands["far"].graph()
    assert alone(far.pipeline("sure")) == (frozenset(), True)
    # Home decides what an `otherwise` leads to, so its channels tell.
    assert alone(far.pipeline("caught")) == (frozenset(), False)


@pytest.mark.parametrize(
    ("given", "slug"),
    [
        ({"on": "moon"}, "no-such-way"),
        ({"instances": ["gpu=2"]}, "only-placed"),
        ({"on": "processes", "durable": True}, "not-placed-yet"),
        ({"on": "processes", "instances": ["gpu=0"]}, "not-instances"),
        ({"on": "processes", "worker": ["gpu=host:1"]}, "not-an-address"),
        ({"on": "processes", "worker": ["gpu=tcp://host:1"]}, "worker-credentials"),
        ({"on": "processes"}, None),
    ],
)
def test_how_it_may_be_asked_for(given: dict[str, object], slug: str | None) -> None:
    asked = {"on": "local", "instances": [], "worker": [], "listen": None, "credentials": None, "sign": None}
    asked |= dict.fromkeys(("durable", "resume", "record", "replay", "enforce_goal"))
    found = command.usage(argparse.Namespace(**{**asked, **given}))
    assert (None if found is None else found.slug) == slug


def test_there_is_one_version() -> None:
    assert agentlang.__version__ == version.VERSION
