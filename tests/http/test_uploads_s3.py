"""Uploads in a store that speaks S3."""
import os

import pytest

from contract import assert_error
from s3 import Store
from samples import pdf, png
from stack import wait_until
from test_uploads import clean, described, download, extracted, form, kept, send, somebody, start, upload

KEY, SECRET, REGION = "AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1"


@pytest.fixture
def store():
    store = Store(KEY, SECRET, REGION)
    yield store
    store.stop()


@pytest.fixture
def make(start_stack, database, tmp_path, store):
    def make(**more):
        return start(start_stack, database, tmp_path / "spool", UPLOAD_S3_BUCKET="files", UPLOAD_S3_REGION=REGION,
                     UPLOAD_S3_ACCESS_KEY_ID=KEY,
                     **{"UPLOAD_S3_ENDPOINT": store.url, "UPLOAD_S3_SECRET_ACCESS_KEY": SECRET, **more})
    return make


def test_a_file_is_kept_there_and_comes_back(make, store):
    stack = make()
    ada = somebody(stack)
    data = pdf("Muraho") + os.urandom(800_000)
    file = upload(ada, "x.pdf", data)
    assert store.objects == {f"/files/{file['id']}": data}
    exchange = download(ada, file["id"])
    assert exchange.read() == data and exchange.header("Content-Type") == "application/pdf"
    assert exchange.header("X-Content-Type-Options") == "nosniff"
    assert extracted(ada, file)["text_status"] == "done" and described(ada, file)["text_chars"] > 0
    wait_until(lambda: kept(stack) == [])
    assert ada.bearer("DELETE", f"/api/upload/{file['id']}").status == 204
    assert store.objects == {}


def test_a_key_that_is_wrong_is_told_in_the_log_only(make, store):
    stack = make(UPLOAD_S3_SECRET_ACCESS_KEY="wrong")
    exchange = send(somebody(stack), form(("x.png", png())))
    assert "store of files" in assert_error(exchange, "service_unavailable")
    lines = stack.log_lines(exchange.header("X-Request-Id"))
    assert any("SignatureDoesNotMatch" in line.get("cause", "") for line in lines)
    assert all("wrong" not in worker.stderr() for worker in stack.workers)
    assert store.objects == {} and kept(stack) == []


def test_a_store_that_is_away_leaves_nothing_behind(make, store):
    stack = make()
    ada = somebody(stack)
    store.faults += [503]
    assert_error(send(ada, form(("x.png", png()))), "service_unavailable")
    assert ada.bearer("GET", "/api/upload").json()["files"] == []
    file = upload(ada, "x.png", png())
    store.faults += [500]
    assert ada.bearer("DELETE", f"/api/upload/{file['id']}").status == 204
    assert len(store.objects) == 1
    assert_error(download(ada, file["id"]), "not_found")
    clean(stack)
    assert store.objects == {}


def test_a_file_that_cannot_be_had_is_an_error_and_no_attachment(make, store):
    ada = somebody(make())
    file = upload(ada, "x.png", png())
    store.faults += [503] * 10
    exchange = download(ada, file["id"])
    assert_error(exchange, "service_unavailable")
    assert exchange.header("Content-Disposition") is None
    assert exchange.header("Cache-Control") == "no-store"


def test_a_store_that_is_not_there_is_told_as_such(make):
    stack = make(UPLOAD_S3_ENDPOINT="http://127.0.0.1:1")
    assert_error(send(somebody(stack), form(("x.png", png()))), "service_unavailable")
    assert kept(stack) == []
