"""Pictures come from phones: whatever the bytes are, they become a picture or a named refusal, without a blow-up."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from phonefarm.errors import BadScreen
from phonefarm.serve.screens import JPEG, MOST_PIXELS, PNG, WEBP, rendered

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IEND", b"")


def good() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 80), "red").save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("size", [(8_000, 8_000), (100_000, 100_000), (2**31 - 1, 1), (6_325, 6_325)])
async def test_too_many_pixels_are_refused_before_they_are_unpacked(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert size[0] * size[1] > MOST_PIXELS
    unpacked: list[int] = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: unpacked.append(1))
    with pytest.raises(BadScreen):
        await rendered(png(*size, chunk(b"IDAT", zlib.compress(b"\0" * 1_000_000))), JPEG, 100)
    assert unpacked == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + b"\0" * 100,
        png(0, 0),
        png(10, 10),
        png(10, 10, chunk(b"IDAT", b"no zlib")),
        png(10, 10, chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 10_000_000))),
        png(10, 10, b"\0\0\0\1ID"),
        # Pillow answers a broken chunk amid the pixels with SyntaxError.
        png(10, 10, chunk(b"IDAT", b""), b"\0\0\0\0\xa2\xe0\1\x9f\0\0\0\0"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=range(10),
)
async def test_what_is_no_whole_png_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(BadScreen):
        await rendered(data, WEBP, 10)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 10_000), noise=st.binary(min_size=1, max_size=12), cut=st.integers(0, 10_000))
async def test_a_damaged_picture_is_a_picture_or_a_refusal(at: int, noise: bytes, cut: int) -> None:
    whole = good()
    at %= len(whole)
    damaged = (whole[:at] + noise + whole[at + len(noise) :])[: len(whole) - cut % 40]
    try:
        assert await rendered(damaged, JPEG, 20)
    except BadScreen:
        return


async def test_a_good_one_is_rendered() -> None:
    assert await rendered(good(), PNG, None) == good()
    with Image.open(io.BytesIO(await rendered(good(), JPEG, 20))) as image:
        assert image.size == (20, 40)
