"""Type variables of the library's signatures, and stages with several signatures.

`stage first(items: [T]) -> T?` is filled in by each call; a stage with several signatures is told by the type of the
first argument. No variable is left in a program.
"""

from __future__ import annotations

from ...base.frozen import replace
from ..program import Parameter, StageSignature
from ..types import ListType, MapType, OptionType, StreamType, Type
from .conversions import OPEN, is_unknown, join
from .prelude import is_variable
from .symbols import UNKNOWN

# What each variable stands for in one call, as far as its arguments have told.
Variables = dict[str, Type]


def has_variables(type: Type) -> bool:
    while isinstance(type, ListType | MapType | OptionType | StreamType):
        type = type.element
    return is_variable(type)


def filled(type: Type, variables: Variables) -> Type:
    """The type with its variables replaced, as far as they are known."""
    match type:
        case ListType():
            return ListType(filled(type.element, variables))
        case MapType():
            return MapType(filled(type.element, variables))
        case StreamType():
            return StreamType(filled(type.element, variables))
        case OptionType():
            element = filled(type.element, variables)
            return element if isinstance(element, OptionType) else OptionType(element)
        case _:
            return variables.get(str(type), type) if is_variable(type) else type


def unify(pattern: Type, actual: Type, variables: Variables) -> None:
    """Learn what the variables of `pattern` stand for where a value of type `actual` is given. What does not match
    teaches nothing; the argument is reported when it is made to fit."""
    if is_variable(pattern):
        name = str(pattern)
        before = variables.get(name)
        variables[name] = actual if before is None else join(before, actual) or before
        return
    match pattern, actual:
        case (ListType(), ListType()) | (MapType(), MapType()) | (StreamType(), StreamType()):
            unify(pattern.element, actual.element, variables)
        case OptionType(), OptionType():
            unify(pattern.element, actual.element, variables)
        case OptionType(), _:
            unify(pattern.element, actual, variables)
        case _:
            pass


def instance(stage: StageSignature, variables: Variables) -> StageSignature:
    """The signature as one call has it; a variable that no argument told of is unknown."""
    if not any(has_variables(p.type) for p in stage.parameters) and not has_variables(stage.result):
        return stage
    known = {name: UNKNOWN if type == OPEN else type for name, type in variables.items()}

    def closed(type: Type) -> Type:
        type = filled(type, known)
        return UNKNOWN if has_variables(type) else type

    parameters = tuple(replace(p, type=closed(p.type)) for p in stage.parameters)
    return replace(stage, parameters=parameters, result=closed(stage.result))


def accepts(parameter: Parameter, actual: Type) -> bool:
    """Whether a first argument of that type tells that this signature is meant."""
    if is_unknown(actual):
        return True
    variables: Variables = {}
    unify(parameter.type, actual, variables)
    wanted = filled(parameter.type, variables)
    return join(wanted, actual) == wanted
