"""postgres.py - a private PostgreSQL cluster, databases in it that cost little, and pgbouncer before it.

    cluster.new_database()                  # with our schema, by copying one; .url for DATABASE_URL
    database.sql("select 1")                # what psql prints, without decoration
    database.rows("select 1, 2")            # [["1", "2"]]
    cluster.freeze(); cluster.thaw(); cluster.restart(); cluster.stop(); cluster.start()
    Pooler(directory, database).url         # pgbouncer in transaction mode
"""
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import process
from ports import hold_port, port_of
from worker import CONTROL_PROGRAM, environment

TOP = Path(__file__).resolve().parents[2]
SQL = TOP / "sql"
OWNER = "owner"
START_SECONDS = 60
LOCK = "select pg_advisory_xact_lock(7)"
# Quick, but what was committed outlives the server's sudden end, as tests of that want it: only the machine's would lose it.
SETTINGS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
    "full_page_writes": "off", "shared_buffers": "32MB", "max_connections": "100", "autovacuum": "off",
    "log_min_messages": "warning", "timezone": "UTC",
}


def programs():
    """Where the newest PostgreSQL here keeps its programs, which Debian puts on no PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert found, "PostgreSQL is not installed"
    return found[-1]


def own_user():
    """The servers refuse to run as root."""
    return "postgres" if os.getuid() == 0 else None


def private_directory(name, parent=None):
    """Which that user can reach, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp(prefix=f"bakame-{name}-", dir=parent))
    if own_user():
        entry = pwd.getpwnam(own_user())
        os.chown(directory, entry.pw_uid, entry.pw_gid)
    return directory


def launch(command, log_path):
    with open(log_path, "ab") as log:
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                user=own_user(), extra_groups=[] if own_user() else None, cwd="/",
                                preexec_fn=process.end_with_parent)


def psql(url, statement, timeout=900):
    done = subprocess.run(["psql", "-XAtq", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement],
                          capture_output=True, text=True, timeout=timeout,
                          env={"PATH": os.environ["PATH"], "PGCONNECT_TIMEOUT": "60"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def migrate(url, *words, directory=SQL, **settings):
    """bakamectl migrate; gives the finished process."""
    env = environment(BAKAME_ENV="development", DATABASE_URL=url, **settings)
    return subprocess.run([str(CONTROL_PROGRAM), "migrate", "--from", str(directory), *words], env=env,
                          capture_output=True, text=True, timeout=600)


class Database:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.url = cluster.url(name)

    def as_role(self, role):
        return self.cluster.url(self.name, role)

    def sql(self, statement):
        return psql(self.url, "set search_path = bakame; " + statement).rstrip("\n")

    def rows(self, statement):
        return [line.split("\x1f") for line in self.sql(statement).splitlines()]

    def cut_off(self):
        """Ends all connections and takes no more, until let_in(); the cluster's other databases go on."""
        psql(self.cluster.url("postgres"), f"alter database {self.name} allow_connections false")
        while self.backends():      # who was let in just before is not seen at once
            self.kill_backends()

    def let_in(self):
        psql(self.cluster.url("postgres"), f"alter database {self.name} allow_connections true")

    @contextlib.contextmanager
    def locked(self):
        """Meanwhile LOCK, as a statement of others, waits."""
        holder = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            holder.stdin.write("select pg_advisory_lock(7), 'locked';\n")
            holder.stdin.flush()
            assert "locked" in holder.stdout.readline()
            yield
        finally:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()

    def _others(self, what):
        return psql(self.cluster.url("postgres"),
                    f"select {what} from pg_stat_activity where datname = '{self.name}' and backend_type = 'client backend'")

    def backends(self):
        """Process ids of the connections that others have to it."""
        return [int(pid) for pid in self._others("pid").split()]

    def kill_backends(self):
        self._others("pg_terminate_backend(pid, 60000)")


class Cluster:
    numbers = itertools.count(1)

    def __init__(self, parent=None):
        """Its files are in `parent`, or where temporary ones are."""
        self.directory = private_directory("postgres", parent)
        self.log_path = Path(tempfile.gettempdir()) / (self.directory.name + ".log")
        self.hold = hold_port()
        self.port = port_of(self.hold)
        self.process = None
        made = launch([programs() / "initdb", "-D", self.directory / "data", "-U", OWNER, "--auth=trust",
                       "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"], self.log_path)
        assert made.wait(600) == 0, self.log()
        self.start()
        self._make_template()

    def _make_template(self):
        self.template = Database(self, self.create("template_bakame"))
        done = migrate(self.template.url)
        assert done.returncode == 0, done.stderr
        while self.template.backends():     # a database that somebody uses cannot be copied
            time.sleep(0.02)

    def url(self, name, role=OWNER, port=None):
        return f"postgresql://{role}@127.0.0.1:{port or self.port}/{name}"

    def create(self, name, template="template0"):
        psql(self.url("postgres"), f"create database {name} template {template} strategy file_copy")
        return name

    def new_database(self, empty=False):
        """A database of one's own: with our schema, or empty."""
        name = f"test_{next(self.numbers)}"
        return Database(self, self.create(name, "template0" if empty else "template_bakame"))

    def log(self):
        return self.log_path.read_text(errors="replace")

    def start(self):
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        self.process = launch([programs() / "postgres", "-D", self.directory / "data", "-c", f"port={self.port}", *options],
                              self.log_path)
        if not self._answers():
            process.stop(self.process)
            raise AssertionError("PostgreSQL did not start: " + self.log())

    def _answers(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if subprocess.run([programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-d", "postgres"]).returncode == 0:
                return True
            time.sleep(0.02)
        return False

    def stop(self, how=signal.SIGINT):
        """SIGINT: connections are closed at once; SIGQUIT: as a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            process.stop(self.process, told=True)
            self.process = None

    def restart(self, how=signal.SIGINT):
        self.stop(how)
        self.start()

    def _processes(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def freeze(self):
        """No process of it does anything until thaw(); connections are still taken by the kernel."""
        self.frozen = self._processes()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.frozen:
            os.kill(pid, signal.SIGCONT)

    def close(self):
        self.stop()
        self.hold.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.log_path.unlink(missing_ok=True)


class Pooler:
    """pgbouncer before a database, in transaction mode."""
    CONFIG = """
[databases]
{name} = host=127.0.0.1 port={server_port} dbname={name} user={owner}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
server_login_retry = 1
"""

    def __init__(self, database, size=2):
        self.directory = private_directory("pgbouncer")
        self.log_path = self.directory / "pgbouncer.log"
        self.hold = hold_port()
        self.port = port_of(self.hold)
        config = self.directory / "pgbouncer.ini"
        config.write_text(self.CONFIG.format(name=database.name, server_port=database.cluster.port, owner=OWNER,
                                             port=self.port, size=size))
        self.process = launch(["pgbouncer", config], self.log_path)
        if not self._answers(database):
            process.stop(self.process)
            raise AssertionError("pgbouncer did not start: " + self.log_path.read_text())
        self.url = database.cluster.url(database.name, port=self.port)

    def _answers(self, database):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                psql(database.cluster.url(database.name, port=self.port), "select 1")
                return True
            except AssertionError:
                time.sleep(0.02)
        return False

    def close(self):
        process.stop(self.process)
        self.hold.close()
        shutil.rmtree(self.directory, ignore_errors=True)
