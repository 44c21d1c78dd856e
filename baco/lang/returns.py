"""Early returns as branches: what follows an ``if`` that returns belongs to its other side.

    if pid >= n:                        if pid >= n:
        return                              pass
    rest                                else:
                                            rest

A device function that returns values on both sides assigns them to one name, which is returned at the end. Compiled code has no other way
out of a function than its end; a return inside a loop stays what it is, and is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

RESULT = "returned value"
"""The name of what a function returns; no Python name has a space in it."""


def as_branches(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """A function's statements, those with early returns rewritten. The statements given are left as they are."""
    if not any(isinstance(s, ast.If) and (_returns(s.body) or _returns(s.orelse)) for s in body):
        return list(body)
    rewritten, gives_value = _without_returns(body)
    if gives_value:
        last = body[-1]
        value = ast.copy_location(ast.Name(RESULT, ast.Load()), last)
        rewritten.append(ast.copy_location(ast.Return(value), last))
    return rewritten


def _returns(body: Sequence[ast.stmt]) -> bool:
    """Whether a list of statements ends by leaving the function, somewhere outside loops."""
    return any(isinstance(s, ast.Return) or (isinstance(s, ast.If) and (_returns(s.body) or _returns(s.orelse))) for s in body)


def _without_returns(body: Sequence[ast.stmt]) -> tuple[list[ast.stmt], bool]:
    """Statements that fall through to their end instead of returning, and whether they name a value on the way."""
    for i, statement in enumerate(body):
        if isinstance(statement, ast.Return):
            if statement.value is None:
                return [*body[:i], ast.copy_location(ast.Pass(), statement)], False
            target = ast.copy_location(ast.Name(RESULT, ast.Store()), statement)
            return [*body[:i], ast.copy_location(ast.Assign([target], statement.value), statement)], True
        if isinstance(statement, ast.If) and (_returns(statement.body) or _returns(statement.orelse)):
            rest = list(body[i + 1 :])
            sides = [_without_returns([*side, *([] if _always(side) else rest)]) for side in (statement.body, statement.orelse)]
            new = ast.If(statement.test, *(side or [ast.copy_location(ast.Pass(), statement)] for side, _ in sides))
            return [*body[:i], ast.copy_location(new, statement)], any(value for _, value in sides)
    return list(body), False


def _always(body: Sequence[ast.stmt]) -> bool:
    """Whether statements are sure to return."""
    return any(isinstance(s, ast.Return) or (isinstance(s, ast.If) and _always(s.body) and _always(s.orelse)) for s in body)
