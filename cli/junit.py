"""What became of tests as JUnit's XML: a suite for each file, `failure` where an expectation does not hold, `error`
where something else failed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from ..base.problems import Problem
from ..base.render import terminal
from ..base.source import Source

if TYPE_CHECKING:
    from ..testing import Result

# What XML 1.0 has no form for, not even an escaped one.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def report(suites: Sequence[tuple[str, Sequence[Result]]], sources: Mapping[str, Source]) -> bytes:
    """The report of files by name. Times in seconds."""
    everything = [tested for _, suite in suites for tested in suite]
    root = Xml.Element("testsuites", {"name": "agentlang", **_counts(everything)})
    for name, suite in suites:
        parent = Xml.SubElement(root, "testsuite", {"name": _clean(name), **_counts(suite)})
        for tested in suite:
            _case(parent, name, tested, sources)
    Xml.indent(root)
    return Xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _case(parent: Xml.Element, name: str, tested: Result, sources: Mapping[str, Source]) -> None:
    named = {"classname": name.removesuffix(".agent"), "name": tested.title, "file": name}
    given = {**named, "line": str(tested.span.line), "time": f"{tested.seconds:.6f}"}
    case = Xml.SubElement(parent, "testcase", {key: _clean(value) for key, value in given.items()})
    match tested.status:
        case "failed":
            _reason(case, "failure", tested.problems, sources)
        case "error":
            _reason(case, "error", tested.problems, sources)
        case "interrupted":
            Xml.SubElement(case, "skipped", {"message": "interrupted"})
        case "passed":
            pass


def _reason(case: Xml.Element, tag: str, problems: Sequence[Problem], sources: Mapping[str, Source]) -> None:
    first = problems[0] if problems else Problem("unknown", "it failed without a reason")
    reason = Xml.SubElement(case, tag, {"type": first.slug, "message": _clean(first.title)})
    reason.text = _clean("\n\n".join(terminal(problem, sources) for problem in problems))


def _counts(suite: Sequence[Result]) -> dict[str, str]:
    statuses = [tested.status for tested in suite]
    return {
        "tests": str(len(statuses)),
        "failures": str(statuses.count("failed")),
        "errors": str(statuses.count("error")),
        "skipped": str(statuses.count("interrupted")),
        "time": f"{sum(tested.seconds for tested in suite):.6f}",
    }


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
