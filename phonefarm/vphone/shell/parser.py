"""Tokens to a syntax tree, by recursive descent.

Keywords count only where a command may start. ``ShellSyntaxError.incomplete`` tells an interactive reader that another
line may finish the command.
"""

import re
from collections.abc import Callable

from phonefarm.vphone.shell import syntax
from phonefarm.vphone.shell.lexer import Lexer, Token
from phonefarm.vphone.shell.syntax import Command, Redirect, Sequence, ShellSyntaxError, Word

_ASSIGN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*=")
_REDIRECTS = frozenset({"<", ">", ">>", ">|", ">&", "<&", "<>", "<<", "<<-"})
_CLOSERS = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}", "in"})


def parse(text: str) -> Sequence:
    """The whole of ``text`` as a list of commands. Raises ``ShellSyntaxError``."""
    return _Parser(Lexer(text)).program()


class _Parser:
    def __init__(self, lexer: Lexer) -> None:
        self._lexer = lexer
        self._ahead: Token | None = None

    # -- lists -----------------------------------------------------------------------------------------------------
    def program(self) -> Sequence:
        body = self._sequence()
        token = self._peek()
        if token.kind != "end":
            raise self._unexpected(token)
        return body

    def _sequence(self) -> Sequence:
        items: list[tuple[syntax.AndOr, bool]] = []
        self._newlines()
        while self._starts_command():
            and_or = self._and_or()
            background = self._is_op("&")
            items.append((and_or, background))
            if background or self._is_op(";"):
                self._take()
            elif not self._is_op("\n"):
                break
            self._newlines()
        return Sequence(items=tuple(items))

    def _and_or(self) -> syntax.AndOr:
        steps = [("", self._pipeline())]
        while self._is_op("&&", "||"):
            op = self._take().text
            self._newlines()
            steps.append((op, self._pipeline()))
        return syntax.AndOr(steps=tuple(steps))

    def _pipeline(self) -> syntax.Pipeline:
        negated = False
        while self._keyword() == "!":
            self._take()
            negated = not negated
        stages = [self._command()]
        while self._is_op("|"):
            self._take()
            self._newlines()
            stages.append(self._command())
        return syntax.Pipeline(stages=tuple(stages), negated=negated)

    # -- commands --------------------------------------------------------------------------------------------------
    def _command(self) -> Command:
        if self._is_op("("):
            return self._group("(", ")")
        compound: dict[str, Callable[[], Command]] = {
            "{": lambda: self._group("{", "}"),
            "if": self._if,
            "for": self._for,
            "while": self._while,
            "until": self._while,
            "case": self._case,
        }
        keyword = self._keyword()
        if keyword in compound:
            return compound[keyword]()
        if keyword in _CLOSERS and keyword != "in":
            raise self._unexpected(self._peek())
        return self._simple()

    def _simple(self) -> Command:
        assigns: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            token = self._peek()
            if token.kind == "op" and token.text in _REDIRECTS:
                redirects.append(self._redirect())
            elif token.kind == "word" and token.word is not None:
                self._take()
                assign = None if words else _as_assignment(token.word)
                words.append(token.word) if assign is None else assigns.append(assign)
            elif token.text == "(" and len(words) == 1 and not assigns and words[0].bare():
                return self._function(words[0].bare() or "")
            else:
                break
        if not (assigns or words or redirects):
            raise self._unexpected(self._peek())
        return syntax.Simple(assigns=tuple(assigns), words=tuple(words), redirects=tuple(redirects))

    def _function(self, name: str) -> Command:
        self._expect_op("(")
        self._expect_op(")")
        self._newlines()
        return syntax.Function(name=name, body=self._command())

    def _group(self, opening: str, closing: str) -> Command:
        self._take()
        body = self._sequence()
        if opening == "(":
            self._expect_op(closing)
        else:
            self._expect_word(closing)
        if not body.items:
            raise ShellSyntaxError(f"syntax error: unexpected '{closing}'")
        return syntax.Group(body=body, redirects=self._redirects(), subshell=opening == "(")

    def _if(self) -> Command:
        branches = []
        otherwise = None
        while True:
            self._take()
            condition = self._sequence()
            self._expect_word("then")
            branches.append((condition, self._sequence()))
            if self._keyword() != "elif":
                break
        if self._keyword() == "else":
            self._take()
            otherwise = self._sequence()
        self._expect_word("fi")
        return syntax.If(branches=tuple(branches), otherwise=otherwise, redirects=self._redirects())

    def _for(self) -> Command:
        self._take()
        name = self._take_word().bare()
        if name is None:
            raise ShellSyntaxError("syntax error: bad for loop variable")
        words: list[Word] | None = None
        self._newlines()
        if self._keyword() == "in":
            self._take()
            words = []
            while self._peek().kind == "word":
                words.append(self._take_word())
        if self._is_op(";", "\n"):
            self._take()
        return syntax.For(
            name=name,
            words=None if words is None else tuple(words),
            body=self._do_group(),
            redirects=self._redirects(),
        )

    def _while(self) -> Command:
        until = self._take_word().bare() == "until"
        condition = self._sequence()
        return syntax.While(condition=condition, body=self._do_group(), until=until, redirects=self._redirects())

    def _do_group(self) -> Sequence:
        self._newlines()
        self._expect_word("do")
        body = self._sequence()
        self._expect_word("done")
        return body

    def _case(self) -> Command:
        self._take()
        subject = self._take_word()
        self._newlines()
        self._expect_word("in")
        self._newlines()
        arms = []
        while self._keyword() != "esac":
            if self._is_op("("):
                self._take()
            patterns = [self._take_word()]
            while self._is_op("|"):
                self._take()
                patterns.append(self._take_word())
            self._expect_op(")")
            arms.append((tuple(patterns), self._sequence()))
            if self._is_op(";;"):
                self._take()
            self._newlines()
        self._take()
        return syntax.Case(subject=subject, arms=tuple(arms), redirects=self._redirects())

    # -- redirections ----------------------------------------------------------------------------------------------
    def _redirects(self) -> tuple[Redirect, ...]:
        found = []
        while self._peek().kind == "op" and self._peek().text in _REDIRECTS:
            found.append(self._redirect())
        return tuple(found)

    def _redirect(self) -> Redirect:
        token = self._take()
        default = 0 if token.text.startswith("<") else 1
        fd = default if token.fd < 0 else token.fd
        if token.text in ("<<", "<<-"):
            return Redirect(fd=fd, op="<<", target=self._heredoc(indented=token.text == "<<-"))
        return Redirect(fd=fd, op=">" if token.text == ">|" else token.text, target=self._take_word())

    def _heredoc(self, *, indented: bool) -> Word:
        word = self._take_word()
        quoted = any(isinstance(part, syntax.Literal) and part.quoted for part in word.parts)
        delimiter = "".join(part.text for part in word.parts if isinstance(part, syntax.Literal))
        body = self._lexer.heredoc(delimiter, indented=indented)
        if quoted:
            return Word(parts=(syntax.Literal(text=body, quoted=True),))
        return Lexer(body.replace('"', '\\"')).as_quoted()

    # -- tokens ----------------------------------------------------------------------------------------------------
    def _peek(self) -> Token:
        if self._ahead is None:
            self._ahead = self._lexer.next()
        return self._ahead

    def _take(self) -> Token:
        token = self._peek()
        self._ahead = None
        return token

    def _take_word(self) -> Word:
        token = self._take()
        if token.word is None:
            raise self._unexpected(token)
        return token.word

    def _newlines(self) -> None:
        while self._is_op("\n"):
            self._take()

    def _is_op(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind == "op" and token.text in texts

    def _keyword(self) -> str | None:
        word = self._peek().word
        return word.bare() if word is not None else None

    def _starts_command(self) -> bool:
        token = self._peek()
        if token.kind == "word":
            return self._keyword() not in _CLOSERS
        return token.kind == "op" and (token.text == "(" or token.text in _REDIRECTS)

    def _expect_op(self, text: str) -> None:
        token = self._take()
        if token.kind != "op" or token.text != text:
            raise self._unexpected(token)

    def _expect_word(self, text: str) -> None:
        if self._keyword() != text:
            raise self._unexpected(self._peek())
        self._take()

    def _unexpected(self, token: Token) -> ShellSyntaxError:
        if token.kind == "end":
            return ShellSyntaxError("syntax error: unexpected EOF", incomplete=True)
        shown = token.text if token.word is None else token.word.bare() or "word"
        shown = "newline" if shown == "\n" else shown
        return ShellSyntaxError(f"syntax error: unexpected '{shown}'")


def _as_assignment(word: Word) -> tuple[str, Word] | None:
    """``name=value`` split up, or None when ``word`` is something else."""
    first = word.parts[0] if word.parts else None
    if not isinstance(first, syntax.Literal) or first.quoted:
        return None
    match = _ASSIGN.match(first.text)
    if match is None:
        return None
    rest = syntax.Literal(text=first.text[match.end() :], quoted=False)
    return match.group()[:-1], Word(parts=(rest, *word.parts[1:]))
