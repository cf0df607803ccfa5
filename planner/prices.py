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
    monthly = INTEREST / 12
    instalment = price * monthly / (1.0 - (1.0 + monthly) ** (-12 * YEARS))
    return instalment * 12 / 8760 + watts / 1000.0 * POWER_PRICE


def capex(price: float) -> float:
    """The purchase alone, spread evenly over four years."""
    return price / HOURS


def paper(price: float, watts: float) -> float:
    """What the operating column of "Efficient and Scalable Agentic AI with Heterogeneous Systems" (2025) holds for five
    of its six devices: compound interest without the principal, plus full power."""
    return price * (math.exp(INTEREST * YEARS) - 1.0) / HOURS + watts / 1000.0 * POWER_PRICE


def explain(convention: str, price: float, watts: float) -> str:
    """The arithmetic of an hourly price in words."""
    power = f"{watts:g} W at ${POWER_PRICE:.2f} per kWh"
    if convention == "annuity":
        return f"${price:,.0f} over {YEARS} years at {INTEREST:.0%}, {power}"
    if convention == "paper":
        return f"interest on ${price:,.0f} over {YEARS} years at {INTEREST:.0%}, {power}"
    if convention == "capex":
        return f"${price:,.0f} over {YEARS} years"
    return "an hourly price"
