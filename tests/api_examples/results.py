"""Read the results of a comparison: python results.py <id> [--open].

Until you have opened them they are closed to you; --open opens them, which ends your voting on this comparison.
"""

import sys

from pairloop_api import Pairloop

pairloop, comparison = Pairloop(), sys.argv[1]
if "--open" in sys.argv:
    pairloop.post(f"/comparisons/{comparison}/reveal")
for pair in pairloop.get(f"/comparisons/{comparison}/results")["pairs"]:
    counts = f"{pair['wins']} / {pair['ties']} / {pair['both_bad']} / {pair['losses']}"
    print(f"{pair['headline']} ({pair['first']} against {pair['second']}: {counts} of {pair['votes']} votes)")
