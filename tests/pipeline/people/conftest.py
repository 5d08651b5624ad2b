"""Workspaces that people come into by a password, by a name and by the Hub."""

import argon2
import pytest

from pipeline.auth import passwords
from pipeline.settings import SignIn
from tests.people import open_team


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    """Hash with argon2 as always, and with less work than it takes to guess: there are dozens of passwords here."""
    monkeypatch.setattr(passwords, "_hasher", lambda: argon2.PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    passwords._nobodys.cache_clear()
    yield
    passwords._nobodys.cache_clear()


@pytest.fixture
def services(tmp_path):
    workspace = open_team(tmp_path / "home")
    yield workspace
    workspace.close()


@pytest.fixture
def by_name(tmp_path):
    workspace = open_team(tmp_path / "names", SignIn.NAME)
    yield workspace
    workspace.close()


@pytest.fixture
def on_hub(tmp_path):
    entry = {"space_id": "acme/pairloop", "space_author": "acme", "space_creator": "u-1"}
    workspace = open_team(tmp_path / "hub", SignIn.HUGGINGFACE, **entry)
    yield workspace
    workspace.close()
