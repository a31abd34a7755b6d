"""``python -m tests.chaos.simulation SEED``: one run again, with all that happened in it.

With a second number: all seeds from the first up to it, and as JSON how often each probe was hit.
"""

from __future__ import annotations

import json
import sys

from tests.chaos.simulation.probes import Probes
from tests.chaos.simulation.run import simulate

if __name__ == "__main__":
    first, *last = map(int, sys.argv[1:])
    probes = Probes()
    if last:
        for seed in range(first, *last):
            simulate(seed, probes)
        sys.stdout.write(json.dumps(probes.hits))
    else:
        sys.stdout.write("\n".join(simulate(first, probes)) + "\n")
