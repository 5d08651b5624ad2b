"""The sentences with which a file is refused: its name, what is wrong, and what to do about it."""

from __future__ import annotations

from pipeline.errors import DocumentError

SUPPORTED = "PDF, DOCX, PPTX, XLSX, HTML, Markdown, plain text and CSV"


def cannot_open(name: str, reason: str) -> DocumentError:
    """The operating system would not give us the file."""
    return DocumentError(f"{name} could not be opened ({reason}). Check the file and add it again.")


def empty(name: str) -> DocumentError:
    """The file has no bytes."""
    return DocumentError(f"{name} is empty: it has 0 bytes. Check that it was saved or copied completely.")


def blank(name: str) -> DocumentError:
    """A text file of nothing but white space."""
    return DocumentError(f"{name} holds only white space. Add a file that has text.")


def no_text(name: str) -> DocumentError:
    """A file of a known kind that opens, and says nothing."""
    return DocumentError(f"{name} has no text in it. Add a file that has text.")


def scan(name: str) -> DocumentError:
    """A PDF whose pages are pictures."""
    return DocumentError(f"{name} has no text: it looks like a scan. Run text recognition (OCR) on it first.")


def needs_password(name: str) -> DocumentError:
    """The content is encrypted."""
    return DocumentError(f"{name} needs a password to open. Save a copy without the password and add that.")


def damaged(name: str, what: str) -> DocumentError:
    """The file claims to be ``what``, and its parser gives up."""
    return DocumentError(f"{name} is damaged or cut off: it cannot be read as {what}. Get a fresh copy and add that.")


def unknown_feature(name: str, what: str) -> DocumentError:
    """The file may well be sound, but uses something that its parser does not offer."""
    return DocumentError(f"{name} uses a feature of {what} that cannot be read. Print it to a new {what} and add that.")


def too_large(name: str, limit: str) -> DocumentError:
    """A small file that would unpack into something that fills the memory."""
    return DocumentError(f"{name} is too large once unpacked ({limit}). Split it into smaller files.")


def out_of_bounds(name: str, why: str) -> DocumentError:
    """A file whose reader was ended; ``why`` completes the sentence."""
    return DocumentError(f"{name} {why}. Split it, or save it in a simpler form, and add that.")


def too_many_pages(name: str, most: int) -> DocumentError:
    """A PDF of more pages than anybody reads."""
    return DocumentError(f"{name} has more than {most:,} pages. Split it into smaller files.")


def outdated(name: str, what: str, ending: str) -> DocumentError:
    """A type that its own program can save as one we read."""
    return DocumentError(f"{name} is {what}, which cannot be read. Save it as {ending} and add that; {_SUPPORTED_ARE}.")


def unsupported(name: str, what: str = "not of a type that can be read") -> DocumentError:
    """No reader takes this content."""
    return DocumentError(f"{name} is {what}. {_SUPPORTED_ARE[0].upper()}{_SUPPORTED_ARE[1:]}.")


_SUPPORTED_ARE = f"supported are {SUPPORTED}"
