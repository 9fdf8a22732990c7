"""Every version of every API that a client of a single node uses, asked one by one and read with
another project's codec.

Most clients only ever send the newest version that both sides know; the old ones rot unseen. Each
case asks one API in all versions that Kafka 4.3 serves and checks the parts of the answer that
each version has."""

import uuid

from harness import records, wire

CODES_OF_A_NEW_COORDINATOR = (wire.COORDINATOR_NOT_AVAILABLE, wire.NONE)


def case_ranges(target):
    """All of Kafka's ranges for these keys; others may be offered too (Kafka has more, ours
    will)."""
    wanted = {
        0: (0, 13),
        1: (4, 18),
        2: (1, 11),
        3: (0, 13),
        8: (2, 10),
        9: (1, 10),
        10: (0, 6),
        11: (0, 9),
        12: (0, 4),
        13: (0, 5),
        14: (0, 5),
        15: (0, 6),
        16: (0, 5),
        18: (0, 4),
        19: (2, 7),
        20: (1, 6),
        21: (0, 2),
        22: (0, 5),
        23: (2, 4),
        32: (1, 4),
        33: (0, 2),
        35: (1, 5),
        37: (0, 3),
        42: (0, 2),
        44: (0, 1),
        47: (0, 0),
        60: (0, 2),
        61: (0, 0),
        68: (0, 1),
        69: (0, 1),
        75: (0, 0),
    }
    for version in range(0, 5):
        answer = wire.ask(
            target.bootstrap,
            wire.ApiVersionsRequest(
                client_software_name="ottla-tests", client_software_version="1"
            ),
            version,
        )
        assert answer.error_code == wire.NONE
        found = {one.api_key: (one.min_version, one.max_version) for one in answer.api_keys}
        assert {key: found.get(key) for key in wanted} == wanted, (version, found)
        if version >= 3:
            levels = {one.name: one.max_version_level for one in answer.finalized_features}
            assert (levels["metadata.version"], levels["transaction.version"]) == (30, 2), levels
            assert answer.finalized_features_epoch >= 0


def case_produce_and_fetch(target):
    """Every version of Produce writes a record that every version of Fetch reads."""
    topic = target.topic("versions-log")
    topic_id = wire.metadata(target.bootstrap, [topic]).topics[0].topic_id
    for i, version in enumerate(range(3, 14)):
        request = wire.produce_request(
            topic,
            0,
            records.batch([b"v%d" % version]),
            topic_id=topic_id if version >= 13 else None,
        )
        part = wire.ask(target.bootstrap, request, version).responses[0].partition_responses[0]
        assert (part.error_code, part.base_offset, part.log_append_time_ms) == (wire.NONE, i, -1), (
            version,
            part,
        )
        assert version < 5 or part.log_start_offset == 0
    count = 11
    for version in range(4, 19):
        request = wire.fetch_request(topic, 0, 2, topic_id=topic_id if version >= 13 else None)
        answer = wire.ask(target.bootstrap, request, version)
        part = answer.responses[0].partitions[0]
        assert (part.error_code, part.high_watermark, part.last_stable_offset) == (
            wire.NONE,
            count,
            count,
        ), (version, part)
        assert version < 5 or part.log_start_offset == 0
        batches = records.read_batches(bytes(part.records))
        assert [one.last_offset for one in batches] == list(range(2, count)), version
        assert all(one.crc_ok and one.leader_epoch == 0 for one in batches)
        if version >= 13:
            assert answer.responses[0].topic_id == topic_id
        else:
            assert answer.responses[0].topic == topic


