# librdkafka speaks the older transaction protocol: markers keep the producer's epoch.
import os, sys
from confluent_kafka import Producer
servers, phase = sys.argv[1:]
def make(i): 
    p = Producer({"bootstrap.servers": servers, "transactional.id": i, "transaction.timeout.ms": 900000, "linger.ms": 0})
    p.init_transactions(20); return p
def send(p, count, size):
    for i in range(count):
        p.produce("txn1", key=f"k{i}", value=b"v" * size, partition=0, timestamp=1700000500000 + i)
    assert p.flush(20) == 0
a, b = make("a"), make("b")
for r in range(5):
    a.begin_transaction(); send(a, 2, 80)
    b.begin_transaction(); send(b, 1, 120)
    (a.commit_transaction if r % 2 else a.abort_transaction)(20)
    (b.abort_transaction if r % 3 else b.commit_transaction)(20)
if phase == "2":
    b.begin_transaction(); send(b, 2, 50)
    a.begin_transaction(); send(a, 2, 50); a.abort_transaction(20)
print("tv1 phase", phase, "done", flush=True)
os._exit(0)
