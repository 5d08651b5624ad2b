from tests.pipeline.people.test_on_a_space import *  # noqa: F403
