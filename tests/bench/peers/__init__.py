"""The peers: what a team would write with FastAPI and a durable queue of others, run in an environment of their own.

Each validates with phonefarm's own request models, as FastAPI does it (the envelope by the type of the parameter, the
inputs by their model), which is less than phonefarm checks; each puts the validated body into its queue and answers 202
when the queue says that it is kept. None looks a key up first, and none sends a callback. ``PORT`` and the other
variables come from ``tests.bench.peering``.
"""
