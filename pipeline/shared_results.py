"""Links by which people who do not vote read the results of one comparison."""

from __future__ import annotations

from pipeline.comparisons import ComparisonDesk
from pipeline.errors import ComparisonError
from pipeline.store import Store
from pipeline.store.links import ResultLink


class SharedResults:
    """Makes and withdraws links, for those who have opened the results themselves."""

    def __init__(self, store: Store, comparisons: ComparisonDesk) -> None:
        self._store = store
        self._comparisons = comparisons

    def make(self, set_id: str, member_id: str) -> str:
        """Make a link to the results of a set; return its token, which is shown once and known nowhere.

        Raises:
            ComparisonError: the results are not open to this person.
        """
        self._refuse_closed(set_id, member_id)
        return self._store.links.add(set_id, member_id)

    def links(self, set_id: str, member_id: str) -> list[tuple[ResultLink, str]]:
        """Return the links to the results of a set, newest first, each with the name of who made it.

        Raises:
            ComparisonError: the results are not open to this person.
        """
        self._refuse_closed(set_id, member_id)
        names = self._store.members.names()
        return [(link, names.get(link.member_id, "")) for link in self._store.links.of_set(set_id)]

    def withdraw(self, set_id: str, link_id: str, member_id: str) -> None:
        """Let a link to the results of a set lead nowhere from now on, whoever made it.

        Raises:
            ComparisonError: the results are not open to this person, or the link is not one of this set.
        """
        standing = {link.id for link, _ in self.links(set_id, member_id) if link.withdrawn_at is None}
        if link_id not in standing:
            raise ComparisonError("This link leads nowhere already. Reload the page.")
        self._store.links.withdraw(link_id)

    def set_of(self, token: str) -> str | None:
        """Return the comparison that a token leads to, or None where it is unknown or withdrawn."""
        return self._store.links.set_of(token)

    def _refuse_closed(self, set_id: str, member_id: str) -> None:
        if not self._comparisons.is_revealed(set_id, member_id):
            raise ComparisonError("Open the results first: that ends your voting on this comparison.")
