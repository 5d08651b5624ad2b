"""Publishing with the real huggingface_hub against a Hub on 127.0.0.1."""

import re

import pytest

from pipeline.errors import SettingsError
from space.files import space_files
from space.plan import REPO, File, Found, Wanted, check, steps
from space.publish import main
from tests.hub_server import Token
from tests.space_hub import SpaceHub

NAME, SPACE, DATA = "team/pairloop", "spaces/team/pairloop", "team/pairloop-data"
TOKEN, KEY = "hf_write_token", "sk-a-key-of-the-team"


@pytest.fixture
def hub():
    with SpaceHub() as hub:
        hub.tokens |= {"hf_free": Token("ada"), "hf_stranger": Token("stranger")}
        yield hub


@pytest.fixture
def publish(hub, capsys):
    """Run the command; return its exit status and what it said, in which no secret is."""

    def run(*arguments, token=TOKEN, **more):
        environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": token, "OPENAI_API_KEY": KEY, **more}
        status = main(arguments, environment)
        printed = capsys.readouterr()
        for secret in (TOKEN, KEY, "hf_free", *more.values()):
            assert secret not in printed.out + printed.err
        return status, printed.out + printed.err

    return run


def test_a_new_space_is_made_with_everything_in_one_commit(hub, publish):
    status, said = publish(
        NAME, "--secret", "OPENAI_API_KEY", "--variable", "PAIRLOOP_LOG=json", "--hardware", "cpu-upgrade"
    )
    assert status == 0, said
    space = hub.spaces[NAME]
    assert (space.visibility, space.hardware, space.sdk) == ("private", "cpu-upgrade", "gradio")
    assert space.secrets == {"HF_TOKEN": TOKEN, "OPENAI_API_KEY": KEY} and space.variables == {"PAIRLOOP_LOG": "json"}
    files = hub.files(SPACE)
    assert files.pop(".gitattributes") and files == space_files()
    assert [commit.title for commit in hub.commits(SPACE)][2:] == ["Publish Pairloop"]
    assert hub.repo(DATA).private
    # The Space had its secrets before its first build.
    assert [call for call in hub.writes if "/secrets" in call] == []
    assert "team-pairloop.hf.space" in said and "Set the secret OPENAI_API_KEY from this environment." in said


def test_the_same_again_changes_nothing(hub, publish):
    publish(NAME)
    before = len(hub.writes)
    status, said = publish(NAME)
    assert (status, len(hub.writes)) == (0, before) and "nothing was changed" in said


def test_an_update_commits_what_differs_and_takes_away_what_is_no_longer_there(hub, publish):
    publish(NAME, "--variable", "PAIRLOOP_TOP_K=4")
    hub.commit_by_others(SPACE, {"app.py": b"old", "pipeline/gone.py": b"gone", "pipeline/export.py": None})
    status, said = publish(NAME, "--variable", "PAIRLOOP_TOP_K=6", "--hardware", "cpu-upgrade", "--public")
    assert status == 0 and "Commit at once: 1 new, 1 changed, 1 deleted" in said
    last = hub.commits(SPACE)[-1]
    assert set(last.added) == {"app.py", "pipeline/export.py"} and last.deleted == ("pipeline/gone.py",)
    space = hub.spaces[NAME]
    assert (space.visibility, space.hardware, space.variables) == ("public", "cpu-upgrade", {"PAIRLOOP_TOP_K": "6"})
    assert set(hub.files(SPACE)) - {".gitattributes"} == set(space_files())


def test_a_rehearsal_asks_for_no_token_and_changes_nothing(hub, publish):
    status, said = publish(NAME, "--dry-run", "--protected", "--dataset-repo", "team/other", token="")
    assert status == 0 and hub.requests == []
    assert "- Make the private dataset repo team/other" in said
    assert "- Make the protected Gradio Space team/pairloop on the Hub's default hardware (cpu-basic)" in said
    assert "- Set the secret HF_TOKEN from this environment" in said and "as long as HF_TOKEN is not set" in said
    assert f"- Set the secret {REPO} to team/other" in said
    assert set(re.findall(r"^  new .*  (\S+)$", said, re.M)) == set(space_files())


