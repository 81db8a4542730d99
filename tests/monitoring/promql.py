"""What a PromQL expression asks for, and the unit of its answer."""

import re

import promql_parser as promql

COUNT, PER_SECOND, SECONDS, BYTES, RATIO = "a count", "a rate", "seconds", "bytes", "a ratio"
GRAFANA = {
    COUNT: {"short", "none"},
    PER_SECOND: {"reqps", "ops", "cps"},
    SECONDS: {"s"},
    BYTES: {"bytes"},
    RATIO: {"percentunit", "short"},
}
"""Which of Grafana's units show what."""

HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def selectors(expression):
    """Every vector selector in it, as text."""
    found = []

    def visit(node):
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(promql.parse(expression), visit)
    # Without its offset a selector is a series, as the API of Prometheus wants it.
    return sorted({f"{node.name}{node.matchers}" for node in found})


def unit(node):
    """What the answer counts in; `None` for a bare number, which is in whatever stands beside it."""
    match node:
        case str():
            return unit(promql.parse(node))
        case promql.NumberLiteral():
            return None
        case promql.VectorSelector():
            return of_metric(node.name)
        case promql.MatrixSelector():
            return of_metric(node.vector_selector.name)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return unit(node.expr)
        case promql.AggregateExpr():
            return COUNT if str(node.op) == "count" else unit(node.expr)
        case promql.Call():
            return of_call(node.func.name, node.args)
        case promql.BinaryExpr():
            return of_pair(str(node.op), unit(node.lhs), unit(node.rhs))
    raise ValueError(f"no rule for the unit of {node}")


def of_metric(name):
    """Told by the name, as Prometheus advises: the unit is its last word, before what the kind of metric appends."""
    if name.endswith(("_bucket", "_count")):
        return COUNT
    base = HISTOGRAM.sub("", name).removesuffix("_total")
    return SECONDS if base.endswith("_seconds") else BYTES if base.endswith("_bytes") else COUNT


def of_call(name, arguments):
    match name:
        case "time":
            return SECONDS
        case "vector":
            return None
        case "histogram_quantile":
            buckets = selectors(str(arguments[1]))
            return of_metric(re.sub(r"_bucket\b.*", "", buckets[0]))
        case "rate":
            # Seconds of work in a second are a number of cores.
            return PER_SECOND if unit(arguments[0]) == COUNT else RATIO
        case "increase" | "max_over_time" | "clamp_min":
            return unit(arguments[0])
    raise ValueError(f"no rule for the unit of {name}()")


def of_pair(operator, left, right):
    if operator == "/":
        return RATIO if left == right else left
    if operator == "*" or operator in ("unless", "and"):
        return left
    if left is not None and right is not None and left != right:
        raise ValueError(f"{left} {operator} {right}")
    return left if left is not None else right
