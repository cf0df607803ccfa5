"""`match` over the cases of an enum or an option: every case has one arm, and all arms give one type."""

from __future__ import annotations

from ...base.problems import Edit, Fix, Related
from ...base.source import Span
from .. import problems, program, syntax
from ..program import NO_LABELS, EnumCase, Parameter
from ..types import BOOL, FLOAT, INT, NONE, TEXT, EnumType, ListType, OptionType, Type
from .body import Body, Role, nothing
from .branches import agree_blocks, guide_of, labels_of_block
from .conversions import is_unknown
from .symbols import UNKNOWN

# The simplest value of a type, to stand in an arm that a fix inserts.
_PLAIN: dict[Type, str] = {TEXT: '""', INT: "0", FLOAT: "0.0", BOOL: "false"}


class _Cases:
    """What the subject can be: its cases in order, the name of the enum, and where it is declared."""

    __slots__ = ("_by_name", "cases", "names", "owner", "span")

    def __init__(self, owner: str, cases: tuple[EnumCase, ...], span: Span | None) -> None:
        self.owner = owner
        self.cases = cases
        self.span = span
        self.names = tuple(case.name for case in cases)
        self._by_name = {case.name: case for case in reversed(cases)}

    def case(self, name: str) -> EnumCase | None:
        return self._by_name.get(name)


def check_match(
    body: Body, node: syntax.Match, expected: Type | None, *, valueless: bool = False
) -> program.Expression:
    """All arms give values of one type; `valueless`: none gives one."""
    turns, may_return = body.turns, body.tail
    subject = body.plain(body.settled(body.value(node.subject), "what `match` decides over"))
    cases = _cases_of(body, subject)
    role = Role("this arm of `match`", needs_value=not valueless, may_return=may_return, turns=turns)
    arms: list[program.Arm] = []
    taken: dict[str, Span] = {}
    rest: Span | None = None
    guide = expected
    for arm in node.arms:
        if rest is not None:
            body.context.report(problems.unreachable_arm("`_` before it stands for every case", arm.span, rest))
        with body.scope():
            case, binders = _pattern(body, arm, cases, subject)
            if case is None and isinstance(arm.pattern, syntax.Wildcard):
                if cases is not None and rest is None and len(taken) == len(cases.cases):
                    body.context.report(problems.unreachable_arm("every case has an arm already", arm.span, None))
                rest = rest or arm.pattern.span
            elif case is not None and case in taken:
                why = f"case `{case}` has an arm already"
                body.context.report(problems.unreachable_arm(why, arm.pattern.span, taken[case]))
            elif case is not None:
                taken[case] = arm.pattern.span
            block = body.block(_block_of(arm), guide, role)
        guide = guide or (guide_of(block.result) if turns is None else None)
        arms.append(program.Arm(case, binders, block, arm.span))
    what = "the value of every arm of this `match`"
    type, blocks = NONE, [arm.body for arm in arms]
    if not valueless:
        type, blocks = agree_blocks(body, blocks, expected, what)
    if cases is None:
        return nothing(node.span, type)
    missing = tuple(case for case in cases.cases if case.name not in taken)
    # An arm whose case is misspelt is most likely that of a missing one.
    misnamed = sum(1 for arm, written in zip(arms, node.arms, strict=True) if _is_misnamed(arm, written))
    if len(missing) <= misnamed:
        missing = ()
    if missing and rest is None:
        fix = _insert(body, node, missing, type)
        related = () if cases.span is None else (Related(cases.span, f"`{cases.owner}` is declared here"),)
        at = body.context.source.span(node.span.start, min(node.subject.span.end, node.span.end))
        body.context.report(problems.missing_arm(tuple(case.name for case in missing), at, related, fix))
    arms = [program.Arm(a.case, a.binders, block, a.span) for a, block in zip(arms, blocks, strict=True)]
    labels = NO_LABELS.union(*(labels_of_block(arm.body) for arm in arms))
    return program.Match(type=type, span=node.span, labels=labels, subject=subject, arms=tuple(arms))


def _is_misnamed(arm: program.Arm, written: syntax.Arm) -> bool:
    return arm.case is None and isinstance(written.pattern, syntax.CasePattern)


def _block_of(arm: syntax.Arm) -> syntax.Block:
    if isinstance(arm.body, syntax.Block):
        return arm.body
    return syntax.Block((syntax.ExprStatement(arm.body, span=arm.body.span),), span=arm.body.span)


