"""What a tool does to the world, as it states it, and what the stage behind it does anyway."""

from __future__ import annotations

from ...base import units
from ...base.problems import Edit, Fix
from ...base.suggest import suggest
from .. import problems, syntax
from ..program import Effect
from .context import Context
from .figures import quantity

_NAMED = {"reads": '"orders"', "writes": '"payments"'}
_KINDS = (*_NAMED, "spends", "network", "process")


def check_effects(context: Context, node: syntax.ToolDecl) -> tuple[Effect, ...]:
    """The effects that can be, each once."""
    found: dict[tuple[str, object], Effect] = {}
    for written in node.effects:
        effect = _effect(context, written)
        if effect is None:
            continue
        key = (effect.kind, effect.what)
        if key in found:
            hint = "say it once"
            context.report(problems.bad_effect(f"`{effect.kind}` is stated twice", written.span, hint, found[key].span))
            continue
        found[key] = effect
    return tuple(found.values())


def _effect(context: Context, node: syntax.Effect) -> Effect | None:
    kind, value = node.kind.text, node.value
    if kind not in _KINDS:
        near = suggest(kind, _KINDS)
        hint = f"did you mean `{near}`?" if near else "effects are " + ", ".join(f"`{name}`" for name in _KINDS)
        fix = Fix(f"write `{near}`", (Edit(node.kind.span, near),)) if near else None
        context.report(problems.bad_effect(f"there is no effect `{kind}`", node.kind.span, hint, fix=fix))
        return None
    if kind in _NAMED:
        hint = f"name it, as in `{kind} {_NAMED[kind]}`"
        if not isinstance(value, syntax.Template) or not (value.literal or "").strip():
            context.report(problems.bad_effect(f"`{kind}` does not say what", node.span, hint))
            return None
        return Effect(kind, value.literal, node.span)
    if kind == "spends":
        hint = "say how much one call spends at most, as in `spends $0.10`"
        if not isinstance(value, syntax.Quantity):
            context.report(problems.bad_effect("`spends` does not say how much", node.span, hint))
            return None
        amount = quantity(context, value)
        if amount is None:
            return None
        if amount.dimension != units.MONEY:
            title = f"what a tool spends is measured in {units.MONEY}, but this is {amount.dimension}"
            context.report(problems.unit_mismatch(title, value.span, hint))
            return None
        return Effect(kind, amount, node.span)
    if value is not None:
        title = f"`{kind}` stands alone"
        context.report(problems.bad_effect(title, value.span, "leave out what follows it"))
    return Effect(kind, None, node.span)


def require(context: Context, node: syntax.ToolDecl, kind: str, behind: str) -> None:
    """The effect that is sure for what stands behind a tool must be stated."""
    if any(effect.kind.text == kind for effect in node.effects):
        return
    text = context.source.text
    bracket = text.find("[", node.implementation.span.end, node.span.end)
    if bracket < 0:
        return  # no effects at all, which the parser reported
    place = context.source.span(bracket + 1, bracket + 1)
    fix = Fix(f"state `{kind}`", (Edit(place, f"{kind}, " if node.effects else kind),))
    context.report(problems.unstated_effect(node.name.text, kind, behind, node.name.span, fix))
