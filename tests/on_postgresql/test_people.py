from tests.pipeline.test_people import *  # noqa: F403
