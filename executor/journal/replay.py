"""A recorded run, again: the same frames in the same order, without a backend; and the machine as it stood after any
record, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...ir.graph import Graph
from ..frames import Frame
from ..machine import orders
from .course import Course, ending, frame_of
from .file import Head
from .opening import new_course, step
from .records import Record, read


@dataclass(frozen=True, slots=True)
class State:
    """How a run stood after its first `number` records: `record` is the last of them, `at` in seconds of the run's own
    time. `running` are the ids of the stages that ran, `asked` the texts that waited for a person, `opening` the
    handles that were being opened, `waiting` how many items lay before stages that read, `frames` what had been given
    to the caller, and `over` whether the run was."""

    number: int
    at: float
    record: Record | None
    running: tuple[str, ...]
    asked: tuple[str, ...]
    opening: tuple[str, ...]
    waiting: int
    frames: tuple[Frame, ...]
    over: bool


class Replayed:
    """The records of a journal. `given` are the inputs that it does not tell, by name. What goes wrong is raised as
    `OutsideError`, when the record is come to."""

    def __init__(
        self, graph: Graph, head: Head, lines: tuple[str, ...], given: Mapping[str, object] | None = None
    ) -> None:
        self._graph = graph
        self._head = head
        self._lines = lines
        self._given = given or {}
        self._course = self._fresh()

    def __len__(self) -> int:
        return len(self._lines)

    def at(self, number: int) -> State:
        """The state after so many records. Forwards it goes on from the last that was asked for; backwards the run is
        led through again from its beginning. IndexError for more than there are."""
        if not 0 <= number <= len(self._lines):
            raise IndexError(f"the journal has {len(self._lines)} records")
        if number < self._course.count:
            self._course = self._fresh()
        course = self._course
        while course.count < number:
            step(course, course.count + 1, self._lines[course.count], self._head.run, self._head)
        return self._state(course)

    def states(self) -> Iterator[State]:
        """All of them, from before the first record to after the last."""
        return (self.at(number) for number in range(len(self._lines) + 1))

    @property
    def finished(self) -> bool:
        """Whether the run is over at the end of the journal."""
        return self.at(len(self._lines)).over

    def frames(self) -> tuple[Frame, ...]:
        """What the caller of the run was given, or lay ready to be."""
        self.at(len(self._lines))
        course = self._course
        last = [] if course.finish is None else ending(course.finish, course.machine.deployment)
        return (*course.frames, *map(frame_of, course.outgoing), *last)

    def _fresh(self) -> Course:
        return new_course(self._graph, self._head, self._given)

    def _state(self, course: Course) -> State:
        last = self._lines[course.count - 1] if course.count else None
        return State(
            course.count,
            course.at,
            None if last is None else read(last, lambda stage: f"<what stage {stage} gave>"),
            tuple(
                open_.order.operation.id if isinstance(open_.order, orders.StartStage) else open_.order.name
                for _, open_ in sorted(course.stages.items())
            ),
            tuple(question.text for question in course.questions.values()),
            tuple(course.opening),
            sum(len(reader.waiting) for reader in course.readers.values()),
            tuple(course.frames),
            course.finish is not None,
        )
