"""Errors whose message is written for the person who reads it on the screen.

The pipeline raises them; only ``components/_errors.py`` turns them into something that Gradio shows.
"""


class PipelineError(Exception):
    """Base of all errors that are shown to a person: what happened, and what to do about it."""


class SettingsError(PipelineError):
    """A setting in the environment has a value that cannot be used."""


class DocumentError(PipelineError):
    """A file could not be turned into a document."""


class RetrievalError(PipelineError):
    """Passages cannot be retrieved as the settings say."""


class QueryFileError(PipelineError):
    """A file of queries could not be read."""


class ModelError(PipelineError):
    """A model gave no usable answer.

    ``cause`` is a word of :mod:`pipeline.models.causes`, under which errors of a run are grouped; ``attempts`` is how many
    requests were made before it was given up.
    """

    def __init__(self, message: str, cause: str = "other", attempts: int = 1) -> None:
        super().__init__(message)
        self.cause = cause
        self.attempts = attempts


class TemplateError(PipelineError):
    """A prompt template cannot be used as it is written."""


class RecordError(PipelineError):
    """A record or a response is not what it must be."""


class TrainingError(PipelineError):
    """Training data or a training job is not usable."""


class ComparisonError(PipelineError):
    """A comparison or a vote is not possible."""


class StoreError(PipelineError):
    """The store could not be written, for instance because the disk is full."""


class OutdatedError(StoreError):
    """A newer version of Pairloop has changed the store that this one works on."""


class HubError(PipelineError):
    """The dataset repo did not do what was asked of it.

    ``status`` is the HTTP status, or 0 where no answer came. ``retry_after`` is how many seconds the Hub asks to wait.
    ``final`` says that trying again changes nothing until somebody changes a setting.
    """

    def __init__(self, message: str, status: int = 0, retry_after: float = 0.0, final: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.final = final


class BackupError(PipelineError):
    """A workspace file or a journal cannot be used."""


class NotFoundError(PipelineError):
    """Something that was asked for is not in the workspace any more."""


class AccessError(PipelineError):
    """Somebody may not do what they asked for. ``quiet`` says that they did not ask: their page did, by itself."""

    quiet = False


class SignedOutError(AccessError):
    """Whoever asks is not signed in, or no longer."""


class InvitationError(AccessError):
    """An invitation lets nobody in: there is none such, or it is over."""


class LimitError(PipelineError):
    """Too much was asked at once; ``retry_after`` is how many seconds to wait."""

    def __init__(self, message: str, retry_after: int = 60) -> None:
        super().__init__(message)
        self.retry_after = retry_after
