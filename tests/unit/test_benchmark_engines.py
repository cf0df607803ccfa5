"""The benchmark of engines: what it asks is the same for all and found by none, what it counts is what was made, and
its table goes where it belongs."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from agentlang.executor.engines import engine
from agentlang.executor.engines.protocol import ModelSpec
from agentlang.stdlib.models.tiny import TinyLlama

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks.engines import prompts, table  # noqa: E402
from benchmarks.engines.measuring import Measured, decode_row, prefill_row  # noqa: E402
from benchmarks.engines.worker import Worker  # noqa: E402

sys.path.remove(str(ROOT))


def letters(text: str) -> tuple[int, ...]:
    return tuple(text.encode())


def test_no_prompt_begins_like_another() -> None:
    made = prompts.Prompts(letters)
    found = [made.one(64), *made.several(16, 64), made.one(512)]
    assert [len(each) for each in found] == [64] * 17 + [512]
    assert len({each[0] for each in found}) == len(found)


def test_without_a_trace_its_shares_are_made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGENTLANG_DATA", str(tmp_path))
    told, steps = prompts.agent_steps()
    assert "made up" in told
    assert [round(step.shared / step.then, 2) for step in steps] == [0.92, 0.85, 0.75]


def test_a_trace_gives_the_quarters_of_its_second_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = ["agent,session,step,timestamp_us,input_chars,output_chars,prefix_shared_with_prev_input_chars"]
    for number, shared in enumerate((4000, 3000, 2000, 1000)):
        rows += [f"miniswe,s{number},0,1,4000,9,0", f"miniswe,s{number},1,2,4400,9,{shared}"]
    rows += ["miniswe,long,0,1,90000,9,0", "miniswe,long,1,2,90400,9,90000", "other,o,0,1,9,9,0", "other,o,1,2,9,9,9"]
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "agent_shapes.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("AGENTLANG_DATA", str(tmp_path))
    told, steps = prompts.agent_steps()
    assert "4 sessions" in told
    assert [(step.before, step.then, step.shared) for step in steps] == [(1000, 1100, s) for s in (750, 500, 250)]


@pytest.mark.parametrize("count", [1, 5])
def test_a_worker_counts_what_was_made_behind_the_first_tokens(count: int) -> None:
    async def main() -> dict[str, float]:
        chosen = engine("null")
        model = await chosen.load(ModelSpec("any"))
        try:
            worker = Worker(chosen, model, TinyLlama(), 0.0)
            return await worker.serve([[7 + number] * 32 for number in range(count)], 8)
        finally:
            await model.close()

    found = anyio.run(main)
    # Others' tokens that came before the last one's first are no part of it.
    assert 0 < found["made"] <= 7 * count and found["decode"] > 0


def measured() -> Measured:
    rates = {"XLA, f32": 50.0, "other, f32": 25.0}
    found = Measured(tuple(rates), 2, read=30e9, temporaries={"rows-16": 3 << 20, "rows-1": 1 << 20})
    names = ["prefill", "masked", prefill_row(16, 256)]
    found.best = {name: dict(rates) for name in (*names, *(decode_row(c, p) for c in (1, 4) for p in (256, 1024)))}
    found.best[decode_row(16, 256)] = {name: 8 * rate for name, rate in rates.items()}
    found.best["first"] = {"XLA, f32": 0.5, "other, f32": 1.0}
    found.best["masked"] = {"XLA, f32": 40.0}
    for place in (256, 1024):
        for name, rate in rates.items():
            for of_reading in (rate / 10e9, rate / 30e9, rate / 40e9):  # the middle one counts
                found.note_beside(place, name, of_reading)
    found.masked, found.mask = {"XLA, f32": [1.0, 1.1, 2.0]}, 20e-6
    sizes = {"weights": 500_000_000, "cache": 40_000}
    found.about = {
        "XLA, f32": {"memory": 1 << 30, "load": 1.0, **sizes},
        "other, f32": {"memory": 2 << 30, "load": 2.0},
    }
    found.alike = {"XLA, f32": 48, "other, f32": 12}
    found.steps = [(prompts.Step("s", 1000, 1100, 990), "XLA, f32", 0.2, 0.9, True)]
    return found


def test_the_table_says_ratios_and_what_follows() -> None:
    text = table.page(measured())
    assert "| decode, 4 at once, up to 256 positions | 50 tok/s | 25 tok/s (0.50 x) |" in text
    assert "| first token behind 512 | 500 ms | 1000 ms (2.00 x) |" in text
    assert "| decode under a JSON Schema, 1 at once | 40 tok/s | — |" in text
    # 500 MB of weights and (256 - 16) positions of 40 kB, 50 times a second, of 30 GB/s.
    assert "the middle one of 3 replies: XLA, f32 85%; other, f32 42%." in text
    assert "A step of 16, of a step of 1, at 256 positions: XLA, f32 2.00 x (8.0 x the tokens/s)" in text
    assert "one behind the other: XLA, f32 +10.0%. A mask and its state take 20 us on the host, 0.10% of the" in text
    assert "3.00 MiB (`rows-16`)" in text
    assert "1,100 tokens, 90% shared): XLA, f32 0.20 x (90% found by itself)" in text


def test_the_table_is_put_between_its_markers_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write_into(page, "new \\1")
    assert page.read_text() == f"before\n{table.BEGIN}\n\nnew \\1\n\n{table.END}\nafter\n"
    page.write_text("none")
    with pytest.raises(ValueError, match="no markers"):
        table.write_into(page, "new")
