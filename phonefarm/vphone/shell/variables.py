"""A shell's variables: a dictionary some of whose entries may be read only."""

from collections.abc import Iterable, Mapping

from phonefarm.vphone.shell.syntax import ShellSyntaxError


class Variables(dict[str, str]):
    """Name to value. Whoever changes one of ``fixed`` gets a ``ShellSyntaxError``, which ends the script."""

    def __init__(self, values: Mapping[str, str], fixed: Iterable[str] = ()) -> None:
        super().__init__(values)
        self.fixed = set(fixed)

    def __setitem__(self, name: str, value: str) -> None:
        self._check(name)
        super().__setitem__(name, value)

    def remove(self, name: str) -> None:
        """Forget a variable, known or not."""
        self._check(name)
        super().pop(name, None)

    def restore(self, name: str, value: str | None) -> None:
        """Back to what it was before; None: it was not set."""
        if value is None:
            self.remove(name)
        else:
            self[name] = value

    def _check(self, name: str) -> None:
        if name in self.fixed:
            raise ShellSyntaxError(f"{name}: is read only")
