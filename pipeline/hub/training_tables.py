"""The published tables that models are trained on."""

from __future__ import annotations

from pipeline.hub.columns import (
    ANNOTATOR,
    COMPARISON_ID,
    CONTEXTS,
    CREATED,
    MESSAGE,
    QUERY,
    QUERY_ID,
    RECORD_ID,
    SPLIT,
    TEMPLATE,
    VOTE_ID,
    Column,
    Table,
    string,
)

TRAINING_TABLES: tuple[Table, ...] = (
    Table(
        "sft",
        "Supervised fine-tuning: prompts with the answer that a person stands for. Filter by `split` before training.",
        (
            string("id", "Id of the response or the vote that the row is made of."),
            Column("messages", MESSAGE, "System and user message as a model gets them, and the answer as assistant."),
            string("source", "`review` for a submitted response, `correction` for a better answer written in a vote."),
            SPLIT,
            QUERY_ID,
            QUERY,
            CONTEXTS,
            TEMPLATE,
            string("model", "Name of the model whose answer was reviewed; null for a correction, written beside two."),
            RECORD_ID,
            COMPARISON_ID,
            VOTE_ID,
            ANNOTATOR,
            CREATED,
        ),
    ),
    Table(
        "preferences",
        "Preference pairs as TRL reads them: of two answers, the one that a person prefers. Filter by `split` before training.",
        (
            string("id", "Id of the response or the vote that the row is made of, and what was preferred in it."),
            Column("prompt", MESSAGE, "System and user message as a model gets them."),
            Column("chosen", MESSAGE, "The preferred answer, as one assistant message."),
            Column("rejected", MESSAGE, "The other answer, as one assistant message."),
            string(
                "source",
                "`vote` for the winner over the loser, `correction` for a better answer written in a vote over each "
                "answer that did not win, `review` for a submitted response over the suggestion that it changed.",
            ),
            SPLIT,
            QUERY_ID,
            QUERY,
            CONTEXTS,
            TEMPLATE,
            string(
                "chosen_model", "Name of the model that the preferred answer is from; null where a person wrote it."
            ),
            string("rejected_model", "Name of the model that the other answer is from; its prompt is the one given."),
            RECORD_ID,
            COMPARISON_ID,
            VOTE_ID,
            ANNOTATOR,
            CREATED,
        ),
    ),
    Table(
        "unpaired",
        "Single answers that are wanted or not, for training without pairs (KTO). Filter by `split` before training.",
        (
            string("id", "Id of the vote that the row is made of, and of the completion, or `correction`."),
            Column("prompt", MESSAGE, "System and user message as a model gets them."),
            Column("completion", MESSAGE, "The answer, as one assistant message."),
            Column(
                "label",
                "bool",
                "True for the answer that won and for a better answer written in a vote, false for the one that lost and for "
                "both of `both_bad`. Of a tie nothing is made; of a ranking only the best and the last.",
            ),
            string("source", "`vote` or `correction`."),
            string("outcome", "Outcome of the vote; `ranking` for a ranking."),
            SPLIT,
            QUERY_ID,
            QUERY,
            CONTEXTS,
            TEMPLATE,
            string("model", "Name of the model that the answer is from; null where a person wrote it."),
            COMPARISON_ID,
            VOTE_ID,
            ANNOTATOR,
            CREATED,
        ),
    ),
)
