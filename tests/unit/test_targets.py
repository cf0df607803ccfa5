"""Building functions for hardware that is not here: every target, and what is read in what it gave."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from agentlang.ir import targets
from agentlang.ir.targets import contents, iree, spirv
from agentlang.ir.targets.contents import Unsound
from agentlang.ir.targets.protocol import Built

pytest.importorskip("jax")


@cache
def function() -> bytes:
    """A product, a reduction, a table look-up and integers: what models are made of."""
    import jax
    import jax.export
    import jax.numpy as jnp

    def step(weights: Any, table: Any, token: Any) -> Any:
        hidden = jnp.tanh(table[token] @ weights)
        return jax.nn.softmax(hidden), jnp.argmax(hidden).astype(jnp.int32)

    shapes: list[Any] = [
        jax.ShapeDtypeStruct((32, 16), jnp.float32),
        jax.ShapeDtypeStruct((8, 32), jnp.float32),
        jax.ShapeDtypeStruct((), jnp.int32),
    ]
    return jax.export.export(jax.jit(step))(*shapes).mlir_module_serialized


@cache
def built(name: str, variant: str = "") -> Built:
    made, problems = targets.load(name).build(function(), "step", variant)
    assert made is not None, problems
    assert problems == ()
    return made


NATIVE = [
    (name, variant)
    for name in targets.TARGETS
    for variant in targets.load(name).variants
    if isinstance(targets.load(name), iree.IreeTarget)
]
MACHINES = {
    "x86-64": {"format": "elf", "machine": "x86-64"},
    "arm64": {"format": "elf", "machine": "arm64"},
    "riscv64": {"format": "elf", "machine": "riscv64"},
    "vulkan": {"format": "spirv"},
    "metal": {"format": "msl"},
}
FORMATS = {"iree-cuda": "ptx", "iree-rocm": "hsaco"}


def test_each_target_is_a_file_that_says_its_name() -> None:
    assert [targets.load(name).name for name in targets.TARGETS] == list(targets.TARGETS)
    with pytest.raises(KeyError):
        targets.load("xla")


@pytest.mark.parametrize("name", ["cpu", "cuda", "rocm"])
def test_xla_ships_the_portable_function(name: str) -> None:
    made = built(name)
    assert (made.data, made.kind, made.native, made.suffix) == (function(), "stablehlo", False, ".shlo")
    assert dict(made.checks)["arguments"] == "3" and dict(made.checks)["results"] == "2"
    here = targets.load(name).present  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
    assert (made.note is None) == here
    if not here:
        assert f"plug-in for {name}" in str(made.note)


@pytest.mark.parametrize(("name", "variant"), NATIVE)
def test_iree_ships_what_the_hardware_runs(name: str, variant: str) -> None:
    made = built(name, variant)
    said = dict(made.checks)
    expected = MACHINES.get(name) or {"format": FORMATS[name], "machine": variant}
    assert made.native and made.suffix == ".vmfb"
    assert {key: said[key] for key in expected} == expected
    assert int(said["executables"]) >= 1


def test_the_same_function_gives_the_same_bytes() -> None:
    again, _ = targets.load("arm64").build(function(), "step")
    assert again is not None and again.data == built("arm64").data


def test_each_machine_is_told_from_the_others() -> None:
    """An artifact for one machine is none for any other."""
    for name, variant in NATIVE:
        for other, wanted in NATIVE:
            target = targets.load(other)
            assert isinstance(target, iree.IreeTarget)
            same = other == name and (wanted == variant or name == "x86-64")
            try:
                iree.check(built(name, variant).data, target, wanted)
            except Unsound:
                assert not same
            else:
                assert same, f"{name}:{variant} passes for {other}:{wanted}"


@pytest.mark.parametrize("name", [name for name, variant in NATIVE if variant in ("v3", "generic", "sm_80", "gfx942")])
def test_what_is_cut_off_is_no_artifact(name: str) -> None:
    target = targets.load(name)
    assert isinstance(target, iree.IreeTarget)
    data = built(name).data
    for kept in (0, 3, len(data) // 3, len(data) - 30):
        with pytest.raises(Unsound):
            iree.check(data[:kept], target, target.variants[0])


def spirv_modules() -> list[bytes]:
    return [module for code in contents.executables(built("vulkan").data) for module in spirv.modules(code)]


def test_spirv_is_what_its_own_validator_takes(tmp_path: Path) -> None:
    validator = shutil.which("spirv-val", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if validator is None:
        pytest.skip("spirv-val is not installed")
    found = spirv_modules()
    assert found
    for number, module in enumerate(found):
        path = tmp_path / f"{number}.spv"
        path.write_bytes(module)
        said = subprocess.run([validator, "--target-env", "vulkan1.3", str(path)], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        assert spirv.validate(module).startswith("1.")


def test_spirv_that_is_altered_is_refused() -> None:
    module = max(spirv_modules(), key=len)
    words = len(module) // 4

    def without(first: int, last: int) -> bytes:
        return module[: 4 * first] + module[4 * last :]

    faults = {
        "the magic number": b"\0\0\0\0" + module[4:],
        "a version of the future": module[:4] + b"\0\x09\x01\0" + module[8:],
        "no bound": module[:12] + bytes(4) + module[16:],
        "a bound that is too low": module[:12] + b"\x02\0\0\0" + module[16:],
        "its end": without(words - 1, words),
        "twice": module + module[20:],
        "an odd length": module[:-1],
        "an instruction of no words": module[:20] + bytes(4) + module[24:],
        "an instruction that runs over the end": module[:20] + b"\x11\0\xff\xff" + module[24:],
    }
    for what, bad in faults.items():
        with pytest.raises(Unsound):
            spirv.validate(bad)
            pytest.fail(what)


def test_a_zip_that_is_no_module_is_refused() -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("other.fb", b"x")
    for data in (b"", b"PK", out.getvalue(), function()):
        with pytest.raises(Unsound):
            contents.executables(data)


def test_a_function_that_is_none_is_a_problem() -> None:
    for name in ("cpu", "x86-64"):
        made, problems = targets.load(name).build(function()[:200], "step")
        assert made is None
        assert [p.slug for p in problems] == ["target-failed"]
        assert "step" in problems[0].title and name in problems[0].title


def test_without_the_compiler_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iree, "compiler", lambda: None)
    made, problems = targets.load("metal").build(function(), "step")
    assert made is None
    assert [(p.slug, "[iree]" in p.title, "iree" in str(p.hint)) for p in problems] == [("extra-missing", True, True)]


def test_a_compiler_that_dies_or_hangs_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text, said in (
        ("kill -SEGV $$", "died (signal 11)"),
        ("sleep 20", "longer than"),
        ("echo 'x.mlir:1:1: error: no such thing' >&2; exit 1", "no such thing"),
        ("exit 3", "exit code 3"),
        ("true", "no VM module"),
    ):
        tool = tmp_path / "iree-compile"
        tool.write_text(f"#!/bin/sh\n{text}\n")
        tool.chmod(0o755)
        monkeypatch.setattr(iree, "compiler", lambda tool=tool: tool)
        monkeypatch.setattr(iree, "_SECONDS", 0.3)
        made, problems = targets.load("x86-64").build(b"", "step")
        assert made is None
        assert said in problems[0].title, problems


def test_names_of_the_command_line() -> None:
    found, problems = targets.wanted("cpu, x86-64,iree-rocm:gfx1100,x86-64:v3")
    assert problems == ()
    assert [(target.name, variant) for target, variant in found] == [
        ("cpu", ""),
        ("x86-64", "v3"),
        ("iree-rocm", "gfx1100"),
    ]
    found, problems = targets.wanted("metl,,iree-rocm:gfx110,cpu:v3")
    assert found == ()
    assert [p.slug for p in problems] == ["target-unknown"] * 4
    assert problems[0].hint == "did you mean metal?"
    assert "gfx1100" in str(problems[2].hint)
    assert "cpu alone" in str(problems[3].hint)
