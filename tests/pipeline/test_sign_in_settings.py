"""Settings of sign-in: which mode there is, and what cannot be used."""

import pytest

from pipeline.errors import SettingsError
from pipeline.settings import SignIn, from_environment

SPACE = {
    "SPACE_ID": "acme/pairloop", "SPACE_HOST": "acme-pairloop.hf.space,Pairloop.acme.example", "SPACE_AUTHOR_NAME": "acme",
    "SPACE_CREATOR_USER_ID": "u-1", "OAUTH_CLIENT_ID": "client", "OAUTH_CLIENT_SECRET": "the-secret-of-the-app",
    "OAUTH_SCOPES": "openid profile", "OPENID_PROVIDER_URL": "https://huggingface.co/",
}  # fmt: skip


def test_on_a_laptop_everybody_is_an_owner_and_on_a_space_with_hf_oauth_people_sign_in():
    assert from_environment({}).entry.mode is SignIn.OPEN
    assert from_environment({"OAUTH_CLIENT_ID": "x"}).entry.mode is SignIn.OPEN
    entry = from_environment(SPACE).entry
    assert entry.mode is SignIn.HUGGINGFACE and entry.provider == "https://huggingface.co"
    assert entry.space_hosts == ("acme-pairloop.hf.space", "pairloop.acme.example")
    assert (entry.space_author, entry.space_creator) == ("acme", "u-1")
    assert from_environment({**SPACE, "PAIRLOOP_SIGN_IN": "name"}).entry.mode is SignIn.NAME


def test_on_a_space_without_hf_oauth_nobody_becomes_an_owner_by_coming_first():
    without = {name: value for name, value in SPACE.items() if not name.startswith(("OAUTH_", "OPENID_"))}
    assert from_environment(without).entry.mode is SignIn.NAME


@pytest.mark.parametrize(
    ("host", "mode"),
    [("127.0.0.1", "open"), ("localhost", "open"), ("::1", "open"), ("0.0.0.0", "accounts"), ("::", "accounts")],
)
def test_who_reaches_the_app_from_outside_is_an_owner_only_where_somebody_says_so(host, mode):
    assert from_environment({"PAIRLOOP_HOST": host}).entry.mode == mode
    assert from_environment({"PAIRLOOP_HOST": host, "PAIRLOOP_SIGN_IN": "open"}).entry.mode is SignIn.OPEN


def test_the_secret_of_the_app_is_never_shown():
    settings = from_environment(SPACE)
    assert SPACE["OAUTH_CLIENT_SECRET"] in settings.secrets
    assert "the-secret" not in repr(settings) + str(settings) + repr(settings.entry) + str(settings.entry)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"PAIRLOOP_SIGN_IN": "ldap"}, "it takes open, name, accounts, huggingface"),
        ({"PAIRLOOP_SIGN_IN": "huggingface"}, "hf_oauth: true"),
        ({**SPACE, "OAUTH_CLIENT_SECRET": ""}, "hf_oauth: true"),
        ({**SPACE, "OAUTH_SCOPES": "profile"}, "OAUTH_SCOPES needs openid and profile"),
        ({**SPACE, "OPENID_PROVIDER_URL": "http://hub.example"}, "https://"),
        ({"PAIRLOOP_PUBLIC_URL": "https://acme.example/w"}, "another one"),
        ({"PAIRLOOP_PUBLIC_URL": "https://acme.example/api/loop"}, "another one"),
        ({"PAIRLOOP_PUBLIC_URL": "https://acme.example/a/../b"}, "as people type it"),
        ({"PAIRLOOP_PUBLIC_URL": "https://acme.example/app?x=1"}, "as people type it"),
        ({"PAIRLOOP_PUBLIC_URL": "acme.example"}, "PAIRLOOP_PUBLIC_URL"),
        ({"PAIRLOOP_PUBLIC_URL": "https://ada:hunter2@acme.example"}, "PAIRLOOP_PUBLIC_URL"),
        ({"PAIRLOOP_OWNER_LINK": "yes"}, "PAIRLOOP_OWNER_LINK"),
        ({**SPACE, "SPACE_HOST": "a b/evil"}, "SPACE_HOST"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(more, said):
    with pytest.raises(SettingsError, match=said) as error:
        from_environment(more)
    assert "hunter2" not in str(error.value) and "the-secret" not in str(error.value)
