"""A trace for Perfetto (ui.perfetto.dev) and chrome://tracing: Trace Event Format, as an array that may end
anywhere, so that the file of a run that was killed can be read, too.

A run is a process, named by its pipeline; what runs at the same time lies on lanes (threads) below each other. Opening
models is a process of its own. A stage has its items, its first item and its usage with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any

from ..observers import FirstItem, HandleOpening, HandleReady, Observer, RunOver, RunStarted, StageOver, StageStarted

_AT_ONCE = 4096
"""Events that are noted before they are written."""


class ChromeTrace(Observer):
    """`with ChromeTrace(path) as trace:`, given as an observer. OSError where the file cannot be opened. If it
    cannot be written later, the trace ends there and `failed` says why, for a trace must not end a run."""

    def __init__(self, path: Path) -> None:
        self._file: TextIOWrapper | None = path.open("w", encoding="utf-8")
        self._file.write("[\n")
        self._noted: list[Any] = []
        self._running: dict[int, tuple[StageStarted, int, list[bool]]] = {}
        self._first: dict[int, float] = {}
        self._lanes: dict[int, list[bool]] = {}
        self._runs: dict[int, RunStarted] = {}
        self._opening: dict[str, float] = {}
        self.failed: OSError | None = None

    def __enter__(self) -> ChromeTrace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is noted, stages that never ended included, and end the array. May be called again."""
        for number in tuple(self._running):
            self._note_stage(number, "cut", 0, {}, None)
        self._write(last=True)

    # --- events ---

    def run_started(self, event: RunStarted, /) -> None:
        self._runs[event.run] = event
        # Stages of fused operations and inputs may be told before their run is: lanes are made by whoever comes first.
        self._lanes.setdefault(event.run, [])

    def handle_opening(self, event: HandleOpening, /) -> None:
        self._opening[event.name] = event.at

    def handle_ready(self, event: HandleReady, /) -> None:
        began = self._opening.pop(event.name, event.at)
        self._noted.append(("open", event.name, began, event.at, event.failed))

    def stage_started(self, event: StageStarted, /) -> None:
        lanes = self._lanes.setdefault(event.run, [])
        try:
            lane = lanes.index(False)
            lanes[lane] = True
        except ValueError:
            lane = len(lanes)
            lanes.append(True)
        # Of a stage elsewhere, the end may be told after that of the run: it gives back the lane that it has.
        self._running[event.number] = (event, lane, lanes)

    def first_item(self, event: FirstItem, /) -> None:
        self._first[event.number] = event.at

    def stage_over(self, event: StageOver, /) -> None:
        self._note_stage(event.number, event.how, event.items, event.usage, event.at)

    def run_over(self, event: RunOver, /) -> None:
        started = self._runs.pop(event.run, None)
        self._lanes.pop(event.run, None)
        if started is not None:
            self._noted.append(("run", started, event.outcome.status, event.outcome.reason, event.usage, event.at))
        self._write()

    # --- what is written ---

    def _note_stage(self, number: int, how: str, items: int, usage: Mapping[str, float], at: float | None) -> None:
        began = self._running.pop(number, None)
        if began is None:
            return
        started, lane, lanes = began
        lanes[lane] = False
        self._noted.append(("stage", started, lane, self._first.pop(number, None), how, items, usage, at))
        if len(self._noted) >= _AT_ONCE:
            self._write()

    def _write(self, last: bool = False) -> None:
        noted, self._noted = self._noted, []
        if self._file is None:
            return
        try:
            for each in noted:
                for line in _lines(each):
                    self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + ",\n")
            if last:
                # No comma may stand before the end: the name of the process of models serves.
                self._file.write(json.dumps(_named(0, "models and resources")) + "\n]\n")
                self._file.close()
            else:
                self._file.flush()
        except OSError as error:
            self.failed, file, self._file = error, self._file, None
            with suppress(OSError):
                file.close()
        else:
            if last:
                self._file = None


def _lines(noted: tuple[Any, ...]) -> list[dict[str, object]]:
    match noted:
        case ("open", name, began, at, failed):
            return [_span(0, 0, name, "open", began, at, {"failed": True} if failed else {})]
        case ("run", started, status, reason, usage, at):
            told = {"status": status, **({"reason": reason} if reason else {}), **usage}
            title = f"{started.pipeline} #{started.run}"
            return [_named(started.run, title), _span(started.run, 0, started.pipeline, "run", started.at, at, told)]
        case ("stage", started, lane, first, how, items, usage, at):
            told: dict[str, object] = {"how": how, **usage}
            if started.index:
                told["turn"] = list(started.index)
            if items:
                told["items"] = items
            if first is not None:
                told["first item after ms"] = round((first - started.at) * 1e3, 3)
            over = started.at if at is None else at
            return [_span(started.run, lane + 1, started.stage, started.entry or "value", started.at, over, told)]
        case _:
            raise AssertionError(noted)


def _span(
    process: int, lane: int, name: str, category: str, began: float, over: float, told: Mapping[str, object]
) -> dict[str, object]:
    return {
        "name": name,
        "cat": category,
        "ph": "X",
        "ts": round(began * 1e6, 1),
        "dur": round((over - began) * 1e6, 1),
        "pid": process,
        "tid": lane,
        "args": dict(told),
    }


def _named(process: int, name: str) -> dict[str, object]:
    return {"name": "process_name", "ph": "M", "pid": process, "args": {"name": name}}
