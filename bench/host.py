"""The processes of a bench: started in a private directory, measured, always stopped."""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ADDRESSES = 8           # 127.0.0.1 to 127.0.0.8, for NGINX and for the model
WORKERS = 4             # of NGINX, and of Bakame
BACKLOG = 4096
PR_SET_PDEATHSIG = 1

LIBC = ctypes.CDLL(None)


class BenchError(Exception):
    """Something that keeps the bench from running; its text says what to do."""


def end_with_parent():
    """Between fork and exec: should the runner be killed, its processes end too."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def raise_fd_limit(wanted):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise BenchError(f"{wanted} open files per process are needed, the limit is {hard}: "
                         "raise it (ulimit -n) or use --streams with fewer")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    """A port below the range from which the kernel takes local ones."""
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise BenchError("no free port between 20000 and 30000")


def wait_until(test, seconds, what):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def http_get(port, path, method="GET"):
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def cpu_seconds(pids):
    """CPU time that these processes used so far, all their threads together."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def pss_bytes(pids):
    """Memory of these processes, shared pages divided among those who share them."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def machine_busy_seconds():
    """Time that all cores together were not idle."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    busy = sum(int(field) for field in fields) - int(fields[3]) - int(fields[4])
    return busy / os.sysconf("SC_CLK_TCK")


def children_of(parent):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # After the name, which may hold anything, come state and parent.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent:
                    found.append(int(entry.name))
    return sorted(found)


class Host:
    """A private directory and the processes that work in it; a context manager."""

    def __init__(self, builddir, logs=None):
        self.builddir = pathlib.Path(builddir)
        self.logs = logs
        self.running = []
        self.cleanup = contextlib.ExitStack()
        self.port = self.model_port = None
        self.nginx = None
        self.workers = []

    def __enter__(self):
        self.directory = pathlib.Path(
            self.cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bakame-bench-")))
        return self

    def __exit__(self, *failure):
        # A second Ctrl-C must not leave anything behind.
        blocked = {signal.SIGINT, signal.SIGTERM, signal.SIGALRM}
        signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        try:
            self.stop()
            if self.logs:
                self.keep_logs()
        finally:
            self.cleanup.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)

    def keep_logs(self):
        kept = pathlib.Path(self.logs) / time.strftime("%H%M%S")
        kept.mkdir(parents=True, exist_ok=True)
        for log in self.directory.glob("*.log"):
            shutil.copy(log, kept)

    def start(self, name, command, **options):
        """Starts a program; what it says on stderr goes to a log that log() returns."""
        with open(self.log_path(name), "ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command], stderr=log, start_new_session=True,
                preexec_fn=end_with_parent, **options)
        self.running.append(process)
        return process

    def log_path(self, name):
        return self.directory / f"{name}.log"

    def log(self, name):
        """The last lines of a program's log, for an error message."""
        lines = self.log_path(name).read_text(errors="replace").splitlines()[-5:]
        return "\n    ".join(["", *lines])

    def stop(self):
        """Ends all that was started, the youngest first."""
        for process in reversed(self.running):
            process.terminate()
        end = time.monotonic() + 5
        for process in reversed(self.running):
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.running.clear()

    # The model.

    def start_model(self):
        self.model_port = free_port()
        model = self.start("model", [self.builddir / "bench/bench-model", "--listen",
                                     f"127.0.0.1-{ADDRESSES}:{self.model_port}"])
        self.wait_for(model, "model", lambda: self.answers(self.model_port, "/stats"))

    def model_stats(self):
        return json.loads(http_get(self.model_port, "/stats")[1])

    def model_finish(self):
        """Ends the streams that have no length of their own, each at its next chunk."""
        http_get(self.model_port, "/finish", "POST")

    def model_streams(self, first, count):
        """(id, address, state, time of end in microseconds) of these streams."""
        path = f"/streams?from={first}&to={first + count}"
        return json.loads(http_get(self.model_port, path)[1])

    # NGINX and the workers.

    def start_nginx(self):
        self.port = free_port()
        config = self.directory / "nginx.conf"
        config.write_text(nginx_config(self.port, self.model_port, self.socket_path()))
        (self.directory / "tmp").mkdir()
        self.nginx = self.start("nginx", ["nginx", "-p", self.directory, "-c", config,
                                          "-e", self.log_path("nginx")])
        self.wait_for(self.nginx, "nginx", lambda: self.answers(self.port, "/return-200"))

    def socket_path(self):
        return self.directory / "bakame.sock"

    def start_workers(self, extra_env=()):
        """One socket for all workers; each asks the model at an address of its own, so
        that none runs short of local ports and the model can tell them apart."""
        program = self.builddir / "src/bakame-fcgi"
        shm_name = f"/bakame-bench-{os.getpid()}-{self.port}"
        self.cleanup.callback(pathlib.Path("/dev/shm" + shm_name).unlink, missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket_path()))
            listener.listen(BACKLOG)
            for index in range(WORKERS):
                self.workers.append(self.start(
                    f"worker-{index}", [program], stdin=listener, stdout=subprocess.DEVNULL,
                    env=worker_env(index, self.model_port, shm_name, extra_env)))
        for index, worker in enumerate(self.workers):
            self.wait_for(worker, f"worker-{index}",
                          lambda: self.answers(self.port, "/api/health/live"))
        time.sleep(0.5)  # the others start at the same time, and all come to rest

    def worker_pids(self):
        return [worker.pid for worker in self.workers]

    def nginx_pids(self):
        return children_of(self.nginx.pid)

    def answers(self, port, path):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return http_get(port, path)[0] == 200
        return False

    def wait_for(self, process, name, test):
        def ready():
            if process.poll() is not None:
                raise BenchError(f"{name} ended (status {process.returncode}):{self.log(name)}")
            return test()
        try:
            wait_until(ready, 10, f"start of {name}")
        except BenchError as error:
            raise BenchError(f"{error}{self.log(name)}") from None

    # The load client.

    def load(self, mode, path, **options):
        """Runs the load client against NGINX; returns a Load."""
        command = [self.builddir / "bench/bench-load", mode, "--to",
                   f"127.0.0.1-{ADDRESSES}:{self.port}", "--path", path]
        for name, value in options.items():
            option = "--" + name.replace("_", "-")
            command += [option] if value is True else [option, value]
        return Load(self, self.start("load", command, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True))


