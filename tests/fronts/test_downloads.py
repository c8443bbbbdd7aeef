"""Files through each front: in within the limits, out to their owner by worker or front, to nobody else."""
import grp
import os
import shutil
from pathlib import Path

import pytest

from fronts import web_user
from front_stack import FrontStack, open_directory
from people import Person, settings
from samples import pdf
from test_headers import assert_security_headers
from test_uploads import form, send, upload

# front: who sends
WAYS = [("nginx", "accel"), ("nginx", "stream"), ("apache-proxy-fcgi", "sendfile"), ("apache-proxy-fcgi", "stream"),
        ("apache-fcgid", "sendfile"), ("apache-fcgid", "stream")]
DATA = pdf("Muraho") + os.urandom(300_000)


def make_uploads_directory(front):
    """As systemd-tmpfiles makes it: the workers write there, the web server may read."""
    directory = open_directory()
    if os.getuid() == 0:
        os.chown(directory, 0, grp.getgrnam(web_user()).gr_gid)
        if front == "apache-fcgid":         # whose workers are the web server's own user
            shutil.chown(directory, web_user(), web_user())
    directory.chmod(0o2755)
    return directory


@pytest.fixture(scope="module", params=WAYS, ids=[" ".join(way) for way in WAYS])
def house(request, model, cluster):
    front, way = request.param
    directory = make_uploads_directory(front)
    stack = FrontStack(front, model, front_settings={"uploads": directory},
                       **settings(cluster.new_database(), UPLOAD_DIR=directory, UPLOAD_SEND=way))
    yield stack
    stack.close()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def ada(house):
    return Person(house, "ada@example.org").sign_up()


@pytest.fixture(scope="module")
def file(ada):
    return upload(ada, "report.pdf", DATA)


def test_its_owner_gets_it_back(ada, file):
    exchange = ada.bearer("GET", f"/api/upload/{file['id']}")
    assert exchange.status == 200
    assert exchange.read() == DATA
    assert exchange.header("Content-Type") == "application/pdf"
    assert exchange.header("Content-Disposition").startswith("attachment")
    for name in ("X-Content-Type-Options", "X-Frame-Options", "X-Request-Id"):
        assert len(exchange.answer.headers.get_all(name)) == 1, name
    assert any("sandbox" in policy for policy in exchange.answer.headers.get_all("Content-Security-Policy"))
    for name in ("X-Accel-Redirect", "X-Sendfile"):
        assert exchange.header(name) is None


def test_somebody_else_is_told_that_there_is_none(house, file):
    eve = Person(house, "eve@example.org").sign_up()
    assert eve.bearer("GET", f"/api/upload/{file['id']}").status == 404
    assert house.get(f"/api/upload/{file['id']}").status == 401


def test_past_the_workers_nobody_gets_it(house, file):
    directory = house.settings["UPLOAD_DIR"]
    (path,) = [os.path.join(where, name) for where, _, names in os.walk(directory) for name in names if file["id"] in name]
    inside = os.path.relpath(path, directory)
    for address in (f"/.bakame-uploads/{inside}", f"/uploads/{inside}", f"/.bakame-uploads/../.bakame-uploads/{inside}"):
        exchange = house.get(address)
        assert exchange.status == 404, address
        assert DATA[:100] not in exchange.read()


def test_one_that_is_larger_than_it_may_be_is_413(ada):
    """By the worker, which says how large it may be; the front lets a little more through."""
    exchange = send(ada, form(("large.bin", b"x" * (21 << 20))))
    assert exchange.status == 413
    assert exchange.json()["error"]["type"] == "payload_too_large"


@pytest.fixture
def broken_disk(house):
    """What opens files in it gets an error that nobody expects."""
    directory = Path(house.settings["UPLOAD_DIR"])
    aside = directory.rename(directory.with_name(directory.name + "-aside"))
    directory.symlink_to(directory)
    yield
    directory.unlink()
    aside.rename(directory)


def test_a_fault_of_a_workers_is_500_as_any(ada, broken_disk):
    exchange = send(ada, form(("report.pdf", DATA)))
    assert exchange.status == 500
    assert_security_headers(exchange)
    error = exchange.json()["error"]
    assert error["type"] == "internal_error" and error["request_id"] == exchange.header("X-Request-Id")
