from tests.pipeline.test_vote_log import *  # noqa: F403

# They read thousands of votes in any order; PAIRLOOP_TEST_DATABASE=postgresql runs them.
del test_results_are_those_of_reading_everything  # noqa: F821
