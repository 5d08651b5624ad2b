"""Judge answers blind in a terminal: python vote.py [id of a comparison]; without one, the comparisons are listed."""

import sys

from pairloop_api import Pairloop, new_token

OUTCOMES = {"a": "model_a", "b": "model_b", "t": "tie", "x": "both_bad"}
pairloop = Pairloop()
if len(sys.argv) < 2:
    for comparison in pairloop.get("/comparisons")["comparisons"]:
        print(comparison["id"], comparison["name"], f"{comparison['judged']} of {comparison['total']} judged by you")
    sys.exit()
comparison = sys.argv[1]
while pair := pairloop.get(f"/comparisons/{comparison}/next")["pair"]:
    print(f"\n{pair['query']}")
    for answer in pair["answers"]:
        print(f"\n{answer['side']}: {answer['text']}")
    typed = input("\nBetter: a, b, t (tie), x (both bad), u (undo the last vote) ").strip().lower()
    if typed == "u":
        pairloop.post(f"/comparisons/{comparison}/undo", {"token": new_token()})
    elif typed in OUTCOMES:
        vote = {"pair": pair["id"], "outcome": OUTCOMES[typed], "token": new_token()}
        pairloop.post(f"/comparisons/{comparison}/vote", vote)
print("All judged.")
