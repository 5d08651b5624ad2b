"""Votes that were given elsewhere: what the columns of a file mean, and the comparison that comes of it."""
