from tests.pipeline.test_tasks import *  # noqa: F403
