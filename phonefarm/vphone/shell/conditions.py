"""``test``, ``[`` and ``[[``: conditions on strings, numbers and files."""

import fnmatch
import operator
from collections.abc import Callable

from phonefarm.vphone.fs import Node
from phonefarm.vphone.shell.call import Call

_NUMERIC: dict[str, Callable[[int, int], bool]] = {
    "-eq": operator.eq,
    "-ne": operator.ne,
    "-lt": operator.lt,
    "-le": operator.le,
    "-gt": operator.gt,
    "-ge": operator.ge,
}
_FILE: dict[str, Callable[[Node], bool]] = {
    "-e": lambda node: True,
    "-f": lambda node: not node.is_dir,
    "-d": lambda node: node.is_dir,
    "-s": lambda node: node.size > 0,
    "-r": lambda node: True,
    "-w": lambda node: True,
    "-x": lambda node: node.is_dir or bool(node.mode & 0o111),
}


class _BadConditionError(Exception):
    pass


async def test(call: Call) -> int:
    """0 when the condition holds, 1 when not, 2 when it is not one."""
    args = list(call.args)
    if call.name.startswith("["):
        closing = "]" * len(call.name)
        if args[-1:] != [closing]:
            return await call.fail(f"missing '{closing}'", 2)
        args.pop()
    try:
        return 0 if _Condition(call, args).either() else 1
    except (_BadConditionError, ValueError, IndexError) as error:
        return await call.fail(str(error) or "bad expression", 2)


class _Condition:
    def __init__(self, call: Call, args: list[str]) -> None:
        self._call = call
        self._left = args

    def either(self) -> bool:
        if not self._left:
            return False
        value = self._alternatives()
        if self._left:
            raise _BadConditionError(f"{self._left[0]}: unexpected operator")
        return value

    def _alternatives(self) -> bool:
        value = self._both()
        while self._left[:1] in (["-o"], ["||"]):
            self._left.pop(0)
            value = self._both() or value
        return value

    def _both(self) -> bool:
        value = self._one()
        while self._left[:1] in (["-a"], ["&&"]):
            self._left.pop(0)
            value = self._one() and value
        return value

    def _one(self) -> bool:
        left = self._left
        if left[0] == "!" and len(left) > 1:
            left.pop(0)
            return not self._one()
        if left[0] == "(" and ")" in left[1:] and not (len(left) >= 3 and self._is_binary(left[1])):
            return self._bracketed()
        if len(left) >= 3 and self._is_binary(left[1]):
            first, op, second = left.pop(0), left.pop(0), left.pop(0)
            return self._binary(first, op, second)
        if len(left) >= 2 and (left[0] in _FILE or left[0] in ("-n", "-z", "-L", "-h", "-t")):
            return self._unary(left.pop(0), left.pop(0))
        return left.pop(0) != ""

    def _bracketed(self) -> bool:
        self._left.pop(0)
        value = self._alternatives()
        if self._left[:1] != [")"]:
            raise _BadConditionError("missing )")
        self._left.pop(0)
        return value

    def _is_binary(self, op: str) -> bool:
        return op in _NUMERIC or op in ("=", "==", "!=", "<", ">", "-nt", "-ot")

    def _binary(self, first: str, op: str, second: str) -> bool:
        if op in _NUMERIC:
            return _NUMERIC[op](_number(first), _number(second))
        if op in ("=", "==", "!="):
            same = fnmatch.fnmatchcase(first, second) if self._call.name == "[[" else first == second
            return same != (op == "!=")
        if op in ("<", ">"):
            return (first < second) == (op == "<") and first != second
        times = [self._node(path).mtime if self._node(path) else 0.0 for path in (first, second)]  # type: ignore[union-attr]
        return times[0] > times[1] if op == "-nt" else times[0] < times[1]

    def _unary(self, op: str, value: str) -> bool:
        if op in ("-n", "-z"):
            return (value == "") == (op == "-z")
        if op == "-t":
            return bool(self._call.shell.window) and value in ("0", "1", "2")
        if op in ("-L", "-h"):
            node = self._call.fs.find(self._call.shell.absolute(value), follow=False)
            return node is not None and node.target is not None
        node = self._node(value)
        return node is not None and _FILE[op](node)

    def _node(self, path: str) -> Node | None:
        return self._call.fs.find(self._call.shell.absolute(path))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _BadConditionError(f"{text}: bad number") from None
