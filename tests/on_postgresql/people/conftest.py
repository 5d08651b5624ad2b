from tests.pipeline.people.conftest import *  # noqa: F403
