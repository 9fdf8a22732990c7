import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Kafka's own admin client: topics, cluster, configs, offsets. */
final class AdminCases {
    private final Cases cases;

    AdminCases(Cases cases) {
        this.cases = cases;
        cases.add("admin: create, list, describe, delete", this::createListDescribeDelete);
        cases.add("admin: delete by topic id", this::deleteById);
        cases.add("admin: bad topics are refused", this::badTopics);
        cases.add("admin: a given assignment, and no number of partitions", this::assignment);
        cases.add("admin: describe many partitions in pages", this::manyPartitions);
        cases.add("admin: describe cluster", this::describeCluster);
        cases.add("admin: describe configs", this::describeConfigs);
        cases.add("admin: list offsets", this::listOffsets);
        cases.add("admin: features are finalized", this::features);
    }

    private void createListDescribeDelete() throws Exception {
        String name = cases.name("admin");
        var created = cases.admin.createTopics(
            List.of(new NewTopic(name, 3, (short) 1).configs(Map.of("retention.ms", "3600000"))));
        Cases.checkEqual(3, created.numPartitions(name).get());
        Cases.checkEqual(1, created.replicationFactor(name).get());
        Cases.checkEqual("3600000", created.config(name).get().get("retention.ms").value());
        Cases.refused(TopicExistsException.class,
            () -> cases.admin.createTopics(List.of(new NewTopic(name, 1, (short) 1))).all().get());
        while (!cases.admin.listTopics().names().get().contains(name)) {
            Thread.sleep(10);
        }
        TopicDescription described =
            cases.admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
        Cases.checkEqual(created.topicId(name).get(), described.topicId());
        Cases.checkEqual(3, described.partitions().size());
        described.partitions().forEach(partition -> {
            Cases.checkEqual(List.of(partition.leader()), partition.isr());
            Cases.checkEqual(List.of(partition.leader()), partition.replicas());
        });
        Cases.check(!described.isInternal(), "not internal");
        cases.admin.deleteTopics(List.of(name)).all().get();
        awaitGone(name);
        Cases.refused(UnknownTopicOrPartitionException.class,
            () -> cases.admin.deleteTopics(List.of(name)).all().get());
    }

    private void awaitGone(String name) throws Exception {
        for (int i = 0; cases.admin.listTopics().names().get().contains(name); i++) {
            Cases.check(i < 1000, "the deleted topic is still listed");
            Thread.sleep(10);
        }
    }

    private void deleteById() throws Exception {
        String name = cases.topic("by-id");
        var id =
            cases.admin.describeTopics(List.of(name)).allTopicNames().get().get(name).topicId();
        Cases.checkEqual(name,
            cases.admin.describeTopics(TopicCollection.ofTopicIds(List.of(id)))
                .allTopicIds()
                .get()
                .get(id)
                .name());
        cases.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
        awaitGone(name);
        Cases.refused(UnknownTopicIdException.class,
            () -> cases.admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get());
        String again = cases.admin.createTopics(List.of(new NewTopic(name, 1, (short) 1)))
                           .topicId(name)
                           .get()
                           .toString();
        Cases.check(!again.equals(id.toString()), "a topic of the same name is another topic");
    }

    private void badTopics() throws Exception {
        for (String name : List.of("a/b", "x".repeat(250), ".", "..", "", "\u00e4")) {
            refuse(InvalidTopicException.class, new NewTopic(name, 1, (short) 1));
        }
        refuse(InvalidPartitionsException.class, new NewTopic(cases.name("bad"), 0, (short) 1));
        refuse(
            InvalidReplicationFactorException.class, new NewTopic(cases.name("bad"), 1, (short) 2));
        refuse(
            InvalidReplicationFactorException.class, new NewTopic(cases.name("bad"), 1, (short) 0));
        refuse(InvalidConfigurationException.class,
            new NewTopic(cases.name("bad"), 1, (short) 1)
                .configs(Map.of("cleanup.policy", "burn")));
        String collides = cases.topic("dot.dot");
        refuse(InvalidTopicException.class, new NewTopic(collides.replace('.', '_'), 1, (short) 1));
    }

