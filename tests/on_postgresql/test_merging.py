from tests.pipeline.test_merging import *  # noqa: F403

# Thousands of exchanges take minutes here; PAIRLOOP_TEST_DATABASE=postgresql runs them.
del test_after_any_work_in_any_order_all_replicas_have_the_same_rows_and_nothing_is_lost  # noqa: F821
