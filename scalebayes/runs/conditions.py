"""Conditions on the rows of a table, as text: read first, and then evaluated on its columns. Nothing else can run.

>>> import pandas as pd
>>> table = pd.DataFrame({"loss": [3.1, 2.4], "Model Size": [1e8, 1e9], "split": ["train", "target"]})
>>> list(evaluated("split == 'train' and `Model Size` < 5e8", table))
[True, False]
>>> evaluated("open('notes.txt', 'w')", table)
Traceback (most recent call last):
    ...
ValueError: a condition calls methods of columns, such as loss.notna(), and nothing else; it has open('notes.txt', 'w')
"""

from __future__ import annotations

import ast
import io
import operator
import re
import tokenize
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

_MOST_CHARACTERS, _MOST_PARTS, _DEEPEST = 10_000, 1_000, 50
_COMPARISONS: Mapping[type, Callable] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Mapping[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
# Methods of a column, with the least and the most of their arguments; those of text as in pandas.
_STATISTICS = ("abs", "mean", "median", "min", "max", "std", "sum", "duplicated", "count", "nunique")
_METHODS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("notna", "isna", "notnull", "isnull", *_STATISTICS), (0, 0)),
    **dict.fromkeys(("isin", "quantile"), (1, 1)),
    "round": (0, 1),
    "between": (2, 2),
}
_OF_TEXT: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("contains", "startswith", "endswith"), (1, 1)),
    **dict.fromkeys(("lower", "upper", "strip", "len"), (0, 0)),
}


def evaluated(where: str, table: pd.DataFrame) -> Any:
    """The value of a condition: true or false for each row, if it is one.

    Comparisons, ``and``, ``or``, ``not`` (also ``&``, ``|``, ``~``), ``in``, arithmetic, and a few methods of columns.

    Parameters
    ----------
    where : str
        Columns by name, in backticks where a name is no identifier.
    table : pandas.DataFrame

    Returns
    -------
    pandas.Series or scalar

    Raises
    ------
    ValueError
        If it is not written so, names no column, is longer than a condition can be, or its operations fail.
    """
    if len(where) > _MOST_CHARACTERS:
        raise ValueError(f"a condition has at most {_MOST_CHARACTERS} characters, and this one has {len(where)}")
    if not where.strip():
        raise ValueError("it is empty")
    try:
        return _evaluated(where, table)
    except ValueError as error:
        odd = [c for c in table.columns if not str(c).isidentifier() and f"`{c}`" not in where and str(c) in where]
        raise ValueError(f"{error}; a column such as {odd[0]!r} is written `{odd[0]}`" if odd else str(error)) from None


def _evaluated(where: str, table: pd.DataFrame) -> Any:
    text, names = _without_backticks(where)
    try:
        tree = ast.parse(_with_words(text).strip(), mode="eval")
    except (SyntaxError, tokenize.TokenError, RecursionError, MemoryError, IndentationError) as error:
        said = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        said = "a number in it is too large" if "limit" in said and "digits" in said else said
        raise ValueError(said) from None
    if sum(1 for _ in ast.walk(tree)) > _MOST_PARTS or _depth(tree.body) > _DEEPEST:
        raise ValueError(f"a condition has at most {_MOST_PARTS} parts, {_DEEPEST} within each other")
    try:
        with np.errstate(all="ignore"):
            return _Reader(table, names).value(tree.body)
    except OverflowError:
        raise ValueError("a number in it is too large") from None
    except (TypeError, ArithmeticError, KeyError, AttributeError, MemoryError) as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from None


