"""Uploads: streamed in, told apart by their bytes, out again to their owner, their text to the model."""
import base64
import hashlib
import io
import json
import os
import resource
import subprocess
import threading
import uuid
import zipfile
from pathlib import Path

import pytest

import fcgi
import script as mock
from contract import assert_error
from jobs import JOBS_PROGRAM, Queue
from people import Person, settings
from postgres import psql
from redis_server import RedisServer
from samples import DOCX, docx, pdf, png
from stack import Stack, chat_body, wait_until
from uploads import BOUNDARY, form, part, send, upload
from worker import CONTROL_PROGRAM, environment, has_sanitizers

NOBODYS = "11111111-2222-4333-8444-555555555555"
MAX_BYTES = 1 << 20


def somebody(stack):
    return Person(stack, f"{uuid.uuid4()}@example.org").sign_up()


def kept(stack):
    """What is in the directory of uploads, temporary files too."""
    directory = Path(stack.settings["UPLOAD_DIR"])
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def rows(stack):
    return psql(stack.settings["DATABASE_URL"], "select count(*) from bakame.uploads")


def start(make, database, directory, **more):
    return make(**settings(database, **{"UPLOAD_DIR": directory, "UPLOAD_MAX_BYTES": MAX_BYTES, "UPLOAD_SEND": "accel", **more}))


@pytest.fixture(scope="module")
def house(tmp_path_factory, model, cluster):
    directory = tmp_path_factory.mktemp("uploads")
    stack = start(lambda **options: Stack(tmp_path_factory.mktemp("stack"), model, **options), cluster.new_database(),
                  directory)
    yield stack
    stack.close()


@pytest.fixture(scope="module")
def owner(house):
    return somebody(house)


@pytest.fixture
def lone(start_stack, database, tmp_path):
    """A stack and a directory that nobody else uses."""
    return lambda **more: start(start_stack, database, tmp_path / "uploads", **more)


def download(person, id, method="GET"):
    return person.bearer(method, f"/api/upload/{id}")


def test_a_file_comes_back_as_it_was(house, owner):
    data = pdf("Muraho") + os.urandom(300_000)
    file = upload(owner, "Raporo ya 2025.pdf", data)
    assert file["name"] == "Raporo ya 2025.pdf" and file["type"] == "application/pdf"
    assert file["size"] == len(data) and file["sha256"] == hashlib.sha256(data).hexdigest()
    exchange = download(owner, file["id"])
    assert exchange.status == 200 and exchange.read() == data
    assert exchange.header("Content-Type") == "application/pdf"
    assert exchange.header("X-Content-Type-Options") == "nosniff"
    assert exchange.header("Content-Disposition").startswith('attachment; filename="Raporo ya 2025.pdf"')
    assert exchange.header("X-Accel-Redirect") is None
    described = owner.bearer("GET", f"/api/upload/{file['id']}/meta").json()
    assert described["sha256"] == file["sha256"] and described["name"] == file["name"]
    path = Path(house.settings["UPLOAD_DIR"]) / file["id"][:2] / file["id"][2:4] / file["id"]
    assert path.read_bytes() == data


def test_the_front_gives_files_to_nobody_who_asks_for_them_directly(house, owner):
    file = upload(owner, "x.txt", b"secret")
    path = f"/.bakame-uploads/{file['id'][:2]}/{file['id'][2:4]}/{file['id']}"
    assert house.get(path).status == 404


def test_the_worker_sends_where_the_front_does_not(lone):
    stack = lone(UPLOAD_SEND="stream")
    ada = somebody(stack)
    data = os.urandom(700_000)
    file = upload(ada, "a.png", png() + data)
    exchange = download(ada, file["id"])
    assert exchange.read() == png() + data and exchange.header("Content-Length") == str(file["size"])
    assert exchange.header("X-Content-Type-Options") == "nosniff"
    head = download(ada, file["id"], "HEAD")
    assert head.header("Content-Length") == str(file["size"]) and head.read() == b""


def test_a_path_for_apache_to_send(lone):
    stack = lone(UPLOAD_SEND="sendfile")
    ada = somebody(stack)
    file = upload(ada, "x.txt", b"hello")
    exchange = download(ada, file["id"])
    assert Path(exchange.header("X-Sendfile")).read_bytes() == b"hello"


