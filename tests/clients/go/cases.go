package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// answerMax bounds every wait for the broker.
const answerMax = 30 * time.Second

type namedCase struct {
	name string
	body func(*cases)
}

// cases is what the cases share: the broker's address, an admin client, fresh topics and the checks. A check that fails
// panics with a failure, which runAll reports; the plan and each result are JSON lines that harness/target.py reads.
type cases struct {
	bootstrap     string
	client        *kgo.Client
	admin         *kadm.Client
	codecsWritten map[string]string
	run           string
	topics        int
}

type failure struct{ text string }

func (f failure) Error() string { return f.text }

func newCases(bootstrap string) *cases {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		panic(err)
	}
	return &cases{bootstrap: bootstrap, client: client, admin: kadm.NewClient(client), codecsWritten: map[string]string{},
		run: fmt.Sprint(time.Now().UnixNano())}
}

func (c *cases) runAll(all []namedCase) {
	var names []string
	for _, one := range all {
		names = append(names, one.name)
	}
	printLine(map[string]any{"plan": names})
	for _, one := range all {
		start := time.Now()
		text := c.runOne(one)
		printLine(map[string]any{"case": one.name, "ok": text == "", "seconds": time.Since(start).Seconds(), "text": text})
	}
	printLine(map[string]any{"codecs": c.codecsWritten})
}

func (c *cases) runOne(one namedCase) (text string) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case failure:
			text = thrown.text
		default:
			text = fmt.Sprint("panic: ", thrown)
		}
	}()
	one.body(c)
	return ""
}

func printLine(entry map[string]any) {
	line, err := json.Marshal(entry)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func check(holds bool, format string, arguments ...any) {
	if !holds {
		panic(failure{fmt.Sprintf(format, arguments...)})
	}
}

func checkEqual[T comparable](wanted, found T) {
	check(wanted == found, "wanted %v but found %v", wanted, found)
}

func ok(err error) {
	if err != nil {
		panic(failure{err.Error()})
	}
}

func must[T any](value T, err error) T {
	ok(err)
	return value
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), answerMax)
}

func (c *cases) name(word string) string {
	c.topics++
	return fmt.Sprintf("franz-%s-%s-%d", word, c.run, c.topics)
}

// topic makes a topic and waits until its leaders answer.
func (c *cases) topic(word string, partitions int32, configs map[string]string) string {
	name := c.name(word)
	ctx, cancel := limited()
	defer cancel()
	given := map[string]*string{}
	for key, value := range configs {
		given[key] = &value
	}
	ok(must(c.admin.CreateTopics(ctx, partitions, 1, given, name)).Error())
	for {
		offsets, err := c.admin.ListEndOffsets(ctx, name)
		if err == nil && offsets.Error() == nil && len(offsets[name]) == int(partitions) {
			return name
		}
		check(ctx.Err() == nil, "topic %s is not ready: %v %v", name, err, offsets.Error())
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *cases) producer(options ...kgo.Opt) *kgo.Client {
	options = append([]kgo.Opt{kgo.SeedBrokers(c.bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner())}, options...)
	return must(kgo.NewClient(options...))
}

// produce sends values to a partition and returns the records with their offsets.
func (c *cases) produce(client *kgo.Client, topic string, partition int32, values []string) []*kgo.Record {
	ctx, cancel := limited()
	defer cancel()
	var records []*kgo.Record
	for _, value := range values {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)})
	}
	ok(client.ProduceSync(ctx, records...).FirstErr())
	return records
}

func (c *cases) produceOnce(topic string, partition int32, values []string, options ...kgo.Opt) []*kgo.Record {
	client := c.producer(options...)
	defer client.Close()
	return c.produce(client, topic, partition, values)
}

// read brings exactly count records of a partition from an offset on; one more is a failure.
func (c *cases) read(topic string, partition int32, offset int64, count int, options ...kgo.Opt) []*kgo.Record {
	options = append([]kgo.Opt{kgo.SeedBrokers(c.bootstrap), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {partition: kgo.NewOffset().At(offset)}}), kgo.FetchMaxWait(100 * time.Millisecond)}, options...)
	client := must(kgo.NewClient(options...))
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	var found []*kgo.Record
	for len(found) < count {
		fetches := client.PollFetches(ctx)
		ok(fetches.Err())
		found = append(found, fetches.Records()...)
	}
	soon, cancelSoon := context.WithTimeout(context.Background(), 150*time.Millisecond)
	defer cancelSoon()
	found = append(found, client.PollFetches(soon).Records()...)
	checkEqual(count, len(found))
	return found
}

func valuesOf(records []*kgo.Record) string {
	var values []string
	for _, record := range records {
		values = append(values, string(record.Value))
	}
	return strings.Join(values, "\n")
}

func numbers(from, to int) []string {
	var values []string
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprint(i))
	}
	return values
}

func checkValues(wanted []string, found []*kgo.Record) {
	text := strings.Join(wanted, "\n")
	check(text == valuesOf(found), "the records are not those that were sent, in their order")
}
