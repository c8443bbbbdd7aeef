"""nginx.py - private NGINX servers: the front of the workers, and TLS with HTTP/2 before a model."""
import os
import socket
import subprocess
import time
from pathlib import Path

import process
from ports import hold_port, port_of

COMMON = """
{user}
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  log_format connections '$connection $request_uri $status';
  access_log {dir}/access.log connections;
  {server}
}}
"""

FRONT = """
  upstream bakame {{ server unix:{socket}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param REQUEST_ID $request_id;
      fastcgi_param HTTP_PROXY "";
      fastcgi_pass bakame;
      fastcgi_keep_conn on;
      fastcgi_buffering off;
      gzip off;
      fastcgi_read_timeout 300s;
      client_max_body_size 25m;
    }}
    location /.bakame-uploads/ {{
      internal;
      alias {uploads}/;
      add_header X-Content-Type-Options nosniff always;
      add_header X-Request-Id $request_id always;
    }}
  }}
"""

TLS_MODEL = """
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
      proxy_pass {model};
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 300s;
    }}
  }}
"""

START_SECONDS = 60


def free_port():
    """Another may have it before it is used: hold_port() is better."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    def __init__(self, directory, server, **values):
        self.directory = Path(directory)
        self.directory.mkdir()
        self.hold = hold_port()
        self.port = port_of(self.hold)
        if not self._start(server, values):
            raise AssertionError("NGINX did not start: " + (self.directory / "error.log").read_text())

    def _start(self, server, values):
        # Only root has a user to change from, and its private directories are closed to others.
        user = "user root;" if os.getuid() == 0 else ""
        server = server.format(port=self.port, **values)
        config = self.directory / "nginx.conf"
        config.write_text(COMMON.format(user=user, dir=self.directory, server=server))
        self.process = subprocess.Popen(
            ["nginx", "-p", str(self.directory), "-c", str(config),
             "-e", str(self.directory / "error.log"), "-g", "daemon off;"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=process.end_with_parent)
        return self._listening()

    def _listening(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.01)
        self.stop()
        return False

    def connections(self, path):
        """The numbers of the connections on which requests for `path` came, one per finished request."""
        lines = (self.directory / "access.log").read_text().splitlines()
        return [line.split()[0] for line in lines if line.split()[1] == path]

    def stop(self):
        process.stop(self.process)
        self.hold.close()


def make_certificate(directory):
    """A self-signed certificate for 127.0.0.1; returns the paths of certificate and key."""
    certificate, key = Path(directory) / "cert.pem", Path(directory) / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "30", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key
