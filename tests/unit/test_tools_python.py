"""Python functions as tools, in real worker processes: what they give, and every way in which they can go wrong."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from tool_calls import BACKENDS, call, context, failure, library, run, value

from agentlang.executor.kinds import Context, StageFailure
from agentlang.executor.values import Shapes
from agentlang.ir.graph import RecordShape
from agentlang.lang.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    MONEY,
    TEXT,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    StreamType,
    Type,
)
from agentlang.stdlib.library import Library
from agentlang.stdlib.settings import SecretName, Settings, ToolSettings
from agentlang.stdlib.tools.network import no_network

SHOP = """
import asyncio, dataclasses, enum, os, socket, subprocess, sys, time
from collections import namedtuple

@dataclasses.dataclass
class Order:
    id: int
    item: str

Pair = namedtuple("Pair", "id item")
Colour = enum.Enum("Colour", "Red Green")

def order(id): return {"id": id, "item": "tea"}
def as_dataclass(id): return Order(id, "tea")
def as_namedtuple(id): return Pair(id, "tea")
def colour(): return Colour.Red
def same(x): return x
async def later(x):
    await asyncio.sleep(0.001)
    return x
def count(n): yield from range(n)
async def slowly(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i
def breaks_off():
    yield 1
    raise ValueError("the second is missing")
def stops():
    raise StopAsyncIteration
def say(x):
    print("one line"); sys.stderr.write("another\\n"); os.write(1, b"a third\\n")
    return x
def raises(): raise LookupError("no such order: 7")
def leaves(): raise SystemExit(3)
def hangs(): time.sleep(1000)
def dies(): os._exit(3)
def large(): return "x" * 100_000_000
def huge(): return "x" * 1_000_000_000
def hog(): return [bytearray(50_000_000) for _ in range(100)]
def endless():
    while True: yield "x" * 1_000_000
def deep():
    value = []
    for _ in range(5000): value = [value]
    return value
def unfit(): return {"seen": {1, 2}}
def infinite(): return float("inf")
def connects(port): socket.create_connection(("127.0.0.1", port)); return "connected"
def starts_another(): return subprocess.Popen(["sleep", "1000"], start_new_session=True).pid
def forks():
    return "child" if os.fork() == 0 else "parent"
def forks_and_raises():
    if os.fork() == 0: raise ValueError("in the child")
    return "parent"
def writes_over():
    for at in range(3, 12):
        try: os.write(at, b"\\0\\0\\0\\x02{}")
        except OSError: pass
    return "written"
def breaks_json():
    import json
    json.dumps = json.loads = json.JSONEncoder.encode = lambda *a, **k: "{}"
    return "broken"
def odd_error(): raise ValueError("\\ud800")
def goes_elsewhere(): os.chdir("/"); return os.getcwd()
def where(): return os.getcwd()
def secret(): raise ValueError("the key is " + os.environ["SHOP_KEY"])
def sees(name): return os.environ.get(name)
def process(): return os.getpid()
not_callable = 3
"""
ORDER = RecordType("Order")
SHAPES = Shapes({"Order": RecordShape("Order", (("id", INT), ("item", TEXT)))}, {})


@pytest.fixture
def shop(tmp_path: Path) -> Library:
    (tmp_path / "shop.py").write_text(SHOP)
    return library(tmp_path)


@pytest.fixture
def wrong(tmp_path: Path) -> Library:
    (tmp_path / "wrong.py").write_text(WRONG)
    return library(tmp_path)


def of(function: str, result: Type | None = JSON, **more: Any) -> Context:
    return context({"target": f"shop:{function}"}, result, SHAPES, tool="order", **more)


def alive(process: int) -> bool:
    """A zombie has ended; only nobody has asked for it yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- what it gives ---


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", ["order", "as_dataclass", "as_namedtuple"])
def test_a_record_comes_back_as_declared(shop: Library, function: str, backend: str) -> None:
    assert call(shop, "python:call", of(function, ORDER), backend, id=7) == {"id": 7, "item": "tea"}


@pytest.mark.parametrize(
    ("given", "type"),
    [
        ("grüß \U0001f600 \0", TEXT),
        (12345678901234567890123, INT),
        (0.1, FLOAT),
        (None, Primitive("Json")),
        (b"\0\xff", Primitive("Bytes")),
        ((1, 2, 3), ListType(INT)),
        (2.5, MONEY),
        ({"a": ({"b": True},)}, JSON),
    ],
)
def test_values_cross_over_and_come_back(shop: Library, given: object, type: Type) -> None:
    assert call(shop, "python:call", of("same", type), x=given) == given


def test_async_functions_and_enums(shop: Library) -> None:
    assert call(shop, "python:call", of("later"), x=5) == 5
    assert call(shop, "python:call", of("colour", TEXT)) == "Red"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", ["count", "slowly"])
def test_a_generator_is_a_stream(shop: Library, function: str, backend: str) -> None:
    assert call(shop, "python:call", of(function, StreamType(INT)), backend, n=4) == [0, 1, 2, 3]


def test_a_stream_that_breaks_off_gives_what_came_before(shop: Library) -> None:
    async def work() -> tuple[list[object], StageFailure]:
        items: list[object] = []
        with pytest.raises(StageFailure) as caught:
            async for item in shop.kind("python:call")(of("breaks_off", StreamType(INT)), {}):  # pyright: ignore[reportGeneralTypeIssues]
                items.append(item)
        return items, caught.value

    items, failed = run(shop, work)
    assert items == [1]
    assert failed.reason == "tool_error" and "the second is missing" in failed.problem.title


def test_what_a_tool_prints_is_heard_and_does_not_disturb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    assert call(library(tmp_path), "python:call", of("say"), x=1) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sorted(captured.err.splitlines()) == ["order: a third", "order: another", "order: one line"]


def test_a_warm_worker_serves_many_calls_and_a_changed_file_is_loaded_again(shop: Library, tmp_path: Path) -> None:
    async def work() -> list[int]:
        found = [await value(shop, "python:call", of("process")) for _ in range(3)]
        (tmp_path / "shop.py").write_text(SHOP + "\ndef process(): return -1\n")
        return [*found, await value(shop, "python:call", of("process"))]

    first, second, third, changed = run(shop, work)
    assert first == second == third
    assert changed == -1


def test_calls_at_once_run_beside_each_other_and_nothing_is_left(shop: Library) -> None:
    found: list[int] = []

    async def one() -> None:
        found.append(await value(shop, "python:call", of("process")))

    async def work() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)

    run(shop, work)
    assert len(found) == 20
    assert 1 < len(set(found)) <= 8
    assert not any(map(alive, found))


