"""Ways out of the middle of a script, as exceptions that never leave the shell."""


class Exit(Exception):
    """``exit`` or a finished ``exec``."""

    def __init__(self, rc: int) -> None:
        super().__init__(rc)
        self.rc = rc & 0xFF


class Return(Exit):
    """``return`` out of a function."""


class _OutOfLoops(Exception):
    """``levels`` says how many loops are left, the innermost counting as 1."""

    def __init__(self, levels: int = 1) -> None:
        super().__init__(levels)
        self.levels = levels

    def pass_on(self) -> None:
        """Raise the same for the next loop outside, if it is meant for that too."""
        if self.levels > 1:
            raise type(self)(self.levels - 1)


class Break(_OutOfLoops):
    """``break`` out of a loop."""


class Continue(_OutOfLoops):
    """``continue`` with the next round of a loop."""
