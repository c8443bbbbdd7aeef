"""Uploads in a real store that speaks S3, which believes nobody whose signature (SigV4) is wrong.

It does not compare the body with the digest that is signed; the one in tests/mock/s3.py does.
"""
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

import node_tests
from contract import assert_error
from samples import pdf, png
from stack import wait_until
from test_uploads import download, extracted, form, kept, send, somebody, start, upload

HERE = Path(__file__).parent
KEY_ID, SECRET, BUCKET = "AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "files"


@pytest.fixture
def store(tmp_path):
    """Its address; objects are in files of a directory."""
    node_tests.require_node(HERE)
    server = subprocess.Popen(["node", HERE / "s3_server.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "KEY_ID": KEY_ID, "SECRET": SECRET, "BUCKET": BUCKET,
                                   "DIRECTORY": str(tmp_path / "store")})
    server.url = f"http://127.0.0.1:{int(server.stdout.readline())}"
    server.objects = lambda: sorted(path.name for path in (tmp_path / "store" / BUCKET).iterdir()
                                    if path.name.endswith("_object"))
    yield server
    server.stdin.close()
    server.wait(60)
    server.stdout.close()


@pytest.fixture
def make(start_stack, database, tmp_path, store):
    def make(**more):
        return start(start_stack, database, tmp_path / "spool",
                     **{"UPLOAD_S3_ENDPOINT": store.url, "UPLOAD_S3_BUCKET": BUCKET, "UPLOAD_S3_REGION": "eu-central-1",
                        "UPLOAD_S3_ACCESS_KEY_ID": KEY_ID, "UPLOAD_S3_SECRET_ACCESS_KEY": SECRET, **more})
    return make


def test_a_file_is_kept_comes_back_to_its_owner_and_goes(make, store, tmp_path):
    stack = make()
    ada, eve = somebody(stack), somebody(stack)
    data = pdf("Muraho") + os.urandom(800_000)
    file = upload(ada, "x.pdf", data)
    assert store.objects() == [f"{file['id']}._S3rver_object"]
    exchange = download(ada, file["id"])
    assert hashlib.sha256(exchange.read()).hexdigest() == file["sha256"] == hashlib.sha256(data).hexdigest()
    assert exchange.header("Content-Type") == "application/pdf" and "attachment" in exchange.header("Content-Disposition")
    assert extracted(ada, file)["text_status"] == "done"
    assert_error(download(eve, file["id"]), "not_found")
    assert_error(eve.bearer("DELETE", f"/api/upload/{file['id']}"), "not_found")
    wait_until(lambda: kept(stack) == [])
    assert ada.bearer("DELETE", f"/api/upload/{file['id']}").status == 204
    assert store.objects() == []
    assert_error(download(ada, file["id"]), "not_found")


@pytest.mark.parametrize("wrong, code", [
    ({"UPLOAD_S3_SECRET_ACCESS_KEY": SECRET[:-1] + "x"}, "SignatureDoesNotMatch"),
    ({"UPLOAD_S3_ACCESS_KEY_ID": "S3RVER", "UPLOAD_S3_SECRET_ACCESS_KEY": "S3RVER"}, "InvalidAccessKeyId"),
    ({"UPLOAD_S3_BUCKET": "another"}, "NoSuchBucket")], ids=["secret", "key", "bucket"])
def test_what_the_store_refuses_is_told_in_the_log_only(make, store, wrong, code):
    stack = make(**wrong)
    exchange = send(somebody(stack), form(("x.png", png())))
    message = assert_error(exchange, "service_unavailable")
    assert "store of files" in message and code not in message
    assert any(code in line.get("cause", "") for line in stack.log_lines(exchange.header("X-Request-Id")))
    assert all(SECRET[:-1] not in worker.stderr() for worker in stack.workers)
    assert store.objects() == [] and kept(stack) == []