@pytest.mark.parametrize("name, data, type", [
    ("x.pdf", png(), "image/png"),
    ("x.png", b"Just words.\n", "text/plain"),
    ("notes.md", b"# Title\n\nSome *words*.\n", "text/markdown"),
    ("x.csv", b"a,b\n1,2\n3,4\n5,6\n", "text/csv"),
    ("x.json", b'{"a": [1, 2]}', "application/json"),
    ("x", docx("Muraho"), DOCX),
])
def test_the_type_is_what_the_bytes_say(owner, name, data, type):
    assert upload(owner, name, data)["type"] == type


@pytest.mark.parametrize("data", [
    b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0" + b"\0" * 100, b"\x7fELF\2\1\1" + b"\0" * 60, b"<html><script>x</script></html>",
    b"PK\5\6" + b"\0" * 18, b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', b"GIF", b"words\n" * 20000 + b"\0"],
    ids=["EXE", "ELF", "HTML", "zip", "SVG", "GIF cut off", "text with a NUL far behind"])
def test_other_types_are_refused_and_leave_nothing(house, owner, data):
    if data == b"GIF":
        assert upload(owner, "x.gif", data)["type"] == "text/plain"     # which is what it is
        return
    before = kept(house)
    assert_error(send(owner, form(("x.pdf", data))), "unsupported_media_type")
    assert kept(house) == before


def test_a_polyglot_is_served_as_what_it_first_is(owner):
    """A GIF that is a script too: saved as a file, never shown as a page."""
    data = b"GIF89a/*\x01\x00\x01\x00\x80\x00\x00*/=1;alert(1)//<script>alert(1)</script>" + b"\0;"
    file = upload(owner, "x.html", data)
    assert file["type"] == "image/gif"
    exchange = download(owner, file["id"])
    assert exchange.header("Content-Type") == "image/gif" and exchange.header("X-Content-Type-Options") == "nosniff"
    assert exchange.header("Content-Disposition").startswith("attachment")
    exchange.read()


def test_several_files_come_at_once_or_none(house, owner):
    answer = send(owner, form(("a.txt", b"one"), ("b.txt", b"two"), ("c.png", png()))).json()
    assert [file["name"] for file in answer["files"]] == ["a.txt", "b.txt", "c.png"]
    before, count = kept(house), rows(house)
    assert_error(send(owner, form(("a.txt", b"one"), ("b.exe", b"MZ\x90\0" + b"\0" * 100))), "unsupported_media_type")
    assert kept(house) == before and rows(house) == count


@pytest.mark.parametrize("sent, shown", [
    ("../../etc/passwd", "passwd"), ("C:\\\\fakepath\\\\x.txt", "x.txt"), ("a%22b%0d%0ac.txt", 'a"bc.txt'),
    ("'; drop table uploads; --.txt", "'; drop table uploads; --.txt"), ("", "file"), ("\u202egpj.exe", "gpj.exe"),
    ("x" * 3000 + ".txt", "x" * 251 + ".txt"), ("déjà vu.txt", "déjà vu.txt")])
def test_names_are_for_showing_only(owner, sent, shown):
    file = upload(owner, sent, b"words")
    assert file["name"] == shown
    exchange = download(owner, file["id"])
    assert exchange.status == 200 and exchange.read() == b"words"


def test_a_name_that_is_no_utf8_is_shown_as_far_as_it_goes(owner):
    assert upload(owner, b"caf\xe9.txt", b"words")["name"] == "caf\ufffd.txt"


@pytest.mark.parametrize("body, kind", [
    (b"", "invalid_request"),
    (b"no boundary at all", "invalid_request"),
    (b"x" * 100_000, "invalid_request"),
    (part("a.txt", b"x"), "invalid_request"),
    (part("a.txt", b"x" * 100_000)[:-2], "invalid_request"),
    (f"--{BOUNDARY}--\r\n".encode(), "invalid_request"),
    (f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--{BOUNDARY}--".encode(), "invalid_request"),
    (f"--{BOUNDARY}\r\n".encode() + b"X-Header: more\r\n" * 10_000, "invalid_request"),
    (f"--{BOUNDARY}\r\nno header\r\n\r\n".encode(), "invalid_request"),
    (f"--{BOUNDARY}x\r\n\r\n".encode(), "invalid_request"),
    (form(*[("a.txt", b"x")] * 11), "payload_too_large"),
    (form(*[("", b"")] * 3), "invalid_request"),
    (b"".join(part("", b"", field="other") for _ in range(70)), "invalid_request"),
    (f"--{BOUNDARY}\r\nContent-Type: multipart/mixed; boundary={BOUNDARY}2\r\nContent-Disposition: form-data; name=file\r\n\r\n"
     f"--{BOUNDARY}2\r\n\r\nx\r\n--{BOUNDARY}2--\r\n--{BOUNDARY}--".encode(), "invalid_request"),
    (f"--{BOUNDARY}\r\n".encode() * 5000, "invalid_request"),
    (f"--{BOUNDARY}".encode() + b" " * 300_000, "invalid_request"),
    (f"--{BOUNDARY}".encode() + b"-" * 300_000, "invalid_request"),
], ids=["empty", "no boundary", "long without", "no end", "cut off", "no part", "no file", "endless headers", "no header",
        "boundary goes on", "too many files", "empty files", "too many parts", "nested", "repeated", "never-ending line",
        "never-ending boundary"])
def test_forms_that_are_none_are_refused_and_leave_nothing(house, owner, body, kind):
    before = kept(house)
    assert_error(send(owner, body), kind)
    assert kept(house) == before


@pytest.mark.parametrize("content_type, kind", [
    ("application/json", "unsupported_media_type"), ("", "unsupported_media_type"), ("multipart/form-data", "invalid_request"),
    ("multipart/form-data; boundary=" + "x" * 71, "invalid_request"),
    ("multipart/form-data; boundary=" + "x" * 5000, "invalid_request"),
    ("multipart/form-data; boundary=a; boundary=b", "invalid_request"),
    ("multipart/form-data; boundary=\"\"", "invalid_request")])
def test_types_without_a_good_boundary_are_refused(owner, content_type, kind):
    assert_error(send(owner, form(("a.txt", b"x")), content_type), kind)


def test_what_is_too_large_is_refused_at_the_limit(house, owner):
    before = kept(house)
    assert_error(send(owner, form(("a.txt", b"x" * (MAX_BYTES + 1)))), "payload_too_large")
    assert kept(house) == before
    assert upload(owner, "a.txt", b"x" * MAX_BYTES)["size"] == MAX_BYTES
    assert owner.me().json()["user"]["upload_max_bytes"] == MAX_BYTES


def test_a_client_that_leaves_in_the_middle_leaves_nothing(lone):
    stack = lone()
    ada = somebody(stack)
    body = form(("a.txt", b"x" * 500_000))
    params = fcgi.params_of("POST", "/api/upload", body, content_type=f"multipart/form-data; boundary={BOUNDARY}",
                            HTTP_AUTHORIZATION=f"Bearer {ada.token}")
    connection = stack.fastcgi()
    connection.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.name_values(params))
                    + fcgi.stream(fcgi.STDIN, body[:300_000], end=False))
    wait_until(lambda: kept(stack), what="a temporary file")
    connection.close()
    wait_until(lambda: not kept(stack), what="the end of the temporary file")


