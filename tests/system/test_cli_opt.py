"""`agentlang opt`: modules through passes, compared as text with what is checked in; and modules that are none,
whatever they hold: a problem at its place, exit 1, no crash."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import Done, agentlang

from agentlang.cli.main import main
from agentlang.ir.passes import PASSES

GOLDEN = Path(__file__).parent.parent / "golden" / "opt"
MODULES = sorted(path for path in GOLDEN.glob("*.mlir") if not path.name.endswith(".out.mlir"))
SEGMENTS = f"operandSegmentSizes = array<i32: 1{', 0' * 31}>"
PLAIN = f"""module attributes {{agent.version = 1 : i64}} {{
  "agent.pipeline"() ({{
  ^bb0(%name: !agent.text):
    %0 = "agent.template"(%name) {{id = "p.t", parts = ["Hi ", 0 : i64], {SEGMENTS}}} : (!agent.text) -> !agent.text
    "agent.return"(%0) {{id = "p.r"}} : (!agent.text) -> ()
  }}) {{name = "p", parameters = [{{name = "name", required = true, type = !agent.text}}],
      result = !agent.text}} : () -> ()
}}
"""
ALL = ",".join(PASSES)


def opt(folder: Path, given: str | bytes, *words: str) -> Done:
    """In this process, which must live on; what reads the module is another."""
    (folder / "m.mlir").write_bytes(given if isinstance(given, bytes) else given.encode())
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["opt", "m.mlir", *words])
    return Done(code, out.getvalue(), err.getvalue())


# --- modules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_checked_in_modules(path: Path, update: bool) -> None:
    passes = path.read_text("utf-8").splitlines()[0].removeprefix("// passes: ")
    done = agentlang("opt", path, "--passes", passes, "--verify")
    assert done.code == 0, done.err
    expected = path.with_suffix(".out.mlir")
    if update:
        expected.write_text(done.out, "utf-8")
    assert done.out == expected.read_text("utf-8")
    # What comes out goes in again, and is the same.
    again = agentlang("opt", expected)
    assert (again.code, again.out) == (0, done.out), again.err


def test_what_is_seen_of_passes(tmp_path: Path) -> None:
    done = opt(tmp_path, PLAIN, "--passes", "fold_constants,drop_unread", "--print-after-all", "--time-passes")
    assert done.code == 0
    assert [line for line in done.err.splitlines() if line.startswith("// -----")] == [
        "// ----- after fold_constants -----",
        "// ----- after drop_unread -----",
    ]
    assert [line.split()[1:] for line in done.err.splitlines()[-2:]] == [
        ["ms", "fold_constants"],
        ["ms", "drop_unread"],
    ]
    told = json.loads(opt(tmp_path, PLAIN, "--passes", "fold_constants", "--json").out)
    assert [each["name"] for each in told["passes"]] == ["fold_constants"]
    assert "fold_constants" in told["text"]
    pretty = opt(tmp_path, PLAIN, "--pretty")
    assert 'template ["Hi ", %name]' in pretty.out


def test_from_standard_input_into_bytecode_and_back(tmp_path: Path) -> None:
    done = agentlang("opt", "-", "--out", "m.mlirbc", cwd=tmp_path, stdin=PLAIN.encode())
    assert done.code == 0, done.err
    code = (tmp_path / "m.mlirbc").read_bytes()
    digest = hashlib.sha256(code).hexdigest()
    assert digest in done.err
    back = agentlang("opt", "m.mlirbc", "--sha256", digest, "--json", cwd=tmp_path)
    assert json.loads(back.out)["digest"] == json.loads(opt(tmp_path, PLAIN, "--json").out)["digest"]
    assert agentlang("opt", "m.mlirbc", cwd=tmp_path).code == 1
    for altered in (code[: len(code) // 2], code[:-9] + b"\0" * 9):
        (tmp_path / "m.mlirbc").write_bytes(altered)
        lost = agentlang("opt", "m.mlirbc", "--sha256", digest, cwd=tmp_path)
        assert lost.code == 1 and "hash differs" in lost.err
        # The hash of what is there lets it be read, by a process that it may end.
        read = agentlang("opt", "m.mlirbc", "--sha256", hashlib.sha256(altered).hexdigest(), cwd=tmp_path)
        assert read.code == 1 and "error[module-" in read.err and "Traceback" not in read.err


def test_annotations_do_not_outlive_what_they_are_of(tmp_path: Path) -> None:
    done = opt(tmp_path, PLAIN, "--passes", f"{ALL},drop_unread", "--verify")
    assert done.code == 0, done.err
    assert "annotate_demand" not in done.out and "times" not in done.out


# --- what is no module -----------------------------------------------------------------------------------------------

BAD: dict[str, tuple[str | bytes, str, str]] = {
    "wrong types": (
        PLAIN.replace("agent.template", "agent.length").replace(
            f'parts = ["Hi ", 0 : i64], {SEGMENTS}', 'binding = "x"'
        ),
        "error[module-unsound]: the module breaks a rule: 'agent.length' gives an Int, not Text",
        "m.mlir:4:10",
    ),
    "a missing terminator": (
        PLAIN.replace('    "agent.return"(%0) {id = "p.r"} : (!agent.text) -> ()\n', ""),
        "error[module-unreadable]: this is no module that can be read: block with no terminator",
        "m.mlir:4:10",
    ),
    "an unknown operation": (PLAIN.replace("agent.template", "agent.dream"), "unregistered operation", "m.mlir:4:10"),
    "an unknown dialect": (PLAIN.replace("agent.template", "magic.dream"), "unregistered dialect", "m.mlir:4:"),
    "an undefined value": (PLAIN.replace("(%0)", "(%7)"), "undeclared SSA value", "m.mlir:5:20"),
    "a broken law": (PLAIN.replace("p.r", "p.t"), "two operations have the stage id 'p.t'", "m.mlir:5:5"),
    "no stage id": (PLAIN.replace('id = "p.t", ', ""), "'agent.template' has no stage id", "m.mlir:4:10"),
    "a newer version": (PLAIN.replace("version = 1", "version = 9"), "error[module-newer]", "m.mlir:1:1"),
    "a newer version of what nobody knows": (
        PLAIN.replace("version = 1", "version = 9").replace("agent.template", "agent.dream"),
        "error[module-newer]: this module is of form 9",
        "m.mlir:1:36",
    ),
    "a version that is none": (PLAIN.replace("1 : i64}", '"one"}', 1), "'agent.version' is no version", "m.mlir:1:1"),
    "passes that are none": (
        PLAIN.replace("agent.version", "agent.passes"),
        "'agent.passes' is not a list",
        "m.mlir:1:1",
    ),
    "something foreign": (
        PLAIN.replace("agent.version = 1 : i64", "agent.passes = dense<1> : tensor<1xi32>"),
        "foreign",
        "m.mlir:1:1",
    ),
    "a formula that is none": (PLAIN.replace("parts =", 'times = "((", parts ='), "not a formula", "m.mlir:4:10"),
    "half a module": (PLAIN[:300], "error[module-unreadable]", "m.mlir:4:"),
    "an empty file": ("", "it is empty", ""),
    "a file of blanks": (" \n\n", "it is empty", ""),
    "a program": ("pipeline hello() -> Text { return 1 }", "error[module-unreadable]", "m.mlir:1:1"),
    "no UTF-8": (b"module {\xff}", "byte 8 is not UTF-8", ""),
    "zero bytes": (b"module {}\0", "it holds zero bytes", ""),
    "regions in regions": (
        '"agent.pipeline"() ({\n' * 10_000 + "}) : () -> ()\n" * 10_000,
        "error[module-unreadable]",
        "",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_module_is_a_problem_at_its_place(name: str, tmp_path: Path) -> None:
    given, said, place = BAD[name]
    done = opt(tmp_path, given, "--passes", ALL)
    assert done.code == 1, (done.out, done.err)
    assert said in done.err and place in done.err
    assert "Traceback" not in done.err and done.out == ""


@pytest.mark.parametrize(
    ("passes", "said"),
    [
        ("drop_unraed", "there is no pass drop_unraed\n  = next: did you mean drop_unread?"),
        ("drop_unread{deeply=1}", "error[pass-option]: drop_unread: it has no option 'deeply'"),
        ("drop_unread{", "are not closed"),
        ("drop_unread,,inline{}", "there is no pass inline"),
    ],
)
def test_passes_that_are_none(passes: str, said: str, tmp_path: Path) -> None:
    done = opt(tmp_path, PLAIN, "--passes", passes)
    assert done.code == 2 and said in done.err


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "error[no-such-file]" in agentlang("opt", "none.mlir", cwd=tmp_path).err
    assert "error[not-a-file]" in agentlang("opt", ".", cwd=tmp_path).err


def test_what_a_pass_cannot_work_on_is_a_problem(tmp_path: Path) -> None:
    """Sound modules that no program is: ever deeper, and calls that nobody inlined."""
    depth = 300
    deep = (
        "".join(f'%m{n} = "agent.interruptible"() ({{\n' for n in range(depth))
        + '"agent.yield"(%name) {id = "y"} : (!agent.text) -> ()\n'
    )
    for n in reversed(range(depth)):
        end = f'"agent.yield"(%m{n}) {{id = "y{n}"}} : (!agent.text) -> ()\n' if n else ""
        deep += f'}}) {{id = "m{n}"}} : () -> !agent.text\n{end}'
    text = PLAIN.replace('    %0 = "agent.template"', f'{deep}    %0 = "agent.template"')
    done = opt(tmp_path, text, "--passes", ALL)
    assert done.code in (0, 1) and "Traceback" not in done.err
    assert done.code == 0 or "error[" in done.err


# --- anything --------------------------------------------------------------------------------------------------------


def mutated(data: bytes, draw: random.Random) -> bytes:
    """A few places changed: bytes, pieces doubled, moved, cut out."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at, end = sorted(draw.randrange(len(changed) + 1) for _ in range(2))
        end = min(end, at + 40)
        match draw.randrange(4):
            case 0 if at < len(changed):
                changed[at] = draw.randrange(256)
            case 1:
                changed[at:at] = changed[at:end]
            case 2:
                del changed[at:end]
            case _:
                other = draw.randrange(len(changed) + 1)
                changed[other:other] = changed[at:end]
    return bytes(changed)


