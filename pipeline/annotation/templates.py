"""Settings to begin a dataset with."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, Option, Question, QuestionKind
from pipeline.errors import NotFoundError, RecordError
from pipeline.prompts import CUSTOMER_ASSISTANT, FindTemplate, get_template

# Of the datasets that carry the loop: what is corrected here becomes training rows, and slices of the results.
QUERY, CONTEXTS = "query", "contexts"
QUERY_RATING, CONTEXT_RATING, ANSWER = "query_rating", "context_rating", "answer"
FIVE = tuple(Option(value) for value in range(1, 6))
# The names of Argilla's tutorial.
TUTORIAL = "customer_assistant"
TUTORIAL_QUERY_RATING, TUTORIAL_CONTEXT_RATING = "question-rating", "context-rating"
SMALLEST_RANKING, LARGEST_RANKING = 2, 10
_RATING = {"kind": QuestionKind.RATING, "required": False, "options": FIVE}


@dataclass(frozen=True, slots=True)
class DatasetTemplate:
    """A dataset to begin with. ``prompt`` names the prompt template that a model's answers in it belong to, or is "".

    ``called`` is what a dataset made of it is called where nobody gives it a name.
    """

    name: str
    title: str
    description: str
    settings: DatasetSettings
    called: str
    prompt: str = ""


def review_settings(template: str, find: FindTemplate = get_template) -> DatasetSettings:
    """Return the settings of the *answer review* with the wording of a prompt template, which ``find`` finds.

    Raises:
        NotFoundError: there is no such prompt template.
    """
    wording = find(template)
    return DatasetSettings(
        fields=(Field(QUERY, FieldKind.TEXT, "Query"), Field(CONTEXTS, FieldKind.CONTEXTS, "Contexts", required=False)),
        questions=(
            Question(QUERY_RATING, title=wording.query_rating_title, description="1 poor, 5 very good", **_RATING),
            Question(CONTEXT_RATING, title=wording.context_rating_title, description="1 poor, 5 very good", **_RATING),
            Question(ANSWER, QuestionKind.TEXT, wording.answer_title),
        ),
        guidelines=wording.guidelines,
    )


def run_settings(template: str, find: FindTemplate = get_template) -> DatasetSettings:
    """Return the settings for records of a run whose answers were made with a prompt template.

    Raises:
        NotFoundError: there is no such prompt template.
    """
    return tutorial_settings() if template == CUSTOMER_ASSISTANT.name else review_settings(template, find)


def tutorial_settings() -> DatasetSettings:
    """Return the settings of the dataset in Argilla's tutorial on fine-tuning and evaluating a RAG system.

    Its context is a list of passages here, so that each can be looked up and marked.
    """
    wording = CUSTOMER_ASSISTANT
    return DatasetSettings(
        fields=(Field("user-message"), Field("context", FieldKind.CONTEXTS, required=False)),
        questions=(
            Question(TUTORIAL_QUERY_RATING, title=wording.query_rating_title, **_RATING),
            Question(TUTORIAL_CONTEXT_RATING, title=wording.context_rating_title, **_RATING),
            Question("response", QuestionKind.TEXT, wording.answer_title),
        ),
        guidelines=wording.guidelines,
    )


def preference_settings() -> DatasetSettings:
    """Return the settings of that tutorial's second dataset, which compares the tuned model with its base."""
    responses = ("response-a", "response-b")
    return DatasetSettings(
        fields=(Field("user-message"), *map(Field, responses)),
        questions=(
            Question(
                "preference",
                QuestionKind.RANKING,
                "Which response is more helpful, harmless, and accurate.",
                options=tuple(map(Option, responses)),
            ),
            Question(
                "response",
                QuestionKind.TEXT,
                "If none is good, write a helpful, harmless, accurate response to the user question",
                required=False,
            ),
        ),
    )


def ranking_settings(responses: int) -> DatasetSettings:
    """Return settings that show a prompt and so many responses, and ask for their order.

    Raises:
        RecordError: it is not a number of responses that people can put in order.
    """
    if not SMALLEST_RANKING <= responses <= LARGEST_RANKING:
        raise RecordError(f"Rank {SMALLEST_RANKING} to {LARGEST_RANKING} responses, not {responses}.")
    names = [f"response-{number}" for number in range(1, responses + 1)]
    titles = [f"Response {number}" for number in range(1, responses + 1)]
    shown = tuple(Field(name, FieldKind.MARKDOWN, title) for name, title in zip(names, titles, strict=True))
    options = tuple(map(Option, names, titles))
    return DatasetSettings(
        fields=(Field("prompt", FieldKind.TEXT, "Prompt"), *shown),
        questions=(
            Question("ranking", QuestionKind.RANKING, "Put the responses in order, best first", options=options),
        ),
        guidelines="Rank 1 is the best response. Responses that are equally good may share a rank.",
    )