class Load:
    """A load client at work.  It says one thing a line, read by a thread of its own so
    that waiting for a line has a limit."""

    def __init__(self, host, process):
        self.host = host
        self.process = process
        self.lines = []
        self.come = threading.Condition()
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.come:
                self.lines.append(line)
                self.come.notify()
        with self.come:
            self.ended = True
            self.come.notify()

    def line(self, seconds):
        with self.come:
            self.come.wait_for(lambda: self.lines or self.ended, seconds)
            if self.lines:
                return self.lines.pop(0).strip()
            what = "ended too early" if self.ended else f"said nothing for {seconds} s"
        raise BenchError(f"the load client {what}:{self.host.log('load')}")

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def result(self, seconds):
        """The next line as JSON."""
        return json.loads(self.line(seconds))


def worker_env(index, model_port, shm_name, extra_env):
    env = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": f"http://127.0.0.{index + 1}:{model_port}/v1",
        "OPENAI_MODEL": "bench",
        "OPENAI_FIRST_BYTE_TIMEOUT_MS": "120000",
        "OPENAI_IDLE_TIMEOUT_MS": "120000",
        "BAKAME_ENV": "production",
        "LOG_LEVEL": "warn",
        "LOG_FORMAT": "json",
        "LOG_TARGET": "stderr",
        "MAX_STREAMS": "9500",
        "DRAIN_SECONDS": "1",
        "SHM_NAME": shm_name,
        "RATE_LIMIT_USER": "off",
        "RATE_LIMIT_GUEST": "off",
    }
    env.update(pair.split("=", 1) for pair in extra_env)
    return env


FASTCGI_PARAMS = """
QUERY_STRING $query_string|REQUEST_METHOD $request_method|CONTENT_TYPE $content_type
CONTENT_LENGTH $content_length|SCRIPT_NAME $fastcgi_script_name|REQUEST_URI $request_uri
DOCUMENT_URI $document_uri|DOCUMENT_ROOT $document_root|SERVER_PROTOCOL $server_protocol
REQUEST_SCHEME $scheme|HTTPS $https if_not_empty|GATEWAY_INTERFACE CGI/1.1
SERVER_SOFTWARE nginx/$nginx_version|REMOTE_ADDR $remote_addr|REMOTE_PORT $remote_port
SERVER_ADDR $server_addr|SERVER_PORT $server_port|SERVER_NAME $server_name
REDIRECT_STATUS 200|REQUEST_ID $request_id|HTTP_PROXY ""
"""


def nginx_config(port, model_port, socket_path):
    """One NGINX for both: /api/ by the workers, /floor/ straight to the model."""
    listens = "\n".join(f"    listen 127.0.0.{i + 1}:{port} reuseport backlog={BACKLOG};"
                        for i in range(ADDRESSES))
    models = " ".join(f"server 127.0.0.{i + 1}:{model_port};" for i in range(ADDRESSES))
    params = "\n".join(f"      fastcgi_param {param};"
                       for param in FASTCGI_PARAMS.strip().replace("\n", "|").split("|"))
    user = "user root;" if os.geteuid() == 0 else ""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return f"""{user}
daemon off;
worker_processes {WORKERS};
worker_rlimit_nofile {files};
pid nginx.pid;
error_log nginx.log error;
events {{ worker_connections {min(files, 20000)}; }}
http {{
  access_log off;
  default_type application/json;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  send_timeout 300s;
  client_body_temp_path tmp/body; proxy_temp_path tmp/proxy; fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi; scgi_temp_path tmp/scgi;
  upstream model {{ {models} keepalive 64; }}
  upstream bakame {{ server unix:{socket_path}; keepalive 64; }}
  server {{
{listens}
    client_max_body_size 25m;
    location = /return-200 {{ return 200 '{{"status":"alive"}}'; }}
    location = /floor/chat {{
      proxy_pass http://model/v1/chat/completions;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off; gzip off;
      proxy_read_timeout 300s;
    }}
    location /api/ {{
{params}
      fastcgi_pass bakame;
      fastcgi_keep_conn on;
      fastcgi_buffering off; gzip off;
      fastcgi_read_timeout 300s;
    }}
  }}
}}
"""
