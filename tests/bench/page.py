"""What it costs the app that somebody opens its page, in seconds that its processor works: ``python -m tests.bench.page``.

Each load is of a new Chromium context, which has nothing of the page yet; the last ones are of one that has it. The metrics that
a scraper may ask for are counted in the second round. Then the files of the page alone, also with something after the question
mark: that way Gradio answers them each time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from playwright.sync_api import Browser, sync_playwright

from tests.bench.start import worked
from tests.browser.person import Person
from tests.run import installed
from tests.servers import AppProcess

LOADS = 7
REPEATS = 10
FILES = ("/assets/", "/static/")


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=["--no-sandbox", "--disable-gpu"])
        for name, environment in (("without metrics", {}), ("with metrics", {"PAIRLOOP_METRICS_TOKEN": "m" * 40})):
            with AppProcess(Path(folder) / name, **environment) as app:
                _measure(name, app, browser)
        browser.close()


def _measure(name: str, app: AppProcess, browser: Browser) -> None:
    # The first one comes while the app indexes its example, and files are read for the first time.
    first = [_load(app, browser) for _ in range(2)][0]
    new = [_load(app, browser) for _ in range(LOADS)]
    again = [_load(app, browser, again=True) for _ in range(LOADS)]
    print(f"{name}: the first load {first[0]:.2f} s of a processor, {first[1]} requests")
    for what, loads in (("a new browser", new), ("a reload", again)):
        seconds = [load[0] for load in loads]
        middle, requests = statistics.median(seconds), statistics.median(load[1] for load in loads)
        print(
            f"{name}: {what} {middle:.2f} s ({min(seconds):.2f}–{max(seconds):.2f}, n={LOADS}), {requests:.0f} requests"
        )

    _measure_files(name, app, browser)


def _measure_files(name: str, app: AppProcess, browser: Browser) -> None:
    person = Person(browser, app.url)
    loaded = person.page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    person.close()
    paths = sorted({urlsplit(address).path for address in loaded if urlsplit(address).path.startswith(FILES)})
    headers = {"Accept-Encoding": "gzip, deflate, br", "Origin": app.url, "Sec-Fetch-Site": "same-origin"}
    with httpx2.Client(base_url=app.url, headers=headers) as client:
        for what, query in (("by Gradio", "?by-gradio"), ("from memory", "")):
            used, took, received = worked(app.pid), time.perf_counter(), 0
            for path in paths * REPEATS:
                with client.stream("GET", path + query) as answer:
                    received += sum(map(len, answer.iter_raw()))
            used, took = (worked(app.pid) - used) / REPEATS, (time.perf_counter() - took) / REPEATS
            print(
                f"{name}: {len(paths)} files of the page ({received / REPEATS / 1000:.0f} kB) {what}: "
                f"{used * 1000:.0f} ms of a processor, {took:.2f} s by the clock (mean of {REPEATS})"
            )


def _load(app: AppProcess, browser: Browser, again: bool = False) -> tuple[float, int]:
    """Open the page, or open it once more; return the seconds of the app's processor, and how many requests arrived at it."""
    before = worked(app.pid)
    person = Person(browser, app.url)
    arrived: list[str] = []
    if again:
        before = worked(app.pid)
        person.page.on("requestfinished", lambda request: arrived.append(request.url))
        person.page.reload()
        person.find(".pl-screen:visible").wait_for()
        person.settles()
    used = worked(app.pid) - before
    count = len(arrived) if again else person.page.evaluate("performance.getEntriesByType('resource').length + 1")
    person.close()
    return used, count


if __name__ == "__main__":
    main()