def case_fetch_sessions(target):
    topic = target.topic("versions-session", partitions=2)
    topic_id = wire.metadata(target.bootstrap, [topic]).topics[0].topic_id
    for version in (7, 11, 12, 13, 18):
        names = {"topic_id": topic_id} if version >= 13 else {}
        with wire.Connection(target.bootstrap) as connection:
            first = wire.fetch_request(topic, 0, 0, max_wait_ms=10, **names)
            first.session_epoch = 0
            opened = connection.ask(first, version)
            assert opened.error_code == wire.NONE and opened.session_id > 0, (version, opened)

            def follow_up(epoch):
                request = wire.fetch_request(topic, 0, 0, max_wait_ms=10, **names)
                request.topics = []
                request.session_id, request.session_epoch = opened.session_id, epoch
                return connection.ask(request, version)

            before = wire.list_offset(target.bootstrap, topic, 0, wire.LATEST).offset
            quiet = follow_up(1)
            changed = (
                [topic for topic in quiet.responses if topic.partitions] if before == 0 else []
            )
            assert quiet.error_code == wire.NONE and not changed, (version, quiet)
            wire.produce(target.bootstrap, topic, 0, records.batch([b"x"]))
            wire.produce(target.bootstrap, topic, 1, records.batch([b"not in the session"]))
            answer = follow_up(2)
            assert [len(one.partitions) for one in answer.responses] == [1], (version, answer)
            assert answer.responses[0].partitions[0].high_watermark == before + 1
            assert follow_up(7).error_code == wire.INVALID_FETCH_SESSION_EPOCH
            closing = wire.fetch_request(topic, 0, 0, max_wait_ms=10, **names)
            closing.topics, closing.session_id, closing.session_epoch = [], opened.session_id, -1
            assert connection.ask(closing, version).error_code == wire.NONE
            assert follow_up(3).error_code == wire.FETCH_SESSION_ID_NOT_FOUND


def case_delete_records(target):
    topic = target.topic("versions-delete-records")
    for version in range(3):
        wire.produce(target.bootstrap, topic, 0, records.batch([b"one", b"two"]))
        part = wire.delete_records(target.bootstrap, topic, 0, 2 * version + 1, version)
        assert (part.error_code, part.low_watermark) == (wire.NONE, 2 * version + 1), part
        start = wire.list_offset(target.bootstrap, topic, 0, wire.EARLIEST).offset
        assert start == 2 * version + 1, start
        part = wire.delete_records(target.bootstrap, topic, 0, 2 * version + 3, version)
        assert (part.error_code, part.low_watermark) == (wire.OFFSET_OUT_OF_RANGE, -1), part


def case_list_offsets(target):
    topic = target.topic("versions-offsets")
    wire.produce(target.bootstrap, topic, 0, records.batch([b"one", b"two"]))
    for version in range(1, 12):
        for timestamp, offset in ((wire.LATEST, 2), (wire.EARLIEST, 0)):
            part = wire.list_offset(target.bootstrap, topic, 0, timestamp, version=version)
            assert (part.error_code, part.offset, part.timestamp) == (wire.NONE, offset, -1), (
                version,
                part,
            )
            assert version < 4 or part.leader_epoch == 0
    for version in range(7, 12):
        assert (
            wire.list_offset(target.bootstrap, topic, 0, wire.MAX_TIMESTAMP, version=version).offset
            == 0
        )
    for version, timestamp in ((8, -4), (9, -5), (11, -6)):
        part = wire.list_offset(target.bootstrap, topic, 0, timestamp, version=version)
        assert (part.error_code, part.offset) == (wire.NONE, 0 if timestamp == -4 else -1), (
            timestamp,
            part,
        )
    for version, timestamp in ((6, -3), (7, -4), (8, -5), (9, -6)):
        part = wire.list_offset(target.bootstrap, topic, 0, timestamp, version=version)
        assert part.error_code == wire.UNSUPPORTED_VERSION, (version, timestamp, part)


def case_offset_for_leader_epoch(target):
    topic = target.topic("versions-epoch")
    wire.produce(target.bootstrap, topic, 0, records.batch([b"one", b"two"]))
    kind = wire.OffsetForLeaderEpochRequest.OffsetForLeaderTopic
    for version in range(2, 5):
        for current, asked, answer in (
            (-1, 0, (wire.NONE, 0, 2)),
            (0, 0, (wire.NONE, 0, 2)),
            (0, 5, (wire.NONE, -1, -1)),
            (4, 0, (wire.UNKNOWN_LEADER_EPOCH, -1, -1)),
        ):
            found = (
                wire.ask(
                    target.bootstrap,
                    wire.OffsetForLeaderEpochRequest(
                        replica_id=-1,
                        topics=[
                            kind(
                                topic=topic,
                                partitions=[
                                    kind.OffsetForLeaderPartition(
                                        partition=0,
                                        current_leader_epoch=current,
                                        leader_epoch=asked,
                                    )
                                ],
                            )
                        ],
                    ),
                    version,
                )
                .topics[0]
                .partitions[0]
            )
            assert (found.error_code, found.leader_epoch, found.end_offset) == answer, (
                version,
                current,
                asked,
                found,
            )


