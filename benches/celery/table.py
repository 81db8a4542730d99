"""Reads the figures of every round, a line of JSON each, and prints them side by side."""

import json
import sys
from collections import defaultdict
from statistics import median

# What Tollgate is to reach: jobs a second, and times Celery's best.
LEAST_RATE = 5000
LEAST_RATIO = 5


TOLLGATE = "Tollgate, POST /v1/jobs"


def plural(number, one, many):
    return f"{number} {one if number == 1 else many}"


def name(figure):
    if figure["system"] == "celery":
        processes = plural(figure["processes"], "process", "processes")
        threads = plural(figure["clients"] // figure["processes"], "thread", "threads")
        return f"Celery and Redis, {processes} of {threads}"
    return {"redis": "Redis alone, LPUSH of as many bytes", "tollgate": TOLLGATE}[figure["system"]]


def line(what, measured, target="", met=None):
    print(f"  {what:<52}{target:>10}{measured:>14}", "" if met is None else " met" if met else " missed")


def main():
    lines = defaultdict(list)
    for text in sys.stdin:
        figure = json.loads(text)
        lines[name(figure)].append(figure)

    def rates(of):
        return [figure["enqueues_per_second"] for figure in lines[of]]

    rounds = plural(max(len(figures) for figures in lines.values()), "round", "rounds")
    print(f"\n== durable enqueues, medians of {rounds} in turns ==")
    for each, figures in lines.items():
        p50, p99 = (median(figure[key] for figure in figures) for key in ("p50_ms", "p99_ms"))
        shown = " ".join(f"{rate:.0f}" for rate in rates(each))
        print(f"  {each:<52}{median(rates(each)):>8.0f}/s  p50 {p50:.2f} ms, p99 {p99:.2f} ms  (rounds: {shown})")

    # Whichever arrangement of its clients did best in a round.
    best = [max(each) for each in zip(*(rates(each) for each in lines if each.startswith("Celery")), strict=True)]
    print(f"\n  Celery's best of each round: {median(best):.0f}/s")
    if tollgate := rates(TOLLGATE):
        rate = median(tollgate)
        ratio = median(own / other for own, other in zip(tollgate, best, strict=True))
        line("Tollgate, jobs/s", f"{rate:.0f}", f"≥ {LEAST_RATE}", rate >= LEAST_RATE)
        line("Tollgate over Celery's best", f"{ratio:.2f}", f"≥ {LEAST_RATIO}", ratio >= LEAST_RATIO)


if __name__ == "__main__":
    main()
