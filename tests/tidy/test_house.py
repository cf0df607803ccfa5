"""The house: what installs is what is tracked, nothing heavy loads early, links and lists are complete."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = ("base", "lang", "ir", "planner", "executor", "stdlib", "services", "cli")
HEAVY = ("jax", "torch_mlir", "numpy", "anyio", "ortools", "rich", "onnxruntime", "asyncio", "pydantic")


def tracked(*patterns: str) -> set[str]:
    out = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return set(out.split("\n")) - {""}


def test_the_wheel_holds_exactly_what_is_tracked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    # Built from a copy: a build in place leaves a folder behind that the next build would read.
    copy = tmp_path / "copy"
    for name in tracked():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            target.symlink_to((ROOT / name).readlink())
        elif (ROOT / name).exists():
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run([*command, str(copy)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    expected = {f"agentlang/{name}" for name in tracked(*TOPS) if (ROOT / name).exists()}
    expected |= {f"agentlang/{name}" for name in tracked("docs/problems") if (ROOT / name).exists()}
    expected |= {name for name in tracked("agentlang") if (ROOT / name).exists()}
    assert inside == expected


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stderr.split("\n"))


def test_import_agentlang_loads_nothing_else() -> None:
    ours = {name for name in loaded_by("import agentlang") if name.startswith("agentlang")}
    assert {n for n in ours if not n.startswith("agentlang.__")} == {"agentlang"}


@pytest.mark.parametrize("layer", ["agentlang.lang", "agentlang.ir", "agentlang.planner", "agentlang.executor"])
def test_a_layer_alone_is_light(layer: str) -> None:
    assert not loaded_by(f"import {layer}") & set(HEAVY)


@pytest.mark.parametrize(
    "command",
    [
        "['--version']",
        "['check', 'examples/handbook/handbook.agent']",
        "['fmt', '--check', 'examples/hello/hello.agent']",
    ],
)
def test_the_kernel_start_is_light(command: str) -> None:
    loaded = loaded_by(f"from agentlang.cli.main import main; assert main({command}) == 0")
    assert not loaded & set(HEAVY)


def test_type_checkers_see_every_folder() -> None:
    links = ROOT / ".typing" / "agentlang"
    assert {p.name for p in links.iterdir() if p.is_symlink()} == {
        *TOPS,
        *(p.name for p in (ROOT / "agentlang").iterdir() if p.name != "__pycache__"),
    }
    assert all(p.resolve().exists() for p in links.iterdir())


def test_every_example_is_listed_and_explained() -> None:
    index = (ROOT / "examples" / "README.md").read_text()
    for folder in (p for p in (ROOT / "examples").iterdir() if p.is_dir() and p.name != "__pycache__"):
        assert (folder / "README.md").is_file(), folder.name
        assert (folder / f"{folder.name}.agent").is_file(), folder.name
        assert f"{folder.name}/" in index, folder.name


def test_no_two_test_files_have_one_name() -> None:
    # Those of a kind run alone by day; together, the second of a name is an error.
    names = [Path(path).name for path in tracked("tests/**.py") if Path(path).name.startswith("test_")]
    assert not {name for name in names if names.count(name) > 1}


def test_what_is_tracked_imports_nothing_that_is_not() -> None:
    # Such a file is here, and missing for everybody else.
    left = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "--", "*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    beside = {Path(path).stem: path for path in left if path.startswith("tests/") and path.count("/") == 1}
    for path in tracked("tests/**.py"):
        text = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""
        used = {stem for stem in beside if f"\nfrom {stem} import " in text or f"\nimport {stem}\n" in text}
        assert not used, f"{path} imports {beside[used.pop()]}, which is not tracked"


def test_locks_have_hashes_and_no_addresses() -> None:
    for lock in (ROOT / "locks").glob("*.lock"):
        text = lock.read_text()
        assert "://" not in text, lock.name
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("==" in line and line.rstrip().endswith("\\") for line in pins), lock.name


def test_no_large_or_private_file_is_tracked() -> None:
    for name in tracked():
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            assert path.stat().st_size < 600_000, name
            if path.suffix in {".py", ".md", ".agent", ".toml", ".json"}:
                text = path.read_text("utf-8")
                assert f"{Path.home()}/" not in text, name
