"""Draws a tree of nodes with Pillow. Imported only when a picture is asked for."""

import hashlib
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from phonefarm.vphone.apps.nodes import Node, Rect, Style

_STEPS = 4
_BLACK = "#000000"
_ART = (
    ("#1b2a49", "#3a6ea5", "#f2a65a", "#f7d08a"),
    ("#2d142c", "#801336", "#c72c41", "#ee4540"),
    ("#0b3d2e", "#14785a", "#7bc47f", "#e6f4c8"),
    ("#2b2d42", "#8d99ae", "#ef233c", "#edf2f4"),
    ("#3d1e6d", "#8874a3", "#f6c6ea", "#fff0f5"),
    ("#12343b", "#2d545e", "#e1b382", "#c89666"),
)
Box = tuple[int, int, int, int]


def paint(root: Node | None, width: int, height: int) -> Image.Image:
    """The picture of ``root``; None is a dark screen."""
    canvas = _Canvas(width, height)
    if root is not None:
        canvas.node(root, _BLACK)
        canvas.status_bar(root.style.fill or _BLACK)
    return canvas.finish()


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _mix(back: str, ink: str, part: float) -> tuple[int, int, int]:
    one, two = _rgb(back), _rgb(ink)
    return (
        round(one[0] + (two[0] - one[0]) * part),
        round(one[1] + (two[1] - one[1]) * part),
        round(one[2] + (two[2] - one[2]) * part),
    )


def _box(bounds: Rect) -> Box:
    return bounds.left, bounds.top, bounds.right - 1, bounds.bottom - 1


