"""What the API takes and gives, as types; its OpenAPI description is made of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from pipeline.records import Outcome, ResponseStatus, Role

MAX_SECONDS = 1e6
MAX_RECORDS = 100_000
Name = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(max_length=200_000)]
RequestToken = Annotated[
    str,
    Field(max_length=200, description="Any text of your own: a request that is sent again under it changes nothing."),
]


class _Taken(BaseModel):
    # A name that is written wrongly would else be an answer that is silently lost.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Question(_Taken):
    """A query for the documents. Without ``model`` the first one answers."""

    query: Text
    model: Annotated[str, Field(max_length=500, description="The name or the id of a model.")] = ""


class LiveQuery(_Taken):
    """A query that the two models of a live comparison answer."""

    query: Text


class Span(_Taken):
    """A piece of the text in which unsupported places are marked."""

    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=1)]
    text: Text


class Marks(_Taken):
    """Which passages are relevant, by their numbers from "0" on, and which places nothing supports."""

    chunks: dict[str, StrictBool] = {}
    spans: Annotated[list[Span], Field(max_length=1_000)] = []


class GivenResponse(_Taken):
    """One person's answers to a record."""

    status: ResponseStatus
    values: Annotated[dict[str, Any], Field(description="Answers by the names of their questions.")] = {}
    marks: Marks = Marks()
    reason: Annotated[str, Field(max_length=10_000, description="Why it is discarded.")] = ""
    seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS, description="How long it took.")] = 0.0
    version: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="The version that the record came with: where another window has changed it since, 409."
    )
    token: RequestToken = ""


class GivenVote(_Taken):
    """A verdict on a pair, or the ranks of the answers of a ranking in their order."""

    pair: Annotated[str, Field(max_length=100)]
    outcome: Outcome | None = Field(None, description="model_a is answer A, model_b is answer B.")
    ranks: Annotated[list[int], Field(max_length=100)] | None = Field(None, description="1 is best, ties share one.")
    criteria: dict[str, Outcome] = {}
    reason: Text = ""
    better_answer: Text = ""
    token: RequestToken = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.outcome is None) is (self.ranks is None):
            raise ValueError("give either an outcome or ranks")
        return self


class GivenUndo(_Taken):
    """A wish to take back the newest vote."""

    token: RequestToken = ""


class Named(_Taken):
    """Which one is meant."""

    of: Name


class GivenNext(_Taken):
    """Whose next record is wanted."""

    dataset: Name
    after: Annotated[str, Field(max_length=100)] = ""


class GivenRecords(_Taken):
    """Records for a dataset."""

    dataset: Name
    records: Annotated[list[Any], Field(max_length=MAX_RECORDS)]
    leave_out: bool = False


class GivenFor(Named):
    """What is said of a record or a comparison."""

    body: dict[str, Any]


class Error(BaseModel):
    """Why something was not done, in a sentence."""

    error: str


class Endpoint(BaseModel):
    """One endpoint, and the role that it needs."""

    method: str
    path: str
    about: str


class Index(BaseModel):
    """What there is."""

    name: str
    version: str
    api: str
    description: str
    endpoints: list[Endpoint]


class Me(BaseModel):
    """Whose token it is."""

    id: str
    name: str
    role: Role


class Passage(BaseModel):
    """A passage that was given to the models; ``number`` is what a citation names."""

    number: int
    document: str
    heading: str
    page: int | None
    text: str


class Answered(BaseModel):
    """An answer with its passages."""

    completion: str
    query: str
    model: str
    answer: str
    refused: bool
    citations: list[int]
    contexts: list[Passage]
    seconds: float


class AddedDocument(BaseModel):
    """What became of one file; ``problem`` is "" where it can be searched now."""

    name: str
    passages: int
    problem: str


class AddedDocuments(BaseModel):
    """What became of the files."""

    documents: list[AddedDocument]


class MyProgress(BaseModel):
    """Records from one person's view."""

    pending: int
    drafts: int
    submitted: int
    discarded: int
    others: int
    total: int


class DatasetSummary(BaseModel):
    """A dataset. One that was made of a run takes no other records."""

    id: str
    name: str
    published: bool
    takes_records: bool
    guidelines_version: int
    progress: MyProgress


class Datasets(BaseModel):
    """All datasets, newest first."""

    datasets: list[DatasetSummary]


