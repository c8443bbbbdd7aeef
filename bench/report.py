"""The table of a bench, and what of the goals it reached."""

import statistics

FLOOR, OURS = "floor", "bakame"
FULL_STREAMS = 20000
LOSSES = ("cut", "refused", "failed", "broken", "unfinished")
LABEL, COLUMN = 50, 14


def middle(runs, *keys):
    """The median over the runs of one figure."""
    return statistics.median(value_of(run, *keys) for run in runs)


def value_of(run, *keys):
    for key in keys:
        run = run[key]
    return run


class Table:
    def __init__(self):
        self.lines = []

    def title(self, text):
        self.lines += ["", f"{text:<{LABEL}}{'NGINX alone':>{COLUMN}}{'bakame':>{COLUMN}}"
                           f"{'ratio':>{COLUMN}}"]

    def row(self, label, floor, ours, form="{:.2f}", ratio=True):
        quotient = ours / floor if ratio and floor and ours is not None else None
        cells = [form.format(value) if value is not None else "-" for value in (floor, ours)]
        cells.append(f"{quotient:.2f}" if quotient is not None else "")
        self.lines.append((f"  {label:<{LABEL - 2}}"
                           + "".join(f"{cell:>{COLUMN}}" for cell in cells)).rstrip())

    def rows(self, scenario, rows):
        """Rows of (label, function of a variant's runs, format, with a ratio)."""
        for label, function, form, ratio in rows:
            values = [function(scenario[variant]) if variant in scenario else None
                      for variant in (FLOOR, OURS)]
            self.row(label, *values, form=form, ratio=ratio)


def streams_text(table, scenario, options):
    runs = f"{options.runs} run{'s, medians' if options.runs > 1 else ''}"
    table.title(f"Chats at once: {options.streams:,}, {options.chunk_rate:,} chunks/s, {runs}")

    def ms(*keys):
        return lambda runs: middle(runs, *keys) / 1000

    table.rows(scenario, [
        ("held open over the whole span (least)", lambda r: min(x["held"] for x in r),
         "{:,}", False),
        ("lost (all runs)", lambda r: sum(x["lost"] for x in r), "{:,}", False),
        ("out of order (all runs)", lambda r: sum(x["out_of_order"] for x in r), "{:,}", False),
        ("chunks a second", lambda r: middle(r, "chunks_per_second"), "{:,.0f}", True),
        ("first token p50, ms", ms("first_token_us", "p50"), "{:.2f}", True),
        ("first token p99, ms", ms("first_token_us", "p99"), "{:.2f}", True),
        ("chunk delay p50, ms", ms("delay_us", "p50"), "{:.2f}", True),
        ("chunk delay p99, ms", ms("delay_us", "p99"), "{:.2f}", True),
        ("chunk delay max, ms", ms("delay_us", "max"), "{:.2f}", True),
        ("CPU of NGINX per chunk, us", lambda r: middle(r, "nginx_cpu_us"), "{:.1f}", True),
    ])
    if OURS in scenario:
        ours = scenario[OURS]
        table.row("CPU of workers per chunk, us", None, middle(ours, "worker_cpu_us"), "{:.1f}")
        table.row("  / that of NGINX in the same run", None, worker_share(ours))
    table.rows(scenario, [
        ("memory of NGINX per stream, KiB", lambda r: middle(r, "nginx_kib"), "{:.1f}", True)])
    if OURS in scenario:
        table.row("memory of workers per stream, KiB", None, middle(ours, "worker_kib"), "{:.1f}")
        table.row("idle worker, MiB PSS", None, middle(ours, "idle_worker_mib"), "{:.1f}")
        table.row("share of the streams on one worker, most", None,
                  max(run["most_on_one_worker"] for run in ours))
    table.rows(scenario, [
        ("cores busy, with model and load client", lambda r: middle(r, "cores_busy"),
         "{:.2f}", False)])


    for variant, runs in scenario.items():
        for why in LOSSES:
            lost = sum(run["load"][why] for run in runs)
            if lost:
                table.lines.append(f"  {variant}: {lost:,} chats {why}")


def worker_share(runs):
    return statistics.median(run["worker_cpu_us"] / run["nginx_cpu_us"] for run in runs)


def plain_text(table, scenario, _options):
    table.title("Short requests: return 200, live; medians")
    table.rows(scenario, [
        ("requests a second", lambda r: middle(r, "per_second"), "{:,.0f}", True),
        ("errors", lambda r: sum(x["errors"] for x in r), "{:,}", False),
        ("delay p50, ms", lambda r: middle(r, "delay_us", "p50") / 1000, "{:.2f}", True),
        ("delay p99, ms", lambda r: middle(r, "delay_us", "p99") / 1000, "{:.2f}", True),
        ("CPU of NGINX per request, us", lambda r: middle(r, "nginx_cpu_us"), "{:.1f}", True),
    ])
    if OURS in scenario:
        table.row("CPU of workers per request, us", None,
                  middle(scenario[OURS], "worker_cpu_us"), "{:.1f}")


def aborts_text(table, scenario, options):
    table.title(f"Clients that leave, {options.aborts:,} of each kind")
    for kind in next(iter(scenario.values()))[0]:
        def ms(share, kind=kind):
            def get(runs):
                us = runs[0][kind]["us"][share]
                return us / 1000 if us is not None else None
            return get
        table.rows(scenario, [
            (f"{kind}: cancelled within 50 ms", lambda r, k=kind: r[0][k]["within_50_ms"],
             "{:,}", False),
            ("  p50, ms", ms("p50"), "{:.2f}", True),
            ("  p99, ms", ms("p99"), "{:.2f}", True),
            ("  max, ms", ms("max"), "{:.2f}", True),
        ])


