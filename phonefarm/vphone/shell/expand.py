"""Word expansion: parameters, substitutions, arithmetic, field splitting and file name patterns.

A field is built from runs of (text, quoted). Quoted text is never split or matched; only unquoted results of expansions
are split, at blanks, tabs and newlines.
"""

import ast
import fnmatch
import operator
import re
from collections.abc import Callable, Mapping
from typing import Protocol

from phonefarm.vphone.fs import FileSystem
from phonefarm.vphone.shell.syntax import Arithmetic, Literal, Parameter, Part, ShellSyntaxError, Substitution, Word

_BLANKS = re.compile(r"[ \t\n]+")
_MAGIC = re.compile(r"[*?\[]")
Run = tuple[str, bool]


class Scope(Protocol):
    """What expansion needs of a shell."""

    variables: dict[str, str]
    positional: list[str]
    cwd: str

    @property
    def fs(self) -> FileSystem:
        """Where patterns are matched."""
        ...

    def special(self, name: str) -> str | None:
        """Value of ``$?``, ``$$`` and the like, or None when ``name`` is not special."""
        ...

    async def capture(self, source: str) -> str:
        """Output of ``source`` without its last newlines."""
        ...


class Expander:
    """Expands words in one scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def fields(self, words: tuple[Word, ...]) -> list[str]:
        """The arguments that ``words`` stand for."""
        found: list[str] = []
        for word in words:
            for runs in await self._split(word):
                found.extend(self._match(runs))
        return found

    async def text(self, word: Word) -> str:
        """``word`` as one string, neither split nor matched (assignments, redirections)."""
        parts = []
        for part in word.parts:
            parts.append(part.text if isinstance(part, Literal) else " ".join(await self._values(part)))
        return "".join(parts)

    async def pattern(self, word: Word) -> str:
        """``word`` as a pattern for ``case``: quoted characters stand for themselves."""
        parts = []
        for part in word.parts:
            text = part.text if isinstance(part, Literal) else " ".join(await self._values(part))
            parts.append(_escape(text) if part.quoted else text)
        return "".join(parts)

    # -- fields ----------------------------------------------------------------------------------------------------
    async def _split(self, word: Word) -> list[list[Run]]:
        fields: list[list[Run]] = []
        open_field = False
        for part in word.parts:
            if isinstance(part, Literal):
                pieces, quoted = [part.text], part.quoted
            else:
                values, quoted = await self._values(part), part.quoted
                pieces = values if quoted else _cut(" ".join(values))
            if not pieces:
                continue
            for index, piece in enumerate(pieces):
                if not quoted and piece == "" and len(pieces) > 1:
                    open_field = False
                    continue
                if not open_field or index:
                    if not quoted and piece == "":
                        continue
                    fields.append([])
                fields[-1].append((piece, quoted))
                open_field = True
        return fields

    def _match(self, runs: list[Run]) -> list[str]:
        plain = "".join(text for text, _ in runs)
        if not any(not quoted and _MAGIC.search(text) for text, quoted in runs):
            return [plain]
        pattern = "".join(_escape(text) if quoted else text for text, quoted in runs)
        return self._scope.fs.glob(pattern, self._scope.cwd) or [plain]

    # -- values ----------------------------------------------------------------------------------------------------
    async def _values(self, part: Part) -> list[str]:
        """What an expansion stands for; several values only for ``$@``."""
        if isinstance(part, Substitution):
            return [await self._scope.capture(part.source)]
        if isinstance(part, Arithmetic):
            return [str(evaluate(await self.text(part.expression), self._scope.variables))]
        if isinstance(part, Literal):
            return [part.text]
        if part.name == "@" and not part.operator:
            return list(self._scope.positional)
        return [await self._parameter(part)]

    async def _parameter(self, part: Parameter) -> str:
        value = self._lookup(part.name)
        if part.operator == "#len":
            return str(len(value or ""))
        if part.operator:
            return await self._operate(part, value)
        return value or ""

    def _lookup(self, name: str) -> str | None:
        special = self._scope.special(name)
        if special is not None:
            return special
        if name in ("@", "*"):
            return " ".join(self._scope.positional)
        if name.isdigit():
            index = int(name) - 1
            return self._scope.positional[index] if index < len(self._scope.positional) else None
        return self._scope.variables.get(name)

    async def _operate(self, part: Parameter, value: str | None) -> str:
        word = part.word or Word(parts=())
        missing = value is None or (part.operator.startswith(":") and value == "")
        kind = part.operator[-1]
        if part.operator[0] in "%#":
            return _trimmed(value or "", part.operator, await self.pattern(word))
        if kind == "+":
            return "" if missing else await self.text(word)
        if not missing:
            return value or ""
        text = await self.text(word)
        if kind == "?":
            raise ShellSyntaxError(f"{part.name}: {text or 'parameter null or not set'}")
        if kind == "=":
            self._scope.variables[part.name] = text
        return text


def _cut(text: str) -> list[str]:
    """Split at blanks; an empty first or last piece says that the field before or after ends there."""
    return _BLANKS.split(text) if text else []


def _escape(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _trimmed(value: str, op: str, pattern: str) -> str:
    """``${value%pattern}`` and its three relatives."""
    regex = re.compile(fnmatch.translate(pattern), re.DOTALL)
    ends = range(len(value) + 1)
    if op[0] == "#":
        for end in ends if op == "#" else reversed(ends):
            if regex.match(value[:end]):
                return value[end:]
    else:
        for start in reversed(ends) if op == "%" else ends:
            if regex.match(value[start:]):
                return value[:start]
    return value


_BINARY: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: lambda a, b: a << (b & 63),
    ast.RShift: lambda a, b: a >> (b & 63),
    ast.Div: lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    ast.Mod: lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
}
_COMPARE: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def evaluate(expression: str, variables: Mapping[str, str]) -> int:
    """Value of an arithmetic expression. Raises ``ShellSyntaxError`` when it is not one."""
    source = expression.replace("&&", " and ").replace("||", " or ")
    source = re.sub(r"!(?!=)", " not ", source).strip() or "0"
    try:
        value = _value(ast.parse(source, mode="eval").body, variables)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError) as error:
        raise ShellSyntaxError(f"{expression}: bad arithmetic expression") from error
    return (value + 2**63) % 2**64 - 2**63


def _value(node: ast.expr, variables: Mapping[str, str]) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name):
        return int(variables.get(node.id) or "0", 0)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left, variables), _value(node.right, variables))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        left, right = _value(node.left, variables), _value(node.comparators[0], variables)
        return int(_COMPARE[type(node.ops[0])](left, right))
    if isinstance(node, ast.BoolOp):
        test = all if isinstance(node.op, ast.And) else any
        return int(test(_value(value, variables) != 0 for value in node.values))
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, variables)
        return {ast.USub: -value, ast.UAdd: value, ast.Not: int(value == 0), ast.Invert: ~value}[type(node.op)]
    if isinstance(node, ast.IfExp):
        return _value(node.body if _value(node.test, variables) else node.orelse, variables)
    raise ValueError("not an arithmetic expression")
