"""`agentlang hardware list|links|show|measure|compare`: the devices and links of the catalogue, and what this machine
measures."""

from __future__ import annotations

import argparse

from . import problems as words
from .console import Console, Exit, measuring

HERE = "here"
_ACTIONS = {
    "list": "the devices of the catalogue",
    "links": "the links between devices, with the basis and source of every figure",
    "show": "one device or link with the basis and source of every figure; without a name, this machine",
    "measure": "measure this machine again (some seconds) and keep the figures",
    "compare": "devices side by side, with ratios to the first: figures, hours by each convention, what a dollar buys",
}


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in _ACTIONS.items():
        child = actions.add_parser(name, help=about, description=about)
        child.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document on stdout")
        if name == "show":
            child.add_argument(
                "device",
                nargs="?",
                default=HERE,
                metavar="NAME",
                help="as in `list` or `links`; without it, this machine",
            )
        if name == "compare":
            child.add_argument("first", metavar="DEVICE", help="the device that the others are compared with")
            child.add_argument("others", nargs="+", metavar="DEVICE", help="as in `list`")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    match arguments.action:
        case "list":
            return _list(console)
        case "links":
            return _links(console)
        case "measure":
            return _measure(console)
        case "compare":
            return _compare((arguments.first, *arguments.others), console)
        case _:
            return _show(arguments.device, console)


def _list(console: Console) -> int:
    from ..planner import report
    from ..planner.catalogue import whole

    known = whole()
    if console.json:
        console.document(sorted(known.devices))
    else:
        console.print(report.catalogue_text(dict(sorted(known.devices.items()))))
        if known.problems:
            console.problems(known.problems, known.sources)
    return Exit.DONE


def _links(console: Console) -> int:
    from ..planner import codec, report
    from ..planner.catalogue import links

    console.print(codec.encode(links(), indent=2).decode() if console.json else report.links_text(links()))
    return Exit.DONE


def _measure(console: Console) -> int:
    from ..planner import calibrate, codec, hardware, report

    machine = hardware.measure(measuring(console))
    hardware.save(machine)
    # What was learnt is relative to the figures before.
    calibrate.save(calibrate.Calibration(machine.key))
    console.print(codec.encode(machine, indent=2).decode() if console.json else report.machine_text(machine))
    return Exit.DONE


def _show(name: str, console: Console) -> int:
    from ..planner import codec, hardware, report
    from ..planner.catalogue import links, whole

    known = whole()
    if name == HERE:
        machine = hardware.load_or_measure(measuring(console))
        text = codec.encode(machine, indent=2).decode() if console.json else report.machine_text(machine)
    elif name in known.devices:
        device = known.devices[name]
        text = codec.encode(device, indent=2).decode() if console.json else report.device_text(device)
    elif name in links():
        link = links()[name]
        text = codec.encode(link, indent=2).decode() if console.json else report.link_text(link, known.devices)
    else:
        unknown = words.unknown_device(name, known.devices, links())
        return console.fail((*known.problems, unknown), known.sources, Exit.USAGE)
    console.print(text)
    return Exit.DONE


def _compare(names: tuple[str, ...], console: Console) -> int:
    from ..planner import codec
    from ..planner.catalogue import whole
    from ..planner.side_by_side import by_name, comparison_text, side_by_side

    known = whole()
    unknown = [words.unknown_device(name, known.devices) for name in dict.fromkeys(names) if name not in known.devices]
    if unknown:
        return console.fail((*known.problems, *unknown), known.sources, Exit.USAGE)
    compared = side_by_side(by_name(known.devices, names))
    console.print(codec.encode(compared, indent=2).decode() if console.json else comparison_text(compared))
    return Exit.DONE
