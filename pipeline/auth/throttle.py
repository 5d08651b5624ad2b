"""What may not be tried too often: passwords of one account, and codes from one address.

What failed is kept in the store, so that a restart forgets nothing and every replica knows of it.
"""

from __future__ import annotations

import hashlib
import math
import time
from ipaddress import ip_address, ip_network

from pipeline.errors import AccessError
from pipeline.store.passwords import PasswordStore

# So many may fail before the next one has to wait. More people than one may sign in from one address.
FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS = 5, 20
FIRST_WAIT, LONGEST_WAIT = 30.0, 900.0
FORGOTTEN_AFTER = 86400.0


class Throttle:
    """Counts what failed and says when the next one may be tried.

    A try counts as failed before anything is compared: whoever makes many at once gets no more of them than one by one.
    """

    def __init__(self, passwords: PasswordStore) -> None:
        self._passwords = passwords

    def try_account(self, account: str) -> None:
        """Count a try at an account.

        Raises:
            AccessError: none may be made now; the message says when one may.
        """
        self._count(_key("account", account), FREE_FOR_ACCOUNT)

    def account_failed(self, address: str) -> None:
        """Note from which address a password was wrong.

        It is asked when that is known: many may come from one address, and one of them who only guesses must not keep out
        those who know their passwords. What may be guessed of one account is limited wherever it is tried from.

        Raises:
            AccessError: too many were wrong from there.
        """
        if address:
            self._count(_key("address", _network(address)), FREE_FOR_ADDRESS)

    def account_succeeded(self, account: str) -> None:
        """Forget what failed for an account. What failed from the address is not: one may own one account and try others."""
        self._passwords.forget_failures(_key("account", account))

    def try_code(self, address: str) -> None:
        """Count a try at a code of an invitation.

        Raises:
            AccessError: none may be made now from this address; the message says when one may.
        """
        if address:
            self._count(_key("code", _network(address)), FREE_FOR_ADDRESS)

    def code_succeeded(self, address: str) -> None:
        """Take back the try at a code that was right; those that were wrong stay."""
        if address:
            self._passwords.take_back(_key("code", _network(address)))

    def _count(self, key: str, free: int) -> None:
        now = time.time()
        until = self._passwords.count_try(key, lambda failures: _wait(failures, free), now - FORGOTTEN_AFTER)
        if until > now:
            raise AccessError(f"Too many tries have failed. Try again in {_in_words(until - now)}.")


def _wait(failures: int, free: int) -> float:
    """Return for how many seconds nothing is tried after so many failures."""
    return min(FIRST_WAIT * 2 ** min(failures - free, 10), LONGEST_WAIT) if failures >= free else 0.0


def _key(kind: str, of: str) -> str:
    # Hashed: an address is nobody's business, and what was typed as a name may have been a password.
    return f"{kind}:{hashlib.sha256(f'{kind}:{of}'.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def nobodys(account: str) -> str:
    """Return under what the tries at a name that nobody has are counted: as few rows as there can be names would be too many.

    Those of 65,536 groups are held off together, of which nobody notices anything who tries a few.
    """
    return f"nobody:{hashlib.sha256(account.encode('utf-8', 'surrogatepass')).hexdigest()[:4]}"


def _network(address: str) -> str:
    """Return an address, of IPv6 the part that one connection is given."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else address


def _in_words(seconds: float) -> str:
    if seconds <= 60:
        return f"{math.ceil(seconds)} seconds"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} minutes"
