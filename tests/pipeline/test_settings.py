import pytest

from pipeline.errors import SettingsError
from pipeline.settings import SETTINGS, from_environment

# What sign-in needs to know, in a value of its own: tests/pipeline/test_sign_in_settings.py.
ENTRY = {
    "PAIRLOOP_SIGN_IN", "PAIRLOOP_PUBLIC_URL", "PAIRLOOP_OWNER_LINK", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES",
    "OPENID_PROVIDER_URL", "SPACE_ID", "SPACE_HOST", "SPACE_AUTHOR_NAME", "SPACE_CREATOR_USER_ID",
}  # fmt: skip


def test_defaults_come_from_an_empty_environment():
    settings = from_environment({})
    assert (settings.port, settings.top_k, settings.example, settings.openai_api_key) == (7860, 4, True, "")


def test_every_setting_is_a_field_that_its_variable_sets():
    values = {"PAIRLOOP_HOME": "data", "PAIRLOOP_HOST": "0.0.0.0", "PAIRLOOP_EXAMPLE": "0"}
    values |= {name: "7" for name in ("PAIRLOOP_PORT", "PAIRLOOP_MAX_UPLOAD_MB", "PAIRLOOP_TOP_K")}
    values |= {
        "PAIRLOOP_CONCURRENCY": "9",
        "PAIRLOOP_TIMEOUT": "11",
        "DATABASE_URL": "postgresql://db.acme.org/pairloop",
    }
    values |= {"OPENAI_BASE_URL": "http://localhost:1/v1", "OPENAI_API_KEY": "k", "OPENAI_MODEL": "m"}
    values |= {"PAIRLOOP_DATASET_REPO": "team/feedback", "HF_TOKEN": "t", "HF_ENDPOINT": "http://localhost:2"}
    values |= {"PAIRLOOP_DATA_DIR": "volume", "PAIRLOOP_SYNC_SECONDS": "13", "PAIRLOOP_PUBLISH_MINUTES": "17"}
    values |= {"PAIRLOOP_RATE": "19", "PAIRLOOP_LOG": "json", "PAIRLOOP_METRICS_TOKEN": "scraper-of-the-team"}
    values |= {"PAIRLOOP_LICENSE": "cc-by-4.0", "PAIRLOOP_PUBLISH_NAMES": "0", "PAIRLOOP_SQUASH_HISTORY": "0"}
    others = [setting for setting in SETTINGS if setting.name not in ENTRY]
    assert set(values) == {setting.name for setting in others}
    settings = from_environment(values)
    for setting in others:
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
        ("HF_ENDPOINT", "huggingface.co"),
        ("PAIRLOOP_DATASET_REPO", "feedback"),
        ("PAIRLOOP_DATASET_REPO", "https://huggingface.co/datasets/team/feedback"),
        ("PAIRLOOP_DATASET_REPO", "team/feedback"),
        ("PAIRLOOP_SYNC_SECONDS", "0"),
        ("PAIRLOOP_PUBLISH_NAMES", "yes"),
        ("PAIRLOOP_LOG", "xml"),
        ("PAIRLOOP_METRICS_TOKEN", "short"),
    ],
)
def test_a_bad_value_is_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=name):
        from_environment({name: value})


def test_a_password_in_the_address_of_the_endpoint_is_refused_and_not_repeated():
    with pytest.raises(SettingsError, match="OPENAI_API_KEY") as error:
        from_environment({"OPENAI_BASE_URL": "https://ada:hunter2@example.org/v1"})
    assert "hunter2" not in str(error.value)


def test_a_repo_needs_a_token():
    with pytest.raises(SettingsError, match="HF_TOKEN"):
        from_environment({"PAIRLOOP_DATASET_REPO": "team/feedback"})


def test_secrets_are_known_as_such_and_not_in_the_printed_settings():
    settings = from_environment({"OPENAI_API_KEY": "sk-secret", "HF_TOKEN": "hf_secret"})
    assert settings.secrets == ("sk-secret", "hf_secret")
    assert "secret" not in repr(settings)
