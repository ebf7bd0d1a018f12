"""The syntax tree of the shell: what the parser makes and the interpreter runs."""

from dataclasses import dataclass


class ShellSyntaxError(Exception):
    """The text is not a command. ``incomplete`` when more lines could make it one."""

    def __init__(self, message: str, *, incomplete: bool = False) -> None:
        super().__init__(message)
        self.incomplete = incomplete


@dataclass(frozen=True, kw_only=True, slots=True)
class Literal:
    """Plain characters; ``quoted`` ones are neither split nor matched as patterns."""

    text: str
    quoted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """``$name`` or ``${name<operator><word>}``; operator ``#len`` is ``${#name}``."""

    name: str
    quoted: bool
    operator: str = ""
    word: "Word | None" = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Substitution:
    """``$(source)`` or backquotes."""

    source: str
    quoted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Arithmetic:
    """``$((expression))``."""

    expression: "Word"
    quoted: bool


Part = Literal | Parameter | Substitution | Arithmetic


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One word before expansion."""

    parts: tuple[Part, ...]

    def bare(self) -> str | None:
        """The text when the word is unquoted and plain (it may be a keyword), else None."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Literal) and not self.parts[0].quoted:
            return self.parts[0].text
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Redirect:
    """``fd op target``; ops are ``< > >> >& <& <>`` and ``<<`` (target is the text itself)."""

    fd: int
    op: str
    target: Word


@dataclass(frozen=True, kw_only=True, slots=True)
class Simple:
    """Assignments, words and redirections."""

    assigns: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """``{ ..; }`` or ``( .. )``."""

    body: "Sequence"
    redirects: tuple[Redirect, ...]
    subshell: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class If:
    """``if``/``elif`` branches in order, and ``else``."""

    branches: "tuple[tuple[Sequence, Sequence], ...]"
    otherwise: "Sequence | None"
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class For:
    """``for name in words``; ``words`` None means the positional parameters."""

    name: str
    words: tuple[Word, ...] | None
    body: "Sequence"
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class While:
    """``while`` or, with ``until``, its opposite."""

    condition: "Sequence"
    body: "Sequence"
    until: bool
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """``case subject in pattern|pattern) body ;; esac``."""

    subject: Word
    arms: "tuple[tuple[tuple[Word, ...], Sequence], ...]"
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """``name() { .. }``."""

    name: str
    body: "Command"


Command = Simple | Group | If | For | While | Case | Function


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """Commands joined by ``|``; ``negated`` by ``!``."""

    stages: tuple[Command, ...]
    negated: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class AndOr:
    """Pipelines joined by ``&&`` and ``||``; the first has the operator ``""``."""

    steps: tuple[tuple[str, Pipeline], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """And-or lists in order; the flag says that one runs in the background."""

    items: tuple[tuple[AndOr, bool], ...]
