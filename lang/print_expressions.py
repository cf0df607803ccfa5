"""Types, expressions and blocks as text that parses to the same nodes.

Parentheses are put where the grammar's levels need them. Lines are broken only where the language needs it or where it
reads better; `layout` indents and aligns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import syntax as s

# The levels of the grammar, loosest first.
OTHERWISE, WITH, PIPE, OR, AND, NOT, COMPARISON, SUM, PRODUCT, UNARY, CAST, POSTFIX, ATOM = range(13)
_BINARY = {
    "or": (OR, OR, AND),
    "and": (AND, AND, NOT),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "contains"), (COMPARISON, SUM, SUM)),
    **dict.fromkeys(("+", "-"), (SUM, SUM, PRODUCT)),
    **dict.fromkeys(("*", "/", "%"), (PRODUCT, PRODUCT, UNARY)),
}
# Before these a `%` behind a number is a unit.
_NO_OPERAND = '"[{'
# A block of one short line stays on the line that opens it.
_SHORT = 60


# Types


def type_text(node: s.TypeExpr) -> str:
    match node:
        case s.NamedType(path):
            return path.text
        case s.ListType(item):
            return f"[{type_text(item)}]"
        case s.MapType(key, value):
            return f"{{{type_text(key)}: {type_text(value)}}}"
        case s.OptionType(item):
            return f"{type_text(item)}?"
        case s.StreamType(item):
            return f"stream {type_text(item)}"
        case s.TensorType(element, shape):
            return f"Tensor[{', '.join([element.text, *(size.text for size in shape)])}]"
        case s.KnownType(found):
            return str(found) if found is not None else "_"
        case s.LabelledType(inner, labels):
            return " ".join([type_text(inner), *(f"@{label.name.text}" for label in labels)])


# Expressions


def expression(node: s.Expr, level: int = OTHERWISE, plain: bool = False) -> str:
    """The text of a node where the grammar takes `level`; `plain` where a comma separates or a brace follows."""
    own, text = _levelled(node, plain)
    if own < level or (plain and isinstance(node, s.With)):
        return f"({_levelled(node, False)[1]})"
    return text


def _levelled(node: s.Expr, plain: bool) -> tuple[int, str]:
    match node:
        case s.Number():
            return ATOM, node.text
        case s.Quantity():
            text = quantity(node)
            # Before a bracket or a minus a `%` would divide.
            return CAST if text.endswith("%") else ATOM, text
        case s.Bool():
            return ATOM, "true" if node.value else "false"
        case s.Template():
            return ATOM, template(node)
        case s.Name():
            return ATOM, node.text
        case s.ListLiteral():
            return ATOM, f"[{', '.join(expression(item, plain=True) for item in node.items)}]"
        case s.MapLiteral():
            entries = (f"{template(entry.key)}: {expression(entry.value, plain=True)}" for entry in node.entries)
            return ATOM, f"{{{', '.join(entries)}}}"
        case s.Access():
            return POSTFIX, f"{expression(node.target, POSTFIX)}.{node.name.text}"
        case s.Index():
            return POSTFIX, f"{expression(node.target, POSTFIX)}[{expression(node.index, plain=True)}]"
        case s.Call():
            return POSTFIX, f"{expression(node.function, POSTFIX)}({arguments(node.arguments)})"
        case s.Unary():
            level, space = (NOT, " ") if node.operator.text == "not" else (UNARY, "")
            return level, f"{node.operator.text}{space}{expression(node.operand, level)}"
        case s.Binary():
            level, left, right = _BINARY[node.operator.text]
            first = expression(node.left, left)
            if first.endswith("%") and node.operator.text == "-":
                first = f"({first})"
            last = expression(node.right, right)
            if node.operator.text == "%" and last[0] in _NO_OPERAND:
                last = f"({last})"
            return level, f"{first} {node.operator.text} {last}"
        case s.Pipe():
            return PIPE, f"{expression(node.value, PIPE)} |> {expression(node.call, POSTFIX)}"
        case s.As():
            level = _cast_level(node.value)
            return level, f"{expression(node.value, level)} as {type_text(node.type)}"
        case s.Into():
            level = _cast_level(node.value)
            return level, f"{expression(node.value, level)} into {type_text(node.type)}"
        case s.Otherwise():
            return OTHERWISE, _otherwise(node, plain)
        case s.With():
            return WITH, f"{expression(node.value, PIPE)} with {', '.join(map(policy, node.policies))}"
        case s.If() | s.Match() | s.For() | s.Repeat() | s.Race() | s.Interruptible():
            return CAST, _form(node)


def _cast_level(value: s.Expr) -> int:
    """Where `as` and `into` stand behind a value: what a chain gives is converted without brackets, as a part of it."""
    while isinstance(value, s.As | s.Into):
        value = value.value
    return PIPE if isinstance(value, s.Pipe) else CAST


def _otherwise(node: s.Otherwise, plain: bool) -> str:
    value = expression(node.value, OTHERWISE, plain)
    fallback = expression(node.fallback, PIPE if plain else WITH)
    if node.reasons:
        return f"{value} otherwise on {', '.join(reason.text for reason in node.reasons)} {fallback}"
    if fallback.startswith("on "):
        # Else `on` would be taken for the word that names reasons.
        fallback = f"({fallback})"
    return f"{value} otherwise {fallback}"


def arguments(nodes: Iterable[s.Argument]) -> str:
    return ", ".join(
        (f"{node.name.text}: " if node.name else "") + expression(node.value, plain=True) for node in nodes
    )


def quantity(node: s.Quantity) -> str:
    """`250 ms`, `$0.50 per 1000 runs`; only the number where there is no unit."""
    text = f"${node.amount.text}" if node.unit == "$" else node.amount.text
    if node.unit and node.unit != "$":
        text += f" {node.unit}"
    if node.per:
        text += f" per {node.per.count.text} {node.per.unit}" if node.per.count else f" per {node.per.unit}"
    return text


def policy(node: s.Policy) -> str:
    match node:
        case s.Timeout(after):
            return f"timeout {expression(after)}"
        case s.Retry(count, backoff):
            return f"retry {expression(count)}" + (f" backoff {expression(backoff)}" if backoff else "")
        case s.Idle(after):
            return f"idle {expression(after)}"
        case s.Breaker(failures, pause):
            return f"breaker {expression(failures)} pause {expression(pause)}"
        case s.RateLimit(rate):
            return f"rate {quantity(rate)}"
        case s.Hedge(after):
            return f"hedge after {expression(after)}"
        case s.Cache(duration):
            return f"cache {expression(duration)}"
        case s.Buffer(size, drop):
            return f"buffer {expression(size)}" + (f" drop {drop.text}" if drop else "")
        case s.Latest():
            return "buffer latest"
        case s.Place(tier):
            return f"place on {tier.text}"
        case s.Approve(question):
            return f"approve {template(question)}"


# Texts


def template(node: s.Template) -> str:
    """With three quotes where it was written so and has lines, or where a hole cannot stand on one line."""
    holes = [_hole(part.value) for part in node.parts if isinstance(part, s.Hole)]
    broken = any("\n" in hole for hole in holes)
    has_lines = any(isinstance(part, s.TextPart) and "\n" in part.text for part in node.parts)
    lines = broken or (node.multiline and has_lines)
    # A mark stands for each hole while the text around them is looked at as lines; no escaped text contains it.
    text = "".join(_MARK if isinstance(part, s.Hole) else escape(part.text, lines) for part in node.parts)
    if lines:
        text = _keep_indentation(text)
    for hole in holes:
        text = text.replace(_MARK, hole, 1)
    return f'"""\n{text}\n"""' if lines else f'"{text}"'


def _hole(node: s.Expr) -> str:
    text = expression(node)
    # Two braces together would be a brace of the text.
    return f"{{ {text}}}" if text.startswith("{") else f"{{{text}}}"


def _keep_indentation(text: str) -> str:
    """Spaces with which all lines begin would be taken for layout; written as an escape, the first of them is not."""
    lines = text.split("\n")
    filled = [index for index, line in enumerate(lines) if line.strip(" ")]
    if filled and all(lines[index].startswith(" ") for index in filled):
        lines[filled[0]] = f"\\u{{20}}{lines[filled[0]][1:]}"
    return "\n".join(lines)


def escape(text: str, lines: bool = False) -> str:
    """The text as it stands between quotes; `lines` if newlines may stand as they are."""
    out: list[str] = []
    for character in text:
        if character == "\n":
            out.append("\n" if lines else "\\n")
        elif character in _ESCAPED:
            out.append(_ESCAPED[character])
        elif character < " " or character == "\x7f":
            out.append(f"\\u{{{ord(character):X}}}")
        else:
            out.append(character)
    # Between three quotes a quote is escaped only where it could be taken for one of them.
    return (_QUOTE_BESIDE_QUOTE if lines else _QUOTE).sub(r'\\"', "".join(out))


_MARK = "\x00"
_QUOTE = re.compile('"')
_QUOTE_BESIDE_QUOTE = re.compile(r'"(?="|\Z)|(?<=")"')
_ESCAPED = {"\\": "\\\\", "{": "{{", "}": "}}", "\t": "\\t", "\r": "\\r"}


# Forms with blocks


def _form(node: s.If | s.Match | s.For | s.Repeat | s.Race | s.Interruptible) -> str:
    match node:
        case s.If():
            return _if(node)
        case s.Match():
            arms = "\n".join(map(_arm, node.arms))
            return f"match {expression(node.subject, plain=True)} {{\n{arms}\n}}"
        case s.For():
            text = f"for {node.variable.text} in {expression(node.source, plain=True)}"
            if node.condition:
                text += f" where {expression(node.condition, plain=True)}"
            if node.at_once:
                text += f", at most {node.at_once.text} at once"
            return f"{text} {block(node.body)}"
        case s.Repeat():
            first = expression(node.initial, plain=True)
            return f"repeat {node.state.text} = {first}, at most {node.times.text} times {block(node.body)}"
        case s.Race():
            branches = "\n".join(map(expression, node.branches))
            return f"race {{\n{branches}\n}}"
        case s.Interruptible():
            return f"interruptible {block(node.body, always_lines=True)}"


def _if(node: s.If) -> str:
    alternative = node.otherwise
    lines = len(node.then.statements) > 1 or (isinstance(alternative, s.Block) and len(alternative.statements) > 1)
    text = f"if {expression(node.condition, plain=True)} {block(node.then, lines)}"
    if alternative is None:
        return text
    return f"{text} else {_if(alternative) if isinstance(alternative, s.If) else block(alternative, lines)}"


def _arm(node: s.Arm) -> str:
    body = block(node.body) if isinstance(node.body, s.Block) else expression(node.body)
    return f"{pattern(node.pattern)} => {body}"


def pattern(node: s.Pattern) -> str:
    if isinstance(node, s.Wildcard):
        return "_"
    if not node.binders:
        return node.case.text
    return f"{node.case.text}({', '.join('_' if isinstance(b, s.Wildcard) else b.text for b in node.binders)})"


# Statements


def block(node: s.Block, always_lines: bool = False) -> str:
    texts = [statement(part) for part in node.statements]
    if not always_lines and len(texts) == 1 and "\n" not in texts[0] and len(texts[0]) <= _SHORT:
        return f"{{ {texts[0]} }}"
    return "{\n" + "\n".join(texts) + "\n}"


def statement(node: s.Statement) -> str:
    match node:
        case s.Bind(name, value):
            return f"{name.text} = {expression(value)}"
        case s.Emit(value):
            return f"emit {expression(value)}"
        case s.Return(value):
            return f"return {expression(value)}"
        case s.Stop(value, condition):
            return f"stop {expression(value)}" + (f" when {expression(condition, plain=True)}" if condition else "")
        case s.Next(value):
            return f"next {expression(value)}"
        case s.Given(target, given, answer):
            called = "" if given is None else f"({arguments(given)})"
            return f"given {target.text}{called} = {expression(answer)}"
        case s.Expect(condition):
            return f"expect {expression(condition)}"
        case s.ExprStatement(value):
            return expression(value)
