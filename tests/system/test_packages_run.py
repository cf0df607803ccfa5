"""Packages as users meet them: built by one command, run by another from an empty folder, with and without trust."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import EXAMPLES, agentlang, fresh_home, models_here

SHOP = """use std/text

tool order(id: Int) -> Text = python("shop:order") effects []

pipeline note(id: Int) -> Text {
  return "Order {id}: {order(id)}"
}

pipeline plain(words: Text) -> Text {
  return text.redact(words)
}
"""
PLAIN = """use std/text

pipeline clean(words: Text) -> Text {
  return text.redact(words)
}
"""
HERE = pytest.mark.skipif(not models_here("smollm2-135m-instruct"), reason="needs smollm2-135m-instruct")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(fresh_home(tmp_path_factory.mktemp("home")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    (place / "shop.agent").write_text(SHOP)
    (place / "shop.py").write_text("def order(id: int) -> str:\n    return 'a tent'\n")
    (place / "plain.agent").write_text(PLAIN)
    return place


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    place = tmp_path / "empty"
    place.mkdir()
    return place


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public half, as files."""
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "release.key", tmp_path / "release.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def slugs(text: str) -> list[str]:
    return [problem["slug"] for problem in json.loads(text)["problems"]]


def test_a_package_runs_without_its_source(project: Path, empty: Path, home: str) -> None:
    done = agentlang("compile", "shop.agent", "--target", "cpu", "--out", "out/shop", cwd=project, AGENTLANG_HOME=home)
    assert done.code == 0, done.err
    assert done.out == "" and "wrote out/shop" in done.err
    shutil.move(project / "out" / "shop", empty / "shop")
    shutil.rmtree(project)
    for words in (("shop", "note", "id=7"), ("shop:note", "id=7")):
        done = agentlang("run", *words, "--trust", cwd=empty, AGENTLANG_HOME=home)
        assert (done.code, done.out) == (0, "Order 7: a tent\n"), done.err
    assert sorted(path.name for path in empty.iterdir()) == ["shop"], "a run leaves nothing behind"
    done = agentlang("run", "shop", "note", "id=7", cwd=empty, AGENTLANG_HOME=home)
    assert done.code == 1 and "package-untrusted" in done.err and "shop.py" in done.err


def test_what_only_computes_needs_no_trust(project: Path, empty: Path, home: str) -> None:
    assert agentlang("compile", "plain.agent", "--target", "cpu", cwd=project, AGENTLANG_HOME=home).code == 0
    shutil.move(project / "plain.package", empty)
    done = agentlang("run", "plain.package", "words=Write to ada@example.org", cwd=empty, AGENTLANG_HOME=home)
    assert done.code == 0 and "ada@" not in done.out, done.err
    done = agentlang("run", "plain.package", "words=x", "--json", cwd=empty, AGENTLANG_HOME=home)
    assert json.loads(done.out.splitlines()[-1])["type"] == "end"


def test_a_signature_stands_for_a_package(project: Path, home: str, keys: tuple[Path, Path]) -> None:
    private, public = keys
    words = ("compile", "shop.agent", "--target", "cpu", "--out", "shop", "--sign", private)
    assert agentlang(*words, cwd=project, AGENTLANG_HOME=home).code == 0
    run = ("run", "shop", "note", "id=7")
    assert agentlang(*run, cwd=project, AGENTLANG_HOME=home).code == 1, "its own key proves nothing"
    done = agentlang(*run, "--key", public, cwd=project, AGENTLANG_HOME=home)
    assert (done.code, done.out) == (0, "Order 7: a tent\n"), done.err
    trusted = Path(home) / "private" / "trusted"
    (trusted / "noise.pem").write_text("no key")
    assert agentlang(*run, cwd=project, AGENTLANG_HOME=home).code == 1
    shutil.copy(public, trusted / "release.pem")
    assert agentlang(*run, cwd=project, AGENTLANG_HOME=home).code == 0
    for path in trusted.iterdir():
        path.unlink()

    # What is signed cannot be changed, and what is changed cannot be believed, not even by --trust.
    manifest = project / "shop" / "manifest.json"
    signature = project / "shop" / "signature.json"
    good, sealed = manifest.read_bytes(), signature.read_bytes()
    from agentlang.packages.manifest import Manifest, parse

    said = parse(good, "shop")
    assert isinstance(said, Manifest)
    manifest.write_bytes(said.model_copy(update={"made_by": "somebody else"}).sealed().text())
    for option in ("--trust", f"--key={public}"):
        done = agentlang(*run, option, "--json", cwd=project, AGENTLANG_HOME=home)
        assert (done.code, slugs(done.out)) == (1, ["signature-wrong"])
    manifest.write_bytes(good)
    for bad in (b"", b"{}", b"[]", sealed.replace(b"ed25519", b"rsa"), sealed[:-10], sealed.replace(b"key", b"kex")):
        signature.write_bytes(bad)
        done = agentlang(*run, "--trust", "--json", cwd=project, AGENTLANG_HOME=home)
        assert (done.code, slugs(done.out)) == (1, ["signature-wrong"])


