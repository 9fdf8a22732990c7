package main

import (
	"errors"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var adminCases = []namedCase{
	{"admin: create, list, describe, delete", createListDescribeDelete},
	{"admin: bad topics are refused", badTopics},
	{"admin: describe configs", describeConfigs},
	{"admin: metadata and cluster", metadata},
	{"admin: end offset of a leader epoch", leaderEpoch},
	{"admin: api versions", apiVersions},
}

func createListDescribeDelete(c *cases) {
	name := c.topic("admin", 3, map[string]string{"retention.ms": "3600000"})
	ctx, cancel := limited()
	defer cancel()
	found := must(c.admin.ListTopics(ctx, name))
	checkEqual(3, len(found[name].Partitions))
	check(found[name].ID != kadm.TopicID{}, "a topic has an id")
	again := must(c.admin.CreateTopics(ctx, 1, 1, nil, name))
	check(errors.Is(again[name].Err, kerr.TopicAlreadyExists), "%v", again[name].Err)
	ok(must(c.admin.DeleteTopics(ctx, name)).Error())
	for must(c.admin.ListTopics(ctx)).Has(name) {
		time.Sleep(10 * time.Millisecond)
	}
	gone := must(c.admin.DeleteTopics(ctx, name))
	check(errors.Is(gone[name].Err, kerr.UnknownTopicOrPartition), "%v", gone[name].Err)
}

func badTopics(c *cases) {
	ctx, cancel := limited()
	defer cancel()
	for _, name := range []string{"a/b", strings.Repeat("x", 250), ".", ".."} {
		made := must(c.admin.CreateTopics(ctx, 1, 1, nil, name))
		check(errors.Is(made[name].Err, kerr.InvalidTopicException), "%s: %v", name, made[name].Err)
	}
	name := c.name("bad")
	made := must(c.admin.CreateTopics(ctx, 0, 1, nil, name))
	check(errors.Is(made[name].Err, kerr.InvalidPartitions), "%v", made[name].Err)
}

func describeConfigs(c *cases) {
	name := c.topic("configs", 1, map[string]string{"max.message.bytes": "65432"})
	ctx, cancel := limited()
	defer cancel()
	configs := must(c.admin.DescribeTopicConfigs(ctx, name))
	found := map[string]string{}
	for _, config := range configs[0].Configs {
		found[config.Key] = config.MaybeValue()
	}
	checkEqual("65432", found["max.message.bytes"])
	checkEqual("delete", found["cleanup.policy"])
}

func metadata(c *cases) {
	ctx, cancel := limited()
	defer cancel()
	found := must(c.admin.BrokerMetadata(ctx))
	checkEqual(1, len(found.Brokers))
	checkEqual(22, len(found.Cluster))
	checkEqual(found.Brokers[0].NodeID, found.Controller)
}

func leaderEpoch(c *cases) {
	name := c.topic("epoch", 1, nil)
	c.produceOnce(name, 0, numbers(0, 12))
	ctx, cancel := limited()
	defer cancel()
	var wanted kadm.OffsetForLeaderEpochRequest
	wanted.Add(name, 0, 0)
	found := must(c.admin.OffsetForLeaderEpoch(ctx, wanted))[name][0]
	ok(found.Err)
	checkEqual(int64(12), found.EndOffset)
	checkEqual(int32(0), found.LeaderEpoch)
	wanted.Add(name, 0, 7)
	found = must(c.admin.OffsetForLeaderEpoch(ctx, wanted))[name][0]
	checkEqual(int64(-1), found.EndOffset)
}

func apiVersions(c *cases) {
	ctx, cancel := limited()
	defer cancel()
	request := kmsg.NewPtrApiVersionsRequest()
	request.ClientSoftwareName, request.ClientSoftwareVersion = "ottla-tests", "1"
	answer := must(request.RequestWith(ctx, c.client))
	found := map[int16][2]int16{}
	for _, key := range answer.ApiKeys {
		found[key.ApiKey] = [2]int16{key.MinVersion, key.MaxVersion}
	}
	for key, wanted := range map[int16][2]int16{0: {0, 13}, 1: {4, 18}, 2: {1, 11}, 3: {0, 13}, 10: {0, 6}, 18: {0, 4},
		19: {2, 7}, 20: {1, 6}, 22: {0, 5}, 23: {2, 4}, 32: {1, 4}, 60: {0, 2}, 75: {0, 0}} {
		check(found[key] == wanted, "API %d: wanted %v, found %v", key, wanted, found[key])
	}
}
