"""What `profile` says of predictions beside measurements: each with its error, and how many lay within it."""

from agentlang.cli import profile
from agentlang.planner.report import Compared


def row(name: str, predicted: float, error: float, measured: float) -> Compared:
    low, high = predicted * (1 - error), predicted * (1 + error)
    return Compared(
        name=name,
        unit="s",
        predicted=predicted,
        low=low,
        high=high,
        measured=measured,
        ratio=measured / predicted,
        inside=low <= measured <= high,
        limit=None,
        met=None,
    )


def test_each_prediction_has_its_error_and_says_when_a_measurement_lies_outside() -> None:
    before = (row("finish", 1.0, 0.5, 2.0), row("load", 1.0, 0.5, 1.2))
    after = (row("finish", 1.9, 0.1, 2.0), row("load", 1.2, 0.1, 1.2))
    text = profile._text(profile._Profiled("xla", 5, before, after)).splitlines()  # pyright: ignore[reportPrivateUsage]
    assert "±50%, outside" in text[1] and "±10%" in text[1] and "x 2.00" in text[1]
    assert "outside" not in text[2]
    assert text[-1] == (
        "predictions were off by 60% (the median), now by 3%; 1 of 2 measurements lay within the error, now 2"
    )


def test_where_nothing_was_predicted_nothing_is_said_of_errors() -> None:
    assert profile._verdict(profile._Profiled("xla", 5, (), ())) == ""  # pyright: ignore[reportPrivateUsage]
