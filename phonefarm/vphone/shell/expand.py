"""Word expansion: parameters, substitutions, arithmetic, field splitting and file name patterns.

A field is built from runs of (text, quoted). Quoted text is never split or matched; only unquoted results of expansions
are split, at the characters of ``IFS``: blanks among them count once however many there are, others each.
"""

import fnmatch
import re
from collections.abc import MutableMapping
from typing import Protocol

from phonefarm.vphone.fs import FileSystem
from phonefarm.vphone.shell.arithmetic import evaluate
from phonefarm.vphone.shell.syntax import Arithmetic, Literal, Parameter, Part, ShellSyntaxError, Substitution, Word

BLANKS = " \t\n"
"""What fields are split at when ``IFS`` is not set."""
_MAGIC = re.compile(r"[*?\[]")
Run = tuple[str, bool]


class Scope(Protocol):
    """What expansion needs of a shell."""

    positional: list[str]
    cwd: str
    options: set[str]

    @property
    def variables(self) -> MutableMapping[str, str]:
        """Its variables."""
        ...

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
        for place, part in enumerate(word.parts):
            if isinstance(part, Literal):
                parts.append(_tilde(part, self._scope.variables) if place == 0 else part.text)
            else:
                parts.append(" ".join(await self._values(part)))
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
        fields = _Fields(self._ifs())
        for place, part in enumerate(word.parts):
            if isinstance(part, Literal):
                fields.add(_tilde(part, self._scope.variables) if place == 0 else part.text, quoted=part.quoted)
                continue
            values = await self._values(part)
            for index, value in enumerate(values):
                if index:
                    fields.next()
                if part.quoted:
                    fields.add(value, quoted=True)
                else:
                    fields.split(value)
        return fields.found

    def _ifs(self) -> str:
        return self._scope.variables.get("IFS", BLANKS)

    def _match(self, runs: list[Run]) -> list[str]:
        plain = "".join(text for text, _ in runs)
        if "f" in self._scope.options or not any(not quoted and _MAGIC.search(text) for text, quoted in runs):
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
        if not part.operator and (part.name == "@" or (part.name == "*" and not part.quoted)):
            return list(self._scope.positional)
        return [await self._parameter(part)]

    async def _parameter(self, part: Parameter) -> str:
        value = self._lookup(part.name)
        if value is None and "u" in self._scope.options and part.operator[-1:] not in ("-", "+", "=", "?"):
            raise ShellSyntaxError(f"{part.name}: parameter not set")
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
            return (self._ifs()[:1] if name == "*" else " ").join(self._scope.positional)
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


class _Fields:
    """Fields in the making; a field exists once something was added to it, be it an empty quoted text."""

    def __init__(self, ifs: str) -> None:
        self.found: list[list[Run]] = []
        self._blanks = "".join(char for char in ifs if char in BLANKS)
        self._others = "".join(char for char in ifs if char not in BLANKS)
        self._open = False

    def next(self) -> None:
        """What comes belongs to another field."""
        self._open = False

    def add(self, text: str, *, quoted: bool) -> None:
        """``text`` as it is; unquoted and empty, it makes no field."""
        if not text and not quoted:
            return
        if not self._open:
            self.found.append([])
            self._open = True
        self.found[-1].append((text, quoted))

    def split(self, text: str) -> None:
        """The unquoted result of an expansion."""
        for piece, ended in pieces(text, self._blanks, self._others):
            if ended and not self._open and not piece:
                self.found.append([])  # between two separators that are not blanks stands an empty field
                continue
            self.add(piece, quoted=False)
            if ended is not None:
                self.next()


def pieces(text: str, blanks: str, others: str, limit: int | None = None) -> list[tuple[str, bool | None]]:
    """``text`` cut at separators, at most ``limit`` times.

    With each piece: True when a separator that is no blank ended it, False when only blanks did, None when nothing did.
    """
    if not (blanks or others):
        return [(text, None)]
    space = f"[{re.escape(blanks)}]*" if blanks else ""
    hard = f"{space}[{re.escape(others)}]{space}" if others else "(?!)"
    soft = f"[{re.escape(blanks)}]+" if blanks else "(?!)"
    made: list[tuple[str, bool | None]] = []
    start = 0
    for match in re.finditer(f"({hard})|{soft}", text):
        if limit is not None and len(made) == limit:
            break
        made.append((text[start : match.start()], match.group(1) is not None))
        start = match.end()
    return [*made, (text[start:], None)]


def _tilde(part: Literal, variables: MutableMapping[str, str]) -> str:
    """``~`` and ``~/x`` at the beginning of a word are the home folder."""
    if part.quoted or not re.match(r"~(?=/|\Z)", part.text):
        return part.text
    return variables.get("HOME", "~") + part.text[1:]


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
