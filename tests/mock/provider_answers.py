"""provider_answers.py - what each provider of the tools says when all is well, and how it says no.

Pure functions of a request; shapes as the providers document them (addresses in include/tools/*.h).
"""
import json
import time
from datetime import date, timedelta
from urllib.parse import unquote

DAY = 86400
NOW = 1767250800                # 2026-01-01T07:00:00Z
KIGALI = {"lat": -1.9501, "lon": 30.0588}
BARELAND = {"lat": 1.0, "lon": 1.0}     # of whose weather and place little is known
RATES = {"USDRWF": 1450.25, "USDEUR": 0.8647, "EURUSD": 1.1565, "EURKWD": 0.35571, "USDJPY": 156.305, "RWFUSD": 0.00068954}


class Question:
    """A request to a provider: path without the mode's prefix, query as a dict of single values."""

    def __init__(self, method, path, query, headers, body):
        self.method, self.path, self.query, self.headers, self.body = method, path, query, headers, body

    def json(self):
        return json.loads(self.body)


class Answer(Exception):
    """An answer that is not the usual 200."""

    def __init__(self, status, value):
        super().__init__(status)
        self.status, self.value = status, value


def geo_direct(q):
    if q.query["q"].lower().startswith("nowhere"):
        return []
    name = q.query["q"].split(",")[0].title()
    if name == "Bareland":
        return [{"name": name, **BARELAND, "country": "XX"}]
    return [{"name": name, "local_names": {"fr": name}, **KIGALI, "country": "RW", "state": "Kigali City"}]


def openweather_now(q):
    assert q.query["appid"] and float(q.query["lat"]) and float(q.query["lon"])
    return {"coord": {"lon": 30.0588, "lat": -1.9501},
            "weather": [{"id": 500, "main": "Rain", "description": "light rain", "icon": "10d"}], "base": "stations",
            "main": {"temp": 19.42, "feels_like": 19.6, "temp_min": 19.42, "temp_max": 19.42, "pressure": 1018, "humidity": 84},
            "visibility": 10000, "wind": {"speed": 2.06, "deg": 120}, "rain": {"1h": 0.3}, "clouds": {"all": 75},
            "dt": NOW, "sys": {"country": "RW", "sunrise": NOW - 7200, "sunset": NOW + 36000}, "timezone": 7200,
            "id": 202061, "name": "Kigali", "cod": 200}


def openweather_forecast(q):
    assert q.query["appid"]
    steps = []
    for i in range(40):
        at = NOW + 7200 + i * 3 * 3600
        step = {"dt": at, "main": {"temp": 20 + i % 8, "feels_like": 20, "temp_min": 18 + i % 8, "temp_max": 21 + i % 8,
                                   "pressure": 1016, "humidity": 70, "temp_kf": 0},
                "weather": [{"id": 803, "main": "Clouds", "description": "broken clouds", "icon": "04d"}],
                "clouds": {"all": 70}, "wind": {"speed": 1.5, "deg": 90, "gust": 2}, "visibility": 10000, "pop": 0.32,
                "sys": {"pod": "d"}, "dt_txt": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))}
        if i % 4 == 0:
            step["rain"] = {"3h": 0.26}
        if float(q.query["lat"]) == BARELAND["lat"]:
            del step["pop"], step["main"]["temp_max"]
            if i % 2 == 0:
                del step["main"]
        steps.append(step)
    return {"cod": "200", "message": 0, "cnt": 40, "list": steps,
            "city": {"id": 202061, "name": "Kigali", "coord": KIGALI, "country": "RW", "population": 745261,
                     "timezone": 7200, "sunrise": NOW - 7200, "sunset": NOW + 36000}}


def open_meteo_search(q):
    if q.query["name"].lower().startswith("nowhere"):
        return {"generationtime_ms": 0.41}
    return {"results": [{"id": 202061, "name": q.query["name"].split(",")[0].title(), "latitude": -1.94995, "longitude": 30.05885,
                         "elevation": 1567.0, "feature_code": "PPLC", "country_code": "RW", "admin1_id": 7690008,
                         "timezone": "Africa/Kigali", "population": 745261, "country_id": 49518, "country": "Rwanda",
                         "admin1": "Kigali City"}], "generationtime_ms": 0.62}