def test_a_full_disk_is_told_and_leaves_nothing(lone):
    stack = lone()
    ada = somebody(stack)
    resource.prlimit(stack.worker.pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    exchange = send(ada, form(("a.txt", b"x" * 400_000)))
    message = assert_error(exchange, "service_unavailable")
    assert "room" in message and str(stack.directory) not in message
    assert int(exchange.header("Retry-After")) >= 1
    assert kept(stack) == []
    resource.prlimit(stack.worker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    upload(ada, "a.txt", b"x" * 400_000)


def test_a_directory_that_is_not_there_is_told_without_its_name(start_stack, database):
    stack = start(start_stack, database, "/proc/nowhere")
    exchange = send(somebody(stack), form(("a.txt", b"x")))
    assert "nowhere" not in assert_error(exchange, "service_unavailable")


def test_a_database_that_is_away_or_read_only_leaves_nothing(lone, database, cluster):
    stack = lone()
    ada = somebody(stack)
    psql(cluster.url("postgres"), f"alter database {database.name} set default_transaction_read_only = on")
    database.kill_backends()
    assert_error(send(ada, form(("a.txt", b"x"))), "service_unavailable")
    psql(cluster.url("postgres"), f"alter database {database.name} reset default_transaction_read_only")
    database.cut_off()
    assert_error(send(ada, form(("a.txt", b"x"))), "service_unavailable")
    assert kept(stack) == []
    database.let_in()
    wait_until(lambda: send(ada, form(("a.txt", b"x"))).status == 201)


def test_a_quota_holds_for_uploads_at_the_same_time(lone):
    stack = lone(UPLOAD_QUOTA_BYTES=2_000_000)
    ada = somebody(stack)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(send(ada, form(("a.txt", b"x" * 600_000))).status))
               for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 3 + [413] * 3
    files = ada.bearer("GET", "/api/upload").json()["files"]
    assert len(files) == len(kept(stack)) == 3
    assert ada.bearer("DELETE", f"/api/upload/{files[0]['id']}").status == 204
    upload(ada, "a.txt", b"x" * 600_000)


def test_another_persons_files_are_not_there(house, owner):
    file = upload(owner, "secret.txt", b"secret")
    eve = somebody(house)
    psql(house.settings["DATABASE_URL"], f"update bakame.users set role = 'admin' where id = '{eve.user['id']}'")
    for method, path in (("GET", ""), ("GET", "/meta"), ("DELETE", ""), ("HEAD", "")):
        for id in (file["id"], NOBODYS, "x", "..%2f..%2fetc%2fpasswd", "'%20or%201=1--"):
            exchange = eve.bearer(method, f"/api/upload/{id}{path}")
            assert exchange.status == 404
        exchange = house.request(method, f"/api/upload/{file['id']}{path}")
        assert exchange.status == 401
    assert eve.bearer("GET", "/api/upload").json()["files"] == []
    assert_error(eve.bearer("POST", "/api/chat", chat_body("x", attachments=[file["id"]])), "not_found")
    assert_error(house.request("POST", "/api/upload", form(("a.txt", b"x")),
                               {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}), "unauthorized")
    assert download(owner, file["id"]).status == 200


def test_the_list_comes_in_pages(house):
    ada = somebody(house)
    names = [f"{n}.txt" for n in range(7)]
    for name in names:
        upload(ada, name, b"x")
    seen, cursor = [], ""
    while cursor is not None:
        page = ada.bearer("GET", f"/api/upload?limit=3&cursor={cursor}").json()
        seen += [file["name"] for file in page["files"]]
        cursor = page["next_cursor"]
    assert seen == names[::-1]
    assert_error(ada.bearer("GET", "/api/upload?cursor=x"), "invalid_request")


def test_what_is_deleted_is_gone(house, owner):
    file = upload(owner, "x.txt", b"words")
    path = f"{file['id'][:2]}/{file['id'][2:4]}/{file['id']}"
    assert path in kept(house)
    assert owner.bearer("DELETE", f"/api/upload/{file['id']}").status == 204
    assert path not in kept(house)
    assert_error(download(owner, file["id"]), "not_found")
    assert_error(owner.bearer("DELETE", f"/api/upload/{file['id']}"), "not_found")


def run_clean(stack):
    return subprocess.run([str(CONTROL_PROGRAM), "uploads", "clean"], env=environment(**stack.settings), text=True,
                          capture_output=True, timeout=180)


def clean(stack):
    done = run_clean(stack)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_left_over_is_taken_away(lone, database, tmp_path):
    stack = lone()
    ada, eve = somebody(stack), somebody(stack)
    stays = upload(ada, "a.txt", b"stays")
    upload(eve, "b.txt", b"goes with its owner")
    cut = upload(ada, "c.txt", b"as if the worker had been killed before it was told")
    database.sql(f"update uploads set stored_at = null, created_at = now() - interval '2 hours' where id = '{cut['id']}'")
    assert eve.send("DELETE", "/api/auth/me").status == 204
    temporary = tmp_path / "uploads" / "tmp" / str(uuid.uuid4())
    temporary.write_bytes(b"half")
    os.utime(temporary, (1, 1))
    assert len(kept(stack)) == 4
    assert "1 temporary files, 1 files that never arrived, 2 files without" in clean(stack)
    assert kept(stack) == [f"{stays['id'][:2]}/{stays['id'][2:4]}/{stays['id']}"]
    assert database.sql("select count(*) from upload_remains") == "0"
    assert download(ada, stays["id"]).read() == b"stays"
    assert_error(download(ada, cut["id"]), "not_found")


def test_a_file_whose_owner_is_erased_while_it_arrives_leaves_nothing(lone, database):
    """Its row gone with them, and what was noted of it taken away already, nobody else would know of the bytes."""
    stack = lone()
    ada = somebody(stack)
    database.sql("""
        create function erased() returns trigger language plpgsql security definer set search_path = bakame as $$ begin
            delete from uploads where id = new.id; delete from upload_remains; return null; end $$;
        create constraint trigger erased after insert on uploads deferrable initially deferred
            for each row execute function erased()""")
    assert_error(send(ada, form(("a.txt", b"Muraho"))), "not_found")
    assert kept(stack) == []


def test_what_cannot_be_taken_away_keeps_nothing_else(lone, database, tmp_path):
    stack = lone()
    ada = somebody(stack)
    files = [upload(ada, f"{number}.txt", b"as if the worker had been killed") for number in range(3)]
    stuck = tmp_path / "uploads" / files[0]["id"][:2] / files[0]["id"][2:4] / files[0]["id"]
    stuck.unlink()
    stuck.mkdir()                       # even root cannot unlink it
    database.sql("update uploads set stored_at = null, created_at = now() - interval '2 hours'")
    done = run_clean(stack)
    assert done.returncode == 69 and "unlink in UPLOAD_DIR" in done.stderr
    assert database.sql("select storage_key from upload_remains") == files[0]["id"]
    assert kept(stack) == []
    stuck.rmdir()
    assert "1 files without an owner taken away" in clean(stack)


def test_fifty_uploads_at_once_cost_a_worker_little(start_stack, database, tmp_path):
    """Less than 1 MiB each while they arrive, whatever their size."""
    if has_sanitizers():
        return          # whose own memory is more than that
    stack = start(start_stack, database, tmp_path / "uploads", UPLOAD_MAX_BYTES=21 << 20, UPLOAD_QUOTA_BYTES=0)
    ada = somebody(stack)
    upload(ada, "warm.txt", b"words " * 1000)
    before = stack.worker.memory()
    body = form(("a.txt", b"0123456789abcdef" * (20 << 16)))
    params = fcgi.params_of("POST", "/api/upload", body, content_type=f"multipart/form-data; boundary={BOUNDARY}",
                            HTTP_AUTHORIZATION=f"Bearer {ada.token}")
    most = 0
    connections = [stack.fastcgi() for _ in range(50)]
    for connection in connections:
        connection.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.name_values(params)))
    # the first MiB of each, then one goes on to its end
    for connection in connections:
        connection.send(fcgi.stream(fcgi.STDIN, body[:1 << 20], end=False))
        most = max(most, stack.worker.memory())
    for at in range(1 << 20, len(body), 1 << 20):
        connections[0].send(fcgi.stream(fcgi.STDIN, body[at:at + (1 << 20)], end=False))
        most = max(most, stack.worker.memory())
    connections[0].send(fcgi.record(fcgi.STDIN))
    assert connections[0].read_response().status == 201
    for connection in connections:
        connection.close()
    each = (most - before) / 50
    print(f"{each / 1024:.0f} KiB an upload, of 50 at once")
    assert each < 1 << 20


