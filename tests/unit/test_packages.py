"""Packages: what goes in, what comes out, and that nothing else is taken for one. Programs here have no models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentlang import api
from agentlang.base.problems import Problem
from agentlang.ir import targets
from agentlang.packages import building, manifest, opening, writing
from agentlang.packages.building import Order, Package
from agentlang.packages.opening import Opened, Trust
from agentlang.packages.resources import python_files
from agentlang.stdlib.library import Library

SHOP = """use std/text
use ./lib

tool order(id: Int) -> Text = python("shop.orders:order") effects []

pipeline note(id: Int) -> Text {
  found = order(id)
  return "Order {id}: {lib.polite(found)}"
}

goal note {
  rate 2 per s
  finish p95 <= 5 s
}
"""
LIB = """use std/text

pipeline polite(words: Text) -> Text {
  return text.join([words, "please"], ", ")
}
"""
FILES = {
    "shop.agent": SHOP,
    "lib.agent": LIB,
    "shop/__init__.py": "",
    "shop/orders.py": "from . import data\nfrom .deep.inner import greet\nimport json\n\n"
    "def order(id: int) -> str:\n    return greet(data.ORDERS[id])\n",
    "shop/data.py": 'ORDERS = {1: "a tent"}\n',
    "shop/deep/__init__.py": "",
    "shop/deep/inner.py": "def greet(text):\n    return text.upper()\n",
    "shop/unused.py": "raise SystemExit\n",
    "notes/a.txt": "a note\n",
    "agentlang.toml": '[tools]\ntimeout = "20 s"\n',
}


def project(place: Path) -> Path:
    for path, text in FILES.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    return place


def built(folder: Path, name: str = "shop.agent", **order: Any) -> tuple[Package | None, tuple[Problem, ...]]:
    source, problems = api.read(folder / name)
    assert source is not None, problems
    checked = api.check(source)
    assert checked.program is not None, checked.problems
    chosen, problems = targets.wanted("cpu")
    assert problems == ()
    found, problems = api.settings_of(folder)
    assert problems == ()
    return building.build(checked, Order(chosen, **order), found, Library(folder, settings=found))


@dataclass(frozen=True)
class Shop:
    """A package that was built once, on disk, for tests that copy and spoil it."""

    package: Package
    folder: Path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    package, problems = built(project(tmp_path_factory.mktemp("project")), include=("notes/*.txt",))
    assert package is not None, problems
    folder = tmp_path_factory.mktemp("built") / "shop.package"
    assert writing.write(package, folder) is True
    return Shop(package, folder)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("AGENTLANG_HOME", str(place))
    return place


def read(shop: Shop) -> dict[str, Any]:
    return json.loads(shop.package.manifest)


def opened(folder: Path, **options: Any) -> Opened:
    found, problems = opening.open_package(folder, Trust(anyone=True), **options)
    assert found is not None, problems
    return found


def refused(folder: Path, trust: Trust | None = None) -> list[str]:
    found, problems = opening.open_package(folder, trust or Trust(anyone=True))
    assert found is None and problems
    assert all(problem.hint for problem in problems)
    return [problem.slug for problem in problems]


# What goes in.


def test_what_a_program_needs_is_in_it_and_nothing_else(shop: Shop) -> None:
    said = read(shop)
    assert {resource["path"]: resource["purpose"] for resource in said["resources"]} == {
        "agentlang.toml": "settings",
        "notes/a.txt": "included",
        "shop/__init__.py": "code",
        "shop/data.py": "code",
        "shop/deep/__init__.py": "code",
        "shop/deep/inner.py": "code",
        "shop/orders.py": "code",
    }
    assert (said["pipelines"], said["default"], said["functions"], said["models"]) == (
        ["note", "lib.polite"],
        "note",
        [],
        [],
    )
    assert said["program"]["path"] == "shop.agent" and set(said["program"]["imports"]) == {"lib.agent"}
    everything = b"".join(shop.package.files.values()) + shop.package.manifest
    assert b"pipeline note" not in everything, "the source is not in it"


def test_the_same_program_is_the_same_package_wherever_it_lies(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, _ = built(project(tmp_path / "else where"), include=("notes/*.txt",))
    assert package is not None
    assert package.manifest == shop.package.manifest and package.files == shop.package.files
    monkeypatch.chdir(tmp_path / "else where")
    package, _ = built(Path(), include=("notes/*.txt",))
    assert package is not None and package.manifest == shop.package.manifest
    assert str(tmp_path).encode() not in b"".join(package.files.values()) + package.manifest


def test_a_program_that_differs_is_another_package(shop: Shop, tmp_path: Path) -> None:
    for path, text in (
        ("shop.agent", SHOP.replace("Order", "Your order")),
        ("shop/data.py", 'ORDERS = {1: "a mug"}\n'),
    ):
        folder = project(tmp_path / path.replace("/", "_"))
        (folder / path).write_text(text)
        package, _ = built(folder, include=("notes/*.txt",))
        assert package is not None and package.manifest != shop.package.manifest


def test_modules_of_the_folder_are_followed_and_no_others(tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "odd.py").write_text("import json, shop.data\nfrom shop import unused\nfrom . import nothing\n")
    (folder / "broken.py").write_text("import shop.data\n)(")
    names = {path.relative_to(folder).as_posix() for path in python_files(folder, "odd")}
    assert names == {"odd.py", "shop/__init__.py", "shop/data.py", "shop/unused.py"}
    assert [path.name for path in python_files(folder, "broken")] == ["broken.py"]
    assert list(python_files(folder, "json")) == [] == list(python_files(folder, "../odd"))


def test_what_lies_outside_cannot_come_along(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    (tmp_path / "secret.py").write_text("")
    (folder / "shop" / "data.py").unlink()
    (folder / "shop" / "data.py").symlink_to(tmp_path / "secret.py")
    package, problems = built(folder)
    assert package is None and [p.slug for p in problems if p.severity.value == "error"] == ["resource-outside"]
    package, problems = built(project(tmp_path / "again"), include=("../*.py", "none/*"))
    assert package is None
    assert [p.slug for p in problems if p.severity.value == "error"] == ["resource-outside", "include-nothing"]


# What is written.


def test_an_older_package_is_replaced_and_nothing_else(shop: Shop, tmp_path: Path) -> None:
    place = tmp_path / "out" / "shop.package"
    assert writing.write(shop.package, place) is True
    assert writing.write(shop.package, place) is False, "the same is not written again"
    (place / "extra").write_text("")
    assert writing.write(shop.package, place) is True
    assert not (place / "extra").exists()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"shop.package"}
    (tmp_path / "empty").mkdir()
    assert writing.write(shop.package, tmp_path / "empty") is True


@pytest.mark.parametrize("there", ["folder", "file", "link", "other manifest"])
def test_what_is_no_package_stays(shop: Shop, tmp_path: Path, there: str) -> None:
    place = tmp_path / "place"
    if there == "file":
        place.write_text("mine")
    elif there == "link":
        (tmp_path / "target").mkdir()
        place.symlink_to(tmp_path / "target")
    else:
        place.mkdir()
        (place / ("manifest.json" if there == "other manifest" else "mine.txt")).write_text('{"name": "mine"}')
    before = sorted((str(path), path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))
    problem = writing.write(shop.package, place)
    assert isinstance(problem, Problem) and problem.slug == "out-not-a-package"
    assert sorted((str(path), path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*")) == before


def test_what_cannot_be_written_leaves_nothing(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "shop.package"
    assert writing.write(shop.package, place) is True
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    other = Package(shop.package.manifest + b"\n", shop.package.files)
    written = Path.write_bytes
    count = [0]

    def full(self: Path, data: bytes) -> int:
        count[0] += 1
        if count[0] > 3:
            raise OSError(28, "No space left on device")
        return written(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    problem = writing.write(other, place)
    assert isinstance(problem, Problem) and problem.slug == "not-written" and "no space" in problem.title
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == [place]


# What is taken in.


def test_a_package_gives_the_program_back(shop: Shop) -> None:
    found = opened(shop.folder)
    graph = found.compiled.graph
    assert [pipeline.name for pipeline in graph.pipelines if not pipeline.name.startswith("lib")] == ["note"]
    goal = found.compiled.program.goal("note")
    assert goal is not None
    assert [(term.kind, term.limit and term.limit.value, term.percentile) for term in goal.terms] == [
        ("rate", 2.0, None),
        ("finish", 5.0, 95.0),
    ]
    assert (found.target, found.signer) == (None, None)


def test_what_was_laid_out_is_made_good_at_each_start(shop: Shop, home: Path) -> None:
    opened(shop.folder)
    (place,) = (home / "private" / "packages").iterdir()
    (place / "shop" / "data.py").write_text("raise SystemExit")
    (place / "shop" / "orders.py").unlink()
    opened(shop.folder)
    assert (place / "shop" / "data.py").read_text() == FILES["shop/data.py"]
    assert (place / "shop" / "orders.py").is_file()


def test_code_is_run_only_where_somebody_stands_for_it(shop: Shop) -> None:
    assert refused(shop.folder, Trust()) == ["package-untrusted"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)
@given(st.data())
def test_a_changed_byte_anywhere_is_refused(shop: Shop, tmp_path: Path, data: st.DataObject) -> None:
    """Of any file, in any way: what is not what was packed is not read."""
    copy = tmp_path / "spoilt"
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(shop.folder, copy)
    path = data.draw(st.sampled_from(sorted(p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file())))
    before = (copy / path).read_bytes()
    at = data.draw(st.integers(0, max(0, len(before) - 1)))
    how = data.draw(st.sampled_from(["flip", "cut", "add"]))
    flip = data.draw(st.integers(1, 255))
    changed = {
        "flip": before[:at] + bytes([before[at] ^ flip]) + before[at + 1 :] if before else b"x",
        "cut": before[:at] if before else b"y",
        "add": before[:at] + b"\n" + before[at:],
    }[how]
    (copy / path).write_bytes(changed)
    found, problems = opening.open_package(copy, Trust(anyone=True))
    assert found is None
    if path == "manifest.json":
        assert {p.slug for p in problems} <= {"package-manifest", "package-version", "package-altered"}
    else:
        assert [p.slug for p in problems] == ["package-altered"]


def sealed(said: dict[str, Any]) -> bytes:
    """A manifest as whoever wants to harm would write it: with the checksum that belongs to it, if it can have one."""
    text = json.dumps(said)
    try:
        return manifest.Manifest.model_validate_json(text).sealed().text()
    except ValueError:
        return text.encode()


def _some_file(said: dict[str, Any]) -> str:
    return next(path for path in said["files"] if path.startswith("files/shop/"))


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a version of the future": (lambda m: m.update(version=2), "package-version"),
    "a version and fields of the future": (lambda m: m.update(version=7, colour="blue"), "package-version"),
    "a version of the past": (lambda m: m.update(version=0), "package-manifest"),
    "no version": (lambda m: m.pop("version"), "package-manifest"),
    "a version that is a text": (lambda m: m.update(version="1"), "package-manifest"),
    "a field too many": (lambda m: m.update(colour="blue"), "package-manifest"),
    "another format": (lambda m: m.update(format="tar"), "package-manifest"),
    "a number for a text": (lambda m: m.update(made_by=3), "package-manifest"),
    "a hash that is none": (lambda m: m["files"][_some_file(m)].update(sha256="x"), "package-manifest"),
    "a size below nothing": (lambda m: m["files"][_some_file(m)].update(bytes=-1), "package-manifest"),
    "another size": (lambda m: m["files"][_some_file(m)].update(bytes=1), "package-altered"),
    "a path up": (lambda m: m["files"].update({"files/../../x": m["files"][_some_file(m)]}), "package-manifest"),
    "an absolute path": (lambda m: m["files"].update({"/etc/passwd": m["files"][_some_file(m)]}), "package-manifest"),
    "a path with a backslash": (lambda m: m["files"].update({"a\\b": m["files"][_some_file(m)]}), "package-manifest"),
    "a drive": (lambda m: m["files"].update({"C:/x": m["files"][_some_file(m)]}), "package-manifest"),
    "a resource up": (lambda m: m["resources"].append({"path": "../x", "purpose": "code"}), "package-manifest"),
    "a module up": (lambda m: m["module"].update(path="../module"), "package-manifest"),
    "the manifest itself": (
        lambda m: m["files"].update({"manifest.json": m["files"][_some_file(m)]}),
        "package-manifest",
    ),
    "a file that nothing uses": (lambda m: m["files"].update({"z": m["files"][_some_file(m)]}), "package-manifest"),
    "a file that is not listed": (lambda m: m["files"].pop(_some_file(m)), "package-manifest"),
    "names that differ in case": (
        lambda m: (
            m["files"].update({"files/Shop/data.py": m["files"]["files/shop/data.py"]}),
            m["resources"].append({"path": "Shop/data.py", "purpose": "code"}),
        ),
        "package-manifest",
    ),
    "a purpose that is none": (lambda m: m["resources"][0].update(purpose="malware"), "package-manifest"),
    "another module's digest": (lambda m: m["module"].update(digest="0" * 64), "package-manifest"),
    "a pipeline that is none": (lambda m: m.update(pipelines=["nothing"]), "package-manifest"),
    "a default that is none": (lambda m: m.update(default="nothing"), "package-manifest"),
    "a model that is none": (
        lambda m: m["models"].append({"name": "gpt-nothing", "role": "chat", "files": []}),
        "package-model",
    ),
    "a model of other weights": (
        lambda m: m["models"].append({"name": "smollm2-135m-instruct", "role": "chat", "files": []}),
        "package-model",
    ),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_is_wrong_is_refused(shop: Shop, tmp_path: Path, what: str) -> None:
    copy = tmp_path / "spoilt"
    shutil.copytree(shop.folder, copy)
    said = json.loads((copy / "manifest.json").read_text())
    change, slug = MANIFESTS[what]
    change(said)
    (copy / "manifest.json").write_bytes(sealed(said))
    assert refused(copy) == [slug]


def test_a_manifest_without_its_checksum_is_refused(shop: Shop, tmp_path: Path) -> None:
    copy = tmp_path / "spoilt"
    shutil.copytree(shop.folder, copy)
    said = json.loads((copy / "manifest.json").read_text())
    for text in (json.dumps(said), json.dumps({**said, "checksum": ""}), json.dumps(said, indent=1) + "\n\n"):
        (copy / "manifest.json").write_text(text)
        assert refused(copy) == ["package-altered"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "\xff", "[" * 100_000, '{"version": ' + "9" * 5000 + "}"])
def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    assert refused(tmp_path) in (["package-manifest"], ["package-version"])


def test_a_manifest_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LARGEST", 10)
    monkeypatch.setattr(manifest, "LARGEST", 10)
    (tmp_path / "manifest.json").write_text(" " * 100)
    assert refused(tmp_path) == ["package-manifest"]


@pytest.mark.parametrize(
    "what", ["missing", "extra", "extra folder", "link", "linked folder", "linked manifest", "pipe"]
)
def test_other_files_than_the_manifests_are_refused(shop: Shop, tmp_path: Path, what: str) -> None:
    import os

    copy = tmp_path / "spoilt"
    shutil.copytree(shop.folder, copy)
    file = copy / "files" / "shop" / "data.py"
    if what == "missing":
        file.unlink()
    elif what == "extra":
        (copy / "files" / "shop" / "more.py").write_text("")
    elif what == "extra folder":
        (copy / "files" / "more").mkdir()
    elif what == "link":
        file.unlink()
        file.symlink_to(shop.folder / "files" / "shop" / "data.py")
    elif what == "linked folder":
        shutil.rmtree(copy / "files" / "shop")
        (copy / "files" / "shop").symlink_to(shop.folder / "files" / "shop")
    elif what == "linked manifest":
        (copy / "manifest.json").unlink()
        (copy / "manifest.json").symlink_to(shop.folder / "manifest.json")
    else:
        file.unlink()
        os.mkfifo(file)
    assert set(refused(copy)) == {"package-altered"}


def test_a_folder_that_is_no_package_says_what_it_has(tmp_path: Path) -> None:
    assert refused(tmp_path) == ["not-a-package"]
    project(tmp_path)
    found, problems = opening.open_package(tmp_path)
    assert found is None and "shop.agent" in str(problems[0].hint)


def test_a_module_that_is_none_is_refused_by_its_reader(shop: Shop, tmp_path: Path) -> None:
    """With the right hashes, as whoever wants to harm would give them."""
    import hashlib

    copy = tmp_path / "spoilt"
    shutil.copytree(shop.folder, copy)
    said = json.loads((copy / "manifest.json").read_text())
    path = said["module"]["path"]
    code = (copy / path).read_bytes()
    for bad in (code[: len(code) // 2], b"", code[:40] + bytes(200) + code[240:]):
        (copy / path).write_bytes(bad)
        said["files"][path] = {"bytes": len(bad), "sha256": hashlib.sha256(bad).hexdigest()}
        (copy / "manifest.json").write_bytes(sealed(said))
        assert set(refused(copy)) <= {"module-unreadable", "module-unsound", "package-manifest"}
