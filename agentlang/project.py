"""A project to start from: `create("shop")` makes a folder with a program, a tool in Python, settings and a page.

What it writes is small, but all of it works: the program checks and is formatted, its tests pass without a model, and
it runs. It is written beside its place and moved there whole, so that nobody finds half of it.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from . import problems
from .base.problems import Problems

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST = 60

_PROGRAM = '''\
## Answers questions about orders: a tool looks the order up, a model writes the reply.
use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

type Order { id: Int, item: Text, state: Text }

## What the shop knows of an order. The function is in tools.py.
tool order(id: Int) -> Order? = python("tools:order") effects [reads "orders"]

## One order in words.
pipeline note(id: Int) -> Text {
  return match order(id) {
    some(found) => "Order {id}, {found.item}, is {found.state}."
    none        => "There is no order {id}."
  }
}

## The reply to a customer, as it is written. What is personal in the question does not reach the model.
pipeline answer(id: Int, question: Text @pii) -> stream Text {
  clean = text.redact(question)
  return writer.chat("""
    Answer the customer in one sentence, from this note only.
    Note: {note(id)}
    Question: {clean}
    """, max_tokens: 48)
}

goal answer {
  rate         0.2 per s
  assume {
    question 20 tokens
  }
  first_token  p95 <= 5 s
  finish       p95 <= 20 s
}

test "an order is looked up" {
  expect note(1042) contains "lantern"
  expect note(1) == "There is no order 1."
}

test "the reply is what the model writes" {
  given writer.chat = "Your lantern was shipped."
  expect all(answer(1042, "Where is it?")) == "Your lantern was shipped."
}
'''

_TOOLS = '''\
"""The tools of the program. Each is a plain function: its arguments and its result are what JSON can say."""

ORDERS = {
    1042: {"item": "a lantern", "state": "shipped"},
    1043: {"item": "a tent", "state": "being packed"},
}


def order(id: int) -> dict[str, object] | None:
    """What is known of an order; None if there is no such order."""
    found = ORDERS.get(id)
    return None if found is None else {"id": id, **found}
'''

_SETTINGS = """\
# What is particular to this place. `[profiles.NAME.tools]` holds what differs with --profile NAME.

[tools]
timeout = "10 s" # of one call
memory = "1 GiB" # of one call
"""

_PAGE = """\
# {name}

Answers questions about orders. `{name}.agent` is the program, `tools.py` holds its tool.

```console
$ agentlang check {name}.agent
$ agentlang test {name}.agent
$ agentlang run {name}.agent:note id=1042
$ agentlang run {name}.agent id=1042 question="Where is my order?"
$ agentlang plan {name}.agent
$ agentlang explain {name}.agent:23
```

The first run with a model fetches it (98 MB). `agentlang fmt {name}.agent` after a change, `agentlang repl
{name}.agent` to try parts of the program.
"""

_IGNORED = """\
__pycache__/
.env
"""


def files(name: str) -> dict[str, str]:
    """The text of each file of a project, by its name in the folder."""
    return {
        f"{name}.agent": _PROGRAM,
        "tools.py": _TOOLS,
        "agentlang.toml": _SETTINGS,
        "README.md": _PAGE.format(name=name),
        ".gitignore": _IGNORED,
    }


def create(name: str, folder: Path) -> tuple[Path | None, Problems]:
    """Make the project `name` as a folder of that name in `folder`; its path. Nothing that exists is changed: a folder
    of that name must be empty."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        return None, (problems.project_name(name, _mended(name), _LONGEST),)
    place = folder / name
    try:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            return None, (problems.project_exists(str(place), None),)
        if place.is_dir() and (there := sorted(path.name for path in place.iterdir())):
            return None, (problems.project_exists(str(place), there),)
        # The folder around it is private; what is made inside gets the modes that the user's files get.
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as around:
            made = Path(around) / name
            made.mkdir()
            for file, text in files(name).items():
                (made / file).write_text(text, encoding="utf-8", newline="\n")
            made.rename(place)
    except OSError as error:
        return None, (problems.project_not_written(str(place), (error.strerror or str(error)).lower()),)
    return place, ()


def _mended(name: str) -> str | None:
    """The nearest name that a project may have."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1].removesuffix(".agent")
    mended = re.sub(r"[^A-Za-z0-9_]+", "_", last).strip("_")[:_LONGEST]
    return mended if _NAME.fullmatch(mended) else None