# ---- text, and the model ----

def described(person, file):
    return person.bearer("GET", f"/api/upload/{file['id']}/meta").json()


def extracted(person, file):
    return wait_until(lambda: (lambda d: d if d["text_status"] not in ("pending",) else None)(described(person, file)))


@pytest.mark.parametrize("name, data, chars", [
    ("x.docx", docx("Muraho", "neza"), 12), ("x.txt", "déjà".encode(), 4), ("x.pdf", pdf("Muraho"), 7)])
def test_text_is_had_without_a_queue_too(owner, name, data, chars):
    found = extracted(owner, upload(owner, name, data))
    assert found["text_status"] == "done" and abs(found["text_chars"] - chars) <= 1


def test_what_cannot_be_read_is_told(owner):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("word/document.xml", b"<w:document><w:t>" + b" " * (70 << 20))
    found = extracted(owner, upload(owner, "bomb.docx", out.getvalue()))
    assert found["text_status"] in ("failed", "done") and (found["text_chars"] or 0) <= 1 << 20
    found = extracted(owner, upload(owner, "x.pdf", b"%PDF-1.4\nnothing of the kind"))
    assert found["text_status"] == "failed" and "damaged" in found["text_error"]


def told_to_model(script, call=0):
    messages = json.loads(script.log()[call]["body"])["messages"]
    return [message for message in messages if message["role"] != "system"]