# --- how it fails ---


@pytest.mark.parametrize(
    ("function", "result", "reason", "slug", "says"),
    [
        ("raises", JSON, "tool_error", "tool-raised", "LookupError: no such order: 7"),
        ("leaves", JSON, "tool_error", "tool-raised", "SystemExit: 3"),
        ("stops", JSON, "tool_error", "tool-raised", "StopAsyncIteration"),
        ("dies", JSON, "tool_error", "tool-died", "exit code 3"),
        ("large", JSON, "tool_error", "tool-result-too-large", "64 MiB"),
        ("hog", JSON, "tool_error", "tool-out-of-memory", "1 GiB"),
        ("deep", JSON, "bad_output", "tool-wrong-result", "nested deeper"),
        (
            "unfit",
            JSON,
            "bad_output",
            "tool-wrong-result",
            "its result.seen is set, which no type of",
        ),
        ("infinite", FLOAT, "bad_output", "tool-wrong-result", "float inf"),
        ("missing", JSON, "tool_error", "tool-not-found", "no 'missing'"),
        ("not_callable", JSON, "tool_error", "tool-not-found", "is no function"),
        ("order", ORDER, "tool_error", "tool-arguments", "missing a required argument: 'id'"),
    ],
)
def test_it_fails_by_name(shop: Library, function: str, result: Type, reason: str, slug: str, says: str) -> None:
    failed = failure(shop, "python:call", of(function, result))
    assert (failed.reason, failed.problem.slug) == (reason, slug)
    assert says in failed.problem.title
    assert failed.problem.hint


@pytest.mark.slow
def test_a_result_of_a_gigabyte_fails_by_name(shop: Library) -> None:
    failed = failure(shop, "python:call", of("huge"))
    assert failed.problem.slug in ("tool-result-too-large", "tool-out-of-memory")