class _Canvas:
    """A palette image and the colours used so far."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("P", (width, height), 0)
        self._draw = ImageDraw.Draw(self._image)
        self._colours: dict[tuple[int, int, int], int] = {(0, 0, 0): 0}

    def finish(self) -> Image.Image:
        """The image with its palette."""
        self._image.putpalette([value for colour in self._colours for value in colour])
        return self._image

    def node(self, node: Node, back: str) -> None:
        """Paint a node and all in it over the fill ``back``."""
        style = node.style
        if style.art:
            self._picture(node.bounds, style.art)
        elif style.fill:
            self._block(node.bounds, style)
            back = style.fill
        if node.focused:
            self._draw.rounded_rectangle(_box(node.bounds), style.radius, outline=self._index(_rgb("#e0245e")), width=4)
        if style.icon:
            self._icon(node.bounds, style)
        elif node.text:
            self._text(node, back)
        for child in node.children:
            self.node(child, back)

    def status_bar(self, back: str) -> None:
        """Clock and battery at the top."""
        light = sum(_rgb(back)) > 380
        style = Style(ink="#30363f" if light else "#e8ebef", size=max(self._image.width * 36 // 1080, 8))
        self._write("10:08", (style.size, style.size // 2), style, back)
        right, top = self._image.width - style.size, style.size // 2
        outline = self._index(_rgb(style.ink))
        self._draw.rounded_rectangle((right - 60, top + 4, right, top + 32), 6, outline=outline, width=3)
        self._draw.rectangle((right - 55, top + 9, right - 15, top + 27), fill=outline)

    def _index(self, colour: tuple[int, int, int]) -> int:
        if colour not in self._colours and len(self._colours) < 256:
            self._colours[colour] = len(self._colours)
        return self._colours.get(colour, 0)

    def _block(self, bounds: Rect, style: Style) -> None:
        fill = self._index(_rgb(style.fill))
        if style.radius:
            self._draw.rounded_rectangle(_box(bounds), style.radius, fill=fill)
        else:
            self._draw.rectangle(_box(bounds), fill=fill)

    def _text(self, node: Node, back: str) -> None:
        style, bounds = node.style, node.bounds
        room = (bounds.bottom - bounds.top) // style.size
        lines = _wrapped(node.text, style.size, bounds.right - bounds.left - 24, room)
        line_height = style.size * 5 // 4
        top = bounds.top + max((bounds.bottom - bounds.top - line_height * len(lines)) // 2, 0)
        for line in lines:
            left = bounds.left + 12
            if style.centred:
                left = (bounds.left + bounds.right - int(_font(style.size).getlength(line))) // 2
            self._write(line, (left, top), style, back)
            top += line_height

    def _write(self, text: str, place: tuple[int, int], style: Style, back: str) -> None:
        """Smoothed text: a mask of grey levels becomes palette indices between ``back`` and the ink."""
        font = _font(style.size)
        size = (max(int(font.getlength(text)) + 4, 1), style.size * 5 // 4 + 4)
        mask = Image.new("L", size, 0)
        ImageDraw.Draw(mask).text((0, 0), text, fill=255, font=font)
        shades = [self._index(_mix(back, style.ink, step / _STEPS)) for step in range(_STEPS + 1)]
        table = [shades[round(level * _STEPS / 255)] for level in range(256)]
        visible = mask.point([255 if level > 255 / _STEPS / 2 else 0 for level in range(256)])
        self._image.paste(mask.point(table), place, visible)

    def _icon(self, bounds: Rect, style: Style) -> None:
        ink = self._index(_rgb(style.ink))
        (x, y), size = bounds.centre, (bounds.right - bounds.left) // 5
        if style.icon == "search":
            self._draw.ellipse((x - size, y - size, x + size // 2, y + size // 2), outline=ink, width=8)
            self._draw.line((x + size // 3, y + size // 3, x + size, y + size), fill=ink, width=10)
        elif style.icon == "clear":
            self._draw.line((x - size, y - size, x + size, y + size), fill=ink, width=7)
            self._draw.line((x - size, y + size, x + size, y - size), fill=ink, width=7)
        else:
            left = x - int(_font(style.size).getlength(style.icon)) // 2
            self._write(style.icon, (left, y - style.size * 5 // 8), style, style.fill)

    def _picture(self, bounds: Rect, seed: str) -> None:
        """A little landscape that is always the same for the same seed: sky, sun, hills."""
        numbers = hashlib.sha256(seed.encode("utf-8", "surrogateescape")).digest()
        sky, hill, sun, mist = (self._index(_rgb(colour)) for colour in _ART[numbers[0] % len(_ART)])
        left, top, right, bottom = _box(bounds)
        width, height = right - left, bottom - top
        self._draw.rectangle((left, top, right, bottom), fill=sky)
        size = width * (20 + numbers[1] % 20) // 100
        x, y = left + (width - size) * numbers[2] // 255, top + height * (10 + numbers[3] % 30) // 100
        self._draw.ellipse((x, y, x + size, y + size), fill=sun)
        for layer, colour in enumerate((hill, mist, hill)):
            level = top + height * (50 + layer * 16 + numbers[4 + layer] % 10) // 100
            peak = left + width * numbers[8 + layer] // 255
            slopes = [(left, level + height // 12), (peak, level), (right, level + height // 9)]
            points = [(left, bottom), *((x, min(y, bottom)) for x, y in slopes), (right, bottom)]
            self._draw.polygon(points, fill=colour)


def _wrapped(text: str, size: int, width: int, lines: int) -> list[str]:
    """``text`` in at most ``lines`` lines that fit ``width`` pixels; what is too long ends in dots."""
    font = _font(size)
    made: list[str] = [""]
    for word in text.split():
        longer = f"{made[-1]} {word}".strip()
        if font.getlength(longer) <= width or not made[-1]:
            made[-1] = longer
        else:
            made.append(word)
    kept = made[: max(lines, 1)]
    if len(made) > len(kept):
        kept[-1] += " ..."
    while font.getlength(kept[-1]) > width and len(kept[-1]) > 4:
        kept[-1] = kept[-1].removesuffix("...")[:-2] + "..."
    return kept