def open_meteo_forecast(q):
    days = int(q.query["forecast_days"])
    dates = [time.strftime("%Y-%m-%d", time.gmtime(NOW + i * DAY)) for i in range(days)]
    return {"latitude": -1.95, "longitude": 30.06, "generationtime_ms": 0.11, "utc_offset_seconds": 7200,
            "timezone": "Africa/Kigali", "timezone_abbreviation": "CAT", "elevation": 1567.0,
            "current_units": {"time": "iso8601", "interval": "seconds", "temperature_2m": "°C"},
            "current": {"time": "2026-01-01T09:00", "interval": 900, "temperature_2m": 21.3, "apparent_temperature": 22.1,
                        "relative_humidity_2m": 71, "precipitation": 0.0, "weather_code": 2, "wind_speed_10m": 6.5},
            "daily_units": {"time": "iso8601", "weather_code": "wmo code"},
            "daily": {"time": dates, "weather_code": [61] * days, "temperature_2m_max": [26.4] * days,
                      "temperature_2m_min": [16.2] * days, "precipitation_sum": [3.7] * days,
                      "precipitation_probability_max": [68] * days}}


def exchangerate_pair(q):
    *_, key, _pair, source, target = q.path.split("/")
    assert key and _pair == "pair"
    if source + target not in RATES:
        raise Answer(404, {"result": "error", "documentation": "https://www.exchangerate-api.com/docs",
                           "error-type": "unsupported-code"})
    return {"result": "success", "documentation": "https://www.exchangerate-api.com/docs",
            "terms_of_use": "https://www.exchangerate-api.com/terms", "time_last_update_unix": 1767225601,
            "time_last_update_utc": "Thu, 01 Jan 2026 00:00:01 +0000", "time_next_update_unix": 1767312001,
            "time_next_update_utc": "Fri, 02 Jan 2026 00:00:01 +0000", "base_code": source, "target_code": target,
            "conversion_rate": RATES[source + target]}


def frankfurter_v2(q):
    *_, source, target = q.path.split("/")
    if source + target not in RATES or source == "RWF":
        raise Answer(404, {"message": "not found"})
    return {"date": "2025-12-31", "base": source, "quote": target, "rate": RATES[source + target]}


def frankfurter_v1(q):
    pair = q.query["base"] + q.query["symbols"]
    if pair not in RATES:
        raise Answer(404, {"message": "not found"})
    return {"amount": 1.0, "base": q.query["base"], "date": "2025-12-31", "rates": {q.query["symbols"]: RATES[pair]}}


def frankfurter_days(start):
    """Working days from that one to today, as far as there are so many; a rate that rises and falls."""
    first = date.fromisoformat(start)
    days = [first + timedelta(days=i) for i in range((date.today() - first).days + 1)]
    return [(day.isoformat(), 1 + (i % 7 - 3) / 1000) for i, day in enumerate(day for day in days if day.weekday() < 5)]


def frankfurter_v2_rates(q):
    source, target = q.query["base"], q.query["quotes"]
    if source + target not in RATES or source == "RWF":
        raise Answer(404, {"message": "not found"})
    return [{"date": day, "base": source, "quote": target, "rate": round(RATES[source + target] * factor, 6)}
            for day, factor in frankfurter_days(q.query["from"])]


def frankfurter_v1_days(q):
    source, target = q.query["base"], q.query["symbols"]
    if source + target not in RATES:
        raise Answer(404, {"message": "not found"})
    days = frankfurter_days(q.path.rsplit("/", 1)[1].split("..")[0])
    return {"amount": 1.0, "base": source, "start_date": days[0][0], "end_date": days[-1][0],
            "rates": {day: {target: RATES[source + target] * factor} for day, factor in days}}


def newsapi(q):
    assert q.headers.get("X-Api-Key") and "User-Agent" in q.headers
    count = int(q.query.get("pageSize", 20))
    topic = q.query.get("q", q.query.get("country", "world"))
    articles = [{"source": {"id": None, "name": f"Paper {i}"}, "author": "A. Writer", "title": f"{topic}: headline {i}",
                 "description": f"About <b>{topic}</b> &amp; more.", "url": f"https://news.example/{i}", "urlToImage": None,
                 "publishedAt": f"2026-01-01T{i:02}:00:00Z", "content": "text… [+1200 chars]"} for i in range(min(count, 12))]
    articles.insert(0, {"source": {"id": None, "name": "[Removed]"}, "author": None, "title": "[Removed]",
                        "description": "[Removed]", "url": "https://removed.com", "urlToImage": None,
                        "publishedAt": "1970-01-01T00:00:00Z", "content": "[Removed]"})
    return {"status": "ok", "totalResults": 38, "articles": articles}