def survives(folder: Path, seed: int, bytecode: bytes | None) -> None:
    draw = random.Random(seed)
    if bytecode is None:
        source = draw.choice(MODULES).read_bytes() if MODULES else PLAIN.encode()
        done = opt(folder, mutated(source, draw), "--passes", ALL)
    else:
        data = mutated(bytecode, draw)
        done = opt(folder, data, "--passes", ALL, "--sha256", hashlib.sha256(data).hexdigest())
    assert done.code in (0, 1), (seed, done.code, done.err)
    assert "Traceback" not in done.err and "internal" not in done.err, (seed, done.err)
    assert (done.code == 0) == (done.out != ""), (seed, done.err)


def code_of(folder: Path) -> bytes:
    done = agentlang("opt", "-", "--out", "code.mlirbc", cwd=folder, stdin=PLAIN.encode())
    assert done.code == 0, done.err
    return (folder / "code.mlirbc").read_bytes()


def test_a_few_mutations_are_survived(tmp_path: Path) -> None:
    code = code_of(tmp_path)
    for seed in range(4):
        survives(tmp_path, seed, None)
        survives(tmp_path, seed, code)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 400, 50))
def test_mutations_are_survived(start: int, tmp_path: Path) -> None:
    code = code_of(tmp_path)
    for seed in range(start, start + 50):
        survives(tmp_path, seed, None)
        survives(tmp_path, seed, code)


def test_the_child_that_reads_has_a_name_of_its_own() -> None:
    """It is started by its module's name, from wherever the command is."""
    done = subprocess.run([sys.executable, "-c", "import agentlang.ir.foreign_child"], capture_output=True)
    assert done.returncode == 0, done.stderr