def slow_text(table, scenario, options):
    table.title(f"24 MB to a client that reads 1 KB/s for {options.slow_seconds} s")
    table.rows(scenario, [
        ("read slowly, KiB", lambda r: r[0]["read_slowly"] / 1024, "{:.1f}", False),
        ("taken from the model meanwhile, KiB", lambda r: r[0]["sent_by_model"] / 1024,
         "{:,.0f}", False),
        ("whole and in order in the end", lambda r: "yes" if r[0]["whole"] else "no",
         "{}", False),
        ("growth of NGINX, KiB", lambda r: r[0]["nginx_growth"] / 1024, "{:.0f}", False),
    ])
    if OURS in scenario:
        table.row("growth of workers, KiB", None, scenario[OURS][0]["worker_growth"] / 1024,
                  "{:.0f}")


def kill_text(table, scenario, _options):
    if OURS not in scenario:
        return
    run = scenario[OURS][0]
    table.title(f"One of 4 workers killed among {run['streams']:,} streams")
    for label, key in (("streams that it held", "held_by_killed"), ("streams lost", "lost"),
                       ("  of them on other workers", "lost_of_others"),
                       ("new chats just after", "new_chats"),
                       ("  of them complete", "new_chats_complete")):
        table.row(label, None, run[key], "{:,}")


TEXTS = {"streams": streams_text, "plain": plain_text, "aborts": aborts_text,
         "slow": slow_text, "kill": kill_text}


def streams_goals(scenario, options):
    floor, ours = scenario[FLOOR], scenario[OURS]
    whole = sum(run["held"] == options.streams and run["lost"] == 0 and run["out_of_order"] == 0
                for run in ours)
    added = max(our["delay_us"]["p99"] - alone["delay_us"]["p99"]
                for our, alone in zip(ours, floor)) / 1000
    share = worker_share(ours)
    memory = max(run["worker_kib"] for run in ours)
    idle = max(run["idle_worker_mib"] for run in ours)
    return [
        (f"{options.streams:,} chats at once, none lost, all in order",
         f"{whole} of {len(ours)} runs", whole == len(ours)),
        ("chunk delay p99 added over the floor <= 10 ms", f"{added:.2f} ms", added <= 10),
        ("CPU of workers per chunk <= NGINX's in the same run", f"{share:.2f} of it", share <= 1),
        ("memory of workers per open stream <= 32 KiB", f"{memory:.1f} KiB", memory <= 32),
        ("idle worker <= 8 MiB PSS", f"{idle:.1f} MiB", idle <= 8),
    ]


def plain_goals(scenario, _options):
    ratio = middle(scenario[OURS], "per_second") / middle(scenario[FLOOR], "per_second")
    errors = sum(run["errors"] for run in scenario[OURS])
    return [("/api/health/live >= 0.35 of NGINX's return 200",
             f"{ratio:.2f}" + (f", {errors} errors" if errors else ""),
             ratio >= 0.35 and errors == 0)]


def aborts_goals(scenario, _options):
    return [(f"left {kind}: upstream cancelled within 50 ms",
             f"{result['within_50_ms']:,} of {result['asked']:,}",
             result["within_50_ms"] == result["asked"])
            for kind, result in scenario[OURS][0].items()]


def slow_goals(scenario, _options):
    run = scenario[OURS][0]
    growth = run["worker_growth"] / 1024
    return [("24 MB to a 1 KB/s reader: workers grow <= 256 KiB",
             f"{growth:.0f} KiB" + ("" if run["whole"] else ", answer not whole"),
             growth <= 256 and run["whole"])]


def kill_goals(scenario, _options):
    run = scenario[OURS][0]
    return [("a worker killed: the others' streams all complete",
             f"{run['lost_of_others']:,} lost, {run['complete']:,} complete",
             run["lost_of_others"] == 0 and 0 < run["held_by_killed"] < run["streams"]
             and run["new_chats_complete"] == run["new_chats"])]


GOALS = {"streams": streams_goals, "plain": plain_goals, "aborts": aborts_goals,
         "slow": slow_goals, "kill": kill_goals}


def goals(results, options):
    """What must be reached: a list of {"goal", "measured", "reached"}."""
    return [{"goal": goal, "measured": measured, "reached": bool(reached)}
            for name, scenario in results.items() if OURS in scenario
            for goal, measured, reached in GOALS[name](scenario, options)]


def text(machine, results, goals_met, options):
    table = Table()
    table.lines.append(f"bakame bench, {machine['date']}: {machine['cores']} cores "
                       f"({machine['cpu']}), Linux {machine['kernel']}, NGINX {machine['nginx']}")
    if machine["load_before"] > 0.5:
        table.lines.append(f"Note: a load of {machine['load_before']} before the start; "
                           "other programs disturb the figures.")
    for name, scenario in results.items():
        if scenario:
            TEXTS[name](table, scenario, options)
    if goals_met:
        table.lines += ["", "Must reach" + ("" if options.streams == FULL_STREAMS else
                                            f" (stated for {FULL_STREAMS:,} chats at once)")]
    for goal in goals_met:
        verdict = "PASS" if goal["reached"] else "short"
        table.lines.append(f"  {verdict:<6}{goal['goal']:<64}{goal['measured']}")
    return "\n".join(table.lines)