def test_the_tools_own_lines_are_shown_and_ours_are_not(shop: Library) -> None:
    detail = failure(shop, "python:call", of("raises")).problem.detail or ""
    assert detail.startswith("shop.py:") and "in raises" in detail
    assert "worker.py" not in detail


def test_the_wrong_type_says_what_came_and_what_is_declared(shop: Library) -> None:
    failed = failure(shop, "python:call", of("same", ORDER), x={"id": "seven", "item": "tea"})
    assert failed.reason == "bad_output"
    assert "Order" in failed.problem.title and "its result.id must be Int" in failed.problem.title
    assert '"seven"' in (failed.problem.detail or "")


WRONG = """
import dataclasses, decimal, datetime, numpy
@dataclasses.dataclass
class Order:
    id: int
    item: object
class Model:
    def model_dump(self): return {"id": True, "item": "tea"}
def yields(): yield "a"
GIVES = {
    "bytes": b"abc", "bytearray": bytearray(b"abc"), "numpy bytes": numpy.bytes_(b"abc"), "text": "YWJj", "true": True,
    "one": 1, "whole": 1.0, "nan": float("nan"), "numpy nan": numpy.float64("nan"), "inf": -float("inf"), "none": None,
    "numpy true": numpy.bool_(True), "numpy one": numpy.int64(1), "numpy half": numpy.float32(0.5), "tuple": ("a", "b"),
    "numpy list": numpy.array(["a", "b"]), "mixed": ["a", 1], "bytes inside": [b"a"], "set": {"a"}, "function": yields,
    "missing": {"id": 1}, "extra": {"id": 1, "item": "tea", "more": 1}, "float id": {"id": 1.0, "item": "tea"},
    "dataclass": Order(1, "tea"), "wrong dataclass": Order(1, b"tea"), "class": Order, "model": Model(),
    "key": {1: "a"}, "decimal": decimal.Decimal(1), "date": datetime.date(2020, 1, 1), "half": "\\ud800", "complex": 1j,
    "lookalike": {"\\0bytes": "!"}, "bytes within": {"a": [{"b": b"x"}]},
}
def give(what): return yields() if what == "generator" else GIVES[what]
"""


@pytest.mark.parametrize(
    ("what", "type", "expected"),
    [
        ("bytes", TEXT, "its result must be Text, not Bytes"),
        ("bytearray", TEXT, "its result must be Text, not Bytes"),
        ("numpy bytes", TEXT, "its result must be Text, not Bytes"),
        ("bytes", Primitive("Bytes"), b"abc"),
        ("text", Primitive("Bytes"), 'its result must be Bytes, not Text "YWJj"'),
        ("bytes", JSON, "its result must be Json, not Bytes"),
        ("bytes within", JSON, "its result.a[0].b must be Json, not Bytes"),
        ("bytes inside", ListType(TEXT), "its result[0] must be Text, not Bytes"),
        ("lookalike", JSON, {"\0bytes": "!"}),
        ("true", INT, "its result must be Int, not Bool true"),
        ("numpy true", INT, "its result must be Int, not Bool true"),
        ("numpy true", BOOL, True),
        ("one", BOOL, "its result must be Bool, not Int 1"),
        ("whole", INT, "its result must be Int, not Float 1.0"),
        ("one", FLOAT, 1.0),
        ("numpy one", INT, 1),
        ("numpy half", FLOAT, 0.5),
        ("true", FLOAT, "its result must be Float, not Bool true"),
        ("nan", FLOAT, "its result is float nan"),
        ("numpy nan", FLOAT, "its result is float nan"),
        ("inf", FLOAT, "its result is float -inf"),
        ("none", TEXT, "its result must be Text, not none"),
        ("none", OptionType(TEXT), None),
        ("tuple", ListType(TEXT), ("a", "b")),
        ("numpy list", ListType(TEXT), ("a", "b")),
        ("generator", ListType(TEXT), ("a",)),
        ("generator", TEXT, "its result must be Text, not a list"),
        ("mixed", ListType(TEXT), "its result[1] must be Text, not Int 1"),
        ("missing", ORDER, "its result lacks the field 'item' (Text) of Order"),
        ("extra", ORDER, "its result has a field 'more' that Order does not have"),
        ("float id", ORDER, "its result.id must be Int, not Float 1.0"),
        ("dataclass", ORDER, {"id": 1, "item": "tea"}),
        ("wrong dataclass", ORDER, "its result.item must be Text, not Bytes"),
        ("model", ORDER, "its result.id must be Int, not Bool true"),
        ("class", ORDER, "its result is type"),
        ("set", ListType(TEXT), "its result is set"),
        ("function", TEXT, "its result is function"),
        ("key", MapType(TEXT), "its result is int as a key"),
        ("decimal", FLOAT, "its result is Decimal"),
        ("date", TEXT, "its result is date"),
        ("complex", FLOAT, "its result is complex"),
        ("half", TEXT, "its result is str with half a character (U+D800)"),
        ("bytes", StreamType(TEXT), "it gave bytes, which has no items"),
        ("bytearray", StreamType(TEXT), "it gave bytearray, which has no items"),
        ("none", StreamType(TEXT), "it gave NoneType, which has no items"),
        ("mixed", StreamType(TEXT), "its result must be Text, not Int 1"),
    ],
)
def test_what_is_not_of_the_declared_type_is_named(wrong: Library, what: str, type: Type, expected: object) -> None:
    made = context({"target": "wrong:give"}, type, SHAPES, tool="give")
    if isinstance(expected, str):
        failed = failure(wrong, "python:call", made, what=what)
        assert (failed.reason, failed.problem.slug) == ("bad_output", "tool-wrong-result")
        assert failed.problem.title.startswith(f"give is declared to give {type}, but {expected}")
    else:
        given = call(wrong, "python:call", made, what=what)
        assert given == expected and repr(given) == repr(expected), "and 1.0 is not 1"


