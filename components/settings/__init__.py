"""The tab of models, prompts, retrieval, storage and tokens."""
