"""Write what of docs/ is made from the program, openapi.json, capabilities.md and farm.schema.json: ``make openapi``.

Tests hold the files to it.
"""

from __future__ import annotations

import json
from pathlib import Path

from phonefarm.core import registry
from phonefarm.farmfile.schema import FILE_NAME, schema
from phonefarm.serve.app import no_farm_document

DOCS = Path(__file__).resolve().parent.parent / "docs"
OPENAPI = DOCS / "openapi.json"
CAPABILITIES = DOCS / "capabilities.md"
FARM_SCHEMA = DOCS / FILE_NAME

_HEAD = """# Capabilities

Made from the capability registry (`phonefarm/core/registry.py`) by `make openapi`. A running farm serves the same at
`GET /capabilities`, with the JSON Schema of every input.

"""


def openapi_text() -> str:
    """The OpenAPI document as it is checked in."""
    return json.dumps(no_farm_document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def capabilities_text() -> str:
    """The page of capabilities as it is checked in."""
    parts = [_HEAD, registry.as_markdown()]
    for entry in registry.as_json():
        parts.append(f"\n## {entry['capability']}\n\n{entry['summary']}\n\nResult: {entry['result']}\n")
        if entry["steps"]:
            parts.append("\n| step | does | may be repeated |\n|---|---|---|\n")
        for step in entry["steps"]:
            again = "yes" if step["repeatable"] else "no: started once, or `interrupted`"
            parts.append(f"| `{step['action']}` | {step['text']} | {again} |\n")
    return "".join(parts)


def farm_schema_text() -> str:
    """The JSON Schema of farm.yaml as it is checked in."""
    return json.dumps(schema(), indent=2) + "\n"


def main() -> None:
    OPENAPI.write_text(openapi_text(), "utf-8")
    CAPABILITIES.write_text(capabilities_text(), "utf-8")
    FARM_SCHEMA.write_text(farm_schema_text(), "utf-8")


if __name__ == "__main__":
    main()
