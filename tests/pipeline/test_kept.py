"""Counts that many ask for at once are counted once."""

import threading
import time

from pipeline.kept import Kept


def test_it_counts_anew_each_time_where_nothing_is_kept():
    counted = []
    kept = Kept(slow=1e9)
    assert [kept.get("a", lambda: counted.append(1) or len(counted)) for _ in range(3)] == [1, 2, 3]


def test_what_was_counted_is_good_for_a_while_for_its_key_alone():
    counted = []
    kept = Kept(60)
    assert [kept.get(key, lambda: counted.append(1) or len(counted)) for key in "aab"] == [1, 1, 2]


def test_what_takes_long_is_kept_for_ten_times_as_long():
    counted = []
    kept = Kept(slow=0.01)

    def slowly():
        counted.append(1)
        time.sleep(0.02)

    began = time.monotonic()
    while time.monotonic() < began + 0.2:
        kept.get("a", slowly)
    assert len(counted) == 1


def test_those_who_ask_at_once_share_one_count():
    counted, kept = [], Kept(60)

    def slowly():
        time.sleep(0.05)
        counted.append(1)

    asking = [threading.Thread(target=kept.get, args=("a", slowly)) for _ in range(5)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(counted) == 1
