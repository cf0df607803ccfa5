"""The VS Code extension: its colours are the scanner's, by the engine that the editor uses; and it builds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agentlang.base.source import Source
from agentlang.lang.scanner import scan
from agentlang.lang.tokens import RESERVED

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "editors" / "vscode"
_OPERATORS = {"and", "or", "not"}
_CONSTANTS = {"true", "false", "_"}


def grammar() -> dict[str, object]:
    return json.loads((EXTENSION / "syntaxes" / "agentlang.tmLanguage.json").read_text("utf-8"))


def scopes_of(source: Source) -> list[dict[str, object]]:
    """What each token must be shown as, as a pattern for its scopes."""
    scanned = scan(source)
    out: list[dict[str, object]] = []
    for token in scanned.tokens:
        word = token.text
        if token.kind in ("NUMBER", "QUANTITY"):
            wanted = r"constant\.numeric"
        elif token.kind in ("TEXT", "TEXT_END"):
            wanted = r"string\.quoted"
        elif token.kind == "HOLE":
            wanted = r"punctuation\.section\.interpolation\.begin"
        elif word in RESERVED and token.kind != "NAME":
            operator = word in _OPERATORS
            wanted = r"keyword\.operator" if operator else r"constant\.language" if word in _CONSTANTS else "keyword"
        else:
            continue
        out.append({"line": token.line, "column": token.column, "text": word, "is": wanted})
    out += [{"line": c.line, "column": c.column, "text": c.text, "is": r"comment\.line"} for c in scanned.comments]
    return out


def test_every_reserved_word_has_a_colour() -> None:
    patterns = " ".join(re.findall(r'"match": "((?:[^"\\]|\\.)*)"', json.dumps(grammar()["repository"])))
    shown = set(re.findall(r"\w+", patterns))
    assert sorted(RESERVED - shown) == []


def test_the_extension_names_files_that_there_are() -> None:
    package = json.loads((EXTENSION / "package.json").read_text("utf-8"))["contributes"]
    named = [package["languages"][0]["configuration"], *(g["path"] for g in package["grammars"])]
    assert [name for name in named if not (EXTENSION / name).is_file()] == []
    assert package["grammars"][0]["scopeName"] == grammar()["scopeName"]


@pytest.mark.slow
def test_colours_and_build(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    copy = tmp_path / "vscode"
    shutil.copytree(EXTENSION, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    examples = [
        {"name": str(path.relative_to(ROOT)), "text": text, "tokens": scopes_of(Source(path.name, text))}
        for path in sorted((ROOT / "examples").rglob("*.agent"))
        for text in [path.read_text("utf-8")]
    ]
    (tmp_path / "tokens.json").write_text(json.dumps(examples))
    fetched = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=copy, capture_output=True, text=True)
    if fetched.returncode and re.search("ENOTFOUND|ETIMEDOUT|ECONNREFUSED|EAI_AGAIN", fetched.stderr):
        pytest.skip("no network to fetch the editor's colouring engine")
    assert fetched.returncode == 0, fetched.stderr
    environment = {"PATH": f"{Path(shutil.which('npm') or '').parent}:/usr/bin:/bin"}
    environment["AGENTLANG_TOKENS"] = str(tmp_path / "tokens.json")
    tested = subprocess.run(["npm", "test"], cwd=copy, capture_output=True, text=True, env=environment)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    built = subprocess.run(["npm", "run", "build"], cwd=copy, capture_output=True, text=True, env=environment)
    assert built.returncode == 0 and (copy / "dist" / "extension.js").stat().st_size > 100_000, built.stderr
