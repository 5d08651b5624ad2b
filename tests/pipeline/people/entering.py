"""What the tests of people share: how somebody comes in, and a clock that can be put forward."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from pipeline.auth import passwords, throttle
from pipeline.auth.hub import HubPerson
from pipeline.entrance import Guest
from pipeline.errors import AccessError
from pipeline.records import Role
from pipeline.store import invitations, memberships, sign_ins
from tests.people import add

HERE = Guest("203.0.113.7")
GOOD = "four words nobody expects"
FRESH = "f" * 64
CLOCK = time.time
STRONG = passwords._hasher()


def hub(name, *orgs, admin_of=(), id_=""):
    return HubPerson(id_ or f"u-{name}", name, name.title(), frozenset(orgs), frozenset(admin_of))


def come(services, person, code=""):
    return services.entrance.signed_in(services.entrance.by_hub(person, code, HERE))


def later(monkeypatch, seconds):
    """Let it be later, for everything that asks the clock."""
    real = CLOCK()
    for module in (sign_ins, invitations, memberships, throttle):
        if hasattr(module, "now"):
            monkeypatch.setattr(module, "now", lambda: real + seconds)
    monkeypatch.setattr(time, "time", lambda: real + seconds)


def account(services, name="Anna", password=GOOD, role=Role.ANNOTATOR):
    """Make a local account as people do."""
    olga = services.store.memberships.owners() or [add(services, "Olga", Role.OWNER).id]
    made = services.people.invite(olga[0], role)
    return services.entrance.join_with_password(made.code, name, password, HERE)


def at_once(calls):
    """Run calls in threads that begin together, and return what each said."""
    gate = threading.Barrier(len(calls))

    def run(call):
        gate.wait()
        try:
            return call()
        except AccessError as error:
            return str(error)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
