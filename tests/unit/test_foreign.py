"""Modules of unknown origin: whatever they are, the answer is a module or a problem."""

from __future__ import annotations

import hashlib

import pytest
from agent_sources import checked

from agentlang.ir import compile as irc
from agentlang.ir import foreign
from agentlang.ir.foreign import Limits, parse_foreign, unsound_functions
from agentlang.ir.library import NoLibrary

PROGRAM = """use std/llm

model writer = llm.chat("smollm2-135m-instruct")

pipeline hello(name: Text = "world") -> stream Text {
  return writer.chat("Greet {name} in one short sentence.", max_tokens: 32)
}
"""


@pytest.fixture(scope="module")
def module() -> irc.Module:
    program, problems = checked(PROGRAM, "hello.agent")
    assert program is not None, problems
    lowered, problems = irc.lower(program)
    assert lowered is not None, problems
    done, problems = irc.run_passes(lowered, NoLibrary())
    assert done is not None, problems
    return done


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_text_and_bytecode_come_back_as_they_were(module: irc.Module) -> None:
    code = module.bytecode()
    for given, digest in ((module.text(), None), (module.text(), sha256(module.text().encode())), (code, sha256(code))):
        read, problems = parse_foreign(given, "hello.mlir", digest, graph=True)
        assert problems == ()
        assert read is not None
        assert (read.digest, read.passes) == (module.digest, module.passes)
        back, problems = irc.parse(read.text)
        assert back is not None and back.digest == module.digest and back.text() == module.text()


def test_hashes_are_checked_before_anything_is_read(module: irc.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*given: object) -> None:
        raise AssertionError("a child was started")

    monkeypatch.setattr(foreign.subprocess, "run", nobody)
    code = module.bytecode()
    for given, digest in ((code, None), (code, "0" * 64), (code[:-1], sha256(code)), (module.text(), "0" * 64)):
        read, problems = parse_foreign(given, digest=digest)
        assert read is None
        assert [p.slug for p in problems] == ["module-unreadable"]


@pytest.mark.parametrize(
    ("text", "slug", "line"),
    [
        ("agent.return", "module-unreadable", None),
        ('module {\n  "agent.nope"() : () -> ()\n}', "module-unreadable", 2),
        ("module {\n\n  func.func @x( {\n}", "module-unreadable", 3),
        ('module {\n  "agent.return"() : () -> ()\n}', "module-unsound", 2),
        ('module {\n  "agent.pipeline"() {name = "x"} : () -> ()\n}', "module-unsound", 2),
        ("\0", "module-unreadable", None),
        ("", None, None),
    ],
)
def test_a_text_that_is_wrong_has_a_problem_at_its_place(text: str, slug: str | None, line: int | None) -> None:
    read, problems = parse_foreign(text, "mine.mlir")
    assert [p.slug for p in problems] == ([slug] if slug else [])
    assert (read is None) == bool(slug)
    for problem in problems:
        assert (problem.span.line if problem.span else None) == line
        if problem.span is not None:
            assert problem.span.path == "mine.mlir"
            assert text[: problem.span.start].count("\n") == problem.span.line - 1


def test_what_ends_its_reader_is_a_problem(module: irc.Module) -> None:
    deep = '"agent.pipeline"()({' * 200_000
    read, problems = parse_foreign(deep)
    assert read is None
    assert [p.slug for p in problems] == ["module-unreadable"]
    assert "ended the process that read it" in problems[0].title
    read, problems = parse_foreign(module.text(), limits=Limits(seconds=0.01))
    assert read is None and "longer than 0.01 s" in problems[0].title
    read, problems = parse_foreign(module.text(), limits=Limits(memory=1 << 20))
    assert read is None and problems[0].slug == "module-unreadable"
    read, problems = parse_foreign("x" * (foreign.LARGEST + 1))
    assert read is None and "are read" in problems[0].title


def test_altered_bytecode_is_a_module_or_a_problem(module: irc.Module) -> None:
    """With the hash of the altered bytes, as whoever altered them would give it."""
    code = module.bytecode()
    for at in range(11, len(code), len(code) // 8):
        bad = code[:at] + bytes([code[at] ^ 0x55]) + code[at + 1 :]
        read, problems = parse_foreign(bad, digest=sha256(bad), graph=True)
        assert (read is None) == any(p.severity.value == "error" for p in problems)
        assert all(p.slug.startswith(("module-", "beyond-")) for p in problems)


def test_functions_are_read_in_one_child() -> None:
    pytest.importorskip("jax")
    import jax
    import jax.export
    import jax.numpy as jnp

    good = jax.export.export(jax.jit(jnp.tanh))(jax.ShapeDtypeStruct((3,), jnp.float32)).mlir_module_serialized
    found = unsound_functions({"good": good, "cut": good[: len(good) // 2], "empty": b"", "again": good})
    assert set(found) == {"cut", "empty"}
    assert unsound_functions({"good": good}) == {}
    assert "longer than" in unsound_functions({"good": good}, Limits(seconds=0.01))["good"]
