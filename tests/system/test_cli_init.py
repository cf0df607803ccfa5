"""`agentlang init`: what it writes works as it is, and nothing that exists is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import agentlang

from agentlang.project import create, files


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    done = agentlang("init", "shop", cwd=tmp_path)
    assert (done.code, done.out) == (0, ""), done.err
    return tmp_path / "shop"


def test_what_it_writes_checks_and_is_formatted(shop: Path) -> None:
    assert sorted(p.name for p in shop.iterdir()) == sorted(files("shop"))
    assert [p.name for p in shop.parent.iterdir()] == ["shop"]
    done = agentlang("check", "shop.agent", cwd=shop)
    assert (done.code, done.err) == (0, "shop.agent: no problems\n")
    assert agentlang("fmt", "--check", "shop.agent", cwd=shop).code == 0


def test_its_tool_runs(shop: Path) -> None:
    done = agentlang("run", "shop.agent:note", "id=1042", cwd=shop)
    assert (done.code, done.out) == (0, "Order 1042, a lantern, is shipped.\n"), done.err
    done = agentlang("run", "shop.agent:note", "id=7", cwd=shop)
    assert (done.code, done.out) == (0, "There is no order 7.\n"), done.err


def test_its_tests_pass(shop: Path) -> None:
    done = agentlang("test", "shop.agent", cwd=shop)
    assert done.code == 0, done.out + done.err


def test_the_commands_on_its_page_work(shop: Path) -> None:
    """All but those that need a model."""
    lines = (shop / "README.md").read_text().splitlines()
    commands = [line.removeprefix("$ agentlang ").split() for line in lines if line.startswith("$ agentlang ")]
    assert len(commands) >= 6
    for words in (words for words in commands if "question=" not in " ".join(words)):
        done = agentlang(*words, cwd=shop)
        assert done.code == 0, (words, done.err)


def test_the_place_that_its_page_explains_is_a_call(shop: Path) -> None:
    (line,) = [line for line in (shop / "README.md").read_text().splitlines() if "explain" in line]
    number = int(line.rpartition(":")[2])
    assert "writer.chat(" in (shop / "shop.agent").read_text().splitlines()[number - 1]
    assert "prompt" in agentlang("explain", f"shop.agent:{number}", cwd=shop).out


def test_nothing_that_exists_is_touched(shop: Path) -> None:
    (shop / "shop.agent").write_text("mine")
    done = agentlang("init", "shop", cwd=shop.parent)
    assert done.code == 2
    assert "error[project-exists]: the folder shop is not empty" in done.err
    assert (shop / "shop.agent").read_text() == "mine"
    (shop.parent / "tent").write_text("a file")
    done = agentlang("init", "tent", "--json", cwd=shop.parent)
    assert done.code == 2
    assert [p["slug"] for p in json.loads(done.out)["problems"]] == ["project-exists"]
    assert (shop.parent / "tent").read_text() == "a file"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    done = agentlang("init", "shop", "--json", cwd=tmp_path)
    assert done.code == 0
    assert json.loads(done.out) == {"folder": "shop", "files": sorted(files("shop")), "problems": []}
    assert (tmp_path / "shop" / "tools.py").exists()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("my-shop", "agentlang init my_shop"),
        ("../shop", "agentlang init shop"),
        ("a/b", "agentlang init b"),
        ("shop.agent", "agentlang init shop"),
        ("9lives", "begin with a letter"),
        ("", "begin with a letter"),
        ("..", "begin with a letter"),
        ("laden geschäft", "agentlang init laden_gesch_ft"),
        ("n" * 200, "agentlang init " + "n" * 60),
    ],
)
def test_names(tmp_path: Path, name: str, hint: str) -> None:
    done = agentlang("init", name, cwd=tmp_path)
    assert done.code == 2
    assert "error[project-name]" in done.err and hint in done.err
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    place, (problem,) = create("shop", tmp_path / "gone")
    assert place is None
    assert problem.slug == "not-written"


def test_options_stand_anywhere(shop: Path) -> None:
    for words in (["--quiet", "FILE", "id=7"], ["FILE", "--quiet", "id=7"], ["FILE", "id=7", "--quiet"]):
        done = agentlang("run", *(word.replace("FILE", "shop.agent:note") for word in words), cwd=shop)
        assert (done.code, done.out, done.err) == (0, "There is no order 7.\n", "")
    done = agentlang("run", "--quiet", cwd=shop)
    assert (done.code, done.err.splitlines()[0]) == (
        2,
        "error[nothing-to-run]: no program is named",
    )