class _Reader:
    """The values of the parts of one condition."""

    def __init__(self, table: pd.DataFrame, names: Mapping[str, str]) -> None:
        self.table, self.names = table, names

    def value(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=value) if isinstance(value, bool | int | float | str) or value is None:
                # Whole numbers as floats beyond what is exact: a power of them cannot take for ever.
                return float(value) if isinstance(value, int) and abs(value) > 2**53 else value
            case ast.Name(id=name):
                return self._column(name)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return [self._scalar(part) for part in parts]
            case ast.BoolOp(op=op, values=parts):
                values = [self._truth(part) for part in parts]
                together = operator.and_ if isinstance(op, ast.And) else operator.or_
                return reduce(together, values)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=part):
                truth = self._truth(part)
                return not truth if isinstance(truth, bool) else ~truth
            case ast.UnaryOp(op=ast.USub(), operand=part):
                return -self._number(part)
            case ast.UnaryOp(op=ast.UAdd(), operand=part):
                return self._number(part)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return _ARITHMETIC[type(op)](self._number(left), self._number(right))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                ends = [left, *rights]
                each = [self._compared(*three) for three in zip(ends[:-1], ops, rights, strict=True)]
                return reduce(operator.and_, each)
            case ast.Call(func=ast.Attribute(value=owner, attr=method), args=args, keywords=[]):
                return self._called(owner, method, args, node)
        kind = (
            "calls methods of columns, such as loss.notna(), and nothing else"
            if _calls(node)
            else ("has comparisons, and, or, not, in, arithmetic and methods of columns, and nothing else")
        )
        raise ValueError(f"a condition {kind}; it has {ast.unparse(node)[:80]}")

    def _column(self, name: str) -> Any:
        column = self.names.get(name, name)
        if column in self.table.columns:
            return self.table[column]
        if column == "index":
            return pd.Series(self.table.index, index=self.table.index)
        raise ValueError(f"name {column!r} is not defined")

    def _number(self, node: ast.AST) -> Any:
        value = self.value(node)
        if isinstance(value, pd.Series):
            if not (pd.api.types.is_numeric_dtype(value.dtype) or pd.api.types.is_datetime64_any_dtype(value.dtype)):
                raise ValueError(f"arithmetic is with numbers, and {ast.unparse(node)[:80]} is text")
            return value
        if isinstance(value, bool | int | float | np.number):
            return float(value)
        raise ValueError(f"arithmetic is with numbers, got {ast.unparse(node)[:80]}")

    def _scalar(self, node: ast.AST) -> Any:
        value = self.value(node)
        if isinstance(value, pd.Series | list):
            raise ValueError(f"a list has numbers and text, got {ast.unparse(node)[:80]}")
        return value

    def _truth(self, node: ast.AST) -> Any:
        value = self.value(node)
        if isinstance(value, bool | np.bool_):
            return bool(value)
        if isinstance(value, pd.Series) and pd.api.types.is_bool_dtype(value.dtype):
            return value.astype("boolean").fillna(False).astype(bool)
        raise ValueError(f"and, or, not join conditions, and {ast.unparse(node)[:80]} is none")

    def _compared(self, left: ast.AST, op: ast.AST, right: ast.AST) -> Any:
        one, other = self.value(left), self.value(right)
        if isinstance(op, ast.In | ast.NotIn) or (isinstance(op, ast.Eq | ast.NotEq) and isinstance(other, list)):
            if not isinstance(one, pd.Series) or not isinstance(other, list):
                raise ValueError(
                    f"in is of a column and a list, such as split in ['train']; got {ast.unparse(right)[:80]}"
                )
            held = one.isin(other)
            return held if isinstance(op, ast.In | ast.Eq) else ~held
        if type(op) not in _COMPARISONS:
            raise ValueError("a comparison is ==, !=, <, <=, >, >=, in or not in")
        return _COMPARISONS[type(op)](one, other)

    def _called(self, owner: ast.AST, method: str, args: list[ast.expr], node: ast.AST) -> Any:
        of_text = isinstance(owner, ast.Attribute) and owner.attr == "str"
        known = _OF_TEXT if of_text else _METHODS
        if method not in known:
            raise ValueError(
                f"a condition calls {', '.join(_METHODS)} of a column, and {', '.join(_OF_TEXT)} of column.str; it has "
                f"{ast.unparse(node)[:80]}"
            )
        column = self.value(owner.value if of_text and isinstance(owner, ast.Attribute) else owner)
        if not isinstance(column, pd.Series):
            raise ValueError(f"{method} is of a column, got {ast.unparse(owner)[:80]}")
        least, most = known[method]
        if not least <= len(args) <= most:
            raise ValueError(
                f"{method} takes {least if least == most else f'{least} or {most}'} values, got {len(args)}"
            )
        given = [self.value(arg) if method == "isin" else self._scalar(arg) for arg in args]
        if of_text:
            # Plain text: a pattern may take for ever.
            return getattr(column.str, method)(*given, **({"regex": False} if method == "contains" else {}))
        return getattr(column, method)(*(int(v) for v in given) if method == "round" else given)


def _calls(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Call) for each in ast.walk(node))


def _depth(node: ast.AST) -> int:
    deepest, level = 0, [node]
    while level:
        deepest += 1
        level = [child for each in level for child in ast.iter_child_nodes(each)]
    return deepest


def _without_backticks(where: str) -> tuple[str, dict[str, str]]:
    """The text with names in backticks replaced, and what they were."""
    names: dict[str, str] = {}

    def replaced(found: re.Match) -> str:
        placeholder = f"_backtick_{len(names)}_"
        names[placeholder] = found[1]
        return placeholder

    return re.sub(r"`([^`]+)`", replaced, where), names


def _with_words(text: str) -> str:
    """The text with ``&`` and ``|`` written as words, which bind less than comparisons."""
    words, parts = {"&": "and", "|": "or", "~": "not"}, []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.OP and token.string == "@":
            raise ValueError("a condition is about the table's own columns; '@' is not")
        word = words.get(token.string) if token.type == tokenize.OP else None
        parts.append((tokenize.NAME, word) if word else (token.type, token.string))
    return tokenize.untokenize(parts)
