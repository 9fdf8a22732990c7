package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var recordCases = []namedCase{
	{"thousands in order, idempotent by default", thousandsInOrder},
	{"acks 0, 1 and all without idempotence", acks},
	{"partition and offset", partitionAndOffset},
	{"auto-creation by the producer", autoCreation},
	{"codec none", func(c *cases) { codec(c, "none", kgo.NoCompression()) }},
	{"codec gzip", func(c *cases) { codec(c, "gzip", kgo.GzipCompression()) }},
	{"codec snappy", func(c *cases) { codec(c, "snappy", kgo.SnappyCompression()) }},
	{"codec lz4", func(c *cases) { codec(c, "lz4", kgo.Lz4Compression()) }},
	{"codec zstd", func(c *cases) { codec(c, "zstd", kgo.ZstdCompression()) }},
	{"keys, values and headers, empty and null", keysValuesHeaders},
	{"create time", createTime},
	{"append time", appendTime},
	{"big records", bigRecords},
	{"offset past the end", pastTheEnd},
	{"a waiting consumer sees a record at once", longPoll},
	{"many partitions of two topics in one session", manyPartitions},
	{"two producers", twoProducers},
}

func thousandsInOrder(c *cases) {
	topic := c.topic("many", 1, nil)
	records := c.produceOnce(topic, 0, numbers(0, 20000), kgo.ProducerBatchMaxBytes(3000))
	for i, record := range records {
		checkEqual(int64(i), record.Offset)
	}
	found := c.read(topic, 0, 0, 20000)
	checkValues(numbers(0, 20000), found)
	checkEqual(int64(19999), found[19999].Offset)
	check(found[0].ProducerID >= 0, "the producer is idempotent, its batches carry an id")
}

func acks(c *cases) {
	for _, acks := range []kgo.Acks{kgo.NoAck(), kgo.LeaderAck(), kgo.AllISRAcks()} {
		topic := c.topic("acks", 1, nil)
		c.produceOnce(topic, 0, numbers(0, 100), kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite())
		checkValues(numbers(0, 100), c.read(topic, 0, 0, 100))
	}
}

func partitionAndOffset(c *cases) {
	topic := c.topic("offset", 2, nil)
	c.produceOnce(topic, 1, numbers(0, 20))
	found := c.read(topic, 1, 13, 7)
	checkValues(numbers(13, 20), found)
	checkEqual(int32(0), found[0].LeaderEpoch)
	c.read(topic, 0, 0, 0)
}

func autoCreation(c *cases) {
	name := c.name("auto")
	c.produceOnce(name, 0, []string{"v"}, kgo.AllowAutoTopicCreation())
	checkValues([]string{"v"}, c.read(name, 0, 0, 1))
}

func codec(c *cases, name string, codec kgo.CompressionCodec) {
	topic := c.topic("codec-"+name, 1, nil)
	var sent []string
	for i := range 500 {
		sent = append(sent, fmt.Sprint(i, strings.Repeat(" the same words again", 10)))
	}
	c.produceOnce(topic, 0, sent, kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond))
	checkValues(sent, c.read(topic, 0, 0, 500))
	c.codecsWritten[topic] = name
}

func keysValuesHeaders(c *cases) {
	topic := c.topic("headers", 1, nil)
	client := c.producer()
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	headers := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte{}}, {Key: "null"},
		{Key: "", Value: []byte{0, 255}}}
	ok(client.ProduceSync(ctx,
		&kgo.Record{Topic: topic, Key: []byte{}, Value: []byte{}, Headers: headers},
		&kgo.Record{Topic: topic, Value: []byte{1}},
		&kgo.Record{Topic: topic, Key: []byte{2}},
		&kgo.Record{Topic: topic}).FirstErr())
	found := c.read(topic, 0, 0, 4)
	check(found[0].Key != nil && len(found[0].Key) == 0 && found[0].Value != nil && len(found[0].Value) == 0, "empty")
	checkEqual(fmt.Sprintf("%#v", headers), fmt.Sprintf("%#v", found[0].Headers))
	check(found[1].Key == nil && string(found[1].Value) == "\x01", "null key")
	check(string(found[2].Key) == "\x02" && found[2].Value == nil, "null value")
	check(found[3].Key == nil && found[3].Value == nil && len(found[3].Headers) == 0, "nothing at all")
}

