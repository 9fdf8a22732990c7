"""Where our broker may answer otherwise than Apache Kafka: only with an entry in docs/differences.md.

Each entry there has its name in backquotes; a case that relies on one fails while the page lacks it.
"""

from harness.server import PROJECT

CORRUPT_MESSAGE, INVALID_RECORD = 2, 87
# name of the entry -> what ottla answers
OURS = {
    "batch-length-overflow": CORRUPT_MESSAGE,
    "unreadable-compression": CORRUPT_MESSAGE,
}


def expected(target, kafkas, difference=None):
    if difference is None or target.kind == "kafka":
        return kafkas
    page = PROJECT / "docs/differences.md"
    assert page.exists() and f"`{difference}`" in page.read_text(), f"docs/differences.md has no entry `{difference}`"
    return OURS[difference]
