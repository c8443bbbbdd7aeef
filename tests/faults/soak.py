#!/usr/bin/python3 -B
"""soak.py - everything at once for a long time, with faults: does anything grow that should not?

    tests/faults/soak.py --minutes 10

People ask without pause, guests and signed in, with tools and without, while every quarter of a minute something is
disturbed for a few seconds: Redis, PostgreSQL, the model, a provider, a worker killed.  Between faults the workers'
memory, descriptors and the time of a plain chat are measured.  Fails (exit status 1) when the last third of the
measures lies clearly above the first, when somebody was neither answered nor told, when a message that was accepted is
not stored, or twice, or out of order, or when a worker ended by itself.
"""
import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
for name in ("mock", "http", "faults"):
    sys.path.insert(0, str(HERE.parent / name))

from disturbance import MODES  # noqa: E402
from house import House, Keeper  # noqa: E402
from load import Load  # noqa: E402
from provider_process import Providers  # noqa: E402
from script import MockModel, reply  # noqa: E402

EVERY_SECONDS = 15
FAULT_SECONDS = 3
# Growth of the last third over the first that is not noise: of memory and descriptors for a worker, of the time of a chat.
MEMORY_GROWTH, FDS_GROWTH, LATENCY_FACTOR = 6 << 20, 24, 2.0
PROBES = 30
WARM_UP_FAULTS = 2


class Soak:
    def __init__(self, directory, seed):
        self.model = MockModel(directory / "model.err")
        self.providers = Providers(directory / "providers.err")
        self.house = House(directory, self.model, self.providers)
        self.random = random.Random(seed)
        self.measures = []
        self.killed = self.kept = 0

    def measure(self, load):
        """While all is well.  Workers of a different age are not compared: the youngest may still warm up."""
        self.house.wait_well()
        plain = self.model.script(reply())
        seconds = []
        for _ in range(PROBES):
            began = time.monotonic()
            exchange = self.house.stack.chat(plain)
            exchange.read()
            seconds.append(time.monotonic() - began)
        worker = self.house.stack.workers[0]
        self.measures.append({"memory": worker.memory(), "fds": worker.sockets(), "latency": statistics.median(seconds)})
        last = self.measures[-1]
        print(f"  {time.strftime('%H:%M:%S')}  {len(load.outcomes):7} asked   memory {last['memory'] / 2**20:6.1f} MiB"
              f"   sockets {last['fds']:4}   chat {last['latency'] * 1000:6.1f} ms", flush=True)

    def disturb(self):
        name = self.random.choice([*self.house.relays, "worker"])
        if name == "worker":
            self.kill_worker()
            return
        relay, mode = self.house.relays[name], self.random.choice(MODES)
        relay.behave(mode)
        time.sleep(FAULT_SECONDS)
        relay.behave("pass")

    def kill_worker(self):
        """The second one; the first lives through all."""
        victim = self.house.stack.workers[-1]
        victim.kill()
        self.house.stack.workers.remove(victim)
        self.house.stack.start_worker()
        self.house.stack.wait_started()
        self.killed += 1

    def run(self, minutes):
        end = time.monotonic() + minutes * 60
        load, keeper = Load(self.house.asks() * 2), Keeper(self.house)
        while time.monotonic() < end:
            began = time.monotonic()
            self.disturb()
            self.measure(load)
            time.sleep(max(0, min(EVERY_SECONDS - (time.monotonic() - began), end - time.monotonic())))
        outcomes = load.stop()
        self.house.wait_well()
        self.kept = keeper.assert_kept()
        return outcomes

    def faults(self, outcomes):
        """What is not as it should be, in words."""
        dark = [outcome for outcome in outcomes if not outcome.clear]
        people = 2 * len(self.house.asks())
        if len(dark) > self.killed * people:
            yield f"{len(dark)} people were neither answered nor told, with {self.killed} workers killed: {dark[:3]}"
        slow = [outcome for outcome in outcomes if outcome.waited > 10]
        if slow:
            yield f"{len(slow)} waited more than 10 s: {slow[:3]}"
        measures = self.measures[WARM_UP_FAULTS:]
        third = len(measures) // 3
        if third < 2:
            yield f"only {len(measures)} measures: more minutes are needed"
            return
        for what, limit in (("memory", MEMORY_GROWTH), ("fds", FDS_GROWTH)):
            first, last = (statistics.median(m[what] for m in part) for part in (measures[:third], measures[-third:]))
            if last - first > limit:
                yield f"{what} grew from {first:,.0f} to {last:,.0f}"
        first, last = (statistics.median(m["latency"] for m in part) for part in (measures[:third], measures[-third:]))
        if last > first * LATENCY_FACTOR:
            yield f"a chat took {first * 1000:.1f} ms, and at last {last * 1000:.1f} ms"

    def close(self):
        self.house.close()
        self.providers.stop()
        self.model.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"soak of {options.minutes:g} minutes, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bakame-soak-") as directory:
        soak = Soak(Path(directory), options.seed)
        try:
            outcomes = soak.run(options.minutes)
            faults = list(soak.faults(outcomes))
        finally:
            soak.close()
    complete = sum(outcome.complete for outcome in outcomes)
    told = sum(outcome.told for outcome in outcomes)
    print(f"{len(outcomes)} asked: {complete} answered, {told} told why not, {len(outcomes) - complete - told} cut off by "
          f"{soak.killed} killed workers; {soak.kept} messages accepted, each stored once, in order")
    for fault in faults:
        print(f"soak: {fault}", file=sys.stderr)
    print("soak: " + ("FAILED" if faults else "nothing grows"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
