"""What an hour of a machine costs, under a convention that is always named.

The same device is cheap or dear depending on what is counted, and rankings of devices change with it; so a cost without
its convention says nothing. All return dollars an hour.
"""

from __future__ import annotations

import math

CONVENTIONS = ("annuity", "capex", "paper", "rent", "given")

YEARS = 4
INTEREST = 0.08  # a year
POWER_PRICE = 0.40  # dollars a kWh
HOURS = YEARS * 8760


def annuity(price: float, watts: float) -> float:
    """Monthly instalments over four years at 8 %, plus full power at $0.40 a kWh."""
    return _instalments(price) + _power(watts)


def capex(price: float) -> float:
    """The purchase alone, spread evenly over four years."""
    return price / HOURS


def paper(price: float, watts: float) -> float:
    """What the operating column of "Efficient and Scalable Agentic AI with Heterogeneous Systems" (2025) holds for five
    of its six devices: compound interest without the principal, plus full power."""
    return _interest(price) + _power(watts)


def explain(convention: str, price: float, watts: float) -> str:
    """The arithmetic of an hourly price: what is added, and what each part comes to."""
    power = f"{watts:g} W at ${POWER_PRICE:.2f} per kWh, ${_power(watts):.3f}"
    if convention == "annuity":
        paid = f"${price:,.0f} in {12 * YEARS} instalments at {INTEREST:.0%} a year"
        return f"{paid}, ${_instalments(price):.3f}, and {power}"
    if convention == "paper":
        grown = f"${price:,.0f} x (e^{INTEREST * YEARS:.2f} - 1) / {HOURS:,} h"
        return f"{grown}, ${_interest(price):.3f}, and {power}"
    if convention == "capex":
        return f"${price:,.0f} / {HOURS:,} h"
    return "an hourly price"


def _instalments(price: float) -> float:
    monthly = INTEREST / 12
    return price * monthly / (1.0 - (1.0 + monthly) ** (-12 * YEARS)) * 12 / 8760


def _interest(price: float) -> float:
    return price * (math.exp(INTEREST * YEARS) - 1.0) / HOURS


def _power(watts: float) -> float:
    return watts / 1000.0 * POWER_PRICE
