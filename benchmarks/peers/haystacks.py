"""Haystack: components connected in a row. It has no fan-out over a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from haystack import Pipeline, component

Run = Callable[[], Awaitable[object]]


@component
class Add:
    @component.output_types(value=int)
    def run(self, value: int) -> dict[str, int]:
        return {"value": value + 1}


def chain(stages: int) -> Run:
    pipeline = Pipeline()
    for number in range(stages):
        pipeline.add_component(f"add{number}", Add())
    for number in range(stages - 1):
        pipeline.connect(f"add{number}.value", f"add{number + 1}.value")

    async def run() -> object:
        return pipeline.run({"add0": {"value": 0}})[f"add{stages - 1}"]["value"]

    return run
