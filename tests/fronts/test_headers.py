"""What each front adds to answers, and what it hands to the workers."""
import re

import pytest

import fronts
from front_stack import FRONTS

HEADERS = dict(re.findall(r'^add_header (\S+) +"([^"]+)" always;', (fronts.CHECKOUT / "nginx/bakame/headers.conf").read_text(), re.M))
HSTS = "Strict-Transport-Security"
CORS = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers")


def assert_security_headers(exchange, https=False):
    assert len(HEADERS) == 6
    for name, value in HEADERS.items():
        assert exchange.answer.headers.get_all(name) == [value], f"{name} of {exchange.status}"
    assert (exchange.header(HSTS) is not None) == https
    assert len(exchange.answer.headers.get_all("X-Request-Id")) == 1


@pytest.mark.parametrize("status", [200, 201, 400, 401, 404, 413, 429, 500, 502, 503, 504])
def test_every_answer_of_a_worker_gets_the_headers_and_is_passed_on(scripted, status):
    exchange = scripted.get(f"/api/status/{status}")
    assert exchange.status == status
    assert_security_headers(exchange)
    assert exchange.json()["REQUEST_ID"] == exchange.header("X-Request-Id")
    assert exchange.answer.headers.get_all("Retry-After") == (["7"] if status in (429, 503) else None)


@pytest.mark.parametrize("front", FRONTS)
def test_a_worker_that_refuses_for_now_is_passed_on(start_site, front):
    site = start_site(front, RATE_LIMIT_GUEST="1/3600")          # a window that no pause between the two outlasts
    assert site.post("/api/chat", "{").status == 400
    exchange = site.post("/api/chat", "{")
    assert exchange.status == 429
    assert_security_headers(exchange)
    assert exchange.json()["error"]["request_id"] == exchange.header("X-Request-Id")
    for name in ("Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy"):
        assert len(exchange.answer.headers.get_all(name)) == 1, name
    assert 1 <= int(exchange.header("Retry-After")) <= 3600


@pytest.mark.parametrize("path, status", [("/", 200), ("/nothing", 404), ("/assets/nothing.js", 404), ("/api/nothing", 404), ("/metrics", 200)])
def test_pages_and_what_is_not_there_get_them_too(site, path, status):
    exchange = site.get(path)
    assert exchange.status == status
    assert_security_headers(exchange)


@pytest.mark.parametrize("path, size", [("/api/chat", 3_000_000), ("/v1/chat/completions", 3_000_000), ("/api/upload", 27_000_000)])
def test_what_is_too_large_is_413_before_it_is_sent(site, path, size):
    exchange = site.request("POST", path, headers={"Content-Length": str(size), "Content-Type": "application/json"})
    assert exchange.status == 413
    assert exchange.header("Content-Type").startswith("application/json")
    assert_security_headers(exchange)
    error = exchange.json()["error"]
    assert error["type"] == "payload_too_large" and error["request_id"] == exchange.header("X-Request-Id")


@pytest.mark.parametrize("status", [200, 404, 503])
def test_an_allowed_origin_may_read_the_answer(scripted, status):
    exchange = scripted.get(f"/api/status/{status}", Origin=fronts.CORS_ALLOWED)
    assert exchange.header("Access-Control-Allow-Origin") == fronts.CORS_ALLOWED
    assert exchange.header("Access-Control-Allow-Credentials") == "true"
    assert "X-Request-Id" in exchange.header("Access-Control-Expose-Headers")
    assert "Origin" in exchange.header("Vary")


@pytest.mark.parametrize("origin", [None, fronts.CORS_REFUSED, "null", fronts.CORS_ALLOWED + ".evil.example.net",
                                    fronts.CORS_ALLOWED.replace(".example", "xexample"), "http://app.example.org"])
def test_no_other_origin_may(scripted, origin):
    exchange = scripted.get("/api/status/200", **({"Origin": origin} if origin else {}))
    assert exchange.status == 200
    assert [exchange.header(name) for name in CORS] == [None, None, None]
    assert "Origin" in exchange.header("Vary")


