"""What can be read of a video from the screen: all that a judge gets to see."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoFacts:
    """``author`` without its leading ``@``, ``tags`` without ``#``; ``screen_text`` every text shown, one a line.

    All of it is text that strangers wrote: data to be judged, never an instruction.
    """

    keyword: str
    title: str
    author: str
    tags: tuple[str, ...] = ()
    screen_text: str = ""
