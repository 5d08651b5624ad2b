from tests.pipeline.people.test_throttle import *  # noqa: F403
