"""Passages, the index that is kept, search and reranking, with a small encoder that counts words."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agentlang.base.problems import OutsideError, Problem
from agentlang.stdlib.retrieval import Passage, best, build
from agentlang.stdlib.retrieval.graph import available
from agentlang.stdlib.retrieval.passages import count_words, cut
from agentlang.stdlib.store import Phase, Step


class WordCounts:
    """An encoder without a model: words fall into 64 bins. Texts with the same words are near each other."""

    def __init__(self, key: str = "words 1") -> None:
        self.key = key
        self.dimensions = 64
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += texts
        out = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                out[row, zlib.crc32(word.encode()) % self.dimensions] += 1
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def encoder() -> WordCounts:
    return WordCounts()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    pages = tmp_path / "program" / "pages"
    (pages / "more").mkdir(parents=True)
    (pages / "returns.md").write_text("# Returns\n\nYou have 30 days.\n\n## Cost\n\nThe label costs four euros.\n")
    (pages / "shops.md").write_text("# Shops\n\nThe shop opens at nine.\n")
    (pages / "more" / "tents.md").write_text("# Tents\n\nPitch the tent on level ground.\n")
    (pages / "notes.txt").write_text("Apples are red.\n")
    return tmp_path / "program"


# passages


def test_a_passage_carries_its_headings_and_its_line() -> None:
    text = "Before all.\n\n# Top\n\nOne.\n\n## Inner\nTwo\nwrapped.\n\n### Deep ##\n\nThree.\n\n## Other\n\nFour.\n"
    assert [(part.line, part.text) for part in cut(text, 50)] == [
        (1, "Before all."),
        (5, "Top\nOne."),
        (8, "Top > Inner\nTwo wrapped."),
        (13, "Top > Inner > Deep\nThree."),
        (17, "Top > Other\nFour."),
    ]


def test_blocks_are_packed_up_to_the_limit() -> None:
    text = "# T\n\none two three\n\nfour five\n\nsix seven eight nine\n"
    assert [(part.line, part.text) for part in cut(text, 5)] == [
        (3, "T\none two three\n\nfour five"),
        (7, "T\nsix seven eight nine"),
    ]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = "# T\n\nOne two three.\nFour five six. Seven\neight nine. Ten.\n"
    assert [(part.line, part.text) for part in cut(text, 6)] == [
        (3, "T\nOne two three. Four five six."),
        (4, "T\nSeven eight nine. Ten."),
    ]


def test_lists_tables_and_code_keep_their_lines() -> None:
    text = (
        "Intro:\n- one\n  wrapped\n- two\n1. three\n\n| a | b |\n|---|---|\n| c | d |\n\n"
        "```python\n# no heading\nx = 1\n\ny = 2\n```\n\n---\n\nSetext\n======\nEnd.\n"
    )
    assert [(part.line, part.text) for part in cut(text, 100)] == [
        (1, "Intro:\n- one wrapped\n- two\n1. three\n\n| a | b |\n| c | d |\n\n# no heading\nx = 1\n\ny = 2"),
        (22, "Setext\nEnd."),
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n\n# Only a heading\n", []),
        ("---\ntitle: A page\ntags:\n  - x\n---\nText.", [6]),
        ("---\nNot settings. A rule above.", [2]),
        ("```\nnever closed", [2]),
        ("a\r\n\r\nb\r\n", [1]),
        ("\ufeff# T\n\nText.", [3]),
        ("#hash is no heading", [1]),
    ],
)
def test_odd_documents(text: str, lines: list[int]) -> None:
    assert [part.line for part in cut(text, 100)] == lines


PLAIN = [
    "- item one",
    "2. two",
    "Some words here.",
    "More. Words! And",
    "",
    "第一句。第二句。",
    "word " * 30,
    "| a | b |",
]
MARKED = [*PLAIN, "# A", "## B b", "```", "---", "===", "|---|---|"]


@given(st.lists(st.sampled_from(PLAIN), max_size=30).map("\n".join), st.integers(1, 40))
def test_passages_keep_every_word_in_order(document: str, words: int) -> None:
    assert "".join("".join(part.body.split()) for part in cut(document, words)) == "".join(document.split())


@given(st.lists(st.sampled_from(MARKED), max_size=30).map("\n".join), st.integers(1, 40))
def test_passages_start_where_they_say_and_are_as_long_as_asked(document: str, words: int) -> None:
    lines = document.split("\n")
    passages = cut(document, words)
    assert [part.line for part in passages] == sorted(part.line for part in passages)
    for part in passages:
        assert part.body.split()[0][:2] in lines[part.line - 1]
        assert part.body == part.body.strip()
        assert count_words(part.body) <= max(words, 1)


# the index


def test_the_nearest_passage_comes_first(folder: Path, encoder: WordCounts) -> None:
    index, problems = build(folder, "pages/*.md", encoder)
    assert problems == ()
    best, *others = index.search("What does the label cost, four euros?", top=2)
    assert (best.path, best.line, best.text) == ("pages/returns.md", 7, "Returns > Cost\nThe label costs four euros.")
    assert len(others) == 1 and -1 <= others[0].score <= best.score <= 1
    assert len(index.search("anything", top=100)) == len(index.passages) == 3
    assert index.search("anything", top=0) == []


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("pages/*.md", ["pages/returns.md", "pages/shops.md"]),
        ("pages/**/*.md", ["pages/more/tents.md", "pages/returns.md", "pages/shops.md"]),
        ("pages/*.txt", ["pages/notes.txt"]),
        ("pages/shops.md", ["pages/shops.md"]),
        ("./pages/s*.md", ["./pages/shops.md"]),
        ("../program/pages/s*.md", ["../program/pages/shops.md"]),
        ("*/shops.md", ["pages/shops.md"]),
    ],
)
def test_paths_are_as_the_pattern_writes_them(
    folder: Path, encoder: WordCounts, pattern: str, paths: list[str]
) -> None:
    index, _ = build(folder, pattern, encoder)
    assert sorted({passage.path for passage in index.passages}) == paths


def test_an_absolute_pattern(folder: Path, encoder: WordCounts) -> None:
    index, _ = build(Path("/"), f"{folder}/pages/s*.md", encoder)
    assert [passage.path for passage in index.passages] == [f"{folder}/pages/shops.md"]


def test_only_what_changed_is_embedded_again(folder: Path, encoder: WordCounts) -> None:
    first, _ = build(folder, "pages/*.md", encoder)
    assert len(encoder.embedded) == 3
    encoder.embedded.clear()
    again, _ = build(folder, "pages/*.md", encoder)
    assert encoder.embedded == []
    assert again.passages == first.passages
    assert [p.score for p in again.search("label cost", 3)] == [p.score for p in first.search("label cost", 3)]
    encoder.embedded.clear()

    (folder / "pages" / "shops.md").write_text("# Shops\n\nThe shop opens at ten.\n")
    (folder / "pages" / "copy.md").write_bytes((folder / "pages" / "returns.md").read_bytes())
    changed, _ = build(folder, "pages/*.md", encoder)
    assert encoder.embedded == ["Shops\nThe shop opens at ten."], "a copy of a known document costs nothing"
    assert changed.search("Shops: the shop opens at ten.", 1)[0].path == "pages/shops.md"
    assert {passage.path for passage in changed.passages} == {"pages/copy.md", "pages/returns.md", "pages/shops.md"}

    (folder / "pages" / "returns.md").unlink()
    (folder / "pages" / "copy.md").unlink()
    fewer, _ = build(folder, "pages/*.md", encoder)
    assert {passage.path for passage in fewer.passages} == {"pages/shops.md"}


def test_another_encoder_or_size_is_another_index(folder: Path) -> None:
    build(folder, "pages/*.md", WordCounts())
    for other, words in ((WordCounts("words 2"), 120), (WordCounts(), 3)):
        build(folder, "pages/*.md", other, words)
        assert len(other.embedded) >= 3


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "flipped"])
def test_a_damaged_index_is_built_again(folder: Path, encoder: WordCounts, tmp_path: Path, damage: str) -> None:
    index, _ = build(folder, "pages/*.md", encoder)
    (file,) = (tmp_path / "home" / "indexes").iterdir()
    data = file.read_bytes()
    file.chmod(0o600)
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
    file.write_bytes({"cut": data[:-30], "empty": b"", "garbage": b"x" * 500, "flipped": flipped}[damage])
    encoder.embedded.clear()
    again, _ = build(folder, "pages/*.md", encoder)
    assert len(encoder.embedded) == 3
    assert again.passages == index.passages
    assert file.read_bytes() == data, "and the file is whole again"


def test_an_index_that_cannot_be_kept_still_works(folder: Path, encoder: WordCounts, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    index, _ = build(folder, "pages/*.md", encoder)
    assert index.search("label", 1)


def test_an_interrupted_build_leaves_nothing(folder: Path, encoder: WordCounts, tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(folder, "pages/*.md", encoder, progress=stop)
    assert not (tmp_path / "home").exists()


def test_progress_reaches_its_end(folder: Path, encoder: WordCounts) -> None:
    (folder / "pages" / "long.md").write_text("\n\n".join(f"Paragraph {n}." for n in range(300)))
    steps: list[Step] = []
    build(folder, "pages/*.md", encoder, words=2, progress=steps.append)
    assert {step.phase for step in steps} == {Phase.INDEX}
    assert len(steps) > 4 and steps[-1].done == steps[-1].total
    assert [step.done for step in steps] == sorted(step.done for step in steps)


def _no_documents(folder: Path, pattern: str) -> Problem:
    with pytest.raises(OutsideError) as caught:
        build(folder, pattern, WordCounts())
    assert caught.value.problem.slug == "no-documents"
    assert str(folder) in (caught.value.problem.hint or "")
    return caught.value.problem


def test_why_there_are_no_documents(folder: Path) -> None:
    assert f"there is no folder {folder}/page" in _no_documents(folder, "page/*.md").title
    assert f"no file in {folder}/pages matches" in _no_documents(folder, "pages/*.rst").title
    assert "is a folder; name its files (pages/*.md)" in _no_documents(folder, "pages").title
    assert "no such file" in _no_documents(folder, "pages/none.md").title
    (folder / "blank.md").write_text("\n \n")
    assert "hold no text" in _no_documents(folder, "blank.md").title
    (folder / "blank.md").write_bytes(b"caf\xe9")
    assert "blank.md is left out of the index: it is not UTF-8 (byte 3)" in _no_documents(folder, "blank.md").title


def test_documents_that_are_no_text_are_left_out(folder: Path, encoder: WordCounts) -> None:
    pages = folder / "pages"
    (pages / "latin.md").write_bytes("# Café\n".encode("latin-1"))
    (pages / "zeros.md").write_bytes(b"a\0b")
    (pages / "folder.md").mkdir()
    (pages / "dangling.md").symlink_to(pages / "nowhere")
    index, problems = build(folder, "pages/*.md", encoder)
    assert {passage.path for passage in index.passages} == {"pages/returns.md", "pages/shops.md"}
    assert [(problem.slug, problem.title.split()[0]) for problem in problems] == [
        ("document-skipped", "pages/latin.md"),
        ("document-skipped", "pages/zeros.md"),
    ]


# reranking


def test_the_best_come_first() -> None:
    passages = [Passage("a", 1, "x" * n, 0.5) for n in (10, 3, 12, 10)]
    scores = [len(passage.text) - 10.0 for passage in passages]
    kept = best(scores, passages, 3)
    assert [len(passage.text) for passage in kept] == [12, 10, 10]
    assert [passage.score for passage in kept] == pytest.approx([0.8808, 0.5, 0.5], abs=1e-4)
    assert kept[1] == replace(passages[0], score=0.5), "equal ones stay in order"
    assert best(scores, passages, 0) == best([], [], 3) == []
    assert best([3000.0], passages[:1], 1)[0].score == 1.0
    assert best([-3000.0], passages[:1], 1)[0].score == 0.0


# large indexes


def needs_usearch() -> None:
    # Not by importing it: see `graph`, which does so after what has to be there first.
    if not available():
        pytest.skip("usearch is not installed")


class Spread:
    """An encoder without a model: each text lies where its number says, on a sphere of few dimensions."""

    key = "spread 1"
    dimensions = 24

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += len(texts)
        rows = [
            np.random.default_rng(zlib.crc32(text.split()[-1].encode())).standard_normal(self.dimensions)
            for text in texts
        ]
        found = np.asarray(rows, np.float32).reshape(len(texts), self.dimensions)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def large(folder: Path) -> Path:
    pages = folder / "large"
    pages.mkdir()
    for page in range(20):
        (pages / f"{page:02}.md").write_text("\n\n".join(f"Paragraph p{page * 150 + n}" for n in range(150)))
    return folder


def graphs(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "home" / "indexes").glob("*.graph"))


def test_a_graph_finds_nearly_all_with_the_same_scores(large: Path, tmp_path: Path) -> None:
    needs_usearch()
    exact, _ = build(large, "large/*.md", Spread(), 2)
    near, _ = build(large, "large/*.md", Spread(), 2, graph_from=1000)
    assert exact.exact and not near.exact and len(near.passages) == 3000
    found = wanted = 0
    for number in range(60):
        one, other = exact.search(f"q{number}", 10), near.search(f"q{number}", 10)
        assert len(other) == 10 and [p.score for p in other] == sorted((p.score for p in other), reverse=True)
        scores = {p.text: p.score for p in one}
        wanted += len(one)
        found += sum(p.text in scores for p in other)
        assert all(p.score == pytest.approx(scores[p.text], abs=1e-6) for p in other if p.text in scores)
    assert found >= 0.95 * wanted
    assert near.search("Paragraph p77", 1)[0].text == "Paragraph p77"
    assert near.search("q", 0) == [] and len(near.search("q", 5000)) == 3000
    assert len(graphs(tmp_path)) == 1


def test_a_graph_is_kept_until_something_changes(large: Path, tmp_path: Path) -> None:
    needs_usearch()
    steps: list[Step] = []

    def opened(words: int = 2) -> bool:
        """Whether a graph was built."""
        steps.clear()
        build(large, "large/*.md", encoder, words, progress=steps.append, graph_from=1000)
        return any(step.total == 3000 or step.total == 2999 for step in steps)

    encoder = Spread()
    assert opened()
    assert not opened() and encoder.embedded == 3000
    (first,) = graphs(tmp_path)
    before = first.read_bytes()
    page = large / "large" / "00.md"
    page.write_text(page.read_text().replace("Paragraph p7\n", "Paragraph other\n"))
    assert opened() and encoder.embedded == 3000 + 150, "one document is embedded again, and the graph built"
    assert graphs(tmp_path) == [first] and first.read_bytes() != before
    assert opened(3) and len(graphs(tmp_path)) == 2, "other settings are another index"


@pytest.mark.parametrize("damage", ["cut", "cut to the hash", "empty", "garbage", "flipped", "another's", "a folder"])
def test_a_damaged_graph_is_built_again(large: Path, tmp_path: Path, damage: str) -> None:
    needs_usearch()
    index, _ = build(large, "large/*.md", Spread(), 2, graph_from=1000)
    wanted = index.search("Paragraph p1234", 1)
    del index  # a file that is in use is replaced, never written
    (file,) = graphs(tmp_path)
    data = file.read_bytes()
    file.chmod(0o600)
    if damage == "a folder":
        file.unlink()
        (file / "inside").mkdir(parents=True)
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        body = data[:-64]
        other = {
            "cut": data[:-500],
            "cut to the hash": data[:60],
            "empty": b"",
            "garbage": b"x" * 5000,
            "flipped": flipped,
            "another's": body + bytes(32) + data[-32:],
        }
        file.write_bytes(other[damage])
    again, _ = build(large, "large/*.md", Spread(), 2, graph_from=1000)
    assert not again.exact
    assert again.search("Paragraph p1234", 1) == wanted
    if damage != "a folder":
        assert file.read_bytes() != other[damage], "and the file is whole again"
        assert len(file.read_bytes()) == pytest.approx(len(data), rel=0.05)


def test_without_the_library_a_search_is_exact(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentlang.stdlib.retrieval import graph

    monkeypatch.setattr(graph, "available", lambda: False)
    index, _ = build(large, "large/*.md", Spread(), 2, graph_from=1000)
    assert index.exact and index.search("Paragraph p5", 1)[0].text == "Paragraph p5"


def test_a_document_that_is_there_twice_is_found_twice(large: Path) -> None:
    for graph_from in (10**9, 1000):
        (large / "large" / "copy.md").write_bytes((large / "large" / "03.md").read_bytes())
        index, _ = build(large, "large/*.md", Spread(), 2, graph_from=graph_from)
        first, second = index.search("Paragraph p460", 2)
        assert (first.path, second.path) == ("large/03.md", "large/copy.md")
        assert first.score == second.score == pytest.approx(1.0, abs=1e-6)
        (large / "large" / "03.md").rename(large / "large" / "renamed.md")
        moved, _ = build(large, "large/*.md", Spread(), 2, graph_from=graph_from)
        assert {p.path for p in moved.search("Paragraph p460", 2)} == {"large/copy.md", "large/renamed.md"}
        (large / "large" / "renamed.md").rename(large / "large" / "03.md")


def test_an_interrupted_graph_leaves_nothing(large: Path, tmp_path: Path) -> None:
    needs_usearch()
    build(large, "large/*.md", Spread(), 2)

    def stop(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(large, "large/*.md", Spread(), 2, progress=stop, graph_from=1000)
    assert graphs(tmp_path) == []
    assert not list((tmp_path / "home" / "indexes").glob(".*"))


def test_searches_from_many_threads(large: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    index, _ = build(large, "large/*.md", Spread(), 2, graph_from=1000)
    questions = [f"q{number}" for number in range(200)]
    alone = [index.search(question, 5) for question in questions]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda question: index.search(question, 5), questions)) == alone


class Slow(Spread):
    """An encoder that takes its time, and tells when it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = anyio.Event()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:  # pyright: ignore[reportIncompatibleMethodOverride]
        await anyio.sleep(0.01)
        vectors = super().embed(texts)
        self.begun.set()
        return vectors


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_index_that_nobody_waits_for_is_not_built(large: Path, tmp_path: Path, backend: str) -> None:
    from agentlang.executor.engines.null import NullEngine
    from agentlang.stdlib.kinds import Environment, search
    from agentlang.stdlib.store.steps import silent

    encoders: list[Slow] = []
    environment = Environment(large, lambda _: NullEngine(), silent, lambda _: None)

    async def opened() -> bool:
        encoder = Slow()
        encoders.append(encoder)
        arguments = {"pattern": "large/*.md", "encoder": encoder, "passage": 2}
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def leave() -> None:
                    await encoder.begun.wait()
                    scope.cancel()

                group.start_soon(leave)
                await search.openers(environment)["index"]("pages", arguments)
            return True
        return False

    assert not anyio.run(opened, backend=backend)
    (encoder,) = encoders
    assert 0 < encoder.embedded < 1500
    assert not (tmp_path / "home" / "indexes").exists()


OTHERS = ("onnxruntime", "jax", "tokenizers", "xllamacpp")


@pytest.mark.parametrize("order", [OTHERS, OTHERS[::-1]], ids=["one way", "the other way"])
def test_other_libraries_live_beside_the_graphs(tmp_path: Path, order: tuple[str, ...]) -> None:
    """usearch comes with a C++ runtime of its own: what is loaded after it must not be led there."""
    needs_usearch()
    here = [name for name in order if find_spec(name) is not None]
    program = (
        "import importlib, numpy as np\n"
        "from pathlib import Path\n"
        "from agentlang.stdlib.retrieval.graph import open_graph\n"
        "rows = np.random.default_rng(0).standard_normal((2000, 32)).astype(np.float32)\n"
        "rows /= np.linalg.norm(rows, axis=1, keepdims=True)\n"
        f"graph = open_graph(Path({str(tmp_path / 'g.graph')!r}), rows, 'x')\n"
        f"for name in {here!r}:\n"
        "    importlib.import_module(name)\n"
        "print(7 in graph.near(rows[7], 5))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
