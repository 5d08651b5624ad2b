"""The tab on which documents come in, and models are asked."""