def test_a_misspelt_function_or_module_gets_a_suggestion(shop: Library) -> None:
    assert "'shop:order'" in (failure(shop, "python:call", of("ordr"), id=1).problem.hint or "")
    failed = failure(shop, "python:call", context({"target": "shopp:order"}))
    assert failed.problem.slug == "tool-not-found" and "'shop:order'" in (failed.problem.hint or "")


@pytest.mark.parametrize("function", ["forks", "forks_and_raises"])
def test_a_child_that_a_tool_forks_answers_nothing(shop: Library, function: str) -> None:
    for _ in range(5):
        assert call(shop, "python:call", of(function, TEXT)) == "parent"
        assert call(shop, "python:call", of("same", TEXT), x="mine") == "mine"


def test_what_is_no_answer_fails_by_name_and_the_next_call_is_served(shop: Library) -> None:
    failed = failure(shop, "python:call", of("writes_over", TEXT))
    assert (failed.reason, failed.problem.slug) == ("tool_error", "tool-died")
    assert "wrote what is no answer" in failed.problem.title
    assert call(shop, "python:call", of("same", TEXT), x="mine") == "mine"


def test_a_tool_that_changes_what_the_worker_uses_disturbs_nobody(shop: Library, tmp_path: Path) -> None:
    assert call(shop, "python:call", of("breaks_json", TEXT)) == "broken"
    assert call(shop, "python:call", of("same", TEXT), x="mine") == "mine"
    assert call(shop, "python:call", of("goes_elsewhere", TEXT)) == "/"
    assert call(shop, "python:call", of("where", TEXT)) == str(tmp_path.resolve())
    assert failure(shop, "python:call", of("odd_error", TEXT)).problem.slug == "tool-raised"


def test_after_a_failure_the_worker_still_serves(shop: Library) -> None:
    async def work() -> list[int]:
        found = [await value(shop, "python:call", of("process"))]
        for function in ("raises", "unfit", "large"):
            with pytest.raises(StageFailure):
                await value(shop, "python:call", of(function))
        return [*found, await value(shop, "python:call", of("process"))]

    first, last = run(shop, work)
    assert first == last


