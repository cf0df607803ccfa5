"""The words for what can go wrong before a program is understood: its file, its text as a whole, the choice of a
pipeline. One function per slug; each slug has a page in `docs/problems/`.
"""

from __future__ import annotations

from pathlib import Path

from .base.problems import Problem
from .base.source import Span
from .base.suggest import suggest


def no_such_file(path: str, names: list[str] | None) -> Problem:
    """`names` are the `.agent` files of its folder; None if there is no such folder."""
    folder = Path(path).parent
    title = f"there is no file {path}"
    if names is None:
        return Problem("no-such-file", title, hint=f"there is no folder {folder} either; check the path")
    near = suggest(Path(path).stem, (name.removesuffix(".agent") for name in names))
    if near:
        return Problem("no-such-file", title, hint=f"did you mean {folder / near}.agent?")
    has = ", ".join(sorted(names)[:5]) or "no .agent file"
    return Problem("no-such-file", title, hint=f"check the path; {folder} has {has}")


def not_a_file(path: str, names: list[str]) -> Problem:
    hint = f"name a file in it: {', '.join(sorted(names)[:5])}" if names else "name an .agent file"
    return Problem("not-a-file", f"{path} is a folder, not an .agent file", hint=hint)


def unreadable_file(path: str, reason: str) -> Problem:
    return Problem("unreadable-file", f"{path} cannot be read: {reason}", hint="check its permissions")


def not_text(path: str, why: str) -> Problem:
    return Problem("not-text", f"{path} is not text: {why}", hint="give UTF-8 text; is this the right file?")


def file_too_large(path: str, size: int, limit: int) -> Problem:
    title = f"{path} has {size:,} bytes; a source may have {limit:,}"
    return Problem("source-too-large", title, hint="split the program, or keep documents in files of their own")


def empty_file(path: str, span: Span) -> Problem:
    hint = "write a pipeline: pipeline answer(question: Text) -> Text { … }"
    return Problem("empty-file", f"{path} declares nothing", span, hint=hint)


def no_such_pipeline(path: str, name: str, names: list[str]) -> Problem:
    near = suggest(name, names)
    hint = f"did you mean {near}?" if near else f"it has {', '.join(names) or 'none'}"
    return Problem("no-such-pipeline", f"{path} has no pipeline {name!r}", hint=hint)


def no_pipeline(path: str) -> Problem:
    hint = "write one: pipeline answer(question: Text) -> Text { … }"
    return Problem("no-pipeline", f"{path} declares no pipeline", hint=hint)


def which_pipeline(path: str, names: list[str]) -> Problem:
    hint = f"name one: {', '.join(f'{path}:{name}' for name in names)}"
    return Problem("which-pipeline", f"{path} has several pipelines that nothing calls", hint=hint)


def no_settings(profile: str) -> Problem:
    hint = f"write [profiles.{profile}] into an agentlang.toml beside the program, or ask for no profile"
    return Problem("settings-unknown-profile", f"there is no agentlang.toml, so no profile `{profile}`", hint=hint)


def project_name(name: str, mended: str | None, longest: int) -> Problem:
    hint = "begin with a letter, then letters, digits and `_`, so that other files can import it"
    if len(name) > longest:
        hint = f"take at most {longest} characters"
    if mended is not None and mended != name:
        hint = f"write: agentlang init {mended}"
    return Problem("project-name", f"{name!r} cannot be the name of a project", hint=hint)


def project_exists(path: str, names: list[str] | None) -> Problem:
    """`names` is what lies in the folder; None if it is no folder."""
    if names is None:
        title = f"{path} exists, and is not a folder"
    else:
        more = ", …" if len(names) > 3 else ""
        title = f"the folder {path} is not empty: it has {', '.join(names[:3])}{more}"
    return Problem("project-exists", title, hint="take another name; nothing was written")


def project_not_written(path: str, reason: str) -> Problem:
    return Problem("not-written", f"{path} cannot be written: {reason}", hint="check the path and its permissions")


def no_cassette(path: str, part: str | None) -> Problem:
    hint = f"{part} has what an interrupted recording got so far" if part else "record it first: --record FILE"
    return Problem("no-such-file", f"there is no cassette {path}", hint=hint)


def cassette_unread(path: str, why: str) -> Problem:
    hint = "check the path, or record it again with --record"
    return Problem("cassette-unreadable", f"the cassette {path} cannot be read: {why}", hint=hint)


def cassette_unwritable(path: str, why: str) -> Problem:
    hint = "check its folder, or record to another place"
    return Problem("cassette-unwritable", f"the cassette {path} cannot be written: {why}", hint=hint)
