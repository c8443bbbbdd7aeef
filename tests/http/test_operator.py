"""bakamectl user: accounts by the operator's hand; and the manual of all its commands."""
import re
import subprocess
from pathlib import Path

import pytest

from contract import assert_error
from people import PASSWORD, Person, settings
from worker import CONTROL_PROGRAM, environment


@pytest.fixture
def user(database):
    def run(*words, password=PASSWORD, url=None):
        env = environment(BAKAME_ENV="development", DATABASE_URL=url or database.url)
        return subprocess.run([str(CONTROL_PROGRAM), "user", *words], env=env, input=password + "\n", text=True,
                              capture_output=True, timeout=180)
    return run


def test_an_account_made_by_the_operator_is_as_any_other(start_stack, database, user):
    stack = start_stack(**settings(database, SIGN_UP="off"))
    done = user("add", "ada@example.org", "--name", "Ada L.", "--admin")
    assert (done.returncode, done.stdout) == (0, "ada@example.org: made\n"), done.stderr
    ada = Person(stack).sign_in()
    assert ada.user["role"] == "admin" and ada.user["name"] == "Ada L."
    listed = user("list").stdout
    assert listed.split()[0] == ada.user["id"] and listed.endswith("ada@example.org  Ada L.\n")
    assert database.sql("select actor, action, target from audit_log") == f"bakamectl\x1fuser.added\x1f{ada.user['id']}"


def test_options_may_stand_before_the_address_too(database, user):
    done = user("add", "--admin", "--name", "Ada L.", "ada@example.org")
    assert (done.returncode, done.stdout) == (0, "ada@example.org: made\n"), done.stderr
    assert database.rows("select role, name from users") == [["admin", "Ada L."]]


def test_each_change_is_seen_and_written_down(database, user):
    user("add", "root@example.org", "--admin")
    user("add", "ada@example.org")
    for verb, state in (("promote", "admin f"), ("demote", "user f"), ("disable", "user t"), ("enable", "user f")):
        done = user(verb, "ADA@example.org")
        assert done.returncode == 0, done.stderr
        assert " ".join(database.rows("select role, disabled from users where email = 'ada@example.org'")[0]) == state
    details = [row[0] for row in database.rows("select details from audit_log where action = 'user.changed' order by id")]
    assert details == ['{"role": "admin"}', '{"role": "user"}', '{"disabled": true}', '{"disabled": false}']


def test_the_last_administrator_stays_one(database, user):
    user("add", "root@example.org", "--admin")
    for verb in ("demote", "disable"):
        done = user(verb, "root@example.org")
        assert done.returncode == 65 and "last administrator" in done.stderr
    assert database.sql("select role from users where not disabled") == "admin"


def test_a_disabled_account_is_refused_everywhere(start_stack, database, user):
    stack = start_stack(**settings(database))
    ada = Person(stack).sign_up()
    user("disable", "ada@example.org")
    assert_error(Person(stack).send("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD}), "forbidden")
    assert_error(ada.refresh(), "forbidden")
    fresh = start_stack(**settings(database))                       # which has not seen her yet
    assert_error(Person(fresh).bearer("GET", "/v1/models", token=ada.token), "forbidden")


def test_a_new_password_ends_the_sessions(start_stack, database, user):
    stack = start_stack(**settings(database))
    ada = Person(stack).sign_up()
    assert user("passwd", "ada@example.org", password="quite another").returncode == 0
    assert_error(ada.refresh(), "unauthorized")
    Person(stack, password="quite another").sign_in()


@pytest.mark.parametrize("words", [[], ["frob"], ["add"], ["add", "--admin"], ["list", "x"], ["promote"],
                                   ["promote", "a@example.org", "--admin"], ["add", "a@example.org", "--password", "x"],
                                   ["add", "a@example.org", "b@example.org"], ["add", "a@example.org", "--name"]])
def test_what_it_does_not_know_is_told(user, words):
    done = user(*words)
    assert done.returncode == 64 and done.stderr


@pytest.mark.parametrize("email, password, words", [
    ("ada@example.org", "short", "at least 8"), ("ada@example.org", "", "no password"), ("ada", PASSWORD, "e-mail"),
])
def test_bad_accounts_are_not_made(database, user, email, password, words):
    done = user("add", email, password=password)
    assert done.returncode == 65 and words in done.stderr
    assert database.sql("select count(*) from users") == "0"


def test_who_is_not_there_or_there_already_is_told(user):
    assert user("add", "ada@example.org").returncode == 0
    assert "already" in user("add", "Ada@Example.org").stderr
    assert "no account" in user("promote", "bea@example.org").stderr


def test_a_database_away_is_told(user):
    done = user("list", url="postgresql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 69 and "away" in done.stderr


def test_the_manual_has_each_command():
    manual = (Path(__file__).resolve().parents[2] / "man" / "bakamectl.1").read_text()
    told = subprocess.run([str(CONTROL_PROGRAM), "help"], text=True, capture_output=True, timeout=180, check=True).stdout
    commands = set(re.findall(r"^  ([a-z-]+) ", told, re.M))
    assert len(commands) > 10
    synopsis, description = manual.split(".Sh DESCRIPTION")
    assert commands == set(re.findall(r"^\.Nm\n\.Cm ([a-z-]+)", synopsis, re.M)) == set(re.findall(r"^\.It Cm ([a-z-]+)", description, re.M))
