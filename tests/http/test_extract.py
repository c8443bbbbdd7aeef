"""The text of files: what bakame-extract makes of them, shut in as it is."""
import io
import os
import resource
import signal
import subprocess
import tempfile
import time
import zipfile

import pytest

from samples import docx, pdf
from worker import BUILD, environment, require_build

PROGRAM = BUILD / "src" / "bakame-extract"
DAMAGED, TOO_LARGE, USAGE, UNAVAILABLE = 1, 2, 64, 69


def extract(kind, data, **options):
    require_build(PROGRAM)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return subprocess.run([str(PROGRAM), kind], stdin=file, capture_output=True, timeout=180,
                              env=environment(), **options)


def text_of(kind, data):
    done = extract(kind, data)
    assert done.returncode == 0, done
    return done.stdout.decode()


def test_words_of_a_docx_in_paragraphs():
    assert text_of("docx", docx("Muraho neza", "Déjà <vu> & more")) == "Muraho neza\nDéjà <vu> & more\n"


def test_words_of_a_pdf():
    text = text_of("pdf", pdf("First page", "Second page"))
    assert text.split() == ["First", "page", "Second", "page"]


@pytest.mark.parametrize("data, text", [
    (b"plain\n", "plain\n"),
    ("Kinyarwanda, français, 日本".encode(), "Kinyarwanda, français, 日本"),
    ("déjà".encode("cp1252"), "déjà"),
    ("déjà".encode("utf-16"), "déjà"),
    (b"", ""),
    ("é".encode() * 100_000, "é" * 100_000),
    (b"x" + "é".encode() * 100_000, "x" + "é" * 100_000),
], ids=["ASCII", "UTF-8", "Windows-1252", "UTF-16", "empty", "pieces", "pieces that cut characters"])
def test_texts_in_any_usual_encoding(data, text):
    assert text_of("text", data) == text


def test_nothing_of_the_host_but_its_programs_can_be_read():
    """Whoever takes pdftotext over has no settings, no other person's file, and nothing of /proc."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        taken_over = os.path.join(place, "pdftotext")
        with open(taken_over, "w") as file:
            file.write("#!/bin/sh\ncat /etc/passwd\n")
        os.chmod(taken_over, 0o755)
        assert b"root" in subprocess.run([taken_over], capture_output=True, timeout=180).stdout
        done = subprocess.run([str(PROGRAM), "pdf"], stdin=subprocess.DEVNULL, capture_output=True, timeout=180,
                              env={**environment(), "PATH": place})
    assert done.stdout == b"" and done.returncode == UNAVAILABLE


def processor_seconds():
    """Of all that we started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def zip_of(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, data)
    return out.getvalue()


def test_a_zip_bomb_ends_in_no_time():
    """200 MiB of nothing in 200 KiB: it is looked at up to a bound."""
    bomb = zip_of("word/document.xml", b"<w:document><w:t>" + b" " * (200 << 20))
    assert len(bomb) < 300_000
    out = open(os.devnull, "wb")
    with tempfile.TemporaryFile() as file:
        file.write(bomb)
        file.seek(0)
        before = processor_seconds()
        done = subprocess.run([str(PROGRAM), "docx"], stdin=file, stdout=out, env=environment())
    assert done.returncode == TOO_LARGE
    assert processor_seconds() - before < 30


@pytest.mark.parametrize("xml", [
    b"<w:document><w:t>cut off",
    b"no xml",
    b"",
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x><t>&b;</t></x>',
    b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x><t>&f;</t></x>',
], ids=["cut off", "no XML", "empty", "entities that grow", "a file's contents"])
def test_a_bad_document_is_told_as_such(xml):
    done = extract("docx", zip_of("word/document.xml", xml))
    assert done.returncode == DAMAGED
    assert b"root:" not in done.stdout and b"aaaa" not in done.stdout


@pytest.mark.parametrize("kind", ["docx", "pdf"])
@pytest.mark.parametrize("data", [b"", b"no such file", b"PK\3\4", b"%PDF-1.4\n"])
def test_what_is_no_such_file_is_told_as_such(kind, data):
    assert extract(kind, data).returncode == DAMAGED


def test_other_kinds_are_refused():
    assert extract("exe", b"x").returncode == USAGE


def test_a_pdf_of_100000_pages_is_read_as_far_as_wanted():
    done = extract("pdf", pdf(*["page"] * 100_000))
    assert done.returncode == 0
    assert 0 < done.stdout.count(b"page") <= 2000


def test_it_may_not_write_files_nor_open_sockets(tmp_path):
    """What it is allowed, seen from outside while it waits for its input."""
    require_build(PROGRAM)
    reader, writer = os.pipe()
    process = subprocess.Popen([str(PROGRAM), "text"], stdin=reader, stdout=subprocess.PIPE, env=environment())
    try:
        deadline = time.monotonic() + 60
        status = limits = ""
        while "NoNewPrivs:\t1" not in status or "Seccomp:\t2" not in status:
            assert time.monotonic() < deadline, status
            with open(f"/proc/{process.pid}/status") as file:
                status = file.read()
            with open(f"/proc/{process.pid}/limits") as file:
                limits = file.read()
        rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
        assert rows["Max file size"] == ["0", "0"]
        assert rows["Max processes"] == ["0", "0"]
        assert rows["Max core file size"] == ["1", "1"]
        assert rows["Max cpu time"] == ["60", "60"]
        if os.getuid() == 0:
            assert "Uid:\t65534\t65534\t65534\t65534" in status
            assert "CapEff:\t0000000000000000" in status
    finally:
        os.close(writer)
        os.close(reader)
        process.wait()
        process.stdout.close()


def test_it_ends_with_its_parent():
    reader, writer = os.pipe()
    script = ("import subprocess, sys, os\n"
              f"p = subprocess.Popen([{str(PROGRAM)!r}, 'text'], stdin={reader})\n"
              "print(p.pid, flush=True)\n"
              "while 'Seccomp:\\t2' not in open(f'/proc/{p.pid}/status').read(): pass\n"
              "print('ready', flush=True)\n"
              "sys.stdin.read()\n")
    parent = subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              pass_fds=[reader], text=True, env=environment())
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "ready\n"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < deadline, "it lives on without its parent"
        time.sleep(0.01)
    os.close(reader)
    os.close(writer)
    parent.stdin.close()
    parent.stdout.close()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