def test_text_goes_to_the_model_and_stays_known(owner, model):
    file = upload(owner, "x.docx", docx("Ibanga ryanjye"))
    script = model.script(mock.reply(), mock.reply())
    exchange = owner.bearer("POST", "/api/chat", chat_body(script, attachments=[file["id"]]))
    told = exchange.events()[0]["bakame"]
    (message,) = told_to_model(script)
    words, context = message["content"]
    assert words["type"] == context["type"] == "text"
    assert "Ibanga ryanjye" in context["text"] and "x.docx" in context["text"]
    owner.bearer("POST", "/api/chat", chat_body("and then?", conversation_id=told["conversation_id"])).events()
    conversation = owner.bearer("GET", "/api/conversations/" + told["conversation_id"]).json()
    assert conversation["messages"][0]["attachments"] == [
        {"id": file["id"], "name": "x.docx", "type": DOCX, "size": file["size"]}]
    assert isinstance(conversation["messages"][0]["content"], str)


@pytest.mark.parametrize("own", ["its id", "too many", [None], [7], ["x"], "x", {"a": 1}], ids=str)
def test_a_message_has_no_files_of_its_own(owner, model, own):
    """They come with the request, where they are checked: what a message says of some goes nowhere."""
    file = extracted(owner, upload(owner, "x.txt", b"ibanga"))
    own = {"its id": [file["id"]], "too many": [file["id"]] * 40 + [None]}.get(own, own) if isinstance(own, str) else own
    script = model.script(mock.reply())
    body = chat_body(script)
    body["messages"][0]["attachments"] = own
    exchange = owner.bearer("POST", "/api/chat", body)
    assert exchange.status == 200 and exchange.events()[-1] == "[DONE]"
    (message,) = told_to_model(script)
    assert set(message) == {"role", "content"} and isinstance(message["content"], str)


