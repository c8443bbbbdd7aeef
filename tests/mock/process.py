"""process.py - processes that never outlive the tests."""
import ctypes
import signal

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10
libc = ctypes.CDLL(None)


def end_with_parent():
    """For preexec_fn: the child gets SIGTERM when the tests die, however they do."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


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
