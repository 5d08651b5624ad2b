from tests.pipeline.test_sprints import *  # noqa: F403
