"""The words for what can go wrong when a tool runs: its code, its answer, its process, the network, a server.

One function per slug; each slug has a page in `docs/problems/`. Facts come in, a `Problem` comes out. Texts of tools
and servers are masked before they come here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..base.problems import Problem
from ..base.units import BYTESIZE, DURATION, Quantity


def _size(count: int) -> str:
    return str(Quantity(float(count), BYTESIZE))


def tool_raised(tool: str, error: str, message: str, trace: Sequence[str], printed: str, offline: bool) -> Problem:
    said = f"{error}: {message}" if message else error
    hint = "the lines show where; catch it in the tool, or with `otherwise on tool_error`"
    if offline:
        hint = "its effects do not name `network`, so it runs without; add `network` to them if it needs it"
    return Problem("tool-raised", f"{tool} raised {_line(said)}", hint=hint, detail=_detail(trace, printed))


def tool_does_not_load(tool: str, file: str, error: str, message: str, trace: Sequence[str], printed: str) -> Problem:
    return Problem(
        "tool-does-not-load",
        f"{file}, which {tool} is in, cannot be imported: {_line(f'{error}: {message}')}",
        hint="it must be importable from the folder of the `.agent` file, by the Python that runs agentlang",
        detail=_detail(trace, printed),
    )


def tool_not_found(tool: str, target: str, why: str, suggestion: str | None) -> Problem:
    hint = f"did you mean {suggestion!r}?" if suggestion else 'a target is "module:function", in the program\'s folder'
    return Problem("tool-not-found", f"{tool} has no code: {target!r} {why}", hint=hint)


def tool_outside_folder(tool: str, path: str) -> Problem:
    return Problem(
        "tool-outside-folder",
        f"{tool} would leave the program's folder: {path}",
        hint="keep what a program runs beside its `.agent` file; a link that points elsewhere counts as elsewhere",
    )


def tool_arguments(tool: str, target: str, takes: str, why: str) -> Problem:
    return Problem(
        "tool-arguments",
        f"{target} cannot be called as {tool} is declared: {why}",
        hint=f"it takes {takes}; parameters are passed by their names",
    )


def tool_wrong_result(tool: str, declared: str, why: str, came: str) -> Problem:
    return Problem(
        "tool-wrong-result",
        f"{tool} is declared to give {declared}, but {why}",
        hint="correct the tool, or the type in its declaration",
        detail=f"it gave {came}" if came else None,
    )


def tool_result_too_large(tool: str, size: int, limit: int) -> Problem:
    return Problem(
        "tool-result-too-large",
        f"{tool} gave more than {_size(limit)} ({_size(size)} when it was stopped)",
        hint="give a part, or a path to a file that holds the rest",
    )


def tool_out_of_memory(tool: str, limit: int) -> Problem:
    return Problem(
        "tool-out-of-memory",
        f"{tool} needed more memory than it may use ({_size(limit)})",
        hint="use less at a time; a stage may ask for more with `needs [memory 4 GiB]`",
    )


def tool_too_slow(tool: str, seconds: float) -> Problem:
    return Problem(
        "tool-too-slow",
        f"{tool} did not answer within {Quantity(seconds, DURATION)}",
        hint="this place allows a call no more: `timeout` in the table `[tools]` of agentlang.toml",
    )


def tool_died(tool: str, how: str, printed: str) -> Problem:
    return Problem(
        "tool-died",
        f"the process of {tool} {how} before it answered",
        hint="look at what it printed; code written in C, `os._exit` or the system may have ended it",
        detail=_detail((), printed),
    )


def tool_not_started(tool: str, command: str, why: str) -> Problem:
    return Problem(
        "tool-not-started",
        f"{tool} could not be started: {command}: {why}",
        hint="the first word of a command is a program on PATH, or a path from the program's folder",
    )


def command_failed(tool: str, command: str, code: int, printed: str) -> Problem:
    return Problem(
        "command-failed",
        f"{tool} failed: {command} ended with exit code {code}",
        hint="the lines are what it printed; `otherwise on tool_error` goes on without it",
        detail=_detail((), printed),
    )


def secret_missing(name: str) -> Problem:
    return Problem(
        "secret-missing",
        f"the secret {name} is not here",
        hint=f"set the environment variable {name}, or keep it in the system's keyring under `agentlang`",
    )


def address_refused(tool: str, place: str, why: str) -> Problem:
    return Problem(
        "address-refused",
        f"{tool} may not reach {place}: {why}",
        hint="name the host under `allow` in the table `[tools]` of agentlang.toml, if it is meant",
    )


def address_unreachable(tool: str, place: str, why: str) -> Problem:
    return Problem(
        "address-unreachable",
        f"{tool} could not reach {place}: {why}",
        hint="check the address and the connection; `otherwise on unreachable` goes on without it",
    )


def request_failed(tool: str, place: str, status: int, words: str, body: str) -> Problem:
    return Problem(
        "request-failed",
        f"{tool} was answered {status} {words} by {place}".replace("  ", " "),
        hint="check the address, the arguments and the right to ask; `otherwise on tool_error` goes on without it",
        detail=body or None,
    )


def server_failed(server: str, why: str, printed: str) -> Problem:
    return Problem(
        "server-failed",
        f"the server {server} {why}",
        hint="start its command by hand in the program's folder; it must speak MCP on standard input and output",
        detail=_detail((), printed),
    )


def server_tool_unknown(server: str, tool: str, suggestion: str | None, known: Sequence[str]) -> Problem:
    return Problem(
        "server-tool-unknown",
        f"the server {server} has no tool {tool!r}",
        hint=f"did you mean {suggestion!r}?" if suggestion else f"it has {', '.join(known) or 'none'}",
    )


def server_tool_failed(server: str, tool: str, message: str) -> Problem:
    return Problem(
        "server-tool-failed",
        f"{tool} failed on the server {server}: {_line(message)}",
        hint="the server says why; check the arguments against what it asks for",
        detail=message if "\n" in message.strip() else None,
    )


def bad_value(stage: str, why: str, hint: str) -> Problem:
    return Problem("bad-value", f"{stage} cannot be computed: {why}", hint=hint)


def _line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 200 else flat[:200] + "…"


def _detail(trace: Sequence[str], printed: str) -> str | None:
    lines = [*trace]
    if printed.strip():
        lines += ["it printed:", *printed.strip().splitlines()[-20:]]
    return "\n".join(lines) or None
