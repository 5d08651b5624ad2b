"""Seconds to check and to write 100,000 training rows, in every form: ``python -m tests.bench.training_files [rows]``."""

from __future__ import annotations

import random
import sys
import time

from pipeline.finetune.checks import check_rows
from pipeline.finetune.files import FORMS, PAIRS, SINGLES, lineage_csv, problems, write
from pipeline.finetune.rows import Row, split_by_query
from pipeline.prompts import ANSWER_REVIEW, render_messages
from pipeline.records import Context

WORDS = ("harbour", "ticket", "severity", "invoice", "account", "answer", "plan", "region", "support", "backup")


def make(count: int) -> list[Row]:
    """Return rows of about 450 tokens: four passages of 60 words, one query for every two rows."""
    draw = random.Random(0)

    def text(words: int) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(words)).capitalize() + "."

    rows = []
    for n in range(count):
        query = f"{text(12)} {n // 2}?"
        contexts = tuple(Context(f"c{n}-{k}", f"d{k}", "manual.md", text(60), 0, 400, 1.0) for k in range(4))
        answer = f"{text(40)} [1]"
        messages = [*render_messages(ANSWER_REVIEW, query, contexts), {"role": "assistant", "content": answer}]
        told = {"response_id": f"p{n}", "record_id": f"r{n}", "annotator": "annotator-1", "source": "review"}
        rows.append(
            Row(f"q{n // 2}", query, contexts, answer, messages, suggestion=text(40), rejected=text(40), **told)
        )
    return rows


def timed(label: str, work) -> object:
    """Run ``work`` and print how long it took, and how much of that was work of this process."""
    start, busy = time.perf_counter(), time.process_time()
    made = work()
    print(f"{label:44} {time.perf_counter() - start:7.2f} s, {time.process_time() - busy:7.2f} s of CPU", flush=True)
    return made


def main(count: int) -> None:
    """Print the seconds of each step."""
    pairs = timed(f"make {count:,} rows", lambda: make(count))
    answers = [Row(*(getattr(row, name) for name in Row.__slots__[:8])) for row in pairs]
    singles = [Row(*(getattr(row, name) for name in Row.__slots__[:8]), label=True) for row in pairs]
    checks = timed("check: roles, empty turns, duplicates, tokens", lambda: check_rows(answers))
    print(f"  {checks.total:,} tokens, {len(checks.problems)} problems, {checks.duplicates} duplicates")
    timed("split by query", lambda: split_by_query(answers, 0.1))
    for form in FORMS:
        rows = {PAIRS: pairs, SINGLES: singles}.get(form.rows, answers)
        content = timed(f"write {form.name}", lambda form=form, rows=rows: write(form.name, rows))
        found = timed("  its reader's rules", lambda form=form, content=content: problems(form.name, content))
        print(f"  {len(content) / 1e6:,.0f} MB, {len(found)} problems")
    timed("write the lineage beside OpenAI's file", lambda: lineage_csv(answers))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
