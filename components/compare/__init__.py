"""The tab on which people judge pairs, blind."""
