"""The words for plans that cannot be written down as a deployment."""

from __future__ import annotations

from ..base.problems import Problem


def no_node(tier: str, device: str) -> Problem:
    return Problem(
        "export-unknown-device",
        f"tier {tier} is of {device}, and nothing is known of how a cluster counts and finds that device",
        hint="use a device of `agentlang hardware list` for the tier, or give its nodes to the program by hand",
    )


def beyond_a_node(tier: str, pool: str, devices: int, most: int) -> Problem:
    return Problem(
        "export-beyond-a-node",
        f"{pool} of tier {tier} holds {devices} devices together, and a node has at most {most}",
        hint="plan with a device of more memory, or smaller weights: a worker is one process in one pod",
    )


def no_such_shape(tier: str, pool: str, devices: int, shapes: tuple[int, ...]) -> Problem:
    listed = ", ".join(map(str, shapes[:-1])) + f" or {shapes[-1]}"
    return Problem(
        "export-shape",
        f"{pool} of tier {tier} holds {devices} devices together, and these come by {listed} to a node",
        hint=f"bound the tier's `count` so that the plan takes {listed} of them for a model",
    )


def nothing_placed(pipeline: str) -> Problem:
    return Problem(
        "export-nothing",
        f"the plan of {pipeline} has no stage on a machine: all of it is asked at endpoints",
        hint="there is nothing to deploy; `agentlang run` asks them from anywhere",
    )


def not_an_export(folder: str, found: str) -> Problem:
    return Problem(
        "out-not-an-export",
        f"{folder} is not empty and holds no export: {found} is in it",
        hint="name a new folder with --out; a folder of an earlier export is written again",
    )