def rss(_q):
    items = "".join(f"""<item><title><![CDATA[Rain in Kigali, part {i}]]></title>
<link>https://feed.example/rss/{i}</link><description>&lt;p&gt;It rained &amp;amp; stopped, {i}.&lt;/p&gt;</description>
<pubDate>Thu, 01 Jan 2026 0{i}:00:00 GMT</pubDate><guid isPermaLink="false">g{i}</guid></item>""" for i in range(3))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<rss xmlns:media="http://search.yahoo.com/mrss/" version="2.0"><channel><title>Feed of rain – café</title>
<link>https://feed.example</link><description>d</description>{items}
<item><title>Football results</title><link>https://feed.example/rss/f</link><pubDate>Wed, 31 Dec 2025 09:00:00 +0200</pubDate></item>
</channel></rss>"""


def atom(_q):
    return """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title type="text">An Atom feed</title>
<updated>2026-01-01T08:00:00Z</updated><id>urn:x</id>
<entry><title type="html">Kigali &amp;amp; the hills</title><link rel="self" href="https://feed.example/self"/>
<link rel="alternate" type="text/html" href="https://feed.example/atom/1"/><id>urn:1</id>
<updated>2026-01-01T08:00:00+02:00</updated><summary>Hills.</summary></entry></feed>"""


def rdf(_q):
    return """<?xml version="1.0" encoding="ISO-8859-1"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="x"><title>Vieux caf\u00e9</title></channel>