@pytest.mark.parametrize("more", [b"", bytes(range(256)) * 600, bytes(range(256)) * 3600 + b"."], ids=["small", "encoded aside", "written aside"])
def test_images_go_to_the_model(owner, model, more):
    file = upload(owner, "x.png", png() + more)
    script = model.script(mock.reply())
    owner.bearer("POST", "/api/chat", chat_body(script, attachments=[file["id"]])).events()
    image = told_to_model(script)[0]["content"][1]
    assert image["type"] == "image_url"
    assert image["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(png() + more).decode()


def test_an_image_that_was_lost_does_not_end_its_conversation(house, owner, model):
    """As after a backup of the database alone was restored."""
    file = upload(owner, "x.png", png() + b"lost")
    exchange = owner.bearer("POST", "/api/chat", chat_body(model.script(mock.reply()), attachments=[file["id"]]))
    told = exchange.events()[0]["bakame"]
    (Path(house.settings["UPLOAD_DIR"]) / file["id"][:2] / file["id"][2:4] / file["id"]).unlink()
    script = model.script(mock.reply())
    exchange = owner.bearer("POST", "/api/chat", chat_body(script, conversation_id=told["conversation_id"]))
    assert exchange.status == 200 and exchange.events()[-1] == "[DONE]"
    assert "cannot be read any more" in told_to_model(script)[0]["content"][1]["text"]


def test_text_is_had_by_a_job(lone, tmp_path, database):
    redis = RedisServer(tmp_path / "redis")
    try:
        stack = lone(REDIS_URL=redis.url)
        queue = Queue(tmp_path, redis, DATABASE_URL=database.url, UPLOAD_DIR=tmp_path / "uploads")
        ada = somebody(stack)
        file = upload(ada, "x.docx", docx("Muraho"))
        assert described(ada, file)["text_status"] == "pending"
        queue.start(program=JOBS_PROGRAM)
        assert extracted(ada, file)["text_status"] == "done"
        queue.close()
    finally:
        redis.stop()
