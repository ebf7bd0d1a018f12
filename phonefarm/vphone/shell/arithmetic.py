"""``$(( .. ))``: whole numbers of 64 bits, the operators of C, and assignments to variables.

A parser by precedence over a list of tokens; what is not chosen by ``&&``, ``||`` and ``?:`` is parsed and has no
effect.
"""

import operator
import re
from collections.abc import Callable, MutableMapping

from phonefarm.vphone.shell.syntax import ShellSyntaxError

_TOKEN = re.compile(
    r"\s*(0[xX][0-9A-Fa-f]+|\d+|[A-Za-z_]\w*|<<=|>>=|\+\+|--|[-+*/%&|^<>=!]=|<<|>>|&&|\|\||[-+*/%&|^<>=!~?:(),])"
)
_ASSIGNING = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="})
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"),
    ("*", "/", "%"),
)  # fmt: skip
"""Binary operators, the weakest first."""


def _quotient(left: int, right: int) -> int:
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


_BINARY: dict[str, Callable[[int, int], int]] = {
    "|": operator.or_,
    "^": operator.xor,
    "&": operator.and_,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "%": lambda a, b: a - _quotient(a, b) * b,
}


def evaluate(expression: str, variables: MutableMapping[str, str]) -> int:
    """Value of an arithmetic expression, which may assign to ``variables``. Raises ``ShellSyntaxError``."""
    try:
        return _Reader(expression, variables).whole()
    except (ValueError, ZeroDivisionError, IndexError, RecursionError) as error:
        raise ShellSyntaxError(f"{expression}: bad arithmetic expression") from error


def number(text: str) -> int:
    """A constant: decimal, octal (``017``) or hexadecimal (``0x1f``); empty is 0. Raises ``ValueError``."""
    digits = text.strip().lstrip("+-")
    sign = -1 if text.strip().startswith("-") else 1
    if len(digits) > 1 and digits[0] == "0" and digits[1] not in "xX":
        return sign * int(digits, 8)
    return sign * int(digits or "0", 0)


def _wrapped(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(text[at:])
        found.append(match.group(1))
        at = match.end()
    return found


class _Reader:
    def __init__(self, expression: str, variables: MutableMapping[str, str]) -> None:
        self._tokens = _tokens(expression)
        self._at = 0
        self._variables = variables
        self._idle = 0

    def whole(self) -> int:
        if not self._tokens:
            return 0
        value = self._list()
        if self._at != len(self._tokens):
            raise ValueError(self._tokens[self._at])
        return value

    def _peek(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, text: str) -> None:
        if self._take() != text:
            raise ValueError(text)

    def _list(self) -> int:
        value = self._assigned()
        while self._peek() == ",":
            self._take()
            value = self._assigned()
        return value

    def _assigned(self) -> int:
        name = self._peek()
        if not name[:1].isidentifier() or self._peek(1) not in _ASSIGNING:
            return self._chosen()
        self._take()
        op = self._take()
        value = self._assigned()
        if op != "=":
            value = self._apply(op[:-1], self._variable(name), value)
        return self._store(name, value)

    def _store(self, name: str, value: int) -> int:
        if not self._idle:
            self._variables[name] = str(value)
        return value

    def _chosen(self) -> int:
        condition = self._binary(0)
        if self._peek() != "?":
            return condition
        self._take()
        first = self._branch(self._list, used=condition != 0)
        self._expect(":")
        second = self._branch(self._assigned, used=condition == 0)
        return first if condition else second

    def _branch(self, parse: Callable[[], int], *, used: bool) -> int:
        """Parse a part that may have no effect."""
        self._idle += not used
        try:
            return parse()
        finally:
            self._idle -= not used

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._peek() in _LEVELS[level]:
            op = self._take()
            if op in ("&&", "||"):
                right = self._branch(lambda: self._binary(level + 1), used=(left != 0) == (op == "&&"))
                left = int(left != 0 and right != 0) if op == "&&" else int(left != 0 or right != 0)
            else:
                left = self._apply(op, left, self._binary(level + 1))
        return left

    def _apply(self, op: str, left: int, right: int) -> int:
        if self._idle and op in "/%" and right == 0:
            return 0
        return _wrapped(_BINARY[op](left, right))

    def _unary(self) -> int:
        op = self._take()
        if op in ("+", "-", "!", "~"):
            value = self._unary()
            return _wrapped({"+": value, "-": -value, "!": int(value == 0), "~": ~value}[op])
        if op in ("++", "--"):
            name = self._take()
            return self._store(name, self._variable(name) + (1 if op == "++" else -1))
        if op == "(":
            value = self._list()
            self._expect(")")
            return value
        if not op[0].isidentifier():
            return _wrapped(number(op))
        value = self._variable(op)
        if self._peek() in ("++", "--"):
            self._store(op, value + (1 if self._take() == "++" else -1))
        return value

    def _variable(self, name: str) -> int:
        if not name.isidentifier():
            raise ValueError(name)
        return number(self._variables.get(name, "") or "0")
