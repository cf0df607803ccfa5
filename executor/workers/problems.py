"""The words for what can go wrong between a coordinator and its workers. One function per slug."""

from __future__ import annotations

from ...base.problems import Problem


def worker_version(worker: str, has: str, needs: str) -> Problem:
    return Problem(
        "worker-version",
        f"the worker {worker!r} has agentlang {has}, and this is {needs}",
        hint="install the same version on every machine of a run",
    )


def worker_gone(tier: str, why: str) -> Problem:
    return Problem(
        "worker-gone",
        f"the worker of {tier!r} is gone: {why}",
        hint="look at what it wrote last; `otherwise on unreachable` goes on without it",
    )


def no_worker(tier: str, why: str) -> Problem:
    return Problem(
        "no-worker",
        f"no worker of {tier!r} gets ready: {why}",
        hint="look at what it wrote last, and at `agentlang doctor` on its machine",
    )


def worker_unreachable(tier: str, address: str, why: str) -> Problem:
    return Problem(
        "worker-unreachable",
        f"no worker of {tier!r} answers at {address}: {why}",
        hint=f"start it there: agentlang worker --tier {tier} --listen {address} --credentials DIR",
    )


def shipment_altered(why: str) -> Problem:
    return Problem(
        "shipment-altered",
        f"what a worker was sent is not what it should be: {why}",
        hint="nothing of it was run; run the program again",
    )


def worker_distrusts(tier: str, what: str) -> Problem:
    return Problem(
        "worker-distrusts",
        f"the worker of {tier!r} does not run {what} of a program that nobody it trusts stands for",
        hint="start that worker with --trust, or keep such stages at home with `with place on`",
    )
