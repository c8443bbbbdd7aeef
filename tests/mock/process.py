"""process.py - processes that never outlive the tests."""
import ctypes
import re
import signal
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
# Past it a process hangs, however busy the machine is.
STOP_SECONDS = 60
libc = ctypes.CDLL(None)


def end_with_parent():
    """For preexec_fn: the child gets SIGTERM when the tests die, however they do."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def heeds_term(pid):
    """Has it come so far that SIGTERM lets it end what it does?"""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*(\w+)", status, re.M)
    return caught is not None and bool(int(caught.group(1), 16) >> (signal.SIGTERM - 1) & 1)


def seconds_without_processor(pid):
    """How long it was ready to run and others ran; 0 where the kernel does not tell."""
    told = Path(f"/proc/{pid}/schedstat")
    return int(told.read_text().split()[1]) / 1e9 if told.exists() else 0.0


def wait_heeds_term(process):
    """Who is told to end while it still starts dies of the signal."""
    deadline = time.monotonic() + STOP_SECONDS
    while process.poll() is None and not heeds_term(process.pid) and time.monotonic() < deadline:
        time.sleep(0.005)


def stop(process, told=False):
    """End it politely, unless it was told already; returns its exit status, or kills it and fails."""
    if process.poll() is None and not told:
        process.terminate()
    try:
        return process.wait(STOP_SECONDS)
    except Exception:
        process.kill()
        process.wait()
        raise
