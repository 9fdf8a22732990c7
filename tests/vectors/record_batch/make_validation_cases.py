#!/usr/bin/env python3
"""What a real broker says to good and bad batches: sends each case to a topic of its own, writes validation_cases.txt.

  make_validation_cases.py BOOTSTRAP LOG_DIR

Needs a running Kafka 4.3.1 with log.retention.ms=-1, and the packages confluent-kafka, lz4, zstandard, cramjam.
A line is: name | topic settings | Produce version | now ms | hex sent | error code | record indexes | hex stored.
"now" is the broker's append time where it tells one, else this program's clock just before sending.
"""
import glob, gzip, os, socket, struct, sys, time

import cramjam
import lz4.frame
import zstandard
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, log_dir = sys.argv[1:3]
here = os.path.dirname(os.path.abspath(__file__))

# --- building batches, right and wrong ---
table = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    table.append(n)


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = (c >> 8) ^ table[(c ^ b) & 255]
    return c ^ 0xFFFFFFFF


def varint(n):
    n = (n << 1) ^ (n >> 63)
    n &= (1 << 64) - 1
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def nullable(b):
    return varint(-1) if b is None else varint(len(b)) + b


def record(delta, ts=0, key=b"k", value=b"v", headers=(), attributes=0, raw_tail=None, count=None):
    body = bytes([attributes]) + varint(ts) + varint(delta) + nullable(key) + nullable(value)
    body += varint(len(headers) if count is None else count) + b"".join(nullable(k) + nullable(v) for k, v in headers)
    if raw_tail is not None:
        body = bytes([attributes]) + varint(ts) + varint(delta) + raw_tail
    return varint(len(body)) + body


def pack(codec, data):
    if codec == "none": return data
    if codec == "gzip": return gzip.compress(data)
    if codec == "snappy": return bytes(cramjam.snappy.compress_raw(data))
    if codec == "xerial":
        block = bytes(cramjam.snappy.compress_raw(data))
        return b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, len(block)) + block
    if codec == "lz4": return lz4.frame.compress(data, block_linked=False, store_size=False)
    if codec == "zstd": return zstandard.ZstdCompressor().compress(data)


bits = {"none": 0, "gzip": 1, "snappy": 2, "xerial": 2, "lz4": 3, "zstd": 4}


def batch(records=None, codec="none", payload=None, n=3, attributes=None, more=0, base=0, magic=2, last=None, count=None,
          first_ts=None, max_ts=None, pid=-1, epoch=-1, seq=-1, length=None, crc=None):
    first_ts = now if first_ts is None else first_ts
    if records is None: records = [record(i) for i in range(n)]
    n = len(records)
    if payload is None: payload = pack(codec, b"".join(records))
    if attributes is None: attributes = bits[codec] | more
    body = struct.pack(">hiqqqhii", attributes, n - 1 if last is None else last, first_ts,
                       first_ts if max_ts is None else max_ts, pid, epoch, seq, n if count is None else count) + payload
    crc = crc32c(body) if crc is None else crc
    return struct.pack(">qiibI", base, 9 + len(body) if length is None else length, -1, magic, crc) + body


now = int(time.time() * 1000)
day = 86400000
flat = b"".join(record(i) for i in range(3))
cases = []


def case(name, data, settings="", version=8):
    cases.append((name, settings, version, data))


compressed = ["gzip", "snappy", "xerial", "lz4", "zstd"]
for c in ["none"] + compressed: case("good-" + c, batch(codec=c))
case("zstd-v6", batch(codec="zstd"), version=6)
case("gzip-v6", batch(codec="gzip"), version=6)
case("no-bytes", b"")
case("two-batches", batch() + batch())
case("truncated", batch()[:-1])
case("header-only", batch()[:61])
case("trailing-5", batch() + b"\0" * 5)
case("trailing-zeros-40", batch() + b"\0" * 40)
case("trailing-part-of-batch", batch() + batch()[:50])
for m in (0, 1, 3, -1): case("magic-%d" % m, batch(magic=m))
case("length-13", batch(length=13))
case("length-20", batch(length=20)[:32])
case("length-negative", batch(length=-1))
case("crc-wrong", batch(crc=1))
for b in (5, 6, 7): case("codec-%d" % b, batch(attributes=b))
case("base-offset-5", batch(base=5))
case("base-offset-negative", batch(base=-1))
case("base-offset-5-crc-wrong", batch(base=5, crc=1))
case("empty-batch", batch(records=[], last=0, count=0))
case("empty-batch-last-minus-1", batch(records=[], last=-1, count=0))
for c in ("none", "gzip"):
    case("count-less-" + c, batch(count=2, last=1, codec=c))
    case("count-more-" + c, batch(count=4, last=3, codec=c))
    case("count-not-last-" + c, batch(count=3, last=5, codec=c))