def preflight(stack, origin):
    return stack.request("OPTIONS", "/api/chat", headers={
        "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"})


def test_a_preflight_of_an_allowed_origin_is_answered(site):
    exchange = preflight(site, fronts.CORS_ALLOWED)
    assert exchange.status == 204
    assert exchange.header("Access-Control-Allow-Origin") == fronts.CORS_ALLOWED
    assert exchange.header("Access-Control-Allow-Credentials") == "true"
    assert exchange.header("Access-Control-Allow-Methods") == "GET, POST, PATCH, DELETE"
    assert exchange.header("Access-Control-Allow-Headers") == "Authorization, Content-Type, X-Bakame-Tools"
    assert exchange.header("Access-Control-Max-Age") == "600"
    assert_security_headers(exchange)


def test_a_preflight_of_another_is_not(site):
    exchange = preflight(site, fronts.CORS_REFUSED)
    assert exchange.status == 405
    assert not [name for name, _ in exchange.answer.getheaders() if name.startswith("Access-Control-")]


def test_a_worker_gets_what_it_goes_by(scripted):
    params = scripted.get("/api/status/200", Authorization="Bearer abc.def", Cookie="bakame_session=1", Proxy="http://evil.example").json()
    assert params["HTTP_AUTHORIZATION"] == "Bearer abc.def"
    assert params["HTTP_COOKIE"] == "bakame_session=1"
    assert params["REMOTE_ADDR"] == "127.0.0.1"
    assert params["REQUEST_METHOD"] == "GET"
    assert params.get("HTTP_PROXY", "") == ""
    assert params.get("HTTPS", "") == ""
    path = "/api/%73tatus%2F1?q=a%2Fb&x"
    assert scripted.get(path).json()["REQUEST_URI"] == path


def test_a_proxy_that_is_trusted_names_client_and_scheme(scripted):
    exchange = scripted.get("/api/status/200", **{"X-Forwarded-For": "203.0.113.9, 127.0.0.1", "X-Forwarded-Proto": "https"})
    params = exchange.json()
    assert params["REMOTE_ADDR"] == "203.0.113.9"
    assert params["HTTPS"] == "on"
    assert_security_headers(exchange, https=True)


def test_a_client_cannot_name_another_behind_the_proxy(scripted):
    """Of the list only what proxies added counts: the last that is no proxy."""
    params = scripted.get("/api/status/200", **{"X-Forwarded-For": "10.1.1.1, 203.0.113.9"}).json()
    assert params["REMOTE_ADDR"] == "203.0.113.9"


def test_figures_are_for_this_host_only(site):
    assert site.get("/metrics").status == 200
    exchange = site.get("/metrics", **{"X-Forwarded-For": "203.0.113.9"})
    assert exchange.status == 403
    assert_security_headers(exchange)


def test_pages_are_asked_for_each_time_and_files_with_a_hash_kept(site):
    assert site.get("/").header("Cache-Control") == "no-cache"
    page = site.get("/assets/main-0A1B2C3D.js", **{"Accept-Encoding": "gzip"})
    assert page.status == 200
    assert page.header("Cache-Control") == "public, max-age=31536000, immutable"
    assert page.header("Content-Encoding") == "gzip"
    assert "Accept-Encoding" in page.header("Vary")
    assert site.get("/assets/nothing.js").header("Cache-Control") != "public, max-age=31536000, immutable"


def test_a_certificate_can_be_got(site):
    """certbot puts a file without a suffix where the authority then asks for it, over plain HTTP."""
    place = site.front.webroot / ".well-known/acme-challenge"
    (place / "tOk3n-x_Y").write_text("tOk3n-x_Y.account")
    exchange = site.get("/.well-known/acme-challenge/tOk3n-x_Y")
    assert exchange.status == 200
    assert exchange.read() == b"tOk3n-x_Y.account"
    assert site.get("/.well-known/acme-challenge/").status in (403, 404)
    assert site.get("/.well-known/acme-challenge/..%2f..%2f..%2fbakame.log").status in (400, 403, 404)