def test_a_key_that_is_none_is_told_before_anything_is_built(
    project: Path, home: str, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "noise").write_text("no key")
    for key in (tmp_path / "noise", tmp_path / "nothing", tmp_path, keys[1]):
        words = ("compile", "shop.agent", "--target", "cpu", "--out", "shop", "--sign", key, "--json")
        done = agentlang(*words, cwd=project, AGENTLANG_HOME=home)
        assert (done.code, slugs(done.out)) == (2, ["key-unreadable"])
        assert not (project / "shop").exists()
    assert agentlang("compile", "plain.agent", "--target", "cpu", cwd=project, AGENTLANG_HOME=home).code == 0
    done = agentlang("run", "plain.package", "words=x", "--key", "nothing", "--json", cwd=project, AGENTLANG_HOME=home)
    assert done.code == 0, "nobody asked for the key of what is not signed"


def test_wrong_usage_names_what_was_meant(project: Path, home: str) -> None:
    def compiled(*words: str) -> tuple[int, list[str]]:
        done = agentlang("compile", *words, "--json", cwd=project, AGENTLANG_HOME=home)
        return done.code, slugs(done.out)

    assert compiled("shop.agent", "--target", "cpuu") == (2, ["target-unknown"])
    assert compiled("shop.agent", "--target", "cpu,metl,") == (2, ["target-unknown"] * 2)
    assert compiled("nothing.agent", "--target", "cpu") == (2, ["no-such-file"])
    (project / "mine").mkdir()
    (project / "mine" / "thing").write_text("")
    assert compiled("shop.agent", "--target", "cpu", "--out", "mine") == (2, ["out-not-a-package"])
    assert compiled("shop.agent", "--target", "cpu", "--include", "*.nothing") == (1, ["include-nothing"])
    (project / "bad.agent").write_text("pipeline x( {")
    code, _ = compiled("bad.agent", "--target", "cpu")
    assert code == 1
    assert sorted(path.name for path in project.iterdir()) == [
        "bad.agent",
        "mine",
        "plain.agent",
        "shop.agent",
        "shop.py",
    ]

    def run(*words: str) -> tuple[int, list[str]]:
        done = agentlang("run", *words, "--json", "--trust", cwd=project, AGENTLANG_HOME=home)
        return done.code, slugs(done.out)

    assert run("mine") == (2, ["not-a-package"])
    assert agentlang("compile", "shop.agent", "--target", "cpu", cwd=project, AGENTLANG_HOME=home).code == 0
    assert run("shop.package") == (2, ["which-pipeline"])
    assert run("shop.package", "nota", "id=1") == (2, ["no-such-pipeline"])
    assert run("shop.package", "note") == (2, ["argument-missing"])
    with (project / "shop.package" / "files" / "shop.py").open("a") as file:
        file.write("\n")
    assert run("shop.package", "note", "id=1") == (1, ["package-altered"])


