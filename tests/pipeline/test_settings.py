import pytest

from pipeline.errors import SettingsError
from pipeline.settings import SETTINGS, from_environment


def test_defaults_come_from_an_empty_environment():
    settings = from_environment({})
    assert (settings.port, settings.top_k, settings.example, settings.openai_api_key) == (7860, 4, True, "")


def test_every_setting_is_a_field_that_its_variable_sets():
    values = {"PAIRLOOP_HOME": "data", "PAIRLOOP_HOST": "0.0.0.0", "PAIRLOOP_EXAMPLE": "0"}
    values |= {name: "7" for name in ("PAIRLOOP_PORT", "PAIRLOOP_MAX_UPLOAD_MB", "PAIRLOOP_TOP_K")}
    values |= {"PAIRLOOP_CONCURRENCY": "9", "PAIRLOOP_TIMEOUT": "11"}
    values |= {"OPENAI_BASE_URL": "http://localhost:1/v1", "OPENAI_API_KEY": "k", "OPENAI_MODEL": "m"}
    assert set(values) == {setting.name for setting in SETTINGS}
    settings = from_environment(values)
    for setting in SETTINGS:
        assert str(getattr(settings, setting.name.removeprefix("PAIRLOOP_").lower())) in (
            values[setting.name], f"{values[setting.name]}.0", "False",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAIRLOOP_PORT", "80000"),
        ("PAIRLOOP_TOP_K", "0"),
        ("PAIRLOOP_TOP_K", "four"),
        ("PAIRLOOP_EXAMPLE", "yes"),
        ("OPENAI_BASE_URL", "localhost:11434"),
    ],
)
def test_a_bad_value_is_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=name):
        from_environment({name: value})


def test_a_password_in_the_address_of_the_endpoint_is_refused_and_not_repeated():
    with pytest.raises(SettingsError, match="OPENAI_API_KEY") as error:
        from_environment({"OPENAI_BASE_URL": "https://ada:hunter2@example.org/v1"})
    assert "hunter2" not in str(error.value)


def test_the_key_is_not_in_the_printed_settings():
    assert "sk-secret" not in repr(from_environment({"OPENAI_API_KEY": "sk-secret"}))
