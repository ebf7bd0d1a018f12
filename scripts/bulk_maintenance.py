"""``phonefarm maintain`` as a program of its own, for a Ray job on the farm's cluster:

    ray job submit --address http://127.0.0.1:8265 -- python scripts/bulk_maintenance.py \\
        --select 'group=rack1,android>=13' --step reboot --canary 2 --max-failures 3 --wave 10

A job on a farm that ``phonefarm up`` has started finds the farm, its key and its campaigns by the environment. The
options, ``status``, ``pause`` and ``resume`` are those of ``phonefarm maintain``; see docs/maintain.md.
"""

from __future__ import annotations

import sys

from phonefarm.cli import run

if __name__ == "__main__":
    sys.exit(run(["maintain", *sys.argv[1:]]))
