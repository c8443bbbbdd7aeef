"""provider_process.py - the test's side of providers.py: starts it, names its sites, reads its log."""
import http.client
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import process

# Each setting that holds a base URL of a provider.
URL_SETTINGS = ("OPENWEATHER_BASE_URL", "OPEN_METEO_URL", "OPEN_METEO_GEOCODING_URL", "EXCHANGE_RATE_BASE_URL", "FRANKFURTER_URL",
                "NEWS_API_BASE_URL", "TAVILY_BASE_URL", "WIKIPEDIA_URL", "NOMINATIM_URL", "OVERPASS_URL", "GOOGLE_PLACES_BASE_URL")


class Providers:
    names = itertools.count(1)

    def __init__(self, log_path):
        self.errors_path = Path(log_path)
        with open(log_path, "wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-u", str(Path(__file__).with_name("providers.py")), "0"],
                stdout=subprocess.PIPE, stderr=errors, preexec_fn=process.end_with_parent)
        self.address = self.process.stdout.readline().decode().strip()

    def site(self):
        """A name that nobody else has."""
        return f"s{os.getpid()}-{next(self.names)}"

    def url(self, mode="ok", site=None):
        return f"http://{self.address}/{mode}/{site or self.site()}"

    def settings(self, mode="ok", site=None, **more):
        """Settings of a worker whose keyless providers are all here, and have time."""
        site = site or self.site()
        url = self.url(mode, site)
        feeds = f"{url}/feed.rss,{url}/feed.atom,{url}/feed.rdf"
        return {**{name: url for name in URL_SETTINGS}, "NEWS_FEEDS": feeds, "NOMINATIM_INTERVAL_MS": 0, "TOOL_TIMEOUT_MS": 60_000, **more}

    def control(self, method, path, body=None):
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=180)
        try:
            connection.request(method, path, body)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def log(self, site):
        return self.control("GET", f"/_log/{site}")

    def behave(self, site, mode):
        self.control("POST", f"/_mode/{site}", mode.encode())

    def stop(self):
        """End it; returns what it had to complain about."""
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        return self.errors_path.read_text()
