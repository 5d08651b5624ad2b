"""The workspace in a Hugging Face dataset repo: its journal, and its published tables."""