    private void refuse(Class<? extends Throwable> kind, NewTopic topic) throws Exception {
        Cases.refused(kind, () -> cases.admin.createTopics(List.of(topic)).all().get());
        Cases.refused(kind,
            ()
                -> cases.admin
                    .createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(true))
                    .all()
                    .get());
    }

    private void assignment() throws Exception {
        int node = cases.admin.describeCluster().nodes().get().iterator().next().id();
        String assigned = cases.name("assigned");
        var made = cases.admin.createTopics(
            List.of(new NewTopic(assigned, Map.of(0, List.of(node), 1, List.of(node)))));
        Cases.checkEqual(2, made.numPartitions(assigned).get());
        refuse(InvalidReplicaAssignmentException.class,
            new NewTopic(cases.name("bad"), Map.of(1, List.of(node))));
        refuse(InvalidReplicaAssignmentException.class,
            new NewTopic(cases.name("bad"), Map.of(0, List.of(node + 7))));
        String defaults = cases.name("defaults");
        var created = cases.admin.createTopics(
            List.of(new NewTopic(defaults, Optional.empty(), Optional.empty())));
        Cases.checkEqual(1, created.numPartitions(defaults).get());
        Cases.checkEqual(1, created.replicationFactor(defaults).get());
    }

    private void manyPartitions() throws Exception {
        String name = cases.name("pages");
        cases.admin.createTopics(List.of(new NewTopic(name, 30, (short) 1))).all().get();
        var options = new DescribeTopicsOptions().partitionSizeLimitPerResponse(7);
        TopicDescription found = null;
        for (int i = 0; i < 1000 && (found == null || found.partitions().size() < 30); i++) {
            try {
                found = cases.admin.describeTopics(List.of(name), options)
                            .allTopicNames()
                            .get()
                            .get(name);
            } catch (ExecutionException notYet) {
                Thread.sleep(10);
            }
        }
        Cases.checkEqual(30, found.partitions().size());
        for (int i = 0; i < 30; i++) {
            Cases.checkEqual(i, found.partitions().get(i).partition());
        }
    }

    private void describeCluster() throws Exception {
        var cluster = cases.admin.describeCluster();
        var node = cluster.nodes().get().iterator().next();
        Cases.checkEqual(cases.bootstrap, node.host() + ":" + node.port());
        Cases.checkEqual(node, cluster.controller().get());
        Cases.checkEqual(22, cluster.clusterId().get().length());
    }

    private void describeConfigs() throws Exception {
        String topic = cases.topic(
            "configs", 1, Map.of("retention.ms", "86400000", "compression.type", "lz4"));
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var config = cases.admin.describeConfigs(Set.of(resource)).all().get().get(resource);
        ConfigEntry retention = config.get("retention.ms");
        Cases.checkEqual("86400000", retention.value());
        Cases.checkEqual(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.source());
        Cases.checkEqual(ConfigEntry.ConfigType.LONG, retention.type());
        Cases.checkEqual("lz4", config.get("compression.type").value());
        Cases.checkEqual(
            ConfigEntry.ConfigSource.DEFAULT_CONFIG, config.get("segment.bytes").source());
        Cases.checkEqual("delete", config.get("cleanup.policy").value());
        String node = cases.admin.describeCluster().nodes().get().iterator().next().idString();
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, node);
        var ofBroker = cases.admin.describeConfigs(Set.of(broker)).all().get().get(broker);
        Cases.checkEqual(node, ofBroker.get("node.id").value());
        Cases.checkEqual(
            ConfigEntry.ConfigSource.STATIC_BROKER_CONFIG, ofBroker.get("log.dirs").source());
        Cases.check(ofBroker.get("node.id").isReadOnly(), "node.id cannot be altered");
        ConfigResource absent = new ConfigResource(ConfigResource.Type.TOPIC, cases.name("absent"));
        Cases.refused(UnknownTopicOrPartitionException.class,
            () -> cases.admin.describeConfigs(Set.of(absent)).all().get());
    }

    private void listOffsets() throws Exception {
        String topic = cases.topic("list-offsets");
        TopicPartition partition = new TopicPartition(topic, 0);
        long start = System.currentTimeMillis() - 60_000;
        try (var producer = RecordCases.producer(cases.bootstrap, Map.of())) {
            for (int i : new int[] {0, 5, 3}) {
                producer.send(new ProducerRecord<>(topic, 0, start + i, null, new byte[0])).get();
            }
        }
        Map<OffsetSpec, Long> wanted =
            Map.of(OffsetSpec.earliest(), 0L, OffsetSpec.latest(), 3L, OffsetSpec.maxTimestamp(),
                1L, OffsetSpec.forTimestamp(start + 1), 1L, OffsetSpec.forTimestamp(start + 6), -1L,
                OffsetSpec.earliestLocal(), 0L, OffsetSpec.latestTiered(), -1L);
        for (var one : wanted.entrySet()) {
            var found = cases.admin.listOffsets(Map.of(partition, one.getKey()))
                            .partitionResult(partition)
                            .get();
            Cases.check(one.getValue() == found.offset(), one.getKey() + ": " + found);
        }
    }

    private void features() throws Exception {
        var metadata = cases.admin.describeFeatures().featureMetadata().get();
        Cases.checkEqual(
            (short) 30, metadata.finalizedFeatures().get("metadata.version").maxVersionLevel());
        Cases.checkEqual(
            (short) 2, metadata.finalizedFeatures().get("transaction.version").maxVersionLevel());
        Cases.checkEqual(
            (short) 1, metadata.finalizedFeatures().get("kraft.version").maxVersionLevel());
        Cases.checkEqual((short) 1,
            metadata.finalizedFeatures().get("eligible.leader.replicas.version").maxVersionLevel());
    }
}
