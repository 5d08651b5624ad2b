from tests.pipeline.people.test_accounts import *  # noqa: F403