<item rdf:about="https://feed.example/rdf/1"><title>Kigali, caf\u00e9s</title><link>https://feed.example/rdf/1</link>
<dc:date>2025-12-31T10:00:00Z</dc:date></item></rdf:RDF>""".encode("latin-1")


def tavily(q):
    assert q.headers["Authorization"].startswith("Bearer ")
    asked = q.json()
    results = [{"url": f"https://web.example/{i}", "title": f"{asked['query']} {i}", "content": f"Snippet {i} 🌧",
                "score": 0.9 - i / 10, "raw_content": None} for i in range(asked["max_results"])]
    return {"query": asked["query"], "follow_up_questions": None, "answer": None, "images": [], "results": results,
            "response_time": 1.09, "request_id": "r"}


def searxng(q):
    assert q.query["format"] == "json"
    results = [{"url": f"https://web.example/s{i}", "title": f"{q.query['q']} {i}", "content": "Found <em>it</em>.",
                "engine": "wikipedia", "parsed_url": ["https", "web.example", f"/s{i}", "", "", ""], "template": "default.html",
                "engines": ["wikipedia"], "positions": [1], "score": 1.0, "category": "general"} for i in range(12)]
    return {"query": q.query["q"], "number_of_results": 0, "results": results, "answers": [], "corrections": [],
            "infoboxes": [], "suggestions": [], "unresponsive_engines": [["qwant", "CAPTCHA"]]}


def wikipedia(q):
    assert q.headers["User-Agent"].startswith("User-Agent: Bakame/") or q.headers["User-Agent"].startswith("Bakame/")
    count = int(q.query["srlimit"])
    found = [{"ns": 0, "title": f"{q.query['srsearch'].title()} {i}", "pageid": 100 + i, "size": 1000, "wordcount": 150,
              "snippet": f"It is <span class=\"searchmatch\">{q.query['srsearch']}</span> &amp; more", "timestamp": "2025-12-30T10:00:00Z"}
             for i in range(count)]
    return {"batchcomplete": True, "continue": {"sroffset": count, "continue": "-||"},
            "query": {"searchinfo": {"totalhits": 321}, "search": found}}


def nominatim(q):
    assert q.query["format"] == "jsonv2" and "Bakame/" in q.headers["User-Agent"]
    if q.query["q"].lower().startswith("nowhere"):
        return []
    return [{"place_id": 1, "licence": "Data © OpenStreetMap contributors, ODbL 1.0.", "osm_type": "node", "osm_id": 2 + i,
             "lat": "-1.9501", "lon": "30.0588", "category": "place", "type": "city", "place_rank": 16, "importance": 0.6,
             "addresstype": "city", "name": q.query["q"].title(), "display_name": f"{q.query['q'].title()}, Kigali City, Rwanda",
             "boundingbox": ["-2.1", "-1.7", "29.9", "30.2"]} for i in range(min(3, int(q.query["limit"])))]


def overpass(q):
    assert q.method == "POST" and q.body.startswith(b"data=")
    assert "[out:json]" in unquote(q.body.decode())
    elements = [{"type": "node", "id": 10 + i, "lat": -1.9501 + (5 - i) / 1000, "lon": 30.0588,
                 "tags": {"amenity": "cafe", "name": f"Café {i}", "opening_hours": "Mo-Su 07:00-22:00", "phone": "+250 788 000 000",
                          "addr:street": "KN 3 Ave", "addr:housenumber": str(i)}} for i in range(5)]
    elements.append({"type": "way", "id": 99, "center": {"lat": -1.9502, "lon": 30.0589}, "tags": {"amenity": "cafe"}})
    elements.append({"type": "way", "id": 98, "center": {"lat": -1.9502, "lon": 30.0589}, "tags": {"amenity": "cafe", "name": "Way Café"}})
    return {"version": 0.6, "generator": "Overpass API 0.7.62", "osm3s": {"timestamp_osm_base": "2026-01-01T06:00:00Z", "copyright": "…"},
            "elements": elements}


def google_places(q):
    assert q.headers["X-Goog-Api-Key"] and "places.displayName" in q.headers["X-Goog-FieldMask"]
    asked = q.json()
    if asked["textQuery"].lower().startswith("nowhere"):
        return {}
    if asked["textQuery"] == "Bareland":
        return {"places": [{"location": {"latitude": None, "longitude": "1.0"}}]}
    return {"places": [{"displayName": {"text": f"{asked['textQuery']} {i}", "languageCode": "en"},
                        "formattedAddress": f"KN {i} Ave, Kigali, Rwanda", "location": {"latitude": -1.95, "longitude": 30.06},
                        "rating": 4.4, "userRatingCount": 311, "primaryType": "cafe",
                        "googleMapsUri": "https://maps.google.com/?cid=1"} for i in range(asked.get("pageSize", 5))]}


GOOD = {
    "/geo/1.0/direct": geo_direct, "/data/2.5/weather": openweather_now, "/data/2.5/forecast": openweather_forecast,
    "/v1/search": open_meteo_search, "/v1/forecast": open_meteo_forecast, "/v6/": exchangerate_pair,
    "/v2/rate/": frankfurter_v2, "/v2/rates": frankfurter_v2_rates, "/v1/latest": frankfurter_v1, "/v2/top-headlines": newsapi, "/v2/everything": newsapi,
    "/feed.rss": rss, "/feed.atom": atom, "/feed.rdf": rdf, "/w/api.php": wikipedia, "/search": None,
    "/api/interpreter": overpass, "/v1/places:searchText": google_places,
}


def good(q):
    """The usual answer: a value for JSON, or text or bytes for XML."""
    if q.path == "/search":
        return tavily(q) if q.method == "POST" else nominatim(q) if q.query.get("format") == "jsonv2" else searxng(q)
    if q.path.startswith("/v1/") and ".." in q.path:
        return frankfurter_v1_days(q)
    for path, function in GOOD.items():
        if q.path == path or (path.endswith("/") and q.path.startswith(path)):
            return function(q)
    raise Answer(404, {"message": "no such path in the mock"})


def error_body(q, status):
    """How the provider of this path words an error."""
    path = q.path
    if path.startswith(("/geo", "/data")):
        words = {401: "Invalid API key. Please see https://openweathermap.org/faq#error401 for more info.",
                 429: "Your account is temporary blocked due to exceeding of requests limitation of your subscription type."}
        return {"cod": status, "message": words.get(status, "Internal error")}
    if path.startswith(("/v1/search", "/v1/forecast")):
        return {"error": True, "reason": "Daily API request limit exceeded. Please try again tomorrow."}
    if path.startswith("/v6/"):
        return {"result": "error", "error-type": {429: "quota-reached", 401: "invalid-key"}.get(status, "malformed-request")}
    if path.startswith(("/v2/rate", "/v1/latest")) or ".." in path:
        return {"message": "error"}
    if path.startswith(("/v2/top", "/v2/every")):
        codes = {401: "apiKeyInvalid", 429: "rateLimited"}
        key = q.headers.get("X-Api-Key", "")
        return {"status": "error", "code": codes.get(status, "unexpectedError"), "message": f"Your API key {key} is invalid or incorrect."}
    if path == "/search" and q.method == "POST":
        return {"detail": {"error": f"Unauthorized: invalid API key {q.headers.get('Authorization', '')}."}}
    if path == "/w/api.php":
        return {"error": {"code": "internal_api_error_DBQueryError", "info": "A database query error has occurred."},
                "servedby": "mw1"}
    if path == "/search" and q.query.get("format") == "jsonv2":
        return {"error": {"code": status, "message": "Something is wrong"}}
    if path == "/api/interpreter":
        return {"version": 0.6, "elements": [], "remark": "runtime error: Query timed out in \"query\" at line 1 after 6 seconds."}
    if path.startswith("/v1/places"):
        return {"error": {"code": status, "message": f"API key {q.headers.get('X-Goog-Api-Key')} not valid.", "status": "INVALID_ARGUMENT"}}
    return {"error": "no"}