def case_metadata(target):
    topic = target.topic("versions-metadata", partitions=2)
    topic_id = wire.metadata(target.bootstrap, [topic]).topics[0].topic_id
    port = int(target.bootstrap.split(":")[1])
    for version in range(0, 14):
        answer = wire.metadata(target.bootstrap, [topic], version)
        assert [(one.host, one.port) for one in answer.brokers] == [("127.0.0.1", port)], version
        node = answer.brokers[0].node_id
        assert version < 1 or answer.controller_id == node
        assert version < 2 or len(answer.cluster_id) == 22
        found = answer.topics[0]
        assert (found.error_code, found.name) == (wire.NONE, topic)
        assert sorted(one.partition_index for one in found.partitions) == [0, 1]
        for one in found.partitions:
            assert (one.error_code, one.leader_id, one.replica_nodes, one.isr_nodes) == (
                wire.NONE,
                node,
                [node],
                [node],
            )
            assert version < 7 or one.leader_epoch == 0
        assert version < 10 or found.topic_id == topic_id
        everything = wire.metadata(target.bootstrap, [] if version == 0 else None, version)
        assert topic in {one.name for one in everything.topics}, version
        assert version == 0 or not wire.metadata(target.bootstrap, [], version).topics
        if version >= 4:
            absent = wire.metadata(target.bootstrap, ["versions-absent"], version).topics[0]
            assert absent.error_code == wire.UNKNOWN_TOPIC_OR_PARTITION
        if version >= 12:
            asked = wire.MetadataRequest.MetadataRequestTopic
            for wanted, error in ((topic_id, wire.NONE), (uuid.uuid4(), wire.UNKNOWN_TOPIC_ID)):
                by_id = wire.ask(
                    target.bootstrap,
                    wire.MetadataRequest(
                        topics=[asked(name=None, topic_id=wanted)],
                        allow_auto_topic_creation=False,
                        include_topic_authorized_operations=False,
                    ),
                    version,
                ).topics[0]
                assert by_id.error_code == error and by_id.name == (
                    topic if error == wire.NONE else None
                ), by_id


def case_metadata_makes_topics(target):
    for version in (0, 3, 4, 9, 13):
        name = target.name("versions-auto")
        for _ in range(100):
            found = wire.metadata(target.bootstrap, [name], version, create=True).topics[0]
            if found.error_code == wire.NONE:
                break
            assert found.error_code in (
                wire.UNKNOWN_TOPIC_OR_PARTITION,
                wire.LEADER_NOT_AVAILABLE,
            ), found
        assert len(found.partitions) == 1, (version, found)


def case_create_and_delete_topics(target):
    for version in range(2, 8):
        name = target.name("versions-create")
        tried = wire.create_topic(
            target.bootstrap,
            name,
            2,
            {"retention.ms": "1234567"},
            version,
            replication_factor=1,
            validate_only=True,
        )
        assert tried.error_code == wire.NONE
        made = wire.create_topic(
            target.bootstrap, name, 2, {"retention.ms": "1234567"}, version, replication_factor=1
        )
        assert made.error_code == wire.NONE, (version, made)
        if version >= 5:
            assert (made.num_partitions, made.replication_factor) == (2, 1)
            assert {one.name: one.value for one in made.configs}["retention.ms"] == "1234567"
        again = wire.create_topic(target.bootstrap, name, 2, None, version, replication_factor=1)
        assert again.error_code == wire.TOPIC_ALREADY_EXISTS
        assert again.error_message
    for version in range(1, 7):
        name = target.topic("versions-delete")
        topic_id = wire.metadata(target.bootstrap, [name]).topics[0].topic_id
        if version >= 6:
            state = wire.DeleteTopicsRequest.DeleteTopicState
            request = wire.DeleteTopicsRequest(
                topics=[state(name=None, topic_id=topic_id)], timeout_ms=10000
            )
        else:
            request = wire.DeleteTopicsRequest(topic_names=[name], timeout_ms=10000)
        gone = wire.ask(target.bootstrap, request, version).responses[0]
        assert (gone.error_code, gone.name) == (wire.NONE, name), (version, gone)
        again = wire.ask(target.bootstrap, request, version).responses[0]
        assert again.error_code == (
            wire.UNKNOWN_TOPIC_ID if version >= 6 else wire.UNKNOWN_TOPIC_OR_PARTITION
        )


