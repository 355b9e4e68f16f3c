"""Kill the server and its clients at every kind of call, and prove that no credit is lost or made.

The seed decides what is called and killed; what runs at the same moment, no seed can decide.
"""

import argparse
import os
import random
import sys

import servers

from crash.campaign import crash, report
from crash.facts import Drift


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of the server and its backends")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # the private server is the only one meant
    try:
        run = crash(options.kills, options.seed, say=lambda line: print(line, flush=True))
    except servers.NoServer as error:
        sys.exit(str(error))
    except Drift:
        return 1  # what it is has been said
    print("\n".join(report(run)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
