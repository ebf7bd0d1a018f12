"""The console's own files: styles, scripts, the icon. A closed list, read once.

A page names a file with its hash, so a browser may keep it for a year and still gets a new one at once. Whoever asks
without the right hash gets the file too, to be asked for again each time.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from fastapi import Request, Response

from phonefarm.errors import NotFound

PREFIX = "/console/static/"
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """A file and its hash."""

    data: bytes
    media_type: str
    digest: str


@functools.cache
def assets() -> Mapping[str, Asset]:
    """Every file of ``static/`` by name."""
    found = {}
    for entry in resources.files(__package__).joinpath("static").iterdir():
        media_type = _TYPES.get(entry.name.rpartition(".")[2])
        if media_type is not None:
            data = entry.read_bytes()
            digest = hashlib.sha256(data).hexdigest()[:16]
            found[entry.name] = Asset(data=data, media_type=media_type, digest=digest)
    return found


def url(name: str) -> str:
    """The address of a file, with its hash."""
    return f"{PREFIX}{name}?v={assets()[name].digest}"


async def get_asset(request: Request) -> Response:
    """A file; 304 for whoever has it."""
    asset = assets().get(request.path_params["name"])
    if asset is None:
        raise NotFound("unknown_route")
    tag = f'"{asset.digest}"'
    named = request.query_params.get("v") == asset.digest
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=31536000, immutable" if named else "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.data, media_type=asset.media_type, headers=headers)
