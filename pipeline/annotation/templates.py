"""Settings to begin a dataset with."""

from __future__ import annotations

from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, Option, Question, QuestionKind
from pipeline.prompts import get_template

# Of the datasets that carry the loop: what is corrected here becomes training rows, and slices of the results.
QUERY, CONTEXTS = "query", "contexts"
QUERY_RATING, CONTEXT_RATING, ANSWER = "query_rating", "context_rating", "answer"
FIVE = tuple(Option(value) for value in range(1, 6))


def review_settings(template: str) -> DatasetSettings:
    """Return the settings of the *answer review* with the wording of a prompt template.

    Raises:
        NotFoundError: there is no such prompt template.
    """
    wording = get_template(template)
    rating = {"kind": QuestionKind.RATING, "required": False, "options": FIVE}
    return DatasetSettings(
        fields=(Field(QUERY, FieldKind.TEXT, "Query"), Field(CONTEXTS, FieldKind.CONTEXTS, "Contexts", required=False)),
        questions=(
            Question(QUERY_RATING, title=wording.query_rating_title, description="1 poor, 5 very good", **rating),
            Question(CONTEXT_RATING, title=wording.context_rating_title, description="1 poor, 5 very good", **rating),
            Question(ANSWER, QuestionKind.TEXT, wording.answer_title),
        ),
        guidelines=wording.guidelines,
    )
