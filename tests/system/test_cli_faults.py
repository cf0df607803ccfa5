"""`agentlang check` on every fault that the language's description lists: as text, in one line each, and as JSON.

The command checks all the files in one go, once for each form, so that this stays fast.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Done, agentlang
from fault_list import FAULTS, Fault, together

NAMES = {fault.name: f"f{number:02}.agent" for number, fault in enumerate(FAULTS)}
ALL = {False: "all.agent", True: "broken.agent"}
ERRORS = [fault for fault in FAULTS if fault.severity == "error"]


@dataclass(frozen=True)
class Said:
    """What the command said of all files, in each form."""

    text: Done
    concise: Done
    json: Done
    problems: list[dict[str, Any]]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [problem for problem in self.problems if problem["span"]["path"] == name]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    folder = tmp_path_factory.mktemp("faults")
    for fault in FAULTS:
        (folder / NAMES[fault.name]).write_text(fault.text)
    for broken, name in ALL.items():
        (folder / name).write_text(together(broken)[0])
    files = [*NAMES.values(), *ALL.values()]
    # People are shown the first problems of a long list alone, so they are asked in parts.
    parts = [agentlang("check", *files[at : at + 20], cwd=folder) for at in range(0, len(files), 20)]
    text = Done(max(p.code for p in parts), "".join(p.out for p in parts), "".join(p.err for p in parts))
    concise = agentlang("check", "--format", "concise", *files, cwd=folder)
    document = agentlang("check", "--format", "json", *files, cwd=folder)
    return Said(text, concise, document, json.loads(document.out))


def position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def places(text: str, spans: list[tuple[int, int]]) -> Iterator[dict[str, dict[str, int]]]:
    """The spans as the JSON form gives them."""
    for start, end in spans:
        (line, column), (end_line, end_column) = position(text, start), position(text, end)
        yield {
            "start": {"line": line, "column": column, "offset": start},
            "end": {"line": end_line, "column": end_column, "offset": end},
        }


def test_exit_codes_and_outputs(said: Said) -> None:
    assert (said.text.code, said.concise.code, said.json.code) == (1, 1, 1)
    assert (said.text.out, said.concise.out, said.json.err) == ("", "", "")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_json_gives_the_fault_alone_at_its_words(said: Said, fault: Fault) -> None:
    name = NAMES[fault.name]
    found = said.of(name)
    assert [(p["slug"], p["severity"]) for p in found] == [(fault.slug, fault.severity)] * len(fault.spans)
    assert [p["span"] for p in found] == [{"path": name, **place} for place in places(fault.text, fault.spans)]
    for problem in found:
        assert problem["title"].strip()
        assert not problem["title"].endswith(".")
        assert "\n" not in problem["title"]
        assert problem["hint"].strip()
        assert ("fix" in problem) == fault.fix


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_one_line_each(said: Said, fault: Fault) -> None:
    name = NAMES[fault.name]
    lines = [line for line in said.concise.err.splitlines() if line.startswith(f"{name}:")]
    titles = [problem["title"] for problem in said.of(name)]
    spots = [position(fault.text, start) for start, _ in fault.spans]
    assert lines == [
        f"{name}:{line}:{column}: {fault.severity}[{fault.slug}]: {title}"
        for (line, column), title in zip(spots, titles, strict=True)
    ]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_text_shows_the_words_with_a_caret_and_the_next_step(said: Said, fault: Fault) -> None:
    name = NAMES[fault.name]
    for problem, (start, end) in zip(said.of(name), fault.spans, strict=True):
        line, column = position(fault.text, start)
        code = fault.text.splitlines()[line - 1]
        # The caret ends with the line where the words go on below it.
        width = max(1, min(end - start, len(code) - column + 1))
        gutter = len(str(max(line, *(r["span"]["start"]["line"] for r in problem.get("related", [])), 1)))
        shown = "\n".join(
            [
                f"{fault.severity}[{fault.slug}]: {problem['title']}",
                f"{' ' * gutter}--> {name}:{line}:{column}",
                f"{' ' * gutter} |",
                f"{line:>{gutter}} | {code}",
                f"{' ' * gutter} | {' ' * (column - 1)}{'^' * width}\n",
            ]
        )
        assert shown in said.text.err
        block = said.text.err[said.text.err.index(shown) :].split("\n\n")[0]
        assert block.splitlines()[-1] == f"{' ' * gutter} = next: {problem['hint']}"


@pytest.mark.parametrize("broken", [False, True])
def test_nothing_hides_another(said: Said, broken: bool) -> None:
    text, wanted = together(broken)
    assert len({slug for slug, _, _ in wanted}) >= 15
    name = ALL[broken]
    found = said.of(name)
    assert [p["slug"] for p in found] == [slug for slug, _, _ in wanted]
    spans = places(text, [(start, end) for _, start, end in wanted])
    assert [p["span"] for p in found] == [{"path": name, **span} for span in spans]


def test_a_warning_is_no_error(tmp_path: Path) -> None:
    warned = [fault for fault in FAULTS if fault.severity == "warning"]
    assert warned
    for number, fault in enumerate(warned):
        (tmp_path / f"w{number}.agent").write_text(fault.text)
    files = [f"w{number}.agent" for number in range(len(warned))]
    for form in ("text", "concise", "json"):
        assert agentlang("check", "--format", form, *files, cwd=tmp_path).code == 0
    (tmp_path / "e.agent").write_text(ERRORS[0].text)
    assert agentlang("check", *files, "e.agent", cwd=tmp_path).code == 1
