"""Endpoints: models that somebody else serves, with what is known of the service."""

from __future__ import annotations

from collections.abc import Iterator

from ...base import units
from ...base.source import Span
from ...base.suggest import suggest
from .. import problems, syntax
from ..program import Endpoint, Tier
from ..types import TEXT, ListType
from .constants import constant_value
from .context import Context
from .figures import quantity
from .fleet_ranges import sound
from .secrets import is_secret, secret_name

_SETTINGS = ("serves", "price", "first_token", "rate")
_TOKEN_RATE = units.TOKENS / units.DURATION


def check_endpoint(context: Context, node: syntax.TierDecl, call: syntax.Call) -> list[Tier]:
    """The tier, or nothing where it is not known what it serves or where."""
    url, secret = _address(context, call)
    serves: tuple[str, ...] | None = None
    stated = False
    price = first_token = rate = None
    for setting in settings_of(context, node, _SETTINGS, "an endpoint"):
        match setting.name.text:
            case "serves":
                stated = True
                serves = _served(context, setting)
            case "price":
                price = measured(context, setting, (units.MONEY_PER_TOKEN,), "$0.60 per 1_000_000 tokens")
            case "first_token":
                first_token = measured(context, setting, (units.DURATION,), "400 ms")
            case _:
                rate = measured(context, setting, (_TOKEN_RATE, units.RATE), "20 per s")
    if not stated:
        context.report(problems.serves_nothing(node.name.text, node.name.span))
    if serves is None or (url is None and secret is None):
        return []
    endpoint = Endpoint(url, secret, serves, price, first_token, rate)
    return [Tier(node.name.text, "", (1, 1), node.name.span, endpoint)]


def _address(context: Context, call: syntax.Call) -> tuple[str | None, str | None]:
    """The address or the name of the secret that holds it; neither after a report."""
    known = ("one address",)
    for argument in call.arguments:
        if argument.name is not None:
            word = argument.name
            context.report(problems.unknown_argument("endpoint", word.text, word.span, None, known))
    values = [argument.value for argument in call.arguments if argument.name is None]
    if not values:
        hint = 'write `endpoint("https://…")`, or `endpoint(secret("NAME"))`'
        context.report(problems.missing_argument("endpoint", ("an address",), call.span, (), hint))
        return None, None
    if len(values) > 1:
        place = values[1].span.to(values[-1].span)
        context.report(problems.too_many_arguments("endpoint", 1, len(values), place, known))
    value = values[0]
    if is_secret(value):
        return None, secret_name(context, value)
    literal = constant_value(context, value, TEXT, "the address of an endpoint")
    if literal is None or not isinstance(literal.value, str):
        return None, None
    if literal.value.startswith(("http://", "https://")):
        return literal.value, None
    context.report(problems.bad_address(literal.value, value.span))
    return None, None


def _served(context: Context, setting: syntax.TierSetting) -> tuple[str, ...] | None:
    if isinstance(setting.value, syntax.Range):
        hint = 'name the models, as in `serves ["gpt-oss-120b"]`'
        context.report(problems.wrong_type("`serves`", "[Text]", "a range", setting.value.span, (), hint))
        return None
    literal = constant_value(context, setting.value, ListType(TEXT), "what an endpoint serves")
    if literal is None or not isinstance(literal.value, tuple):
        return None
    if not literal.value:
        context.report(problems.bad_bound("an endpoint that serves nothing", setting.span, "name its models"))
        return None
    return tuple(str(name) for name in literal.value)


# --- settings of a tier ----------------------------------------------------------------------------------------------


def settings_of(
    context: Context, node: syntax.TierDecl, known: tuple[str, ...], owner: str
) -> Iterator[syntax.TierSetting]:
    """The settings that a tier may have, each once; the others are reported."""
    seen: dict[str, Span] = {}
    for setting in node.settings:
        name = setting.name
        if name.text not in known:
            context.report(problems.unknown_setting(owner, name.text, name.span, suggest(name.text, known), known))
        elif name.text in seen:
            hint = "keep the one that is meant"
            what = f"a setting of tier `{node.name.text}`"
            context.report(problems.bound_twice(name.text, name.span, seen[name.text], what, hint))
        else:
            seen[name.text] = name.span
            yield setting


def kind_of_setting(value: object) -> str:
    """What stands where a figure should, for people."""
    match value:
        case syntax.Unary(operator=sign, operand=syntax.Number() | syntax.Quantity()) if sign.text == "-":
            return "below zero"
        case syntax.Quantity():
            return "a quantity"
        case syntax.Template():
            return "a text"
        case _:
            return "something else"


def measured(
    context: Context, setting: syntax.TierSetting, wanted: tuple[units.Dimension, ...], example: str
) -> units.Quantity | None:
    """A figure above nothing, in one of the dimensions, or None after a report."""
    name, value = setting.name.text, setting.value
    if isinstance(value, syntax.Number):
        amount, found = None, "a number"
    elif isinstance(value, syntax.Quantity):
        amount = quantity(context, value)
        if amount is None:
            return None
        found = str(amount.dimension)
    else:
        hint = f"write it as in `{name} {example}`"
        context.report(problems.wrong_type(f"`{name}`", "a quantity", kind_of_setting(value), value.span, (), hint))
        return None
    if amount is None or amount.dimension not in wanted:
        title = f"`{name}` is measured in {wanted[-1]}, but this is {found}"
        context.report(problems.unit_mismatch(title, value.span, f"write it as in `{name} {example}`"))
        return None
    if amount.value < 0 or (amount.value == 0 and name != "price"):
        context.report(problems.bad_bound(f"a `{name}` of nothing", value.span, "write a figure above zero"))
        return None
    return amount if sound(context, f"a `{name}`", amount, value.span) else None
