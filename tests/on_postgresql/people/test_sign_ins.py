from tests.pipeline.people.test_sign_ins import *  # noqa: F403
