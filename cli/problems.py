"""The words for what can be wrong with a command line and with the files that it names. One function per slug; each
slug has a page in `docs/problems/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..base.problems import Problem
from ..base.suggest import suggest


def argument_unnamed(word: str, example: str) -> Problem:
    hint = f"write it as name=value, for example {example}"
    return Problem("argument-unnamed", f"{word!r} is not name=value", hint=hint)


def input_twice(name: str) -> Problem:
    return Problem("input-twice", f"{name!r} is given twice", hint="give it once, on the command line or in --input")


def input_not_json(name: str, why: str) -> Problem:
    hint = 'give one JSON object with a value for each parameter by name: {"question": "…"}'
    return Problem("input-not-json", f"{name} {why}", hint=hint)


def input_missing(what: str, name: str, near: str | None) -> Problem:
    hint = f"did you mean {near}?" if near else "check the path"
    return Problem("no-such-file", f"{what}: there is no file {name}", hint=hint)


def input_unreadable(what: str, name: str, reason: str) -> Problem:
    return Problem("unreadable-file", f"{what}: {name} cannot be read: {reason}", hint="check the path")


def input_too_large(what: str, name: str, limit: int) -> Problem:
    title = f"{what}: {name} is larger than {limit >> 20} MiB"
    return Problem("input-too-large", title, hint="give less at once")


def input_not_text(what: str, name: str, at: int) -> Problem:
    title = f"{what}: {name} is not UTF-8 text: byte {at:,} is not valid"
    return Problem("not-text", title, hint="convert it to UTF-8")


def not_a_time(option: str, text: str) -> Problem:
    return Problem("not-a-time", f"{option} {text!r} is not a time", hint="write it with its unit: 30s, 500ms, 2min")


def not_a_fault(option: str, text: str, why: str, form: str) -> Problem:
    return Problem("not-a-fault", f"{option} {text!r}: {why}", hint=f"write it as {form}")


def plan_missing(name: str, reason: str, again: str) -> Problem:
    return Problem("no-such-file", f"the plan {name} cannot be read: {reason}", hint=f"make it again: {again}")


def not_a_plan(name: str, why: str, again: str) -> Problem:
    return Problem("not-a-plan", f"{name} is not a plan: {why}", hint=f"make it again: {again}")


def plan_of_another(name: str, pipeline: str, again: str) -> Problem:
    title = f"{name} is the plan of another program or pipeline ({pipeline})"
    return Problem("plan-of-another", title, hint=f"make it again: {again}")


def plan_not_here(name: str, tiers: tuple[str, ...], here: str) -> Problem:
    listed = " and ".join(tiers)
    title = f"{name} is a plan for {listed}, which {'is' if len(tiers) == 1 else 'are'} not this machine"
    return Problem("plan-not-here", title, hint=f"run it without `--plan`, or plan for this machine: {here}")


def plan_has_cells(asked: str, cells: int, instead: str) -> Problem:
    title = f"{asked} looks at one placement, and no placement alone keeps this goal: the plan has {cells} cells"
    hint = f"see the cells with `{instead}`; at a `rate` that one placement carries, {asked} has an answer"
    return Problem("plan-has-cells", title, hint=hint)


def plan_differs(name: str, where: str, said: str, derived: str) -> Problem:
    title = f"{name} says {where} is {said}; derived again, it is {derived}" if derived else f"{name}: {where} {said}"
    return Problem(
        "plan-differs", title, hint="do not rely on this plan: it was changed, or damaged, after it was made"
    )


def plan_other_inputs(name: str, what: str, again: str) -> Problem:
    title = f"{name} was made from another {what}, so nothing else of it was checked"
    return Problem("plan-other-inputs", title, hint=f"give the one that it was made from, or make it again: {again}")


def plan_other_measurements(name: str, what: str, file: str) -> Problem:
    title = f"{name} was made with measurements of another machine: its {what} is not that of {file}"
    hint = f"leave --{what} out to take what the plan carries, or make the plan again there"
    return Problem("plan-other-measurements", title, hint=hint)


def not_measurements(option: str, name: str, why: str) -> Problem:
    hint = "give a file that agentlang wrote: hardware.json or calibration.json of its home"
    return Problem("not-measurements", f"{option}: {name} does not hold measurements: {why}", hint=hint)


def catalogue_unread(name: str, why: str) -> Problem:
    return Problem("catalogue-unsound", f"--catalogue: {name} is no catalogue: {why}", hint="give devices in TOML")


def unknown_pass(name: str, passes: tuple[str, ...]) -> Problem:
    near = suggest(name, passes)
    hint = f"did you mean {near}?" if near else f"one of {', '.join(passes)}"
    return Problem("unknown-pass", f"there is no pass {name}", hint=hint)


def pass_option(name: str, what: str, options: Mapping[str, str]) -> Problem:
    known = ", ".join(f"{option} ({kind})" for option, kind in options.items())
    hint = f"its options: {known}" if known else f"{name} has no options"
    return Problem("pass-option", f"{name}: {what}", hint=hint)


def pass_failed(name: str, why: str) -> Problem:
    hint = "passes that it builds on may have to go first; of a module that `agentlang compile` made this is a bug"
    return Problem("pass-failed", f"{name} cannot work on this module: {why}", hint=hint)


def no_module(path: str) -> Problem:
    return Problem("no-such-file", f"there is no file {path}", hint="check the path; - reads standard input")


def module_not_a_file(path: str) -> Problem:
    return Problem("not-a-file", f"{path} is a folder", hint="name a file of it")


def bytecode_without_hash(path: str) -> Problem:
    hint = "add --sha256 with the hash that was told when it was written; damaged bytecode is not read"
    return Problem("module-unreadable", f"{path} is bytecode, and nobody says what its hash should be", hint=hint)


def unknown_device(name: str, devices: Iterable[str], links: Iterable[str] = ()) -> Problem:
    """`links` are what may be asked for as well, if anything."""
    known = (*sorted(devices), *links)
    near = suggest(name, known)
    hint = f"did you mean {near}?" if near else f"one of {', '.join(known)}"
    what = "device or link" if links else "device"
    return Problem("unknown-device", f"the catalogue has no {what} {name!r}", hint=hint)


def no_json(command: str) -> Problem:
    hint = "leave --json out; `agentlang run --json` gives frames"
    return Problem("no-json", f"`{command}` talks to a person and has no --json", hint=hint)


def unknown_word(word: str, near: str | None, known: tuple[str, ...]) -> Problem:
    hint = f"did you mean `{near}`?" if near else f"there are {', '.join(known)}"
    return Problem("repl-unknown-word", f"there is no `{word}` here", hint=hint)


def word_needs(word: str, what: str) -> Problem:
    return Problem("repl-word-needs", f"`{word}` needs {what}", hint=f"write `{word} {what}`")


def not_written(name: str, reason: str) -> Problem:
    return Problem("not-written", f"{name} cannot be written: {reason}", hint="check the path and its permissions")


def no_such_test(text: str, titles: list[str]) -> Problem:
    near = suggest(text, titles)
    if near is None:
        # A part of a title may be misspelt as well.
        parts = {word: title for title in titles for word in title.split()}
        word = suggest(text, parts)
        near = parts[word] if word else None
    has = ", ".join(repr(title) for title in titles[:5]) + (", …" if len(titles) > 5 else "")
    hint = f"did you mean {near!r}?" if near else f"there are {has}" if titles else "leave out --filter"
    return Problem("no-such-test", f"no test has {text!r} in its title", hint=hint)


def record_and_replay() -> Problem:
    hint = "record first, then replay what was recorded"
    return Problem("record-and-replay", "--record and --replay cannot be used together", hint=hint)


def nothing_to_run() -> Problem:
    hint = "agentlang run FILE[:PIPELINE] name=value …, or agentlang run --resume RUN"
    return Problem("nothing-to-run", "no program is named", hint=hint)


def resumed_as_begun(option: str) -> Problem:
    title = f"--resume goes on with a run as it was begun, and takes no --{option}"
    return Problem("resumed-as-begun", title, hint="agentlang run --resume RUN [name=value …] [--approve yes|no]")


def durable_and_replay() -> Problem:
    title = "--durable and --replay cannot be used together"
    return Problem("durable-and-replay", title, hint="what is replayed can be replayed again; it needs no journal")


def report_unwritable(path: str, reason: str) -> Problem:
    return Problem("report-unwritable", f"--junit: {path} cannot be written: {reason}", hint="check its folder")


def stream_line(name: str, where: str, why: str) -> Problem:
    hint = "give one JSON value a line with --input, or plain lines of text with name=@file"
    return Problem("stream-line", f"the stream {name} breaks off: {where} {why}", hint=hint)


def not_sound(name: str, where: str, why: str) -> Problem:
    hint = "give a WAV file of PCM samples, or without a header 16-bit samples of one channel, 16000 a second"
    return Problem("not-sound", f"{name}: {where} is no sound that can be read: {why}", hint=hint)


def no_sound(pipeline: str, type: str) -> Problem:
    return Problem("no-sound", f"{pipeline!r} gives {type}, and --out keeps sound", hint="leave --out away")


def sound_and_frames() -> Problem:
    hint = "give --out a file, or leave --json away"
    return Problem("sound-and-frames", "--out - and --json both write to standard output", hint=hint)


def sound_of_two_rates(before: int, now: int) -> Problem:
    return Problem(
        "sound-of-two-rates",
        f"sound of {now:,} samples a second comes behind sound of {before:,}, and --out keeps sound of one rate",
        hint="let one voice speak, or voices of one rate",
    )


def no_such_stage(name: str, known: Iterable[str]) -> Problem:
    names = tuple(known)
    meant = suggest(name, names)
    hint = f"did you mean {meant!r}?" if meant else f"stages are {', '.join(names)}"
    return Problem("no-such-stage", f"no stage of the plan is called {name!r}", hint=hint)


def not_a_change(words: str, why: str) -> Problem:
    hint = "for example 'tier gpu count 0..8', 'tier gpu price $1.80 per h', 'finish p95 <= 2 s', 'rate 5 per s'"
    return Problem("not-a-change", f"--what-if {words!r}: {why}", hint=hint)


def worker_usage() -> Problem:
    hint = "agentlang worker --tier NAME (--listen ADDRESS | --join ADDRESS) --credentials DIR"
    return Problem("worker-usage", "a worker has a tier and one way to take part: --listen or --join", hint=hint)


def not_an_address(why: str) -> Problem:
    return Problem("not-an-address", why, hint="for example tcp://gpu.example:7411")


def worker_credentials() -> Problem:
    return Problem(
        "worker-credentials",
        "machines speak to each other by TLS, with a certificate of each, and no --credentials are given",
        hint="make them once: agentlang worker --issue DIR NAME…; then --credentials DIR/NAME on each machine",
    )


def credentials_unreadable(folder: str, why: str) -> Problem:
    return Problem(
        "credentials-unreadable",
        f"{folder} cannot be read as credentials: {why}",
        hint="a folder with certificate.pem, key.pem and authority.pem; agentlang worker --issue DIR NAME… makes one",
    )


def not_issued(folder: str, why: str) -> Problem:
    return Problem(
        "not-issued", f"credentials cannot be made in {folder}: {why}", hint="name a folder that is not there"
    )


def worker_wire(why: str, name: str) -> Problem:
    return Problem(
        "worker-not-joined",
        f"this worker could not take part ({name}): {why}",
        hint="look at the address, and whether both have credentials of one authority",
    )


def no_such_way(way: str, ways: Sequence[str]) -> Problem:
    return Problem("no-such-way", f"there is no way to run --on {way}", hint=f"ways are {', '.join(ways)}")


def not_on_ray(option: str) -> Problem:
    title = f"--{option} says where workers are, and on Ray that is for Ray to say"
    return Problem("not-on-ray", title, hint="leave it out; a machine's tier is what `ray start --resources=…` says")


def only_placed(option: str) -> Problem:
    title = f"--{option} says something of workers, and there are none in a run on one process"
    return Problem("only-placed", title, hint="add --on processes")


def not_placed_yet(option: str) -> Problem:
    title = f"a run whose stages stand in several processes takes no {option}"
    return Problem("not-placed-yet", title, hint="leave --on processes away: one process runs the whole program")


def not_instances(word: str) -> Problem:
    return Problem("not-instances", f"--instances {word!r} says no number of workers", hint="for example gpu=2")


def no_such_worker_tier(tier: str, tiers: Sequence[str], home: str) -> Problem:
    meant = suggest(tier, tiers)
    said = f"tiers with workers are {', '.join(tiers)}" if tiers else f"every stage is on {home}, which is this process"
    hint = f"did you mean {meant!r}?" if meant else said
    return Problem("no-such-worker-tier", f"no stage of this run is on a tier {tier!r} with workers", hint=hint)
