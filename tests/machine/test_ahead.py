"""What is prefilled ahead: it gives what it can in time, and is otherwise as if it were not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driver import Driver
from graphs import Body

from agentlang.executor.machine import orders
from agentlang.executor.machine.orders import LetGo
from agentlang.ir.graph import Graph, KvType, Value
from agentlang.lang.types import BOOL, TEXT, ListType

KV = KvType("m")


def ahead(body: Body, model: Value) -> Value:
    attributes = {"entry": "llm:begin", "parameters": ("self",), "ahead": True}
    return body.operation("agent.prefill", (model,), KV, **attributes)


def use(body: Body, model: Value, kv: Value) -> Value:
    return body.stage("x:use", TEXT, of=model, prefix=kv)


def graph(write: Callable[[Body, Value, Value], Value], *, outside: bool = True) -> Graph:
    body = Body("p")
    model = body.input("model", TEXT)
    return body.graph(write(body, model, ahead(body, model) if outside else model))


def test_who_uses_it_waits_for_it() -> None:
    driver = Driver(graph(use))
    driver.begin(model="m")
    assert driver.running() == ["begin"]
    driver.end("begin", "cache")
    assert driver.arguments("use") == {"of": "m", "prefix": "cache"}
    driver.end("use", "said")
    assert driver.outcome() == ("done", "said")
    driver.check_idle()


@pytest.mark.parametrize("how", ["fails", "is late"])
def test_nobody_fails_with_it(how: str) -> None:
    driver = Driver(graph(use))
    driver.begin(model="m")
    if how == "fails":
        driver.fail("begin")
    else:
        driver.at(61.0)
        assert driver.stopped == [(60.0, "begin")]
    assert driver.arguments("use") == {"of": "m", "prefix": None}
    driver.end("use", "said")
    assert driver.outcome() == ("done", "said")
    driver.check_idle()


def test_what_begins_with_what_failed_begins_with_nothing() -> None:
    def write(body: Body, model: Value, kv: Value) -> Value:
        attributes = {"entry": "llm:more", "parameters": ("self", "prefix"), "ahead": True}
        return use(body, model, body.operation("agent.prefill", (model, kv), KV, **attributes))

    driver = Driver(graph(write))
    driver.begin(model="m")
    driver.fail("begin")
    assert driver.arguments("more") == {"self": "m", "prefix": None}
    driver.end("more", "cache")
    assert driver.arguments("use")["prefix"] == "cache"


def test_tokens_that_nobody_has_are_not_prefilled() -> None:
    def write(body: Body, model: Value, tokens: Value) -> Value:
        attributes = {"entry": "llm:fill", "parameters": ("self", "tokens"), "ahead": True}
        return use(body, model, body.operation("agent.prefill", (model, tokens), KV, **attributes))

    driver = Driver(graph(write))
    driver.begin(model="m")
    driver.fail("begin")
    assert driver.running() == ["use"]


def test_the_end_of_a_run_does_not_wait_for_it() -> None:
    def write(body: Body, model: Value, kv: Value) -> Value:
        return body.choose(
            body.stage("x:ask", BOOL), lambda inner: use(inner, model, kv), lambda inner: inner.constant("no"), TEXT
        )

    driver = Driver(graph(write))
    driver.begin(model="m")
    driver.end("ask", False)
    assert driver.outcome() == ("done", "no")
    assert driver.stopped == [(0.0, "begin")]
    driver.check_idle()


def test_waiting_for_it_is_a_part_of_a_call_and_of_its_time() -> None:
    def write(body: Body, model: Value, kv: Value) -> Value:
        return body.guard(lambda inner: use(inner, model, kv), TEXT, timeout=2.0)

    driver = Driver(graph(write))
    driver.begin(model="m")
    driver.at(3.0)
    assert driver.outcome() == ("failed", "timeout")
    assert driver.stopped == [(2.0, "begin")]
    driver.check_idle()


def test_a_fallback_runs_in_time_though_it_is_not_there() -> None:
    def write(body: Body, model: Value, kv: Value) -> Value:
        def slow(inner: Body) -> Value:
            return inner.guard(lambda innermost: use(innermost, model, kv), TEXT, timeout=2.0)

        return body.attempt(slow, lambda inner: inner.constant("short"), TEXT)

    driver = Driver(graph(write))
    driver.begin(model="m")
    driver.at(2.5)
    assert driver.outcome() == ("done", "short")
    driver.check_idle()


def test_a_turn_lets_go_of_its_own_when_it_is_through() -> None:
    def write(body: Body, model: Value, _: Value) -> Value:
        items = body.list(body.constant("a"), body.constant("b"))

        def turn(inner: Body, item: Value) -> Value:
            del item
            return use(inner, model, ahead(inner, model))

        return body.each(items, turn, ListType(TEXT), at_most=1)

    driver = Driver(graph(write, outside=False))
    released: list[object] = []
    obey = driver._obey

    def seen(order: orders.Order, todo: list[object]) -> None:
        if isinstance(order, LetGo):
            assert order.run == 1
            released.append(order.value)
        obey(order, todo)  # type: ignore[arg-type]

    driver._obey = seen  # type: ignore[method-assign, assignment]
    driver.begin(model="m")
    driver.end("begin", "cache 1")
    assert released == []
    driver.end("use", "said")
    assert released == ["cache 1"]
    driver.end("begin", "cache 2")
    driver.end("use", "said")
    assert released == ["cache 1", "cache 2"]
    assert driver.outcome() == ("done", ("said", "said"))
    driver.check_idle()


def test_a_region_that_is_stopped_stops_it_or_lets_go_of_it() -> None:
    def write(body: Body, model: Value, _: Value) -> Value:
        def tried(inner: Body) -> Value:
            kv, other = ahead(inner, model), ahead(inner, model)
            return inner.stage("x:both", TEXT, one=kv, two=other, said=inner.stage("x:ask", TEXT))

        return body.attempt(tried, lambda inner: inner.constant("no"), TEXT)

    driver = Driver(graph(write, outside=False))
    released: list[object] = []
    obey = driver._obey

    def seen(order: orders.Order, todo: list[object]) -> None:
        released.extend([order.value] if isinstance(order, LetGo) else [])
        obey(order, todo)  # type: ignore[arg-type]

    driver._obey = seen  # type: ignore[method-assign, assignment]
    driver.begin(model="m")
    driver.end("begin", "cache")
    driver.fail("ask")
    assert released == ["cache"]
    assert driver.stopped == [(0.0, "begin")]
    assert driver.outcome() == ("done", "no")
    driver.check_idle()
