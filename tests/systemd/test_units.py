"""The units as files: sound, and as closed as they claim; and a worker started by socket activation alone."""
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

import fcgi
import process
from stack import API_KEY, wait_until
from worker import BUILD, PROGRAM, environment

EXPOSURE_AT_MOST = 1.5


@pytest.fixture
def units(tmp_path):
    """The shipped units, made for this build."""
    for name in ("bakame.socket", "bakame.target", "bakame@.service", "bakame-jobs.service"):
        made, source = BUILD / "systemd" / name, PROGRAM.parents[1] / "systemd" / name
        text = (made if made.exists() else source).read_text()
        (tmp_path / name).write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={PROGRAM}", text, flags=re.M))
    return tmp_path


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})


def test_systemd_finds_no_fault_in_them(units):
    shutil.copy(units / "bakame@.service", units / "bakame@1.service")
    shutil.copy(units / "bakame@.service", units / "bakame@2.service")
    names = ("bakame.socket", "bakame@1.service", "bakame@2.service", "bakame-jobs.service", "bakame.target")
    done = analyze("verify", "--man=no", *(units / name for name in names))
    about_ours = [line for line in done.stderr.splitlines() if "bakame" in line]
    assert about_ours == [] and done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["bakame@.service", "bakame-jobs.service"])
def test_they_are_exposed_no_more_than_they_should(units, name):
    done = analyze("security", "--offline=true", units / name)
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert float(exposure) <= EXPOSURE_AT_MOST, done.stdout


def connect(path):
    try:
        return fcgi.Connection(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return None         # not yet


@pytest.mark.parametrize("how", [["--inetd"], []], ids=["descriptor 0", "descriptor 3"])
def test_a_worker_is_started_by_its_first_request(tmp_path, model, how):
    path = tmp_path / "app.sock"
    shm_name = f"/bakame-test-sa-{secrets.token_hex(8)}"         # that of a run that was killed is nobody's
    env = environment(OPENAI_API_KEY=API_KEY, OPENAI_BASE_URL=model.base_url, SHM_NAME=shm_name)
    passed_on = [f"--setenv={name}" for name in env]
    activator = subprocess.Popen(["systemd-socket-activate", *how, *passed_on, "-l", str(path), str(PROGRAM)],
                                 env=env, stderr=subprocess.DEVNULL, preexec_fn=process.end_with_parent)
    try:
        with wait_until(lambda: connect(path), 120, "a connection") as connection:
            assert connection.ask("GET", "/api/health/live").status == 200
    finally:
        process.stop(activator)
        Path("/dev/shm" + shm_name).unlink(missing_ok=True)
