"""``python -m tests.chaos.simulation SEED``: one run again, with all that happened in it."""

from __future__ import annotations

import sys

from tests.chaos.simulation.probes import Probes
from tests.chaos.simulation.run import simulate

if __name__ == "__main__":
    sys.stdout.write("\n".join(simulate(int(sys.argv[1]), Probes())) + "\n")
