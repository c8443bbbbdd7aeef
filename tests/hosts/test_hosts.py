"""Two hosts, each with a front and workers, behind one HAProxy; one Redis, one PostgreSQL, one store of files.

doc/scaling.md says what this shows.
"""
import os
import subprocess

import pytest

import rolling
from client import is_complete
from hosts import Site, Unavailable
from people import Person, settings
from redis_server import RedisServer
from s3 import Store
from samples import pdf
from script import reply
from stack import wait_until
from test_uploads import upload
from tools import asks, ends, weather
from worker import CONTROL_PROGRAM, environment

pytestmark = [pytest.mark.xdist_group("hosts")]
KEY, SECRET, REGION = "AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1"
GUEST_LIMIT = 20


@pytest.fixture(scope="module")
def start_site(tmp_path_factory, model, providers, cluster):
    sites, others = [], []

    def start(**more):
        redis, store, database = RedisServer(tmp_path_factory.mktemp("redis")), Store(KEY, SECRET, REGION), cluster.new_database()
        others.extend([redis, store])
        provider = providers.site()
        tools = providers.settings("ok", provider)
        values = settings(database, REDIS_URL=redis.url, UPLOAD_S3_ENDPOINT=store.url, UPLOAD_S3_BUCKET="files", UPLOAD_S3_REGION=REGION,
                          UPLOAD_S3_ACCESS_KEY_ID=KEY, UPLOAD_S3_SECRET_ACCESS_KEY=SECRET,
                          UPLOAD_DIR=tmp_path_factory.mktemp("spool"), DRAIN_SECONDS=2, BREAKER_WEATHER="3/3600", **tools)
        shared = {model.url, redis.url, database.url, store.url} | {value for value in tools.values() if str(value).startswith("http://")}
        by_port = {url.rpartition("//")[2].partition("/")[0].rpartition(":")[2]: url for url in map(str, shared)}
        try:
            sites.append(Site(tmp_path_factory.mktemp("hosts"), model, by_port.values(), **{**values, **more}))
        except Unavailable as why:
            pytest.skip(str(why))
        sites[-1].provider = provider
        return sites[-1]
    yield start
    for site in sites:
        site.close()
    for other in others:
        other.stop()


@pytest.fixture(scope="module")
def site(start_site):
    return start_site()


def on_each(site, ask):
    """What each host answers itself."""
    answers = []
    for host in site.hosts:
        with host.here() as stack:
            answers.append(ask(stack))
    return answers


def test_both_answer(site):
    before = [host.answered() for host in site.hosts]

    def both():
        """HAProxy leaves out for a moment whom it did not hear of in time."""
        assert site.get("/v1/models").status == 200
        return all(host.answered() >= count + 5 for host, count in zip(site.hosts, before))
    wait_until(both, what="five answers of each")


def test_a_session_holds_on_each(site):
    ada = Person(site, "ada@example.org").sign_up()
    assert [ada.bearer("GET", "/api/auth/me").status for _ in range(4)] == [200] * 4
    assert [ada.me().status for _ in range(4)] == [200] * 4
    assert ada.send("POST", "/api/auth/logout").status in (200, 204)
    assert [ada.me().status for _ in range(4)] == [401] * 4


def test_a_file_comes_back_from_each(site):
    eve = Person(site, "eve@example.org").sign_up()
    data = pdf("Muraho") + os.urandom(50_000)
    file = upload(eve, "x.pdf", data)
    assert [eve.bearer("GET", f"/api/upload/{file['id']}").read() == data for _ in range(4)] == [True] * 4


def test_what_a_tool_answered_on_one_the_other_knows(site, model):
    def ask(stack):
        script = model.script(asks(weather("Rubavu")), reply(pieces=["It rains."]))
        events = stack.chat(script).events()
        assert is_complete(events)
        return ends(events)["call_w"]["cached"]
    assert on_each(site, ask) == [False, True]


def test_one_limit_holds_for_both_together(start_site):
    site = start_site(RATE_LIMIT_GUEST=f"{GUEST_LIMIT}/600", REDIS_TIMEOUT_MS=60000)
    codes = [site.get("/v1/models").status for _ in range(3 * GUEST_LIMIT)]
    assert codes == [200] * GUEST_LIMIT + [429] * (2 * GUEST_LIMIT)
    wait_until(lambda: sum(host.answered() for host in site.hosts) >= 3 * GUEST_LIMIT, what="the last line of a log")
    assert all(host.answered() >= GUEST_LIMIT / 2 for host in site.hosts)


def test_a_breaker_is_each_hosts_own(site, model, providers):
    """A host that cannot reach a provider need not keep the others from it."""
    def state(stack):
        shown = subprocess.run([CONTROL_PROGRAM, "services"], env=environment(**stack.settings), capture_output=True, text=True, check=True)
        return dict(line.split()[:2] for line in shown.stdout.splitlines())["weather"]
    providers.behave(site.provider, "500")
    with site.hosts[0].here() as stack:
        for city in ("Huye", "Muhanga", "Nyagatare", "Musanze"):
            stack.chat(model.script(asks(weather(city)), reply())).events()
    assert on_each(site, state) == ["open", "closed"]
    providers.behave(site.provider, "ok")


def test_one_host_is_switched_off_under_load(start_site, model):
    site = start_site(RATE_LIMIT_GUEST="off")
    load = rolling.Load(site, model.script(rolling.answer(0.3)), 1500)
    wait_until(lambda: load.answered > 200, 120, "some answers")
    site.hosts[1].switch_off()
    before = load.answered
    wait_until(lambda: site.balancer.is_down(2), 120, "HAProxy's noticing")
    wait_until(lambda: load.answered > before + 2 * rolling.CLIENTS or not load.running(), 120, "more answers")
    lost_at_once = sum(load.lost.values())
    load.join()
    # what it had in its hands is lost, and nothing that came after HAProxy had noticed
    assert load.answered == 1500
    assert lost_at_once <= 2 * rolling.CLIENTS, dict(load.lost)
    assert sum(load.lost.values()) == lost_at_once, dict(load.lost)
    assert site.get("/api/health/ready").status == 200
