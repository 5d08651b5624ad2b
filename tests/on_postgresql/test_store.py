from tests.pipeline.test_store import *  # noqa: F403