def test_a_rehearsal_with_a_token_says_what_differs_and_changes_nothing(hub, publish):
    publish(NAME)
    before = len(hub.writes)
    assert "Nothing: everything is there already" in publish(NAME, "--dry-run")[1]
    hub.commit_by_others(SPACE, {"app.py": b"old"})
    said = publish(NAME, "--dry-run", "--hardware", "zero-a10g")[1]
    assert "- Commit at once: 1 changed" in said and re.search(r"^  changed .* app\.py$", said, re.M)
    assert "- Ask for the hardware zero-a10g" in said and "Set the secret" not in said
    assert len(hub.writes) == before


def test_the_app_may_get_a_token_of_its_own(hub, publish):
    status, said = publish(NAME, "--app-token", "APP_TOKEN", APP_TOKEN="hf_for_the_data_alone")
    assert status == 0 and "Set the secret HF_TOKEN from APP_TOKEN of this environment." in said
    assert hub.spaces[NAME].secrets == {"HF_TOKEN": "hf_for_the_data_alone"}


def test_another_dataset_repo_is_a_secret_that_no_duplicate_gets(hub, publish):
    publish(NAME, "--dataset-repo", "team/answers")
    assert hub.spaces[NAME].secrets[REPO] == "team/answers" and hub.spaces[NAME].variables == {}
    assert hub.repo("team/answers").private and f"datasets/{DATA}" not in hub.repos
    publish(NAME)
    assert f"datasets/{DATA}" not in hub.repos


def test_a_docker_space_gets_a_dockerfile_and_its_own_card(hub, publish):
    assert publish(NAME, "--sdk", "docker")[0] == 0
    files = hub.files(SPACE)
    assert "Dockerfile" in files and "space_app.py" not in files
    card = files["README.md"].decode()
    assert "sdk: docker\napp_port: 7860\n" in card and "sdk_version" not in card and "app_file" not in card


def test_a_free_account_is_told_what_it_may_have(hub, publish):
    status, said = publish("ada/pairloop", token="hf_free")
    assert status == 1 and "paid plan (402)" in said and "--hardware zero-a10g" in said
    assert "spaces/ada/pairloop" not in hub.repos
    assert publish("ada/pairloop", "--hardware", "zero-a10g", token="hf_free")[0] == 0


def test_refusals_are_told_in_words(hub, publish):
    assert "does not accept HF_TOKEN" in publish(NAME, token="hf_wrong")[1]
    assert "may not do this for team" in publish(NAME, token="hf_stranger")[1]
    assert "HF_TOKEN is not set" in publish(NAME, token="")[1]
    assert "MISSING is not set here" in publish(NAME, "--secret", "MISSING")[1]
    assert hub.writes == ["POST /api/repos/create"] and SPACE not in hub.repos
    hub.add_repo(DATA)
    assert f"{DATA} is public" in publish(NAME)[1]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"path": "/api/repos/create", "status": 409, "message": f"Somebody has {TOKEN}"}, "run the command again"),
        ({"path": "/commit/", "status": 412}, "Somebody changed the Space"),
        ({"path": "/commit/", "status": 429}, "asks to wait"),
        ({"path": "/commit/", "status": 500}, "error 500"),
        ({"path": "/commit/", "drop": "before"}, "cannot be reached"),
    ],
)
def test_what_was_done_before_a_failure_is_gone_on_from(hub, publish, fault, words):
    hub.add_repo(DATA, private=True)
    hub.fail(**fault)
    status, said = publish(NAME)
    assert status == 1 and words in said and "•••" in said if "message" in fault else words in said
    assert publish(NAME)[0] == 0
    assert set(hub.files(SPACE)) - {".gitattributes"} == set(space_files())


def test_a_hub_that_is_away_is_told(hub, publish):
    hub.stop()
    status, said = publish(NAME)
    assert status == 1 and "cannot be reached" in said