def _cases_of(body: Body, subject: program.Expression) -> _Cases | None:
    """None where the type is not known, or after a report."""
    type = subject.type
    match type:
        case _ if is_unknown(type):
            pass
        case EnumType():
            declared = body.context.enums.get(type.name)
            if declared is not None:
                return _Cases(type.name, declared.cases, declared.span)
        case OptionType():
            value = Parameter("value", type.element, subject.span)
            cases = (EnumCase("some", (value,), subject.span), EnumCase("none", (), subject.span))
            return _Cases(str(type), cases, None)
        case _:
            hint = "decide over a Bool, a number or a Text with `if … { … } else { … }`"
            what = "what `match` decides over"
            related = body.origin(subject)
            wanted = "an enum or an optional value"
            body.context.report(problems.wrong_type(what, wanted, str(type), subject.span, related, hint))
    return None


# --- patterns --------------------------------------------------------------------------------------------------------


def _pattern(
    body: Body, arm: syntax.Arm, cases: _Cases | None, subject: program.Expression
) -> tuple[str | None, tuple[Parameter | None, ...]]:
    """The case of an arm and its names, which are bound. No case for `_`, and for one that is not known."""
    pattern = arm.pattern
    if isinstance(pattern, syntax.Wildcard):
        return None, ()
    case = None if cases is None else _named(body, pattern, cases)
    if case is None:
        for binder in pattern.binders:
            _bind(body, binder, UNKNOWN, subject)
        return None, ()
    fields = tuple(field.name for field in case.payload)
    # A case without brackets says nothing of what it holds.
    if pattern.binders and len(pattern.binders) != len(fields):
        declared = case.span if cases is not None and cases.span is not None else None
        body.context.report(problems.wrong_binders(case.name, fields, len(pattern.binders), pattern.span, declared))
    binders: list[Parameter | None] = [None] * len(fields)
    for position, binder in enumerate(pattern.binders):
        field = case.payload[position] if position < len(fields) else None
        bound = _bind(body, binder, field.type if field else UNKNOWN, subject, field)
        if position < len(fields):
            binders[position] = bound
    return case.name, tuple(binders)


def _bind(
    body: Body,
    binder: syntax.Ident | syntax.Wildcard,
    type: Type,
    subject: program.Expression,
    field: Parameter | None = None,
) -> Parameter | None:
    if isinstance(binder, syntax.Wildcard):
        return None
    labels = subject.labels | (field.labels if field else NO_LABELS)
    body.bind(binder, "name bound by an arm", type, labels)
    return Parameter(binder.text, type, binder.span, labels)


def _named(body: Body, pattern: syntax.CasePattern, cases: _Cases) -> EnumCase | None:
    """The case that a pattern names, alone or behind the name of its enum; None after a report."""
    word = pattern.case.parts[-1]
    owner = ".".join(part.text for part in pattern.case.parts[:-1])
    if owner and owner not in (cases.owner, cases.owner.rsplit(".", 1)[-1]):
        body.use_all(syntax.Name(pattern.case.parts[0].text, span=pattern.case.parts[0].span))
        title = "the enum of this arm"
        body.context.report(problems.wrong_type(title, f"`{cases.owner}`", f"`{owner}`", pattern.case.span))
        return None
    if owner:
        enum = body.context.use(pattern.case.parts[0].text)
        if enum is not None:
            body.context.note(pattern.case.parts[0].span, enum)
    case = cases.case(word.text)
    if case is None:
        near = body.context.nearest(word.text, cases.names)
        body.context.report(problems.unknown_case(cases.owner, word.text, word.span, near, cases.names))
    elif cases.span is not None:
        body.context.note(word.span, case, cases.owner)
    return case


# --- the fix of a missing arm ----------------------------------------------------------------------------------------


def _insert(body: Body, node: syntax.Match, missing: tuple[EnumCase, ...], type: Type) -> Fix | None:
    """Arms for the missing cases behind the last one, with the simplest value of the type."""
    if isinstance(type, OptionType):
        value = "none"
    else:
        value = "[]" if isinstance(type, ListType) else _PLAIN.get(type)
    if value is None or not node.arms:
        return None
    last = node.arms[-1].span
    text = body.context.source.text
    # Arms on lines of their own, as deep as the last one, or all on one line.
    line = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    before = "\n" + line if not line.strip() else ", "
    arms = (f"{case.name}({', '.join('_' for _ in case.payload)})" if case.payload else case.name for case in missing)
    at = body.context.source.span(last.end, last.end)
    return Fix("add the missing arms", (Edit(at, "".join(f"{before}{arm} => {value}" for arm in arms)),))
