"""How many tasks a second Celery hands to a Redis that syncs every one of them to the disk.

Each client has a connection of its own and enqueues one task after the other, as a web process would: `apply_async`
returns once Redis has answered its LPUSH, which under `appendfsync always` is after the sync. No worker runs. Prints one
line of JSON.
"""

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import celery
import redis

# How long connecting may take, and how long results may be late, in seconds.
PATIENCE = 30

# The body of one chat completion, 0.4 KB. The Rust side sends the same file.
BODY = json.loads(Path(__file__).with_name("body.json").read_text())


def application(url, connections):
    """Celery as a client of the broker only: nothing waits for results."""
    app = celery.Celery("bench", broker=url)
    app.conf.update(task_ignore_result=True, broker_pool_limit=connections, worker_hijack_root_logger=False)

    @app.task(name="bench.chat")
    def chat(body):
        """Never run."""

    return app, chat


def client(task, barrier, plan, latencies):
    """Enqueues until the time is up, and keeps the latency of each task of the measured part."""
    # The connection is made outside of the time.
    task.apply_async(args=[BODY])
    barrier.wait()
    begin = time.monotonic() + plan.warm_up
    end = begin + plan.seconds
    while (asked := time.monotonic()) < end:
        task.apply_async(args=[BODY])
        answered = time.monotonic()
        if begin <= asked and answered <= end:
            latencies.append(answered - asked)


def process(plan, barrier, results):
    """One process of clients. Puts their latencies on `results`, or what went wrong."""
    try:
        app, task = application(plan.broker, plan.threads)
        latencies = [[] for _ in range(plan.threads)]
        with ThreadPoolExecutor(plan.threads) as pool:
            clients = [pool.submit(client, task, barrier, plan, each) for each in latencies]
        for done in clients:
            done.result()
        app.close()
        results.put([latency for each in latencies for latency in each])
    except Exception as error:
        # A client that fails must not leave the others waiting for it.
        barrier.abort()
        results.put(repr(error))


def measure(plan):
    """Every latency of the measured part, sorted."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(plan.clients, timeout=PATIENCE)
    results = context.Queue()
    children = [
        context.Process(target=process, args=(plan, barrier, results), daemon=True)
        for _ in range(plan.clients // plan.threads)
    ]
    for child in children:
        child.start()
    latencies = []
    for _ in children:
        result = results.get(timeout=PATIENCE + plan.warm_up + plan.seconds)
        if isinstance(result, str):
            sys.exit(f"a client failed: {result}")
        latencies += result
    for child in children:
        child.join(timeout=PATIENCE)
    return sorted(latencies)


def require_durable(broker):
    """What is compared is an acknowledgement after the sync, so nothing less may answer."""
    settings = broker.config_get("append*")
    if (settings["appendonly"], settings["appendfsync"]) != ("yes", "always"):
        sys.exit(f"this Redis does not sync before it answers: {settings}")


def milliseconds(latencies, share):
    """The latency that such a share of all stayed below."""
    return round(latencies[int(len(latencies) * share)] * 1e3, 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True, help="redis://…")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1, help="clients of one process, a divisor of --clients")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--warm-up", type=float, default=1)
    plan = parser.parse_args()
    if plan.clients % plan.threads:
        parser.error("--threads must divide --clients")

    broker = redis.Redis.from_url(plan.broker, decode_responses=True)
    require_durable(broker)
    broker.flushall()
    latencies = measure(plan)
    if (waiting := broker.llen("celery")) < len(latencies):
        sys.exit(f"{len(latencies)} tasks were acknowledged, but Redis holds only {waiting}")
    print(
        json.dumps(
            {
                "system": "celery",
                "enqueues_per_second": round(len(latencies) / plan.seconds, 1),
                "clients": plan.clients,
                "processes": plan.clients // plan.threads,
                "p50_ms": milliseconds(latencies, 0.5),
                "p99_ms": milliseconds(latencies, 0.99),
            }
        )
    )


if __name__ == "__main__":
    main()
