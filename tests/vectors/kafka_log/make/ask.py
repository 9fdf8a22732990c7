# What Kafka answers to ListOffsets (both levels) and to a read_committed consumer.
from confluent_kafka import Consumer, TopicPartition, IsolationLevel
from confluent_kafka.admin import AdminClient, OffsetSpec
import json, sys
s=sys.argv[1]
out={}
adm=AdminClient({"bootstrap.servers":s})
for iso,lvl in (("read_uncommitted",IsolationLevel.READ_UNCOMMITTED),("read_committed",IsolationLevel.READ_COMMITTED)):
    for t in ("plain","txn","txn1"):
        for spec,name in ((OffsetSpec.earliest(),"earliest"),(OffsetSpec.latest(),"latest")):
            r=adm.list_offsets({TopicPartition(t,0):spec},isolation_level=lvl)
            out[f"{t} {iso} {name}"]=list(r.values())[0].result().offset
    for t in ("plain","txn","txn1"):
        c=Consumer({"bootstrap.servers":s,"group.id":"x","isolation.level":iso,"enable.partition.eof":True,"auto.offset.reset":"earliest"})
        c.assign([TopicPartition(t,0,0)])
        offs=[]
        while True:
            m=c.poll(10)
            if m is None: break
            if m.error(): break
            offs.append(m.offset())
        c.close()
        out[f"{t} {iso} offsets"]=offs
r=adm.list_offsets({TopicPartition("plain",0):OffsetSpec.max_timestamp()})
x=list(r.values())[0].result(); out["plain max_timestamp"]=[x.timestamp,x.offset]
for ts in (1,1699999950021,1700000000007,1700000000100,1700000000500,1700000001000,1700001000500,1700001000900,1900000000000):
    r=adm.list_offsets({TopicPartition("plain",0):OffsetSpec.for_timestamp(ts)})
    x=list(r.values())[0].result(); out[f"plain at {ts}"]=[x.timestamp,x.offset]
print(json.dumps(out,indent=0))
