"""A store of a newer version is refused by an older app, in a sentence, and left as it is."""

import hashlib

import pytest

from pipeline.errors import SettingsError
from tests.workspace import open_workspace


@pytest.mark.sqlite
def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    services = open_workspace(tmp_path / "home")
    with services.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'm999'")
    services.close()
    file = tmp_path / "home" / "pairloop.db"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(SettingsError, match="use the version that made it"):
        open_workspace(tmp_path / "home")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