def test_the_space_of_another_app_is_left_alone(hub, publish):
    hub.add_space(NAME)
    hub.commit_by_others(SPACE, {"chat.py": b"print()"})
    status, said = publish(NAME)
    assert status == 1 and "is no Pairloop" in said and "chat.py" in hub.files(SPACE)
    assert publish(NAME, "--replace")[0] == 0 and "chat.py" not in hub.files(SPACE)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted("pairloop"), "takes owner/name"),
        (Wanted(NAME, dataset_repo="../x"), "takes owner/name"),
        (Wanted(NAME, variables={"OPENAI_API_KEY": "sk"}), "--secret OPENAI_API_KEY"),
        (Wanted(NAME, variables={REPO: "team/x"}), "--dataset-repo"),
        (Wanted(NAME, secrets={"a b": "a b"}), "no name of an environment variable"),
        (Wanted(NAME, sdk="docker", hardware="zero-a10g"), "Gradio Spaces only"),
    ],
)
def test_what_cannot_be_is_refused_before_the_hub_is_asked(wanted, words):
    with pytest.raises(SettingsError, match=words):
        check(wanted)


@pytest.mark.parametrize("rehearsed", [(), ("--dry-run",)], ids=["for real", "rehearsed"])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "postgresql://db.example/pairloop", "DATABASE_URL looks like a secret"),
        ("MY_DATABASE_URL", "x", "MY_DATABASE_URL looks like a secret"),
        ("PGPASSWORD", "x", "PGPASSWORD looks like a secret"),
        ("DB_PASSWORD_OF_US", "x", "DB_PASSWORD_OF_US looks like a secret"),
        ("OAUTH_CLIENT_SECRET", "x", "OAUTH_CLIENT_SECRET looks like a secret"),
        ("PAIRLOOP_METRICS_TOKEN", "x", "PAIRLOOP_METRICS_TOKEN looks like a secret"),
        ("api_key", "x", "api_key looks like a secret"),
        ("APIKEY", "x", "APIKEY looks like a secret"),
        ("OPENAI_API_KEY_2", "x", "OPENAI_API_KEY_2 looks like a secret"),
        ("SERVER", "postgresql://ada:geheim-1@db.example/x", "address with a password"),
        ("SERVER", "https://:geheim-1@cache.example", "address with a password"),
        ("OPTION", "hf_AbCdEfGhIjKl", "looks like a token or a key"),
        ("OPTION", "Bearer hf_AbCdEfGhIjKl", "looks like a token or a key"),
        ("OPTION", "geheim von uns", "is that of TEAM_PASSWORD, a secret of this environment"),
        ("OPTION", "x=geheim von uns&y", "is that of TEAM_PASSWORD, a secret of this environment"),
    ],
)
def test_a_secret_never_becomes_a_variable(hub, publish, rehearsed, name, value, words):
    status, said = publish(NAME, *rehearsed, "--variable", f"{name}={value}", TEAM_PASSWORD="geheim von uns")
    assert (status, hub.requests) == (1, []) and words in said and f"use --secret {name}." in said
    assert len(value) < 4 or value not in said


def test_what_a_secret_is_made_of_is_no_variable_either(hub, publish):
    more = ("--secret", "NOTE", "--variable", "OPTION=between us")
    assert "is that of NOTE, a secret" in publish(NAME, *more, NOTE="between us")[1]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAIRLOOP_TOP_K", "6"), ("PAIRLOOP_LOG", "json"), ("LANG", "pl_PL.UTF-8"),
        ("OPENAI_BASE_URL", "https://models.example:8000/v1"), ("GRADIO_SSR_MODE", "false"),
        ("PAIRLOOP_LICENSE", "cc-by-4.0"), ("PAIRLOOP_EXAMPLE", "1"), ("WHO", "mail@example.org"),
    ],
)  # fmt: skip
def test_what_is_no_secret_may_be_a_variable(name, value):
    check(Wanted(NAME, variables={name: value}), {"API_KEY": "", "TOKENIZERS_PARALLELISM": "false", "HF_TOKEN": TOKEN})


def test_a_large_file_is_known_by_its_hash():
    plan = steps(Wanted(NAME), {"a": b"1"}, Found("head", True, {"a": File("pointer", "6b86b273" + "0" * 56)}))
    assert plan.change == ("a",)
