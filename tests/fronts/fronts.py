"""fronts.py - each front as a private server, set up by the configuration that is shipped.

What is filled in is what an operator would change: addresses, names, places.  Each is looked for, so that a shipped
file in which it stands no more fails.
"""
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import process
from ports import hold_port, port_of
from worker import BUILD, PROGRAM

CHECKOUT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
CORS_ALLOWED = "https://app.example.org"
CORS_REFUSED = "https://evil.example.net"
SHIPPED = {"@pkgdatadir@": "/usr/local/share/bakame", "@pkglibexecdir@": "/usr/local/libexec/bakame", "@sysconfdir@": "/usr/local/etc"}
MODULES = "/usr/lib/apache2/modules"


def web_user():
    """Whom servers started by root become."""
    return "www-data" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name


def fill(text, **pairs):
    """`text` with each old replaced by its new; pairs are name=(old, new), and each old is there."""
    for old, new in pairs.values():
        assert old in text, f"{old!r} is no longer in the shipped configuration"
        text = text.replace(old, str(new))
    return text


def shipped(name):
    """A shipped file as `make install` leaves it."""
    text = (CHECKOUT / name).read_text()
    for old, new in SHIPPED.items():
        text = text.replace(old, new)
    return text


class Front:
    """A server in `directory`, which others may enter, before the workers' socket."""
    name = None
    tls = False
    starts_workers = False
    backlog_answers = True          # a request waits while no worker accepts

    def __init__(self, directory, socket_path, settings):
        self.directory = Path(directory)
        self.socket_path = socket_path
        self.settings = settings
        self.web = self.directory / "web"
        self.uploads = settings.get("uploads", self.directory / "uploads")
        self.make_pages()
        self.holds = [hold_port(), hold_port()]
        self.port, self.tls_port = map(port_of, self.holds)
        self.process = self.launch()
        if not self.listening():
            raise AssertionError(f"{self.name} did not start: {self.error_log()[-4000:]}")

    def make_pages(self):
        (self.web / "assets").mkdir(parents=True)
        (self.web / "index.html").write_text("<!DOCTYPE html><title>Bakame</title>")
        self.webroot = self.directory / "webroot"       # certbot's
        (self.webroot / ".well-known/acme-challenge").mkdir(parents=True)
        (self.web / "assets/main-0A1B2C3D.js").write_text("console.debug(0);\n" * 200)

    def launch(self):
        raise NotImplementedError

    def put_fault_in(self, directory):
        """What the test wants changed in one of the parts of the configuration: settings["fault"] = (old, new)."""
        if "fault" not in self.settings:
            return
        old, new = self.settings["fault"]
        having = [path for path in Path(directory).iterdir() if old in path.read_text()]
        assert having, f"{old!r} is no longer in the shipped configuration"
        for path in having:
            path.write_text(path.read_text().replace(old, new))

    def listening(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.01)
        self.stop()
        return False

    def popen(self, command):
        with (self.directory / "console.log").open("ab") as console:
            return subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                    env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, preexec_fn=process.end_with_parent)

    def error_log(self):
        names = ("console.log", "error.log")
        return "".join((self.directory / name).read_text(errors="replace") for name in names if (self.directory / name).exists())

    def access_log(self):
        return (self.directory / "bakame.log").read_text()

    def stop(self):
        process.stop(self.process)
        for hold in self.holds:
            hold.close()


class NginxFront(Front):
    name = "nginx"
    site = "nginx/site.conf.in"
    main = """
{user}
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
  include /etc/nginx/mime.types;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  include {dir}/site.conf;
}}
"""

    def launch(self):
        shutil.copytree(CHECKOUT / "nginx/bakame", self.directory / "bakame", dirs_exist_ok=True)
        self.put_fault_in(self.directory / "bakame")
        (self.directory / "site.conf").write_text(self.fill_site(shipped(self.site)))
        user = "user www-data;" if os.getuid() == 0 else ""
        connections = self.settings.get("connections", 4096)
        (self.directory / "nginx.conf").write_text(self.main.format(user=user, dir=self.directory, connections=connections))
        return self.popen(["nginx", "-p", str(self.directory), "-c", str(self.directory / "nginx.conf"),
                           "-e", str(self.directory / "error.log"), "-g", "daemon off;"])

    def fill_site(self, text):
        return fill(text,
                    socket=("/run/bakame/app.sock", self.socket_path),
                    listen=("listen 80 default_server", f"listen 127.0.0.1:{self.port} backlog=4096"),
                    web=("/usr/local/share/bakame/web", self.web),
                    uploads=("/var/lib/bakame/uploads", self.uploads),
                    webroot=("/var/www/html", self.webroot),
                    log=("/var/log/nginx", self.directory),
                    origin=('    default "";\n}', f'    default "";\n    "{CORS_ALLOWED}" $http_origin;\n}}'))


class NginxTlsFront(NginxFront):
    name = "nginx-tls"
    site = "nginx/site-tls.conf.in"
    tls = True

    def fill_site(self, text):
        self.certificate, key = self.settings["certificate"]
        text = re.sub(r"listen +443", "listen 443", text).replace("listen      80", "listen 80")
        return fill(super().fill_site(text),
                    listen_tls=("listen 443", f"listen 127.0.0.1:{self.tls_port}"),
                    certificate=("/etc/letsencrypt/live/chat.example.org/fullchain.pem", self.certificate),
                    key=("/etc/letsencrypt/live/chat.example.org/privkey.pem", key))


