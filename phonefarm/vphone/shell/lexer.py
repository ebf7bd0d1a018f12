"""Characters to tokens.

Words keep their structure (quoted and unquoted parts, parameters, substitutions) because what may happen to a part
later depends on how it was written. The text of ``$(..)`` and backquotes is kept as text and parsed when it is run.
"""

import re
from dataclasses import dataclass

from phonefarm.vphone.shell.syntax import Arithmetic, Literal, Parameter, Part, ShellSyntaxError, Substitution, Word

OPERATORS = ("&&", "||", ";;", ">>", "<<-", "<<", ">&", "<&", "<>", ">|", ";", "&", "|", "(", ")", "<", ">", "\n")
_BREAKS = frozenset(" \t\n;&|()<>")
_PLAIN = re.compile(r"[^ \t\n;&|()<>'\"\\$`]*")
_PLAIN_QUOTED = re.compile(r'[^"\\$`]*')
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_SPECIAL = frozenset("?$!#@*-0123456789")
_BRACED = re.compile(r"(#?)([A-Za-z_][A-Za-z_0-9]*|[?$!#@*-]|[0-9]+)(:?[-=+?]|%%?|##?|)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """``kind`` is ``word``, ``op`` or ``end``; ``fd`` is the number written before a redirection, or -1."""

    kind: str
    text: str = ""
    word: Word | None = None
    fd: int = -1


class Lexer:
    """Hands out the tokens of ``text`` one by one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def next(self) -> Token:
        """The next token. Raises ``ShellSyntaxError`` on an open quote or bracket."""
        self._skip_blanks()
        if self.at >= len(self.text):
            return Token(kind="end")
        for op in OPERATORS:
            if self.text.startswith(op, self.at):
                self.at += len(op)
                return Token(kind="op", text=op)
        number = re.compile(r"[0-9](?=[<>])").match(self.text, self.at)
        if number:
            self.at = number.end()
            redirect = self.next()
            return Token(kind="op", text=redirect.text, fd=int(number.group()))
        return Token(kind="word", word=self._word())

    def heredoc(self, delimiter: str, *, indented: bool = False) -> str:
        """Lines up to ``delimiter``, from after the current line; ``indented`` (``<<-``) takes leading tabs off."""
        start = self.text.find("\n", self.at)
        if start < 0:
            raise ShellSyntaxError("here document without end", incomplete=True)
        at = start + 1
        while at < len(self.text):
            end = self.text.find("\n", at)
            end = len(self.text) if end < 0 else end
            line = self.text[at:end]
            if (line.lstrip("\t") if indented else line) == delimiter:
                body = self.text[start + 1 : at]
                self.text = self.text[:start] + self.text[end:]
                return re.sub(r"^\t+", "", body, flags=re.MULTILINE) if indented else body
            at = end + 1
        raise ShellSyntaxError("here document without end", incomplete=True)

    def _skip_blanks(self) -> None:
        while self.at < len(self.text):
            if self.text[self.at] in " \t":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def _word(self) -> Word:
        parts: list[Part] = []
        while self.at < len(self.text) and self.text[self.at] not in _BREAKS:
            self._one_part(parts)
        return Word(parts=tuple(parts))

    def _one_part(self, parts: list[Part]) -> None:
        char = self.text[self.at]
        if char == "'":
            end = self._find("'", self.at + 1)
            parts.append(Literal(text=self.text[self.at + 1 : end], quoted=True))
            self.at = end + 1
        elif char == '"':
            self.at += 1
            parts.extend(self._double_quoted() or [Literal(text="", quoted=True)])
        elif char == "\\":
            if self.at + 1 >= len(self.text):
                raise ShellSyntaxError("unexpected end after a backslash", incomplete=True)
            if self.text[self.at + 1] != "\n":
                parts.append(Literal(text=self.text[self.at + 1], quoted=True))
            self.at += 2
        elif char in "$`":
            parts.append(self._expansion(quoted=False))
        else:
            _add_text(parts, self._run(_PLAIN), quoted=False)

    def _double_quoted(self) -> list[Part]:
        parts: list[Part] = []
        while True:
            if self.at >= len(self.text):
                raise ShellSyntaxError("no closing quote", incomplete=True)
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                return parts
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\", "\n"):
                escaped = self.text[self.at + 1]
                _add_text(parts, "" if escaped == "\n" else escaped, quoted=True)
                self.at += 2
            elif char in "$`":
                parts.append(self._expansion(quoted=True))
            else:
                _add_text(parts, self._run(_PLAIN_QUOTED), quoted=True)

    def _run(self, pattern: re.Pattern[str]) -> str:
        """Characters from here on that mean nothing special (the first is taken in any case)."""
        match = pattern.match(self.text, self.at + 1)
        end = match.end() if match else self.at + 1
        taken = self.text[self.at : end]
        self.at = end
        return taken

    def _expansion(self, *, quoted: bool) -> Part:
        """What starts with ``$`` or a backquote at the current place."""
        if self.text[self.at] == "`":
            return self._backquoted(quoted=quoted)
        following = self.text[self.at + 1 : self.at + 2]
        if self.text.startswith("$((", self.at):
            end = self._closing_bracket(self.at + 2)
            if self.text[end : end + 2] == "))":
                return self._arithmetic(quoted=quoted)
        if following == "(":
            end = self._closing_bracket(self.at + 1)
            source = self.text[self.at + 2 : end]
            self.at = end + 1
            return Substitution(source=source, quoted=quoted)
        if following == "{":
            return self._braced(quoted=quoted)
        name = _NAME.match(self.text, self.at + 1)
        if name:
            self.at = name.end()
            return Parameter(name=name.group(), quoted=quoted)
        if following and following in _SPECIAL:
            self.at += 2
            return Parameter(name=following, quoted=quoted)
        self.at += 1
        return Literal(text="$", quoted=quoted)

    def _arithmetic(self, *, quoted: bool) -> Part:
        inner = self._closing_bracket(self.at + 2)
        source = self.text[self.at + 3 : inner]
        self.at = inner + 2
        return Arithmetic(expression=Lexer(source).as_quoted(), quoted=quoted)

    def as_quoted(self) -> Word:
        """The whole text as if it stood in double quotes (here documents, arithmetic)."""
        self.text += '"'
        return Word(parts=tuple(self._double_quoted()))

    def _backquoted(self, *, quoted: bool) -> Part:
        source = []
        at = self.at + 1
        while at < len(self.text) and self.text[at] != "`":
            escapes = '$`\\"' if quoted else "$`\\"
            if self.text[at] == "\\" and self.text[at + 1 : at + 2] and self.text[at + 1] in escapes:
                at += 1
            source.append(self.text[at])
            at += 1
        if at >= len(self.text):
            raise ShellSyntaxError("no closing quote", incomplete=True)
        self.at = at + 1
        return Substitution(source="".join(source), quoted=quoted)

    def _braced(self, *, quoted: bool) -> Part:
        match = _BRACED.match(self.text, self.at + 2)
        if match is None:
            raise ShellSyntaxError("bad substitution")
        length, name, operator = match.groups()
        end = self._closing_brace(match.end())
        inner = self.text[match.end() : end]
        self.at = end + 1
        if length:
            return Parameter(name=name, quoted=quoted, operator="#len")
        if inner and not operator:
            raise ShellSyntaxError("bad substitution")
        pattern = operator[:1] in ("%", "#")  # a pattern is never quoted by the quotes around the whole
        word = _loose_word(inner) if pattern else _inner_word(inner, quoted=quoted)
        return Parameter(name=name, quoted=quoted, operator=operator, word=word)

    def _closing_bracket(self, start: int) -> int:
        """Place of the bracket that closes the one at ``start``."""
        depth, at = 0, start
        while at < len(self.text):
            char = self.text[at]
            if char in "\"'`":
                at = self._skip_quoted(at)
                continue
            depth += {"(": 1, ")": -1}.get(char, 0)
            if depth == 0:
                return at
            at += 2 if char == "\\" else 1
        raise ShellSyntaxError("no closing bracket", incomplete=True)

    def _closing_brace(self, at: int) -> int:
        depth = 1
        while at < len(self.text):
            char = self.text[at]
            if char in "\"'`":
                at = self._skip_quoted(at)
                continue
            depth += {"{": 1, "}": -1}.get(char, 0)
            if depth == 0:
                return at
            at += 2 if char == "\\" else 1
        raise ShellSyntaxError("no closing brace", incomplete=True)

    def _skip_quoted(self, at: int) -> int:
        """Place after the quoted text that starts at ``at``."""
        quote = self.text[at]
        at += 1
        while at < len(self.text) and self.text[at] != quote:
            if quote != "'" and self.text.startswith("$(", at):
                at = self._closing_bracket(at + 1)
            at += 2 if self.text[at] == "\\" and quote != "'" else 1
        if at >= len(self.text):
            raise ShellSyntaxError("no closing quote", incomplete=True)
        return at + 1

    def _find(self, char: str, start: int) -> int:
        end = self.text.find(char, start)
        if end < 0:
            raise ShellSyntaxError("no closing quote", incomplete=True)
        return end


def _inner_word(source: str, *, quoted: bool) -> Word:
    """The word after the operator of ``${name-word}``: blanks do not end it."""
    if quoted:
        return Lexer(source).as_quoted() if '"' not in source else _loose_word(source)
    return _loose_word(source)


def _loose_word(source: str) -> Word:
    lexer = Lexer(source)
    parts: list[Part] = []
    while lexer.at < len(source):
        if source[lexer.at] in _BREAKS:
            _add_text(parts, source[lexer.at], quoted=False)
            lexer.at += 1
        else:
            lexer._one_part(parts)
    return Word(parts=tuple(parts))


def _add_text(parts: list[Part], text: str, *, quoted: bool) -> None:
    """Add characters, growing the last literal when it is of the same kind."""
    last = parts[-1] if parts else None
    if isinstance(last, Literal) and last.quoted == quoted:
        parts[-1] = Literal(text=last.text + text, quoted=quoted)
    else:
        parts.append(Literal(text=text, quoted=quoted))