def test_an_unchanged_program_is_found_again(project: Path, home: str) -> None:
    words = ("compile", "shop.agent", "--target", "cpu", "--json")

    def compiled() -> dict[str, object]:
        done = agentlang(*words, cwd=project, AGENTLANG_HOME=home)
        assert done.code == 0, done.err
        return json.loads(done.out)

    first, second = compiled(), compiled()
    assert first["written"] and not second["written"] and first["sha256"] == second["sha256"]
    (project / "shop.py").write_text("def order(id: int) -> str:\n    return 'a mug'\n")
    third = compiled()
    assert third["written"] and third["sha256"] != first["sha256"]
    # Damage to what is kept costs the time to build it again, and nothing else.
    for kept in (Path(home) / "private" / "builds").iterdir():
        if kept.suffix != ".lock":
            kept.write_bytes(kept.read_bytes()[:-3])
    assert compiled()["sha256"] == third["sha256"]


def test_a_text_that_was_compiled_is_found_again_until_something_changes(project: Path, home: str) -> None:
    (project / "lib.agent").write_text("pipeline twice(n: Int) -> Int {\n  return n * 2\n}\n")
    (project / "uses.agent").write_text("use ./lib\n\npipeline more(n: Int) -> Int {\n  return lib.twice(n) + 1\n}\n")

    def compiled(*words: str) -> str:
        done = agentlang("compile", "uses.agent", *words, cwd=project, AGENTLANG_HOME=home)
        assert done.code == 0, done.err
        return done.out

    first = compiled()
    assert compiled() == first and compiled("--pretty") != first and compiled("-O0") != first
    (project / "lib.agent").write_text("pipeline twice(n: Int) -> Int {\n  return n * 3\n}\n")
    assert compiled() != first


def test_finding_it_again_imports_no_compiler(project: Path, home: str) -> None:
    code = (
        "import sys; from agentlang.cli.main import main\n"
        f"assert main({['compile', 'plain.agent', '--target', 'cpu', '--out', 'warm']!r}) == 0\n"
        "heavy = {'torch_mlir', 'jax', 'pydantic', 'numpy', 'ortools', 'lark', 'cryptography'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    for expected in (None, "[]"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=project,
            env={**os.environ, "AGENTLANG_HOME": home},
            capture_output=True,
            text=True,
            check=True,
        )
        assert expected is None or done.stdout.strip() == expected


@HERE
@pytest.mark.models
def test_a_model_runs_by_the_functions_of_its_package(tmp_path: Path) -> None:
    """The same words as by the model's own code, from StableHLO, for the positions that the package is for."""
    hello = EXAMPLES / "hello" / "hello.agent"
    done = agentlang("compile", hello, "--target", "cpu", "--longest", "256", "--out", tmp_path / "hello")
    assert done.code == 0, done.err
    said = json.loads((tmp_path / "hello" / "manifest.json").read_text())
    assert {f["kind"] for f in said["functions"]} == {"stablehlo"}
    assert [model["name"] for model in said["models"]] == ["smollm2-135m-instruct"]
    size = sum(path.stat().st_size for path in (tmp_path / "hello").rglob("*") if path.is_file())
    assert size < 1_000_000, "weights are not in it"
    packaged = agentlang("run", "hello", "name=Ada", "--quiet", cwd=tmp_path)
    own = agentlang("run", hello, "name=Ada", "--quiet")
    assert packaged.code == own.code == 0, packaged.err
    assert packaged.out == own.out != ""
    done = agentlang("run", "hello", f"name={'very ' * 300}long", "--quiet", cwd=tmp_path)
    assert done.code == 3 and "prompt-too-long" in done.err


@HERE
@pytest.mark.models
@pytest.mark.slow
def test_machine_code_runs_where_somebody_stands_for_it(tmp_path: Path) -> None:
    pytest.importorskip("iree.compiler")
    import platform

    target = {"x86_64": "x86-64", "aarch64": "arm64"}.get(platform.machine())
    if target is None:
        pytest.skip(f"no target for {platform.machine()}")
    hello = EXAMPLES / "hello" / "hello.agent"
    done = agentlang("compile", hello, "--target", target, "--longest", "256", "--out", tmp_path / "hello")
    assert done.code == 0, done.err
    done = agentlang("run", "hello", "name=Ada", "--quiet", cwd=tmp_path)
    assert done.code == 1 and "package-untrusted" in done.err and "machine code" in done.err
    native = agentlang("run", "hello", "name=Ada", "--quiet", "--trust", cwd=tmp_path)
    own = agentlang("run", hello, "name=Ada", "--quiet")
    assert native.code == own.code == 0, native.err
    assert native.out == own.out != ""
