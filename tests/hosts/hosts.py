"""hosts.py - several hosts on one machine: a network namespace each, with NGINX and workers of its own.

What they share (Redis, PostgreSQL, the store of files, the model) listens on the machine's loopback and is led into each
namespace under the same address; HAProxy reaches into all of them.  Needs root.
"""
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import process
from front_stack import FrontStack
from ports import hold_port, port_of as port_of_hold
from stack import wait_until

CLONE_NEWNET = 0x40000000
BACKLOG = 1024
libc = ctypes.CDLL(None, use_errno=True)

HAPROXY = """
global
    maxconn 8000
    log stdout format raw local0 warning
defaults
    mode    http
    timeout connect 2s
    timeout client  300s
    timeout server  300s
    retries 2
    option  redispatch
    option  forwardfor
frontend public
    bind 127.0.0.1:{port}
    default_backend hosts
backend hosts
    balance  roundrobin
    option   httpchk GET /api/health/ready
    timeout  check 5s
    default-server check inter 500ms fall 2 rise 2
{servers}
"""


class Unavailable(Exception):
    pass


class Namespace:
    numbers = itertools.count(1)

    def __init__(self):
        self.name = f"bakame-{os.getpid()}-{next(self.numbers)}"
        if os.getuid() != 0 or not shutil.which("ip"):
            raise Unavailable("network namespaces need root and ip (iproute2)")
        done = subprocess.run(["ip", "netns", "add", self.name], capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(f"no network namespace here: {done.stderr.strip()}")
        with self.entered():            # ip -n would mount /sys anew, which it may not in a chroot
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    @contextlib.contextmanager
    def entered(self):
        """This thread, and what it starts, is on that host."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            assert libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(home.fileno(), CLONE_NEWNET) == 0

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False)


class Cable:
    """Leads 127.0.0.1:port of a namespace to the same of the machine."""

    def __init__(self, namespace, port):
        self.port = port
        with namespace.entered():
            self.listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self.ends = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port), 60)
            except OSError:
                if self.listener.fileno() == -1:
                    return
                continue
            far.settimeout(None)
            self.ends |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=[source, sink], daemon=True).start()

    def carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.ends -= {source, sink}

    def cut(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for end in list(self.ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def port_of(url):
    return urlsplit(url).port


class Host:
    """One of them; `shared` are the addresses that are led to it."""

    def __init__(self, model, shared, **settings):
        self.namespace = Namespace()
        self.cables = []
        self.stack = None
        try:
            self.cables = [Cable(self.namespace, port_of(url)) for url in shared]
            with self.namespace.entered():
                self.stack = FrontStack("nginx", model, workers=2, **settings)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def here(self):
        """Ask this host itself, not HAProxy."""
        with self.namespace.entered():
            yield self.stack

    def switch_off(self):
        """As if the power failed: nothing says goodbye."""
        front = self.stack.front.process
        children = Path(f"/proc/{front.pid}/task/{front.pid}/children").read_text().split()
        for pid in (front.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        for worker in self.stack.workers:
            worker.kill()
        for cable in self.cables:
            cable.cut()

    def answered(self):
        """How many requests its workers have logged."""
        return sum(line["message"] == "request" for line in self.stack.all_log_lines())

    def close(self):
        try:
            if self.stack:
                self.stack.close()
        finally:
            for cable in self.cables:
                cable.cut()
            self.namespace.remove()


class Balancer:
    """HAProxy before all hosts."""

    def __init__(self, directory, hosts):
        if not shutil.which("haproxy"):
            raise Unavailable("no haproxy here: package haproxy")
        self.hold = hold_port()
        self.port = port_of_hold(self.hold)
        servers = "\n".join(f"    server host{i} 127.0.0.1:{host.stack.front.port} namespace {host.namespace.name}"
                            for i, host in enumerate(hosts, 1))
        config = Path(directory) / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=self.port, servers=servers))
        self.log_path = Path(directory) / "haproxy.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=process.end_with_parent)
        wait_until(self.listens, what="HAProxy")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def is_down(self, number):
        """Has it said so of that host?"""
        return f"Server hosts/host{number} is DOWN" in self.log_path.read_text()

    def stop(self):
        process.stop(self.process)
        self.hold.close()


class Site:
    """Hosts and balancer; asked like a Stack."""

    def __init__(self, directory, model, shared, count=2, **settings):
        self.hosts = []
        self.balancer = None
        self.exchanges = []
        try:
            for number in range(count):
                self.hosts.append(Host(model, shared, SHM_NAME=f"/bakame-hosts-{os.getpid()}-{number}", **settings))
            self.balancer = Balancer(directory, self.hosts)
        except BaseException:
            self.close()
            raise

    @property
    def front(self):
        return self.balancer

    # what a Stack has besides
    request = FrontStack.request
    get = FrontStack.get
    post = FrontStack.post
    chat = FrontStack.chat

    def close(self):
        for exchange in self.exchanges:
            exchange.close()
        if self.balancer:
            self.balancer.stop()
        for host in self.hosts:
            host.close()
        for number in range(len(self.hosts)):
            Path(f"/dev/shm/bakame-hosts-{os.getpid()}-{number}").unlink(missing_ok=True)
