"""phonefarm: durable work on racks of Android phones, submitted over HTTP.

Start reading at docs/architecture.md; the rooms and who may import whom are in pyproject.toml (importlinter).
"""
