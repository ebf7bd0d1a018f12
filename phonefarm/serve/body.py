"""Reading a request's body: counted on the stream, then its type checked, then parsed strictly.

The count does not trust ``Content-Length``; a declared length that is too big is refused before reading.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import Request

from phonefarm.errors import PayloadTooLarge, UnsupportedMedia
from phonefarm.serve.jsontext import parse_object

_JSON = re.compile(r'application/json\s*(;\s*(charset\s*=\s*("utf-8"|utf-8)\s*)?)?', re.IGNORECASE)


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object of a request. Raises PayloadTooLarge, UnsupportedMedia, ValidationFailed, in this order."""
    raw = await read_body(request, limit)
    _check_type(request)
    return parse_object(raw)


async def read_body(request: Request, limit: int) -> bytes:
    """The bytes of a body. Raises PayloadTooLarge."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge("payload_too_large", f"payload_too_large: a body may have {limit} bytes")


def _check_type(request: Request) -> None:
    headers = request.headers
    if not _JSON.fullmatch(headers.get("content-type", "").strip()):
        raise UnsupportedMedia("unsupported_media_type", "unsupported_media_type: send application/json in UTF-8")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("unsupported_media_type", "unsupported_media_type: send the body uncompressed")