class DatasetDetails(DatasetSummary):
    """A dataset with what is asked about its records."""

    guidelines: str
    fields: list[dict[str, Any]]
    questions: list[dict[str, Any]]


class Proposed(BaseModel):
    """A suggested answer."""

    question: str
    value: Any
    agent: str
    score: Any


class TaskRecord(BaseModel):
    """A record as one person sees it; ``values`` is what their form would be filled with."""

    id: str
    dataset: str
    number: int
    total: int
    fields: dict[str, Any]
    metadata: dict[str, Any]
    questions: list[dict[str, Any]]
    suggestions: list[Proposed]
    values: dict[str, Any]
    marks: dict[str, Any]
    status: ResponseStatus | None
    version: str
    guidelines_version: int


class NextRecord(BaseModel):
    """The next record, or none; ``waiting`` says that others still work on some that may come back."""

    record: TaskRecord | None
    waiting: bool
    progress: MyProgress


class Responded(BaseModel):
    """What is stored now; ``repeated`` says that this request had been carried out before."""

    record: str
    status: ResponseStatus | None
    version: str
    repeated: bool
    progress: MyProgress


class RowProblem(BaseModel):
    """A row that cannot be read, and why."""

    place: str
    reason: str


class AddedRecords(BaseModel):
    """What became of the rows. ``columns`` says where each went, "" is nowhere."""

    new: int
    replaced: int
    responses: int
    left_out: int
    problems: list[RowProblem]
    columns: dict[str, str]
    notes: list[str]


class ComparisonSummary(BaseModel):
    """A comparison. Its name tells no model until you have opened its results."""

    id: str
    name: str
    kind: Literal["prepared", "live", "imported"]
    form: Literal["pairs", "ranking"]
    reveal: Literal["end", "vote", "never"]
    state: str
    error: str
    criteria: list[str]
    judged: int
    total: int
    opened: bool


class Comparisons(BaseModel):
    """All comparisons, newest first."""

    comparisons: list[ComparisonSummary]


class Side(BaseModel):
    """One of the answers."""

    side: str
    text: str


class BlindPair(BaseModel):
    """Answers to one query over the same contexts; nothing tells who wrote them."""

    id: str
    query: str
    contexts: list[Passage]
    answers: list[Side]
    number: int
    total: int
    form: Literal["pairs", "ranking"]
    criteria: list[str]
    min_read_seconds: float


class NextPair(BaseModel):
    """What waits for you, or nothing."""

    pair: BlindPair | None
    judged: int
    total: int


class Asked(BaseModel):
    """Whether both models answered differently, so that there is something to judge."""

    shown: bool


class Voted(BaseModel):
    """What became of a vote. ``counted`` is false where you had voted on it already; ``models`` are told where that is set."""

    pair: str
    counted: bool
    repeated: bool
    models: list[str]
    judged: int
    total: int


class Undone(BaseModel):
    """Which vote was taken back."""

    pair: str
    repeated: bool
    judged: int
    total: int


class PairResult(BaseModel):
    """Two models: how often the first was better, and what that proves. Rates are of the first, over all its votes."""

    number: int
    first: str
    second: str
    headline: str
    level: str
    wins: int
    ties: int
    both_bad: int
    losses: int
    votes: int
    automatic_ties: int
    queries: int
    annotators: int
    win_rate: float | None
    low: float | None
    high: float | None
    confidence: float
    sign_p: float | None
    anytime_p: float | None


class Rated(BaseModel):
    """A model's Bradley-Terry rating on the Elo scale."""

    model: str
    rank: int
    rating: float
    low: float | None
    high: float | None


class Results(BaseModel):
    """The results of a comparison."""

    comparison: str
    name: str
    models: list[str]
    pairs: list[PairResult]
    ratings: list[Rated]


class Opened(BaseModel):
    """A comparison whose results are open to you: your votes on it are final."""

    comparison: str
    opened: bool


def told(problem: Mapping[str, Any], skipped: int = 0) -> str:
    """Return what is wrong with a value in a sentence: where it is, without the first ``skipped`` parts, and why."""
    place = ".".join(str(part) for part in problem["loc"][skipped:])[:200]
    return f"{place}: {problem['msg']}." if place else f"{problem['msg']}."
