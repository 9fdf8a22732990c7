"""What a case produced and was told about it, and whether a node has it."""

from faulty import MARKER
from harness import records, wire


class Ledger:
    """Numbers its records; each is a batch of its own, sent with acks=all to the partitions of
    `log` in turn."""

    def __init__(self, partitions=2, value_bytes=0):
        self.partitions, self.value_bytes = partitions, value_bytes
        self.sent = 0
        self.acknowledged = {}  # number -> (partition, offset)
        self.errors = []  # codes of refusals, and exceptions

    def produce(self, bootstrap, count):
        """Stops at the first record that is not acknowledged. True if all were."""
        try:
            with wire.Connection(bootstrap) as connection:
                return all(self.produce_one(connection) for _ in range(count))
        except (OSError, wire.Closed) as error:
            self.errors.append(error)
            return False

    def produce_one(self, connection):
        number, partition = self.sent, self.sent % self.partitions
        self.sent += 1
        value = f"{MARKER}z{number:07d}".encode().ljust(self.value_bytes, b".")
        answer = wire.produce(connection, "log", partition, records.batch([value]))
        if answer.error_code != wire.NONE:
            self.errors.append(answer.error_code)
            return False
        self.acknowledged[number] = partition, answer.base_offset
        return True

    def check_kept(self, bootstrap, damaged=()):
        """All that was acknowledged is at its offset, once; nothing is there that was not sent.
        `damaged`: numbers that need not be there."""
        found = {}
        for partition in range(self.partitions):
            for batch in records.read_batches(wire.read_log(bootstrap, "log", partition)):
                assert batch.crc_ok, f"a wrong batch at offset {batch.base_offset}"
                number = number_in(batch)
                assert number not in found, f"record {number} is there twice"
                assert 0 <= number < self.sent, f"record {number} was never sent"
                found[number] = partition, batch.base_offset
        for number, place in self.acknowledged.items():
            assert number in damaged or found.get(number) == place, (
                f"record {number} was acknowledged at {place} and is at {found.get(number)}"
            )


def number_in(batch):
    (value,) = records.values_of(batch)
    return int(value[len(MARKER) + 1 : len(MARKER) + 8])


def read_each(bootstrap, topic, partition, offsets):
    """Fetches each offset by itself: {offset: error code, or the batch}."""
    outcome = {}
    with wire.Connection(bootstrap) as connection:
        for offset in offsets:
            part = wire.fetch(connection, topic, partition, offset, max_wait_ms=10)
            outcome[offset] = part.error_code
            if part.error_code == wire.NONE:
                outcome[offset] = records.read_batches(bytes(part.records))[0]
    return outcome