@pytest.mark.parametrize("source", ["import nosuch_module\n", "raise RuntimeError('at import')\n", "def broken(:\n"])
def test_a_module_that_does_not_load(tmp_path: Path, source: str) -> None:
    (tmp_path / "shop.py").write_text(source)
    failed = failure(library(tmp_path), "python:call", of("order"), id=1)
    assert (failed.reason, failed.problem.slug) == ("tool_error", "tool-does-not-load")
    assert "shop.py" in failed.problem.title


def test_a_module_hidden_by_pythons_own(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("def order(id): return id\n")
    failed = failure(library(tmp_path), "python:call", context({"target": "json:order"}), id=1)
    assert failed.problem.slug == "tool-not-found" and "rename the file" in failed.problem.title


@pytest.mark.parametrize("target", ["../shop:order", "/etc/shop:order", "a/../../shop:order"])
def test_a_target_outside_the_folder(tmp_path: Path, target: str) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "project").mkdir()
    failed = failure(library(tmp_path / "project"), "python:call", context({"target": target}))
    assert (failed.reason, failed.problem.slug) == ("denied", "tool-outside-folder")


def test_a_link_out_of_the_folder_counts_as_outside(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "shop.py").symlink_to(tmp_path / "shop.py")
    failed = failure(library(tmp_path / "project"), "python:call", of("order"), id=1)
    assert failed.problem.slug == "tool-outside-folder"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tool_that_hangs_is_ended_when_its_call_is(shop: Library, backend: str) -> None:
    async def work() -> float:
        await value(shop, "python:call", of("process"))
        began = time.monotonic()
        with anyio.move_on_after(0.1) as scope:
            await value(shop, "python:call", of("hangs"))
        assert scope.cancelled_caught
        return time.monotonic() - began

    assert run(shop, work, backend) < 2.0


def test_a_stream_that_is_left_ends_its_worker(shop: Library) -> None:
    async def work() -> int:
        items = shop.kind("python:call")(of("endless", StreamType(TEXT)), {})
        process = await value(shop, "python:call", of("process"))
        async for _ in items:  # pyright: ignore[reportGeneralTypeIssues]
            break
        await items.aclose()  # pyright: ignore[reportAttributeAccessIssue]
        return process

    assert not alive(run(shop, work))


def test_processes_that_a_tool_leaves_behind_are_ended_with_the_run(shop: Library) -> None:
    child = call(shop, "python:call", of("starts_another", INT))
    until = time.monotonic() + 2
    while alive(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(child)


# --- what the place says ---


def test_a_variable_that_the_place_gives_and_its_secret_masked(
    shop: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_SHOP", "very-secret-value")
    given = ToolSettings(env={"SHOP_KEY": SecretName("KEY_OF_SHOP"), "PLACE": "here"})
    shelf = library(tmp_path, settings=Settings(tools=given))
    assert call(shelf, "python:call", of("sees"), name="PLACE") == "here"
    failed = failure(shelf, "python:call", of("secret"))
    assert "[secret KEY_OF_SHOP]" in failed.problem.title
    assert "very-secret-value" not in str(failed.problem)


def test_its_limits(shop: Library, tmp_path: Path) -> None:
    small = library(tmp_path, settings=Settings(tools=ToolSettings(memory=float(200 << 20))))
    assert "200 MiB" in failure(small, "python:call", of("hog")).problem.title
    brief = library(tmp_path, settings=Settings(tools=ToolSettings(timeout=0.2)))
    slow = failure(brief, "python:call", of("hangs"))
    assert (slow.reason, slow.problem.slug) == ("timeout", "tool-too-slow")


# --- what it may see ---


def test_the_environment_is_not_handed_on(shop: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "very secret")
    assert call(shop, "python:call", of("sees"), name="SHOP_KEY") is None
    assert call(shop, "python:call", of("sees"), name="PATH") == os.environ["PATH"]


@pytest.mark.skipif(no_network() is None, reason="this system cannot close the network to a process")
def test_without_the_effect_there_is_no_network(shop: Library) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        failed = failure(shop, "python:call", of("connects"), port=listener.getsockname()[1])
        assert failed.reason == "tool_error" and "PermissionError" in failed.problem.title
        assert "`network`" in (failed.problem.hint or "")
        allowed = of("connects", effects=("network",))
        assert call(shop, "python:call", allowed, port=listener.getsockname()[1]) == "connected"
    finally:
        listener.close()