def templates(responses: int = 3) -> tuple[DatasetTemplate, ...]:
    """Return the templates; ``responses`` is how many the ranking one puts in order."""
    return (
        DatasetTemplate(
            "answer-review",
            "Answer review",
            "A query, its contexts and a model's answer: people rate the first two and correct the answer.",
            review_settings("answer-review"),
            "Answer review",
            prompt="answer-review",
        ),
        DatasetTemplate(
            "comparison",
            "Comparison",
            "Two responses to one query: which is better, a tie, or both bad, and why.",
            _comparison(),
            "Comparison",
        ),
        DatasetTemplate(
            "text-classification",
            "Text classification",
            "A text and labels to choose one from. Put your own labels in place of the three.",
            _classification(),
            "Text classification",
        ),
        DatasetTemplate(
            "ranking",
            "Ranking of responses",
            f"A prompt and {SMALLEST_RANKING} to {LARGEST_RANKING} responses to put in order; ties are allowed.",
            ranking_settings(responses),
            "Ranking of responses",
        ),
        DatasetTemplate(
            "preference",
            "Preference with reason",
            "Two responses to put in order, what made the difference, and a better response where neither is good.",
            _preference(),
            "Preference with reason",
        ),
        DatasetTemplate(
            TUTORIAL,
            "Customer assistant (Argilla tutorial)",
            "The dataset of Argilla's tutorial on fine-tuning a RAG system, with its names and titles.",
            tutorial_settings(),
            TUTORIAL,
            prompt=CUSTOMER_ASSISTANT.name,
        ),
        DatasetTemplate(
            "finetuned-vs-base-preference",
            "Tuned against base (Argilla tutorial)",
            "That tutorial's second dataset, for responses from elsewhere. For models in Pairloop, Compare is blind and counts.",
            preference_settings(),
            "finetuned-vs-base-preference",
        ),
        DatasetTemplate("blank", "Blank", "No fields and no questions yet.", DatasetSettings((), ()), "New dataset"),
    )


def get_dataset_template(name: str, responses: int = 3) -> DatasetTemplate:
    """Return the template of a name.

    Raises:
        NotFoundError: there is none.
    """
    found = next((item for item in templates(responses) if item.name == name), None)
    if found is None:
        raise NotFoundError(f"There is no dataset template {name!r}.")
    return found


def _pair() -> tuple[Field, ...]:
    return (
        Field("query", FieldKind.TEXT, "Query"),
        Field("response-a", FieldKind.MARKDOWN, "Response A"),
        Field("response-b", FieldKind.MARKDOWN, "Response B"),
    )


def _comparison() -> DatasetSettings:
    options = (
        Option("response-a", "A is better"),
        Option("response-b", "B is better"),
        Option("tie", "Tie"),
        Option("both-bad", "Both bad"),
    )
    return DatasetSettings(
        fields=_pair(),
        questions=(
            Question("preference", QuestionKind.LABEL, "Which response is better?", options=options),
            Question("reason", QuestionKind.TEXT, "Why?", required=False),
        ),
        guidelines="Judge what the responses say, not how long they are. “Tie” is for two good ones.",
    )


def _preference() -> DatasetSettings:
    options = (Option("response-a", "Response A"), Option("response-b", "Response B"))
    differences = (
        Option("correct", "More correct"),
        Option("complete", "More complete"),
        Option("clear", "Clearer"),
        Option("safe", "Safer"),
        Option("follows", "Does what was asked"),
    )
    return DatasetSettings(
        fields=_pair(),
        questions=(
            Question("preference", QuestionKind.RANKING, "Put the responses in order, best first", options=options),
            Question(
                "difference", QuestionKind.MULTI_LABEL, "What made the difference?", required=False, options=differences
            ),
            Question("reason", QuestionKind.TEXT, "Why?", "In one sentence.", required=False),
            Question("better", QuestionKind.TEXT, "If neither is good: a better response", required=False),
        ),
        guidelines="Rank 1 is the better response; equal ranks are a tie.",
    )


def _classification() -> DatasetSettings:
    options = (Option("positive", "Positive"), Option("neutral", "Neutral"), Option("negative", "Negative"))
    return DatasetSettings(
        fields=(Field("text", FieldKind.TEXT, "Text"),),
        questions=(
            Question("label", QuestionKind.LABEL, "Which label fits?", options=options),
            Question("comment", QuestionKind.TEXT, "Comment", required=False),
        ),
        guidelines="Choose the one label that fits best. Discard what you cannot tell.",
    )
