"""LangGraph: a state graph of async nodes, and a fan-out by `Send`."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

Run = Callable[[], Awaitable[object]]


class Number(TypedDict):
    value: int


class Numbers(TypedDict):
    given: list[int]
    made: Annotated[list[int], operator.add]


async def add(state: Number) -> Number:
    return {"value": state["value"] + 1}


def chain(stages: int) -> Run:
    graph = StateGraph(Number)
    before = START
    for number in range(stages):
        graph.add_node(f"add{number}", add)
        graph.add_edge(before, f"add{number}")
        before = f"add{number}"
    graph.add_edge(before, END)
    compiled = graph.compile()

    async def run() -> object:
        return (await compiled.ainvoke({"value": 0}, {"recursion_limit": stages + 10}))["value"]

    return run


def fan(branches: int) -> Run:
    async def branch(state: Number) -> dict[str, list[int]]:
        return {"made": [state["value"] + 1]}

    async def source(state: Numbers) -> dict[str, list[int]]:
        del state
        return {"given": list(range(branches))}

    def spread(state: Numbers) -> list[Send]:
        return [Send("branch", {"value": value}) for value in state["given"]]

    graph = StateGraph(Numbers)
    graph.add_node("branch", branch)
    graph.add_node("source", source)
    graph.add_edge(START, "source")
    graph.add_conditional_edges("source", spread, ["branch"])
    graph.add_edge("branch", END)
    compiled = graph.compile()

    async def run() -> object:
        return (await compiled.ainvoke({"given": [], "made": []}))["made"]

    return run
