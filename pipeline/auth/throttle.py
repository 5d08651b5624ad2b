"""What may not be tried too often: passwords of one account, and passwords and codes from one address.

What failed is kept in the store, so that a restart forgets nothing and every replica knows of it.
"""

from __future__ import annotations

import hashlib
import math
import time
from ipaddress import ip_address, ip_network

from pipeline.auth.names import folded
from pipeline.errors import AccessError
from pipeline.store.passwords import PasswordStore

# So many may fail before the next one has to wait. More people than one may sign in from one address.
FREE_FOR_ACCOUNT, FREE_FOR_ADDRESS = 5, 20
FIRST_WAIT, LONGEST_WAIT = 30.0, 900.0
FORGOTTEN_AFTER = 86400.0


class Throttle:
    """Counts what failed and says when the next one may be tried."""

    def __init__(self, passwords: PasswordStore) -> None:
        self._passwords = passwords

    def check(self, address: str, account: str = "") -> None:
        """Check that something may be tried now; it is asked before anything is compared.

        Raises:
            AccessError: it may not; the message says when it may.
        """
        now = time.time()
        failed = (self._passwords.failed(key) for key, _ in _keys(address, account))
        until = max((found.until for found in failed if found), default=0.0)
        if until > now:
            raise AccessError(f"Too many tries have failed. Try again in {_in_words(until - now)}.")

    def failed(self, address: str, account: str = "") -> None:
        """Note that something was tried and was wrong."""
        now = time.time()
        for key, free in _keys(address, account):
            failures = self._passwords.count_failure(key, now - FORGOTTEN_AFTER)
            if failures >= free:
                wait = min(FIRST_WAIT * 2 ** min(failures - free, 10), LONGEST_WAIT)
                self._passwords.hold_off(key, now + wait)

    def succeeded(self, account: str) -> None:
        """Forget what failed for an account. What failed from the address is not: one may own one account and try others."""
        ((key, _),) = _keys("", account)
        self._passwords.forget_failures(key)


def _keys(address: str, account: str) -> list[tuple[str, int]]:
    # Hashed: an address is nobody's business, and what was typed as a name may have been a password.
    keys = [("account", folded(account), FREE_FOR_ACCOUNT)] if account else []
    if address:
        keys.append(("address", _network(address), FREE_FOR_ADDRESS))
    return [(f"{kind}:{hashlib.sha256(f'{kind}:{of}'.encode()).hexdigest()[:40]}", free) for kind, of, free in keys]


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
