"""Four processes, 60,000 decisions, a Redis that is killed, frozen and restarted: each decision is judged.

`make oracle` does the same with 1,000,000.
"""
import sys
from pathlib import Path

import pytest

from worker import BUILD, require_build

sys.path.append(str(Path(__file__).resolve().parents[1] / "oracle"))

import limits  # noqa: E402


@pytest.mark.limit(120)
def test_each_decision_is_right_whatever_happens_to_redis(tmp_path):
    require_build(BUILD / "tests/oracle/limits-worker")
    by_key, disturbances = limits.replay(BUILD, tmp_path, 60_000, 6_000, scale=0.6)
    verdict = limits.judge(by_key, disturbances.spans)
    said = limits.log_lines(tmp_path)
    told = limits.report(verdict, disturbances, said)
    assert verdict.decisions >= 60_000
    assert verdict.sound(), told
    assert len(disturbances.spans) >= 3, told
    # on a machine that has no time for Redis the host decides nearly all
    assert all(verdict.by[side] > 0 for side in (limits.REDIS, limits.HOST, limits.BOTH)), told
    assert verdict.alone[limits.REDIS] + verdict.alone[limits.HOST] > 1000, told
    assert set(said) <= {"breaker changed"}, told


def hit(at, refused=0, by=limits.HOST, remaining=0):
    return (at, refused, by, remaining, at, at)


def verdict_on(key, decisions):
    verdict = limits.Verdict()
    limits.judge_key(verdict, key, sorted(decisions), [])
    return verdict


def test_the_judge_sees_what_is_wrong():
    """Key 0: one hit in a second."""
    second = limits.SECOND
    assert verdict_on(0, [hit(0), hit(second), hit(2 * second - 1, 1), hit(2 * second)]).sound()
    assert verdict_on(0, [hit(0), hit(second - 1)]).over_alone == 1
    assert verdict_on(0, [hit(0), hit(second, 1)]).refused_wrongly_alone == 1
    assert verdict_on(0, [hit(0, remaining=1)]).remaining_wrong == 1
    assert verdict_on(0, [hit(0), hit(1, by=limits.BOTH)]).sound()
    assert verdict_on(0, [hit(0), hit(1, by=limits.BOTH), hit(2, by=limits.BOTH)]).beyond == 1
    assert verdict_on(0, [(0, 0, limits.HOST, 0, 10 * second, 11 * second)]).times_wrong == 1
