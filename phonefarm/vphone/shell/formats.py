"""Backslash escapes and ``printf`` formats."""

import re

from phonefarm.vphone.shell.arithmetic import number

_ESCAPE = re.compile(r"\\(0[0-7]{0,3}|x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", "e": "\x1b"}
_DIRECTIVE = re.compile(r"%(%|[-+ 0#]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[sdiuxXocbfgqe])")


def unescape(text: str) -> str:
    """``text`` with its backslash escapes replaced."""
    return _ESCAPE.sub(_one, text)


def _one(match: re.Match[str]) -> str:
    code = match.group(1)
    if code in _SIMPLE:
        return _SIMPLE[code]
    if code[0] == "x":
        return _byte(int(code[1:], 16))
    if code[0].isdigit():
        return _byte(int(code, 8))
    return match.group()


def _byte(value: int) -> str:
    return bytes([value & 0xFF]).decode("utf-8", "surrogateescape")


def printf_text(template: str, args: list[str]) -> str:
    """Output of ``printf template args``."""
    template = unescape(template)
    left = list(args)
    wanted = [d for d in _DIRECTIVE.findall(template) if d != "%"]
    made = _DIRECTIVE.sub(lambda m: _directive(m.group(1), left), template)
    while wanted and left:
        made += _DIRECTIVE.sub(lambda m: _directive(m.group(1), left), template)
    return made


def _directive(spec: str, left: list[str]) -> str:
    if spec == "%":
        return "%"
    while "*" in spec:
        spec = spec.replace("*", str(_integer(left.pop(0) if left else "")), 1)
    kind, flags = spec[-1], spec[:-1]
    value = left.pop(0) if left else ""
    if kind in "sq":
        return f"%{flags}s" % value
    if kind == "b":
        return f"%{flags}s" % unescape(value)
    if kind == "c":
        return value[:1]
    if kind in "feg":
        return f"%{flags}{kind}" % _float(value)
    return f"%{flags}{'d' if kind in 'iu' else kind}" % int(_float(value) if "." in value else _integer(value))


def _integer(value: str) -> int:
    """A number as C writes it; ``'A`` is the code of a character."""
    if value[:1] in ("'", '"'):
        return ord(value[1]) if len(value) > 1 else 0
    try:
        return number(value)
    except ValueError:
        return 0


def _float(value: str) -> float:
    try:
        return float(value or "0")
    except ValueError:
        return 0.0
