from tests.pipeline.test_datasets import *  # noqa: F403
