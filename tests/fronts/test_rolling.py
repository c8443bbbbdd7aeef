"""Workers are replaced one by one under load, and nobody notices.  rolling.py by itself does more of it."""
import pytest

import rolling

REQUESTS = 1200
ROUNDS = 4


@pytest.mark.limit(1200)
@pytest.mark.parametrize("front", ["nginx", "apache-proxy-fcgi", "apache-fcgid"])
def test_nothing_is_lost_while_workers_are_replaced(start_site, model, front):
    site = start_site(front, workers=2, DRAIN_SECONDS=rolling.DRAIN_SECONDS)
    load = rolling.run(site, model.script(rolling.answer(0.3)), REQUESTS, ROUNDS)
    assert load.answered >= REQUESTS and load.streams >= REQUESTS // rolling.STREAM_EVERY
    assert not load.lost, dict(load.lost)
