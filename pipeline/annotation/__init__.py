"""What a dataset asks of annotators, and what they may answer. Pure: the words and value rules are those of Argilla 2."""
