"""A phone's screen, small and in the format that was asked for.

Whoever looks at one phone at the same moment shares one capture: the phone is asked once. Decoding and scaling happen
in a thread, with a cap on pixels, since the picture comes from a phone.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

from PIL import Image

from phonefarm.actors.ports import PhonePort
from phonefarm.errors import BadScreen

PNG, JPEG, WEBP = "image/png", "image/jpeg", "image/webp"
FORMATS = {PNG: "PNG", JPEG: "JPEG", WEBP: "WEBP"}
#: A picture with more is refused: 8K is 33 million.
MOST_PIXELS = 40_000_000


class Screens:
    """``phone`` gives the port of a phone by its id."""

    def __init__(self, phone: Callable[[str], PhonePort]) -> None:
        self._phone = phone
        self._running: dict[str, asyncio.Task[bytes]] = {}

    async def png(self, phone_id: str) -> bytes:
        """The screen now. Raises DeviceError and Unavailable."""
        task = self._running.get(phone_id)
        if task is None:
            task = asyncio.ensure_future(self._capture(phone_id))
            self._running[phone_id] = task
            task.add_done_callback(lambda _done: self._running.pop(phone_id, None))
        return await asyncio.shield(task)

    async def _capture(self, phone_id: str) -> bytes:
        return await self._phone(phone_id).screen()


async def rendered(png: bytes, media_type: str, width: int | None) -> bytes:
    """``png`` as ``media_type``, not wider than ``width`` pixels. Raises BadScreen for what is no picture."""
    if media_type == PNG and width is None:
        return png
    return await asyncio.to_thread(_render, png, media_type, width)


def _render(png: bytes, media_type: str, width: int | None) -> bytes:
    shown = picture_of(png)
    if width is not None and width < shown.width:
        shown = shown.resize((width, max(1, round(shown.height * width / shown.width))))
    out = io.BytesIO()
    shown.save(out, FORMATS[media_type])
    return out.getvalue()


def picture_of(png: bytes) -> Image.Image:
    """The picture that bytes from a phone are. Raises BadScreen for too many pixels and for what is no picture."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadScreen(f"the screen has {image.width} x {image.height} pixels")
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadScreen("the screenshot is no picture") from error


def wanted(accept: str | None) -> str | None:
    """The media type to answer with by an Accept header; None if none of ours will do."""
    best, best_weight = None, 0.0
    for part in (accept or PNG).split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        found = {"*/*": PNG, "image/*": PNG}.get(name, name if name in FORMATS else None)
        weight = _weight(parameters)
        if found is not None and weight > best_weight:
            best, best_weight = found, weight
    return best


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return max(0.0, min(1.0, float(parameter[2:])))
            except ValueError:
                return 0.0
    return 1.0
