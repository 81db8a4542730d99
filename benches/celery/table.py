"""Reads the figures of every round, a line of JSON each, and prints them side by side."""

import json
import sys
from collections import defaultdict
from statistics import median

# What Tollgate is to reach: jobs a second, and times Celery's best.
LEAST_RATE = 5000
LEAST_RATIO = 5


def name(figure):
    if figure["system"] == "celery":
        processes = figure["processes"]
        threads = figure["clients"] // processes
        return f"Celery and Redis, {processes} process{'es'[: 2 * (processes > 1)]} of {threads} thread{'s'[: threads > 1]}"
    return {"redis": "Redis alone, LPUSH of as many bytes", "tollgate": "Tollgate, POST /v1/jobs"}[figure["system"]]


def line(what, measured, target="", met=None):
    print(f"  {what:<52}{target:>10}{measured:>14}", "" if met is None else " met" if met else " missed")


def main():
    lines = defaultdict(list)
    for text in sys.stdin:
        figure = json.loads(text)
        lines[name(figure)].append(figure)

    def rates(of):
        return [figure["enqueues_per_second"] for figure in lines[of]]

    rounds = max(len(figures) for figures in lines.values())
    print(f"\n== durable enqueues, medians of {rounds} interleaved rounds ==")
    for each, figures in lines.items():
        p50, p99 = (median(figure[key] for figure in figures) for key in ("p50_ms", "p99_ms"))
        shown = " ".join(f"{rate:.0f}" for rate in rates(each))
        print(f"  {each:<52}{median(rates(each)):>8.0f}/s  p50 {p50:.2f} ms, p99 {p99:.2f} ms  (rounds: {shown})")

    best = max((each for each in lines if each.startswith("Celery")), key=lambda each: median(rates(each)))
    print(f"\n  Celery's best: {best}")
    if tollgate := rates("Tollgate, POST /v1/jobs"):
        rate = median(tollgate)
        ratio = median(own / other for own, other in zip(tollgate, rates(best), strict=True))
        line("Tollgate, jobs/s", f"{rate:.0f}", f"≥ {LEAST_RATE}", rate >= LEAST_RATE)
        line("Tollgate over Celery's best", f"{ratio:.2f}", f"≥ {LEAST_RATIO}", ratio >= LEAST_RATIO)


if __name__ == "__main__":
    main()