def case_init_producer_id(target):
    given = [wire.init_producer_id(target.bootstrap, version) for version in range(0, 6)]
    assert len(set(given)) == 6


def case_find_coordinator(target):
    """The topic behind it may still be in the making; what matters is an answer in each version."""
    for version in range(0, 7):
        if version >= 4:
            answer = wire.ask(
                target.bootstrap,
                wire.FindCoordinatorRequest(key_type=0, coordinator_keys=["g"]),
                version,
            )
            code = answer.coordinators[0].error_code
        else:
            code = wire.ask(
                target.bootstrap, wire.FindCoordinatorRequest(key="g", key_type=0), version
            ).error_code
        assert code in CODES_OF_A_NEW_COORDINATOR, (version, code)


def case_describe_configs(target):
    topic = target.topic("versions-configs", retention_ms=1234567)
    resource = wire.DescribeConfigsRequest.DescribeConfigsResource
    for version in range(1, 5):
        answer = wire.ask(
            target.bootstrap,
            wire.DescribeConfigsRequest(
                resources=[
                    resource(resource_type=2, resource_name=topic, configuration_keys=None),
                    resource(
                        resource_type=2, resource_name=topic, configuration_keys=["retention.ms"]
                    ),
                    resource(
                        resource_type=2, resource_name="versions-absent", configuration_keys=None
                    ),
                ],
                include_synonyms=True,
                include_documentation=False,
            ),
            version,
        )
        whole, one, absent = answer.results
        assert (whole.error_code, one.error_code, absent.error_code) == (
            0,
            0,
            wire.UNKNOWN_TOPIC_OR_PARTITION,
        )
        values = {config.name: config.value for config in whole.configs}
        assert values["retention.ms"] == "1234567" and values["cleanup.policy"] == "delete"
        assert [(config.name, config.value, config.config_source) for config in one.configs] == [
            ("retention.ms", "1234567", 1)
        ]
        synonyms = [
            (synonym.name, synonym.value, synonym.source) for synonym in one.configs[0].synonyms
        ]
        assert synonyms == [
            ("retention.ms", "1234567", 1)
        ], synonyms  # Kafka lists no default behind it


def case_describe_cluster(target):
    port = int(target.bootstrap.split(":")[1])
    for version in range(0, 3):
        answer = wire.ask(
            target.bootstrap,
            wire.DescribeClusterRequest(
                include_cluster_authorized_operations=False,
                endpoint_type=1,
                include_fenced_brokers=False,
            ),
            version,
        )
        assert answer.error_code == wire.NONE and len(answer.cluster_id) == 22
        assert [(one.host, one.port) for one in answer.brokers] == [("127.0.0.1", port)]
        assert answer.controller_id == answer.brokers[0].broker_id


def case_describe_topic_partitions(target):
    topic = target.topic("versions-pages", partitions=3)
    kind = wire.DescribeTopicPartitionsRequest.TopicRequest
    answer = wire.ask(
        target.bootstrap,
        wire.DescribeTopicPartitionsRequest(
            topics=[kind(name=topic), kind(name="versions-absent")],
            response_partition_limit=2000,
            cursor=None,
        ),
        0,
    )
    found = {one.name: one for one in answer.topics}
    assert found["versions-absent"].error_code == wire.UNKNOWN_TOPIC_OR_PARTITION
    assert [one.partition_index for one in found[topic].partitions] == [0, 1, 2]
    for one in found[topic].partitions:
        assert (one.error_code, one.leader_epoch, one.isr_nodes) == (wire.NONE, 0, [one.leader_id])
        assert (
            not one.offline_replicas and not one.eligible_leader_replicas and not one.last_known_elr
        )
