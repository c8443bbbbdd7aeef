"""TLS as each front does it: HTTP/2, old versions refused, HSTS there and only there, a way for certificates."""
import json
import re
import socket
import ssl
import subprocess

import pytest

import process
from front_stack import FrontStack
from script import gate, stream, text
from stack import chat_body


@pytest.fixture(scope="module", params=["nginx-tls", "apache-tls"])
def tls_site(request, model):
    stack = FrontStack(request.param, model)
    yield stack
    stack.close()


def curl(site, *arguments):
    return ["curl", "-sS", "--max-time", "300", "--cacert", str(site.front.certificate), *arguments]


def url(site, path):
    return f"https://127.0.0.1:{site.front.tls_port}{path}"


def test_a_stream_over_http2_arrives_piece_by_piece(tls_site, model):
    script = model.script(stream(text("one"), gate("go"), text("two")))
    command = curl(tls_site, "-N", "-D", "/dev/stderr", "--http2", "-H", "Content-Type: application/json",
                   "-d", json.dumps(chat_body(script)), url(tls_site, "/api/chat"))
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=process.end_with_parent)
    got = b""
    while b'"one"' not in got:
        line = client.stdout.readline()
        assert line, client.stderr.read()
        got += line
    script.open("go")
    rest, head = client.communicate()
    assert b'"two"' in rest and rest.endswith(b"data: [DONE]\n\n")
    assert head.startswith(b"HTTP/2 200")
    assert b"strict-transport-security: max-age=31536000; includesubdomains" in head.lower()


def test_the_plain_address_leads_to_the_other_but_for_certificates(tls_site):
    exchange = tls_site.get("/some/where?x=1")
    assert exchange.status == 301
    assert re.fullmatch(r"https://[^/]+/some/where\?x=1", exchange.header("Location"))
    assert exchange.header("Strict-Transport-Security") is None
    assert exchange.header("X-Frame-Options") == "DENY"
    assert tls_site.get("/.well-known/acme-challenge/nothing").status == 404
    (tls_site.front.webroot / ".well-known/acme-challenge/token").write_text("token.account")
    assert tls_site.get("/.well-known/acme-challenge/token").read() == b"token.account"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(tls_site):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", tls_site.front.tls_port), 120) as connection:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(connection)


def test_pages_get_the_headers_of_tls_too(tls_site):
    command = curl(tls_site, "-D", "-", "-o", "/dev/null", url(tls_site, "/"))
    head = subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower()
    assert "strict-transport-security: max-age=31536000; includesubdomains" in head
    assert "x-frame-options: deny" in head
