"""The paper's table of devices and its network equations, from the catalogue, beside what it prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agentlang.planner import prices
from agentlang.planner.rates import hourly

from .sides import DEVICES, FIRST_TOKEN, MODELS, TITLES, TOKEN_GAP, cache_bytes, entry, wide

PRINTED_RATIOS: Mapping[str, tuple[float, float, float]] = {
    "a40": (40.0, 4.3, 62.5),
    "a100": (24.8, 3.9, 100.0),
    "gaudi3": (7.4, 3.4, 97.7),
    "mi300x": (15.3, 3.8, 104.0),
    "h100": (12.6, 7.5, 312.0),
    "b200": (17.8, 5.0, 208.0),
}
"""Dollars for a TFLOP/s, for a GB/s and for a GB, as the paper prints them."""
H100_PRICE = 30_000.0
"""The only price at which the paper's operating cost of the H100 holds; its table prices it at $25,000."""


def ratios(device: str, printed: bool) -> tuple[float, float, float]:
    """Dollars of purchase for a TFLOP/s of FP16, for a GB/s and for a GB."""
    of = entry(device, printed)
    assert of.price is not None  # the six are sold
    dollars = of.price.value
    return dollars / wide(of) * 1e12, dollars / of.bandwidth.value * 1e9, dollars / of.memory.value * 1e9


def operating(device: str, price: float | None = None) -> float:
    """Dollars an hour by the formula, at the paper's price or at another."""
    of = entry(device, True)
    if price is not None:
        return prices.paper(price, of.power.value)
    return hourly(of, "paper").value


def bandwidth_for(device: str, convention: str) -> float:
    """GB/s for a dollar an hour."""
    of = entry(device, True)
    return of.bandwidth.value / 1e9 / hourly(of, convention).value


def cache_of(model: str, width: float, tokens: int) -> float:
    """Bytes of the cache of so many tokens."""
    return tokens * cache_bytes(replace(MODELS[model], cache_bytes=width))


def egress(cache: float, devices: int = 1, first_token: float = FIRST_TOKEN) -> float:
    """Bits a second that leave each device that prefills, by the paper's equation."""
    return 8 * cache / (first_token * devices)


def ingress(cache: float, devices: int = 1, token_gap: float = TOKEN_GAP) -> float:
    """Bits a second that enter each device that decodes, by the paper's equation."""
    return 8 * cache / (token_gap * devices)


def devices_page() -> str:
    lines = [
        "| device | $ a TFLOP/s: printed, ours, dense | $ a GB/s: the same | $ a GB: the same |",
        "| --- | --- | --- | --- |",
    ]
    for device in DEVICES:
        cells = zip(PRINTED_RATIOS[device], ratios(device, True), ratios(device, False), strict=True)
        shown = [f"{said:g}, {ours:.1f}, {dense:.1f}" for said, ours, dense in cells]
        lines.append(f"| {TITLES[device]} | {' | '.join(shown)} |")
    lines += [
        "",
        "| device | price | power | operating cost, printed | by the formula | difference |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for device in DEVICES:
        of = entry(device, True)
        assert of.price is not None and of.reported is not None
        said, ours = of.reported.operating, operating(device)
        lines.append(
            f"| {TITLES[device]} | ${of.price.value:,.0f} | {of.power.value:.0f} W | ${said:.2f} | ${ours:.3f} | "
            f"{ours - said:+.3f} |"
        )
    at = operating("h100", H100_PRICE)
    lines += [f"| H100 | ${H100_PRICE:,.0f} | 700 W | $0.60 | ${at:.3f} | {at - 0.60:+.3f} |", ""]
    for convention in ("capex", "annuity", "paper"):
        ranked = sorted(DEVICES, key=lambda device: -bandwidth_for(device, convention))
        listed = ", ".join(f"{TITLES[device]} {bandwidth_for(device, convention):,.0f}" for device in ranked)
        lines.append(f"- GB/s for a dollar an hour by {convention}: {listed}.")
    return "\n".join(lines)


def network_page() -> str:
    long = cache_of("70B", 2.0, 32_768)
    lines = [
        f"- A token's cache in FP16: {cache_of('8B', 2.0, 1) / 1024:.0f} KiB for 8B, "
        f"{cache_of('70B', 2.0, 1) / 1024:.0f} KiB for 70B.",
        f"- 70B in FP16 at 32,768 tokens: {long / 1e9:.1f} GB. To leave one device within 250 ms: "
        f"{egress(long) / 1e9:.0f} Gbit/s; eight devices: {egress(long, 8) / 1e9:.0f} Gbit/s each. To enter one "
        f"device within a step of 20 ms: {ingress(long) / 1e9:,.0f} Gbit/s; eight: {ingress(long, 8) / 1e9:,.0f} each.",
        "",
        "| model | prompt | cache | egress at 250 ms | ingress at 20 ms |",
        "| --- | --- | --- | --- | --- |",
    ]
    for model in MODELS:
        for precision, width in (("FP16", 2.0), ("FP8", 1.0)):
            for prompt in (512, 4096):
                cache = cache_of(model, width, prompt)
                lines.append(
                    f"| {model} {precision} | {prompt:,} | {cache / 1e6:,.0f} MB | {egress(cache) / 1e9:.1f} Gbit/s | "
                    f"{ingress(cache) / 1e9:,.0f} Gbit/s |"
                )
    return "\n".join(lines)
