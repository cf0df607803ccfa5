"""The words for what can go wrong with models at an endpoint. Keys and secret addresses are masked before they come
here."""

from __future__ import annotations

from ...base.problems import OutsideError, Problem


class EndpointError(OutsideError):
    """An endpoint gave no reply, with the reason that a program can name. `retry_after` in seconds, where the endpoint
    says when it is worth asking again."""

    def __init__(self, reason: str, problem: Problem, *, again: bool = False, retry_after: float | None = None) -> None:
        super().__init__(problem)
        self.reason = reason
        self.again = again
        self.retry_after = retry_after


def endpoint_unreachable(endpoint: str, why: str) -> Problem:
    return Problem(
        "endpoint-unreachable",
        f"endpoint {endpoint} cannot be reached: {why}",
        hint="check its address and the network; `otherwise on unreachable` goes on without it",
    )


def endpoint_silent(endpoint: str, seconds: float, begun: bool) -> Problem:
    when = "in the middle of a reply" if begun else "before its reply began"
    return Problem(
        "endpoint-silent",
        f"endpoint {endpoint} said nothing for {seconds:g} s, {when}",
        hint="`with timeout` or `idle` gives up sooner, `otherwise on timeout` goes on without it",
    )


def endpoint_refused(endpoint: str, status: int, said: str) -> Problem:
    return Problem(
        "endpoint-refused",
        f"endpoint {endpoint} does not let us in (status {status})",
        hint="check the key: `key` of the endpoint in agentlang.toml names the secret that holds it",
        detail=said or None,
    )


def endpoint_failed(endpoint: str, status: int, said: str) -> Problem:
    return Problem(
        "endpoint-failed",
        f"endpoint {endpoint} answered with status {status}",
        hint="the lines are what it said; `otherwise` goes on without it",
        detail=said or None,
    )


def endpoint_broke_off(endpoint: str, why: str) -> Problem:
    return Problem(
        "endpoint-broke-off",
        f"endpoint {endpoint} broke off in the middle of a reply: {why}",
        hint="run it again; `buffered(…)` lets `retry` and `otherwise` mend a reply that has begun",
    )


def endpoint_garbled(endpoint: str, why: str) -> Problem:
    return Problem(
        "endpoint-garbled",
        f"endpoint {endpoint} does not speak the API that is expected: {why}",
        hint="the address must be that of an API like OpenAI's, up to and with its version (`https://…/v1`)",
    )


def endpoint_filtered(endpoint: str) -> Problem:
    return Problem(
        "endpoint-filtered",
        f"endpoint {endpoint} held its reply back: its filter found something in the prompt or in the reply",
        hint="`otherwise on refused` goes on without it",
    )