case("count-negative", batch(count=-1))
case("count-huge", batch(count=2**31 - 1, last=2**31 - 2))
case("last-negative", batch(last=-1))
case("control", batch(more=0x20))
case("control-transactional", batch(more=0x30, pid=9, epoch=0, seq=0))
case("pid-no-sequence", batch(pid=9, epoch=0))
case("pid-no-epoch", batch(pid=9, seq=0))
case("pid-good", batch(pid=9, epoch=0, seq=0))
case("pid-minus-2", batch(pid=-2, epoch=0, seq=0))
case("sequence-without-pid", batch(seq=3))
case("transactional-without-pid", batch(more=0x10))
case("unused-attribute-bits", batch(more=0x7f80))
case("delete-horizon-bit", batch(more=0x40))
case("too-large", batch(records=[record(0, value=b"x" * 100)]), "max.message.bytes=100")
case("too-large-crc-wrong", batch(records=[record(0, value=b"x" * 100)], crc=1), "max.message.bytes=100")
case("exactly-max", batch(n=1), "max.message.bytes=%d" % len(batch(n=1)))
keys = [record(0), record(1, key=None), record(2, key=b""), record(3, key=None)]
for c in ("none", "lz4"): case("compacted-null-keys-" + c, batch(keys, codec=c), "cleanup.policy=compact")
case("compacted-good", batch(), "cleanup.policy=compact")
case("compacted-both-faults", batch([record(0, key=None), record(1, ts=2 * day), record(2)]), "cleanup.policy=compact")
for c in ("none", "zstd"): case("time-ahead-" + c, batch([record(0), record(1, ts=2 * day), record(2, ts=-5)], codec=c))
case("time-long-ago-is-fine", batch(first_ts=5))
case("time-behind", batch([record(0), record(1, ts=-100000)]), "message.timestamp.before.max.ms=60000")
case("time-none", batch(first_ts=-1), "message.timestamp.before.max.ms=60000")
case("time-minus-5", batch(first_ts=-5))
case("time-minus-5-limit", batch(first_ts=-5), "message.timestamp.before.max.ms=60000")
case("time-overflow", batch([record(0), record(1, ts=2**63 - 1)]))
case("time-lowest", batch([record(0, ts=0)], first_ts=-2**63))
case("max-timestamp-wrong", batch([record(0), record(1, ts=9), record(2)], max_ts=77))
case("max-timestamp-wrong-gzip", batch([record(0), record(1, ts=9), record(2)], max_ts=77, codec="gzip"))
append = "message.timestamp.type=LogAppendTime"
for c in ("none", "gzip"):
    case("append-time-" + c, batch([record(0, ts=1), record(1, ts=2 * day)], codec=c), append)
    case("append-time-bit-set-" + c, batch(more=8, codec=c), append)
    case("append-time-bit-on-create-time-" + c, batch(more=8, codec=c))
case("append-time-bit-no-time", batch(more=8, first_ts=-1))
case("append-time-compacted-null-key", batch(keys), append + ",cleanup.policy=compact")
odd = [record(0), record(2), record(1)]
for c in ("none", "gzip", "lz4"):
    case("deltas-disorder-" + c, batch(odd, codec=c))
    case("deltas-from-5-" + c, batch([record(5 + i) for i in range(3)], codec=c))
case("deltas-negative-zstd", batch([record(-i) for i in range(3)], codec="zstd"))
for c in ("none", "gzip"):
    case("record-attributes-" + c, batch([record(0, attributes=1), record(1, attributes=0xFF)], codec=c))
    case("header-null-key-" + c, batch([record(0, headers=[(None, b"v")])], codec=c))
    case("header-count-negative-" + c, batch([record(0, count=-1)], codec=c))
    case("header-count-more-" + c, batch([record(0, count=2, headers=[(b"k", b"v")])], codec=c))
    case("header-count-less-" + c, batch([record(0, count=1, headers=[(b"k", b"v")] * 2)], codec=c))
    case("header-good-" + c, batch([record(0, headers=[(b"k", None), (b"", b"")])], codec=c))
    case("key-length-minus-2-" + c, batch([record(0, raw_tail=varint(-2) + varint(-1) + varint(0))], codec=c))
    case("value-length-minus-2-" + c, batch([record(0, raw_tail=varint(-1) + varint(-2) + varint(0))], codec=c))
    case("value-beyond-record-" + c, batch([record(0, raw_tail=varint(-1) + varint(9) + b"abc")], codec=c))
    case("rest-in-record-" + c, batch([record(0, raw_tail=varint(-1) + varint(-1) + varint(0) + b"rest")], codec=c))
    case("record-length-0-" + c, batch([varint(0)], codec=c))
    case("record-length-negative-" + c, batch([varint(-1)], codec=c))
    case("record-length-beyond-" + c, batch([varint(100) + b"\0" * 20], codec=c))
    whole = record(0)
    case("varint-overlong-" + c, batch([bytes([whole[0] | 128, 128, 0]) + whole[1:]], codec=c))
    case("varint-too-long-" + c, batch([b"\xff\xff\xff\xff\xff\xff\x01" + b"\0" * 20], codec=c))
