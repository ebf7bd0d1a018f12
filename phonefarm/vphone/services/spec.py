"""The name of a shell service, taken apart: ``shell,v2,TERM=xterm,pty:command``."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ShellSpec:
    """How to run ``command`` (empty: interactive). ``framed`` is the v2 protocol, ``pty`` a terminal."""

    command: str
    framed: bool = False
    pty: bool = False
    term: str = "dumb"

    @staticmethod
    def of_words(words: list[str]) -> "ShellSpec":
        """A command given as separate words."""
        return ShellSpec(command=" ".join(shlex.quote(word) for word in words))


def parse_shell(kind: str, command: str) -> ShellSpec:
    """Spec of a service name that starts with ``shell``. Without a command it is a terminal unless ``raw`` is asked."""
    options = kind.split(",")[1:]
    term = next((option[5:] for option in options if option.startswith("TERM=")), "dumb")
    pty = "pty" in options or (command == "" and "raw" not in options)
    return ShellSpec(command=command, framed="v2" in options, pty=pty, term=term)
