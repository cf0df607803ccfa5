"""The words for what can go wrong with packages. One function per slug."""

from __future__ import annotations

from collections.abc import Sequence

from .base.problems import Problem


def not_a_package(path: str, programs: Sequence[str]) -> Problem:
    hint = f"run one of its programs: {', '.join(programs[:3])}" if programs else "a package has a manifest.json"
    return Problem("not-a-package", f"{path} is no package: it has no manifest.json", hint=hint)


def manifest_unreadable(path: str, why: str) -> Problem:
    return Problem(
        "package-manifest",
        f"the manifest of {path} cannot be read: {why}",
        hint="build the package again: agentlang compile FILE --target cpu --out DIR",
    )


def version_unknown(path: str, version: int, newest: int) -> Problem:
    title = f"{path} is a package of version {version}; this agentlang reads up to version {newest}"
    return Problem("package-version", title, hint="install the agentlang that it was built with, or build it again")


def file_altered(path: str, file: str) -> Problem:
    title = f"{file} of {path} is not what was packed (its hash differs)"
    return Problem("package-altered", title, hint="nothing of it was read; get the package again, or build it again")


def file_missing(path: str, file: str) -> Problem:
    title = f"{file} of {path} is missing"
    return Problem("package-altered", title, hint="get the package again, or build it again")


def file_extra(path: str, file: str) -> Problem:
    title = f"{path} has a file that its manifest does not name: {file}"
    return Problem("package-altered", title, hint="remove it, or get the package again")


def file_no_file(path: str, file: str, what: str) -> Problem:
    """A link, a device: something that bytes cannot be read from safely."""
    title = f"{file} of {path} is {what}, and a package holds plain files"
    return Problem("package-altered", title, hint="get the package again, or build it again")


def unreadable(path: str, file: str, why: str) -> Problem:
    return Problem("unreadable-file", f"{file} of {path} cannot be read: {why}", hint="check its permissions")


def function_unfit(path: str, function: str, why: str) -> Problem:
    title = f"the function {function} of {path} is not what its entry says: {why}"
    return Problem("package-function", title, hint="build the package again")


def model_differs(path: str, model: str, known: bool) -> Problem:
    says = "has other weights in this agentlang's catalogue" if known else "is not in this agentlang's catalogue"
    title = f"the model {model!r} that {path} was built for {says}"
    return Problem("package-model", title, hint="install the agentlang that it was built with, or build it again")


def signature_wrong(path: str, why: str) -> Problem:
    title = f"the signature of {path} is wrong: {why}"
    return Problem("signature-wrong", title, hint="do not run it; ask whoever made it to sign it again")


def untrusted(path: str, why: str, signed: bool) -> Problem:
    whose = "its key is none that you trust" if signed else "it is not signed"
    hint = "--key FILE trusts the public key of who made it, --trust whatever is in it, for this run"
    return Problem("package-untrusted", f"{path} holds {why}, and {whose}", hint=hint)


def key_unreadable(path: str, why: str, private: bool) -> Problem:
    make = f"openssl genpkey -algorithm ed25519 -out {path}" if private else f"openssl pkey -in KEY -pubout -out {path}"
    return Problem("key-unreadable", f"{path} is no Ed25519 key that can be read: {why}", hint=f"make one: {make}")


def extra_missing(what: str) -> Problem:
    title = f"{what} needs packages that are not installed: the extra [sign]"
    return Problem("extra-missing", title, hint="pip install 'agentlang-toolchain[sign]'")


def not_ours(path: str, what: str) -> Problem:
    return Problem(
        "out-not-a-package",
        f"{path} exists and {what}: nothing was written",
        hint="name a folder that does not exist, or an older package, which is replaced",
    )


def not_written(path: str, why: str) -> Problem:
    return Problem("not-written", f"{path} cannot be written: {why}", hint="check the path and its permissions")


def resource_outside(what: str, path: str) -> Problem:
    title = f"{what} reads {path}, which is outside the program's folder: a package cannot take it along"
    return Problem("resource-outside", title, hint="move it below the program's folder")


def include_nothing(pattern: str) -> Problem:
    title = f"--include {pattern} finds no file in the program's folder"
    return Problem("include-nothing", title, hint="patterns are relative to the folder of the program: data/*.json")


def plugin_missing(path: str, targets: Sequence[str]) -> Problem:
    title = f"{path} has nothing that runs here: it is for {', '.join(targets)}"
    return Problem("package-elsewhere", title, hint="build it for cpu, or for this machine's processor, too")


def target_not_in(path: str, target: str, targets: Sequence[str]) -> Problem:
    title = f"{path} has nothing for the target {target!r}"
    return Problem("package-elsewhere", title, hint=f"it was built for {', '.join(targets)}")


def no_pipeline_in(path: str, name: str | None, names: Sequence[str], near: str | None) -> Problem:
    """`name` is None where none was named, and none is the one to run."""
    if name is None:
        return Problem("which-pipeline", f"{path} has several pipelines", hint=f"name one: {', '.join(names)}")
    hint = f"did you mean {near}?" if near else f"it has {', '.join(names) or 'none'}"
    return Problem("no-such-pipeline", f"{path} has no pipeline {name!r}", hint=hint)
