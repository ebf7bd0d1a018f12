"""Values as people read them."""

from __future__ import annotations

import pytest

from phonefarm.serve.console import words

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "unknown"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (40 * 2**30, "40.0 GiB"), (2**50, "1024 TiB")],
)
def test_sizes(value: float | None, shown: str) -> None:
    assert words.size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "unknown"), (0.2, "under 1 s"), (59, "59 s"), (60, "1 min"), (3_661, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_lengths_of_time(value: float | None, shown: str) -> None:
    assert words.span(value) == shown


@pytest.mark.parametrize(
    ("now", "shown"), [(0, "just now"), (0.5, "just now"), (61, "1 min ago"), (7_300, "2 h ago"), (-90, "in 1 min")]
)
def test_how_long_ago(now: float, shown: str) -> None:
    assert words.ago("1970-01-01T00:00:00.000Z", now) == shown
    assert words.ago(None, now) == "never"


def test_words_and_parts_of_paths() -> None:
    assert words.plain("keyword_warmup") == "keyword warmup"
    assert words.plain(None) == "-"
    assert words.segment("a/b ?%") == "a%2Fb%20%3F%25"
    assert words.clock("2026-11-25T03:04:05.678Z") == "2026-11-25 03:04:05 UTC"
