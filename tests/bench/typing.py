"""How long a page takes to draw a word that is typed into a record, long and short ones: ``python -m tests.bench.typing``.

The field stands beside a suggestion, so each word also draws anew what differs from it. Both records are in the same page, and
are typed into by turns.
"""

from __future__ import annotations

import re
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.annotating import add_every_kind
from tests.browser.person import Person
from tests.run import installed
from tests.servers import AppProcess
from tests.workspace import open_workspace

WORDS, ROUNDS = 20, 5
TEXTS = {"short": "word " * 10, "long": "word " * 400, "very long": "word " * 4000}
TYPE = """async (words) => {
    const field = document.getElementById('edit-field-better');
    const times = [];
    for (let n = 0; n < words; n += 1) {
        const start = performance.now();
        field.value += ' word';
        field.dispatchEvent(new InputEvent('input', {bubbles: true}));
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - start);
    }
    return times;
}"""


def main() -> None:
    """Measure, and print a line for each length."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        services = open_workspace(home)
        for name, text in TEXTS.items():
            services.store.datasets.change(add_every_kind(services, 1, text, True).id, name=name)
        services.close()
        browser = playwright.chromium.launch(executable_path=installed(), args=["--no-sandbox", "--disable-gpu"])
        with AppProcess(home, PAIRLOOP_EXAMPLE="0") as app:
            _print(_measure(Person(browser, app.url, path="/?tab=edit")))
        browser.close()


def _measure(person: Person) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in TEXTS}
    for _ in range(ROUNDS):
        for name, found in times.items():
            person.choose("edit-dataset", re.compile(rf"^{name} \\("))
            person.sees("#edit-record", "Record 1 of 1")
            found += person.page.evaluate(TYPE, WORDS)
    return times


def _print(times: dict[str, list[float]]) -> None:
    least = statistics.median(times["short"])
    for name, found in times.items():
        middle, p95 = statistics.median(found), sorted(found)[round(0.95 * len(found)) - 1]
        print(
            f"{name} ({len(TEXTS[name]):,} characters): a word is drawn in {middle:.1f} ms at the median, {p95:.1f} ms at p95 "
            f"(n={len(found)}); {middle / least:.1f} x the short one"
        )


if __name__ == "__main__":
    main()
