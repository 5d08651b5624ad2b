"""What the Hub says where it does not give the files of a model, in words that say what to do."""

from __future__ import annotations


def refused(repo: str, error: Exception) -> str:
    """Return why the Hub did not give a repo; ``error`` is what its client raised."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return f"{repo} is gated: accept its terms on its page, and set HF_TOKEN to a token of that account."
    if isinstance(error, RepositoryNotFoundError):
        return f"The Hub has no model {repo}, or HF_TOKEN may not read it."
    return f"The Hub did not give {repo}: {getattr(error, 'server_message', None) or error}"