for c in compressed:
    packed = pack(c, flat)
    r = [record(i) for i in range(3)]
    case("garbage-" + c, batch(r, c, payload=b"garbage, that is not a stream"))
    case("nothing-" + c, batch(r, c, payload=b""))
    case("cut-" + c, batch(r, c, payload=packed[:-3]))
    case("cut-half-" + c, batch(r, c, payload=packed[:len(packed) // 2]))
    case("bytes-after-stream-" + c, batch(r, c, payload=packed + b"after"))
    case("bytes-after-records-" + c, batch(r, c, payload=pack(c, flat + b"after")))
    case("two-streams-" + c, batch(r, c, payload=pack(c, flat[:10]) + pack(c, flat[10:])))
case("xerial-version-0", batch(r, "xerial", payload=b"\x82SNAPPY\0" + b"\0" * 8 + pack("xerial", flat)[16:]))
long = [record(0, value=b"x" * 70000)]
for linked in (False, True):
    packed = lz4.frame.compress(b"".join(long), block_linked=linked, block_size=4, store_size=False)
    case("lz4-blocks-" + ("linked" if linked else "independent"), batch(long, "lz4", payload=packed))
case("lz4-content-size", batch(codec="lz4", payload=lz4.frame.compress(flat, block_linked=False, store_size=True)))
case("lz4-checksums", batch(codec="lz4", payload=lz4.frame.compress(flat, block_linked=False, content_checksum=True, block_checksum=True)))
case("lz4-block-4mb", batch(codec="lz4", payload=lz4.frame.compress(flat, block_linked=False, block_size=7)))
broken = bytearray(lz4.frame.compress(flat, block_linked=False, store_size=False)); broken[6] ^= 1
case("lz4-header-checksum-wrong", batch(codec="lz4", payload=bytes(broken)))
case("zstd-checksum", batch(codec="zstd", payload=zstandard.ZstdCompressor(write_checksum=True).compress(flat)))
case("zstd-no-size", batch(codec="zstd", payload=zstandard.ZstdCompressor(write_content_size=False).compress(flat)))
for want in ("uncompressed", "gzip", "snappy", "lz4", "zstd"):
    for c in ("none", "gzip", "lz4"):
        case("topic-%s-from-%s" % (want, c), batch(codec=c), "compression.type=" + want)
case("topic-gzip-deltas-disorder", batch(odd), "compression.type=gzip")
case("topic-gzip-append-time", batch([record(0, ts=1), record(1, ts=2)]), "compression.type=gzip," + append)
case("topic-gzip-max-timestamp-wrong", batch(max_ts=4), "compression.type=gzip")
case("topic-gzip-idempotent", batch(pid=9, epoch=3, seq=0), "compression.type=gzip")

# --- sending them ---
admin = AdminClient({"bootstrap.servers": bootstrap})
topics = ["case-%03d" % i for i in range(len(cases))]
futures = admin.create_topics([NewTopic(t, 1, 1, config=dict(s.split("=") for s in c[1].split(",") if s))
                               for t, c in zip(topics, cases)])
for f in futures.values(): f.result()
time.sleep(2)


def text(s):
    return struct.pack(">h", len(s)) + s.encode()


def produce(topic, version, data):
    body = struct.pack(">hhi", 0, version, 1) + text("cases")
    body += struct.pack(">hhii", -1, -1, 10000, 1) + text(topic) + struct.pack(">iii", 1, 0, len(data)) + data
    host, port = bootstrap.split(":")
    with socket.create_connection((host, int(port)), 10) as s:
        s.sendall(struct.pack(">i", len(body)) + body)
        raw = b""
        while len(raw) < 4 or len(raw) < 4 + struct.unpack(">i", raw[:4])[0]:
            more = s.recv(65536)
            if not more: return None
            raw += more
    at = 8 + 4 + 2 + len(topic) + 4 + 4
    code, offset, append_ms = struct.unpack_from(">hqq", raw, at)
    indexes, message = [], ""
    at += 18 + 8
    if version >= 8:
        n, = struct.unpack_from(">i", raw, at); at += 4
        for _ in range(n):
            index, size = struct.unpack_from(">ih", raw, at)
            at += 6 + max(size, 0)
            indexes.append(index)
        size, = struct.unpack_from(">h", raw, at)
        message = raw[at + 2:at + 2 + max(size, 0)].decode()
    return code, append_ms, indexes, message


out = open(os.path.join(here, "validation_cases.txt"), "w")
for topic, (name, settings, version, data) in zip(topics, cases):
    sent_ms = int(time.time() * 1000)
    for _ in range(50):
        answer = produce(topic, version, data)
        if answer is None or answer[0] != 6: break  # its leader is not elected yet
        time.sleep(0.2)
    if answer is None:
        print(name, "connection closed"); continue
    code, append_ms, indexes, message = answer
    stored = b"".join(open(s, "rb").read() for s in sorted(glob.glob(os.path.join(log_dir, topic + "-0", "*.log"))))
    print("%-36s %4d %-10s %s" % (name, code, indexes, message[:110]))
    out.write("|".join([name, settings, str(version), str(append_ms if append_ms >= 0 else sent_ms), data.hex(), str(code),
                        ",".join(map(str, indexes)), stored.hex()]) + "\n")
