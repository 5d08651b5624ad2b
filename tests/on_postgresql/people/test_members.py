from tests.pipeline.people.test_members import *  # noqa: F403
