from tests.pipeline.test_comparisons import *  # noqa: F403