class ApacheFront(Front):
    """Debian's modules with Debian's settings of them, and one of our sites."""
    modules = ("mpm_event authz_core authz_host access_compat alias autoindex dir env filter mime negotiation reqtimeout setenvif "
               "headers rewrite deflate remoteip unique_id xsendfile socache_shmcb ssl http2").split()
    main = """
ServerRoot {dir}
DefaultRuntimeDir {dir}
PidFile {dir}/apache.pid
Mutex file:{dir} default
ServerName localhost
Listen 127.0.0.1:{port}
ErrorLog {dir}/error.log
Define APACHE_LOG_DIR {dir}
{modules}
{user}
StartServers 2
ServerLimit {servers}
ThreadsPerChild {threads}
ThreadLimit {threads}
MaxRequestWorkers {workers}
AsyncRequestWorkerFactor 8
ListenBacklog 4096
Timeout 300
Include {dir}/site.conf
"""

    def launch(self):
        (self.directory / "bakame").mkdir(exist_ok=True)
        for path in (CHECKOUT / "apache/bakame").iterdir():
            if path.with_name(path.name + ".in").exists():
                continue            # made of that one by a build
            text = self.fill_part(path.name, shipped(path.relative_to(CHECKOUT)))
            (self.directory / "bakame" / path.name.removesuffix(".in")).write_text(text)
        self.put_fault_in(self.directory / "bakame")
        (self.directory / "site.conf").write_text(self.fill_site(shipped(self.site)))
        user = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
        servers, threads = self.settings.get("servers", 4), self.settings.get("threads", 64)
        (self.directory / "apache.conf").write_text(self.main.format(
            dir=self.directory, port=self.port, modules=self.load_modules(), user=user, servers=servers, threads=threads,
            workers=servers * threads))
        return self.popen(["/usr/sbin/apache2", "-f", str(self.directory / "apache.conf"), "-DFOREGROUND"])

    def load_modules(self):
        lines = []
        for name in self.modules:
            lines.append(f"LoadModule {name}_module {MODULES}/mod_{name}.so")
            shipped_by_debian = Path(f"/etc/apache2/mods-available/{name}.conf")
            if shipped_by_debian.exists() and name not in ("alias", "autoindex", "ssl", "mpm_event"):
                lines.append(f"Include {shipped_by_debian}")
        return "\n".join(lines)

    def fill_part(self, name, text):
        """One of the files in bakame/."""
        return text

    def fill_site(self, text):
        return fill(text,
                    listen=("<VirtualHost *:80>", f"<VirtualHost 127.0.0.1:{self.port}>"),
                    web=("/usr/local/share/bakame/web", self.web),
                    uploads=("/var/lib/bakame/uploads", self.uploads),
                    webroot=("/var/www/html", self.webroot),
                    origin=('#SetEnvIf Origin', 'SetEnvIf Origin'))


class ApacheProxyFront(ApacheFront):
    name = "apache-proxy-fcgi"
    site = "apache/site-proxy-fcgi.conf.in"
    modules = [*ApacheFront.modules, "proxy", "proxy_fcgi"]

    def fill_part(self, name, text):
        return fill(text, socket=("/run/bakame/app.sock", self.socket_path)) if name == "proxy-fcgi.conf" else text


class ApacheTlsFront(ApacheProxyFront):
    name = "apache-tls"
    site = "apache/site-tls.conf.in"
    tls = True

    def fill_site(self, text):
        self.certificate, key = self.settings["certificate"]
        text = fill(super().fill_site(text),
                    listen_tls=("<VirtualHost *:443>", f"Listen 127.0.0.1:{self.tls_port}\n<VirtualHost 127.0.0.1:{self.tls_port}>"),
                    certificate=("/etc/letsencrypt/live/chat.example.org/fullchain.pem", self.certificate),
                    key=("/etc/letsencrypt/live/chat.example.org/privkey.pem", key))
        return text


class ApacheFcgidFront(ApacheFront):
    name = "apache-fcgid"
    site = "apache/site-fcgid.conf.in"
    modules = [*ApacheFront.modules, "fcgid"]
    starts_workers = True

    def fill_site(self, text):
        ipc = self.directory / "fcgid"
        ipc.mkdir(exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(ipc, web_user(), web_user())
        return fill(super().fill_site(text), ipc=("/run/bakame-fcgid", ipc))

    def fill_part(self, name, text):
        if name != "fcgid.conf.in":
            return text
        env_file = self.directory / "bakame.env"
        env_file.write_text("".join(f"{name}={value}\n" for name, value in self.settings["environment"].items()))
        program = self.directory / "bakame-fcgi"
        if not program.exists():
            shutil.copy2(self.settings.get("program", PROGRAM), program)
        return fill(text,
                    env=("/usr/local/etc/bakame/bakame.env", env_file),
                    program=("/usr/local/libexec/bakame/bakame-fcgi", program))


ALL = {front.name: front for front in (NginxFront, NginxTlsFront, ApacheProxyFront, ApacheTlsFront, ApacheFcgidFront)}
