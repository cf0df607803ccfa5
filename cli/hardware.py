"""`agentlang hardware list|show|measure`: the device catalogue, and what this machine measures."""

from __future__ import annotations

import argparse

from . import problems as words
from .console import Console, Exit, measuring

HERE = "here"
_ACTIONS = {
    "list": "the devices of the catalogue",
    "show": "one device with the basis and source of every figure; without a name, this machine",
    "measure": "measure this machine again (some seconds) and keep the figures",
}


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in _ACTIONS.items():
        child = actions.add_parser(name, help=about, description=about)
        child.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document on stdout")
        if name == "show":
            child.add_argument(
                "device", nargs="?", default=HERE, metavar="DEVICE", help="as in `list`; without it, this machine"
            )


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..planner import calibrate, codec, hardware, report
    from ..planner.catalogue import catalogue

    devices = catalogue()
    match arguments.action:
        case "list":
            if console.json:
                console.document(sorted(devices))
                return Exit.DONE
            rows = [("device", "title"), *((name, device.title) for name, device in sorted(devices.items()))]
            console.print("\n".join(report.table(rows)))
        case "measure":
            machine = hardware.measure(measuring(console))
            hardware.save(machine)
            # What was learnt is relative to the figures before.
            calibrate.save(calibrate.Calibration(machine.key))
            console.print(codec.encode(machine, indent=2).decode() if console.json else report.machine_text(machine))
        case _:
            name: str = arguments.device
            if name == HERE:
                machine = hardware.load_or_measure(measuring(console))
                text = codec.encode(machine, indent=2).decode() if console.json else report.machine_text(machine)
            elif name in devices:
                device = devices[name]
                text = codec.encode(device, indent=2).decode() if console.json else report.device_text(device)
            else:
                return console.fail((words.unknown_device(name, devices),), {}, Exit.USAGE)
            console.print(text)
    return Exit.DONE
