"""Ways out of the middle of a script, as exceptions that never leave the shell."""


class Exit(Exception):
    """``exit`` or a finished ``exec``."""

    def __init__(self, rc: int) -> None:
        super().__init__(rc)
        self.rc = rc & 0xFF


class Return(Exit):
    """``return`` out of a function."""


class Break(Exception):
    """``break`` out of a loop."""


class Continue(Exception):
    """``continue`` with the next round of a loop."""
