"""The levels of log lines, apart from ``logs`` since the command line knows them without loading a logging library."""

from __future__ import annotations

#: From the least to the worst.
LEVELS = ("debug", "info", "warning", "error")
