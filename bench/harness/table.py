"""From figures to a table. Figures of former comparisons stay until their scenario is measured again."""

import json
import statistics

# What issue 3 asks for. "ratio": Kafka's figure over ours, at least; "most": ours, below.
TARGETS = {
    ("produce, 1 KiB records in 16 KiB batches", "CPU-s/GB"): ("ratio", 8),
    ("produce, 100 B records in 16 KiB batches", "CPU-s/GB"): ("ratio", 6),
    ("produce, 1 KiB record a request, 5 in flight", "us of CPU a request"): ("ratio", 4),
    ("produce, 1 KiB record a request", "us of CPU a request"): ("ratio", 4),
    ("latency at 10,000 requests/s", "p99, ms"): ("ratio", 10),
    ("catch-up fetch, cold", "CPU-s/GB"): ("ratio", 2.5),
    ("catch-up fetch, warm", "CPU-s/GB"): ("ratio", 2.5),
    ("first record, empty folder", "ms"): ("most", 50),
    ("first record after kill -9, 1 GiB, 16 partitions", "ms"): ("most", 150),
    ("first record after kill -9, 1 GiB, one active segment", "ms"): ("most", 150),
    ("idle memory", "MiB"): ("most", 24),
}
MORE_IS_BETTER = ("MB/s", "requests/s")


def number(value):
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def judge(target, ours, kafka):
    """(what is asked for, whether it was met)"""
    if not target or ours is None:
        return "", ""
    kind, bound = target
    if kind == "most":
        return f"< {bound}", "met" if ours < bound else "NOT met"
    if kafka is None:
        return f"{bound}x", "?"
    return f"{bound}x", "met" if kafka / ours >= bound else "NOT met"


def rows(figures):
    """Median of each (row, unit), in the order in which they were first noted. Ratio and verdict take Kafka's best run: its
    virtual machine compiles for minutes, and what it costs before that is no merit of ours."""
    found = {}
    for row, unit, broker, value in figures:
        found.setdefault((row, unit), {}).setdefault(broker, []).append(value)
    for (row, unit), by_broker in found.items():
        medians = {name: statistics.median(values) for name, values in by_broker.items()}
        ours, kafka = medians.get("ours"), medians.get("Kafka")
        ratio = best = None
        if kafka:
            best = (max if unit in MORE_IS_BETTER else min)(by_broker["Kafka"])
        if ours and best:
            ratio = ours / best if unit in MORE_IS_BETTER else best / ours
        yield row, unit, ours, kafka, medians.get("null"), ratio, *judge(TARGETS.get((row, unit)), ours, best), by_broker


def spread(values):
    return " ".join(number(value) for value in sorted(values))


def as_markdown(figures):
    lines = ["| | unit | ours, durable | Kafka | null | ratio to Kafka's best run | target | | every run: ours; Kafka; null |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row, unit, ours, kafka, null, ratio, asked, met, runs in rows(figures):
        each = "; ".join(spread(runs.get(name, [])) for name in ("ours", "Kafka", "null")).rstrip("; ")
        lines.append(f"| {row} | {unit} | {number(ours)} | {number(kafka)} | {number(null)} | {number(ratio) + 'x' if ratio else ''} | "
                     f"{asked} | {met} | {each} |")
    return "\n".join(lines) + "\n"


def as_text(figures):
    table = [("", "unit", "ours", "Kafka", "null", "to Kafka's best", "target", "")]
    for row, unit, ours, kafka, null, ratio, asked, met, _ in rows(figures):
        table.append((row, unit, number(ours), number(kafka), number(null), number(ratio) + "x" if ratio else "", asked, met))
    widths = [max(len(line[i]) for line in table) for i in range(8)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in table)


def write(folder, by_scenario, order, machine):
    """Puts these figures in the place of older ones of the same scenarios, and makes the table anew."""
    path = folder / "compare.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known.update(by_scenario)
    path.write_text("{\n" + ",\n".join(f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(f) for f in known[name]) + "]"
                                       for name in order if name in known) + "\n}\n")
    figures = [figure for name in order for figure in known.get(name, [])]
    (folder / "compare.md").write_text(
        "# Ours and Apache Kafka\n\nWritten by `bench/compare --write`; what the figures are stands in bench/README.md. "
        f"Medians.\n\n{machine}\n\n{as_markdown(figures)}")