func createTime(c *cases) {
	topic := c.topic("create-time", 1, nil)
	start := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	client := c.producer()
	defer client.Close()
	for _, second := range []int{0, 2, 1} {
		ctx, cancel := limited()
		defer cancel()
		ok(client.ProduceSync(ctx, &kgo.Record{Topic: topic, Timestamp: start.Add(time.Duration(second) * time.Second)}).
			FirstErr())
	}
	for i, second := range []int{0, 2, 1} {
		checkEqual(start.Add(time.Duration(second)*time.Second).UnixMilli(), c.read(topic, 0, 0, 3)[i].Timestamp.UnixMilli())
	}
	ctx, cancel := limited()
	defer cancel()
	for milliseconds, wanted := range map[int64]int64{0: 0, 1: 1, 2001: 3} {
		offsets := must(c.admin.ListOffsetsAfterMilli(ctx, start.UnixMilli()+milliseconds, topic))
		checkEqual(wanted, offsets[topic][0].Offset)
	}
	checkEqual(int64(1), must(c.admin.ListMaxTimestampOffsets(ctx, topic))[topic][0].Offset)
}

func appendTime(c *cases) {
	topic := c.topic("append-time", 1, map[string]string{"message.timestamp.type": "LogAppendTime"})
	before := time.Now().UnixMilli()
	client := c.producer()
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	ok(client.ProduceSync(ctx, &kgo.Record{Topic: topic, Timestamp: time.Now().Add(-time.Hour)}).FirstErr())
	found := c.read(topic, 0, 0, 1)[0]
	checkEqual(int8(1), found.Attrs.TimestampType())
	check(found.Timestamp.UnixMilli() >= before && found.Timestamp.UnixMilli() <= time.Now().UnixMilli(), "the broker's time")
}

func bigRecords(c *cases) {
	topic := c.topic("big", 1, nil)
	big := make([]byte, 1_000_000)
	for i := range big {
		big[i] = byte(i * i >> 3)
	}
	c.produceOnce(topic, 0, []string{string(big), "small", string(big)}, kgo.ProducerBatchMaxBytes(1_048_000))
	checkValues([]string{string(big), "small", string(big)}, c.read(topic, 0, 0, 3))
	client := c.producer(kgo.ProducerBatchMaxBytes(3_000_000), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: make([]byte, 1_100_000)}).FirstErr()
	check(errors.Is(err, kerr.MessageTooLarge), "wanted MESSAGE_TOO_LARGE, got %v", err)
}

func pastTheEnd(c *cases) {
	topic := c.topic("past", 1, nil)
	c.produceOnce(topic, 0, numbers(0, 3))
	client := must(kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(50)}})))
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	err := client.PollFetches(ctx).Err()
	check(errors.Is(err, kerr.OffsetOutOfRange), "wanted OFFSET_OUT_OF_RANGE, got %v", err)
	checkValues(numbers(0, 3), c.read(topic, 0, 50, 3, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())))
}

func longPoll(c *cases) {
	topic := c.topic("wait", 1, nil)
	client := must(kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.FetchMaxWait(20*time.Second),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}})))
	defer client.Close()
	soon, cancelSoon := context.WithTimeout(context.Background(), time.Second)
	defer cancelSoon()
	checkEqual(0, len(client.PollFetches(soon).Records()))
	c.produceOnce(topic, 0, []string{"now"})
	produced := time.Now()
	ctx, cancel := limited()
	defer cancel()
	checkEqual(1, len(client.PollFetches(ctx).Records()))
	check(time.Since(produced) < 5*time.Second, "the Fetch waited for its time-out")
}

func manyPartitions(c *cases) {
	topics := []string{c.topic("session-a", 20, nil), c.topic("session-b", 20, nil)}
	assigned := map[string]map[int32]kgo.Offset{}
	for _, topic := range topics {
		assigned[topic] = map[int32]kgo.Offset{}
		for i := range int32(20) {
			assigned[topic][i] = kgo.NewOffset().At(0)
		}
	}
	client := must(kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.ConsumePartitions(assigned),
		kgo.FetchMaxWait(200*time.Millisecond)))
	defer client.Close()
	sink := c.producer()
	defer sink.Close()
	for round := range 5 {
		for _, topic := range topics {
			for i := range int32(20) {
				if int(i)%5 == round { // a session's later requests name only what changed
					c.produce(sink, topic, i, numbers(0, 10))
				}
			}
		}
		ctx, cancel := limited()
		defer cancel()
		for found := 0; found < 80; {
			fetches := client.PollFetches(ctx)
			ok(fetches.Err())
			found += len(fetches.Records())
			check(found <= 80, "%d records instead of 80", found)
		}
	}
}

func twoProducers(c *cases) {
	topic := c.topic("two", 1, nil)
	first, second := c.producer(), c.producer()
	defer first.Close()
	defer second.Close()
	for i := range 3000 {
		first.Produce(context.Background(), &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "a%d", i)}, nil)
		second.Produce(context.Background(), &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "b%d", i)}, nil)
	}
	ctx, cancel := limited()
	defer cancel()
	ok(first.Flush(ctx))
	ok(second.Flush(ctx))
	next := map[byte]int{}
	for _, record := range c.read(topic, 0, 0, 6000) {
		who := record.Value[0]
		checkEqual(fmt.Sprintf("%c%d", who, next[who]), string(record.Value))
		next[who]++
	}
}
