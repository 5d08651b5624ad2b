"""What stands around a record on the Annotate panel."""

from components.edit.queue_html import history_html
from pipeline.annotation.settings import DatasetSettings, Field, Option, Question, QuestionKind
from pipeline.records import ResponseStatus
from pipeline.store.responses import Version

SETTINGS = DatasetSettings(
    fields=(Field("text"),),
    questions=(
        Question("mood", QuestionKind.LABEL, options=(Option("pos", "In a good mood"), Option("neg", "<b>Bad</b>"))),
        Question("topics", QuestionKind.MULTI_LABEL, options=(Option("a", "Art"), Option("b"))),
        Question("order", QuestionKind.RANKING, options=(Option("x", "Left"), Option("y", "Right"))),
        Question("why", QuestionKind.TEXT, title="Why?"),
    ),
)


def version(**values):
    return Version(ResponseStatus.SUBMITTED, values, {}, "", 0.0)


def test_an_earlier_version_is_told_in_the_words_of_the_options_that_were_chosen():
    ranks = [{"value": "x", "rank": 2}, {"value": "y", "rank": 1}]
    html = history_html(SETTINGS, [version(mood="pos", topics=["a", "b"], order=ranks)])
    for words in ("In a good mood", "Art, b", "Right &gt; Left"):
        assert f"<dd dir='auto'>{words}</dd>" in html


def test_an_earlier_version_is_no_html_and_says_nothing_of_what_was_not_answered():
    html = history_html(SETTINGS, [version(mood="neg", topics=[], why="")])
    assert "&lt;b&gt;Bad" in html and "<b>Bad" not in html
    assert html.count("<dt>") == 1
