"""Where our broker may answer otherwise than Apache Kafka: only with an entry in
docs/differences.md.

Each entry there has its name in backquotes; a case that relies on one fails while the page lacks
it."""

from harness.server import PROJECT

CORRUPT_MESSAGE, INVALID_REQUEST, INVALID_TXN_STATE, UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD = 2, 42, 48, 76, 87
# name of the entry -> what ottla answers
OURS = {
    "batch-length-overflow": INVALID_RECORD,
    "unknown-codec": UNSUPPORTED_COMPRESSION_TYPE,
    "unreadable-compression": INVALID_RECORD,
    "transactional-batch": INVALID_TXN_STATE,
    "unknown-config-operation": INVALID_REQUEST,
}


def expected(target, kafkas, difference=None):
    if difference is None or target.kind == "kafka":
        return kafkas
    page = PROJECT / "docs/differences.md"
    assert (
        page.exists() and f"`{difference}`" in page.read_text()
    ), f"docs/differences.md has no entry `{difference}`"
    return OURS[difference]
