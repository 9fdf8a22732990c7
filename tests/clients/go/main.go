// Command clients runs the cases with franz-go: all of them, or the producer that runs through a lossy proxy.
//
//	clients cases BOOTSTRAP
//	clients lossy BOOTSTRAP TOPIC COUNT
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "cases":
		newCases(os.Args[2]).runAll(slices.Concat(recordCases, adminCases))
	case len(os.Args) == 5 && os.Args[1] == "lossy":
		count := must(strconv.Atoi(os.Args[4]))
		lossy(newCases(os.Args[2]), os.Args[3], count)
	default:
		fmt.Fprintln(os.Stderr, "clients cases BOOTSTRAP | clients lossy BOOTSTRAP TOPIC COUNT")
		os.Exit(2)
	}
}

// lossy produces with up to five requests in flight (franz-go's own number for an idempotent producer, not settable); it
// ends well when every record was acknowledged in its place.
func lossy(c *cases, topic string, count int) {
	records := c.produceOnce(topic, 0, numbers(0, count), kgo.ProducerBatchMaxBytes(1000), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RequestTimeoutOverhead(2*time.Second), kgo.ProduceRequestTimeout(2*time.Second))
	for i, record := range records {
		// -1: a duplicate whose offset the broker no longer knew
		check(record.Offset == int64(i) || record.Offset == -1, "record %d was acknowledged with offset %d", i, record.Offset)
	}
}
