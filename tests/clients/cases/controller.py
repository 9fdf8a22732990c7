"""A controller's own port, asked by a program that plays brokers: registration, heartbeats,
producer ids, topics, envelopes, the quorum, and the log itself.

Every step is a request; what is compared is its answer and the metadata records that it caused, in
all versions and with bad inputs. What Apache Kafka 4.3.1 answers is recorded beside this file
(controller_answers.json); both targets must give the same. A new step is recorded with
OTTLA_RECORD=1 and --target kafka. An entry that names a "difference" has ours beside it, recorded
with --target ottla; docs/differences.md says why."""

import base64
import itertools
import json
import os
import pathlib
import re
import time

from harness.server import PROJECT
from harness.talk import Talk

ANSWERS = pathlib.Path(__file__).with_name("controller_answers.json")
# Of brokers whose sessions shall not end in the middle of a script, however slow the disk is; and
# of those whose end a script waits for.
LONG_SESSION_SECONDS, SHORT_SESSION_SECONDS = 3600, 9
WAIT_SECONDS_MAX = 60
FETCH, API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS = 1, 18, 19, 20
ALTER_CONFIGS, CREATE_PARTITIONS, INCREMENTAL_ALTER_CONFIGS = 33, 37, 44
DESCRIBE_QUORUM, ENVELOPE, FETCH_SNAPSHOT = 55, 58, 59
REGISTRATION, HEARTBEAT, ALLOCATE = 62, 63, 67
SERVED = (
    FETCH,
    API_VERSIONS,
    CREATE_TOPICS,
    DELETE_TOPICS,
    ALTER_CONFIGS,
    CREATE_PARTITIONS,
    INCREMENTAL_ALTER_CONFIGS,
    DESCRIBE_QUORUM,
    ENVELOPE,
    FETCH_SNAPSHOT,
    REGISTRATION,
    HEARTBEAT,
    ALLOCATE,
)
METADATA_ID = "AAAAAAAAAAAAAAAAAAAAAQ"
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"


def uuid(high, low):
    data = high.to_bytes(8, "big", signed=True) + low.to_bytes(8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# --- what a run says, without what differs from run to run

NUMBERED = {  # key of a field -> the word for its values: equal values have equal names
    "brokerEpoch": "epoch",
    "BrokerEpoch": "epoch",
    "topicId": "topic",
    "incarnationId": "incarnation",
    "directories": "directory",
    "logDirs": "directory",
}
OFFSETS = ("highWatermark", "logEndOffset", "logStartOffset", "finalizedFeaturesEpoch", "endOffset")
TIMES = ("lastFetchTimestamp", "lastCaughtUpTimestamp")


class Names:
    def __init__(self):
        self.known = {}

    def name(self, word, value):
        if value in (-1, NO_ID, METADATA_ID):
            return value
        of_word = self.known.setdefault(word, {})
        return of_word.setdefault(value, f"{word} {len(of_word) + 1}")

    def plain(self, value, key=None):
        if isinstance(value, dict):
            return {k: self.plain(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.plain(item, key) for item in value]
        if key in NUMBERED and value is not None:
            return self.name(NUMBERED[key], value)
        if key in OFFSETS and value >= 0:
            return "offset"
        if key in TIMES and value >= 0:
            return "time"
        if key == "errorMessage" and value:
            return re.sub(r"only \d+ broker", "only N broker", value)
        if key in ("producerIdStart", "nextProducerId"):
            self.known.setdefault("first id", value)
            return value - self.known["first id"]
        return value


ANY_ORDER = ("PartitionChangeRecord", "ConfigRecord")  # Kafka takes them from hash tables


def in_order(records):
    """Neighbours of a kind whose order means nothing are sorted, and so are sets of replicas."""
    for one in records:
        for field in ("eligibleLeaderReplicas", "lastKnownElr"):
            if one.get(field):
                one[field].sort()
    result = []
    for kind, run in itertools.groupby(records, key=lambda one: one["type"]):
        run = list(run)
        result += sorted(run, key=json.dumps) if kind in ANY_ORDER else run
    return result


class Script:
    """Steps against one controller; what they brought, by the name of the case."""

    def __init__(self, target, session_seconds):
        self.kind = target.kind
        self.server = start(target, session_seconds)
        self.talk = Talk(f"127.0.0.1:{self.server.port + 1000}")
        self.names = Names()
        self.cluster = cluster_id(self.server)
        self.epochs = {}
        self.steps = []
        self.talk.news()

    def close(self):
        self.talk.close()
        self.server.stop()

    def step(self, name, key, version, body, shown=None):
        answer = self.talk.ask(key, version, body)
        if shown:
            answer = shown(answer)
        self.note(f"{name} v{version}", answer)
        return answer

    def news(self):
        return [
            {"type": one["type"], "version": one["version"], **one["data"]}
            for one in self.talk.news()
            if one["type"] != "NoOpRecord"
        ]

    def note(self, name, answer, records=None):
        records = self.news() if records is None else records
        entry = {"step": name, "answer": self.names.plain(answer)}
        if records:
            entry["records"] = in_order(self.names.plain(records))
        self.steps.append(entry)

    # --- brokers

    def registration(self, broker, incarnation=1, **changes):
        return {
            "brokerId": broker,
            "clusterId": self.cluster,
            "incarnationId": uuid(max(broker, 0), incarnation),
            "listeners": [
                {"name": "PLAINTEXT", "host": "nowhere", "port": 9, "securityProtocol": 0}
            ],
            "features": features(),
            "rack": None,
            "isMigratingZkBroker": False,
            "logDirs": [uuid(1000, max(broker, 0))],
            "previousBrokerEpoch": -1,
            "cordonedLogDirs": None,
            **changes,
        }

    def register(self, name, broker, incarnation=1, version=4, **changes):
        body = self.registration(broker, incarnation, **changes)
        since_version = {"isMigratingZkBroker": 1, "logDirs": 2, "previousBrokerEpoch": 3}
        for field, since in since_version.items():
            if version < since:
                body.pop(field)
        body.pop("cordonedLogDirs")
        answer = self.step(name, REGISTRATION, version, body)
        if isinstance(answer, dict) and answer["errorCode"] == 0:
            self.epochs[broker] = answer["brokerEpoch"]
        return answer

    def beat(self, name, broker, version=2, until=None, **changes):
        """One heartbeat; with `until`, again until that field of the answer is true, and only the last is noted."""
        body = {
            "brokerId": broker,
            "brokerEpoch": self.epochs.get(broker, 0),
            "currentMetadataOffset": 1 << 40,
            "wantFence": False,
            "wantShutDown": False,
            **changes,
        }
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while until and time.monotonic() < deadline:
            answer = self.talk.ask(HEARTBEAT, version, body)
            if answer[until]:
                self.note(f"{name} v{version}", answer)
                return answer
            time.sleep(0.1)
        return self.step(name, HEARTBEAT, version, body)

    def join(self, broker, **changes):
        self.register(f"{broker} registers", broker, **changes)
        self.beat(f"{broker} is unfenced", broker)

    def let_sessions_end(self, name, *brokers):
        """Until the controller has fenced all of them; whose session ends first means nothing."""
        ended, news = {}, []
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not ended.keys() >= set(brokers) and time.monotonic() < deadline:
            time.sleep(0.1)
            for one in self.news():
                news.append(one)
                if one["type"] == "BrokerRegistrationChangeRecord" and one["fenced"] == 1:
                    ended[one["brokerId"]], news = news, []
        self.note(name, None, [one for broker in sorted(ended) for one in ended[broker]] + news)


def features(**changes):
    ranges = {
        "metadata.version": (25, 30),
        "kraft.version": (0, 1),
        "transaction.version": (0, 2),
        "group.version": (0, 1),
        "eligible.leader.replicas.version": (0, 1),
        "share.version": (0, 1),
        "streams.version": (0, 1),
    }
    for name, found in changes.items():
        ranges[name.replace("_", ".")] = found
    return [
        {"name": name, "minSupportedVersion": found[0], "maxSupportedVersion": found[1]}
        for name, found in ranges.items()
        if found
    ]


def start(target, session_seconds):
    server = target.new_server(settings=[f"broker.session.timeout.ms={session_seconds * 1000}"])
    if target.kind == "ottla":
        # later settings win
        server.settings.append(
            f"listeners=PLAINTEXT://127.0.0.1:{server.port},"
            f"CONTROLLER://127.0.0.1:{server.port + 1000}"
        )
        server.settings.append("controller.listener.names=CONTROLLER")
    server.start()
    return server


def cluster_id(server):
    text = (pathlib.Path(server.log_dir) / "meta.properties").read_text()
    return next(line[11:] for line in text.splitlines() if line.startswith("cluster.id="))


# --- the steps, by case


def script_api_versions(s):
    def shown(answer):
        ranges = {
            str(one["apiKey"]): [one["minVersion"], one["maxVersion"]]
            for one in answer["apiKeys"]
            if one["apiKey"] in SERVED
        }
        levels = {
            one["name"]: one["maxVersionLevel"] for one in answer.get("finalizedFeatures", [])
        }
        return {"errorCode": answer["errorCode"], "ranges": ranges, "levels": levels}

    for version in range(5):
        body = {"clientSoftwareName": "talk", "clientSoftwareVersion": "1"} if version > 2 else {}
        s.step("ApiVersions", API_VERSIONS, version, body, shown)


def script_registration(s):
    for version in range(5):
        s.register("registers", 101, incarnation=1, version=version)
    s.register("of another cluster", 102, clusterId="another")
    s.register("of no cluster", 102, clusterId="")
    s.register("migrating", 102, isMigratingZkBroker=True)
    s.register("without metadata.version", 102, features=features(metadata_version=None))
    s.register("metadata.version too low", 102, features=features(metadata_version=(7, 29)))
    s.register("metadata.version too high", 102, features=features(metadata_version=(31, 40)))
    s.register("without kraft.version", 102, features=features(kraft_version=None))
    s.register("kraft.version too low", 102, features=features(kraft_version=(0, 0)))
    s.register("without group.version", 102, features=features(group_version=None))
    s.register("a range upside down", 102, features=features(share_version=(1, 0)))
    s.register("without features", 102, features=[])
    s.register("without log dirs", 102, logDirs=[])
    s.register("a log dir twice", 102, logDirs=[uuid(5, 5), uuid(5, 5)])
    s.register("a reserved log dir", 102, logDirs=[uuid(0, 99)])
    s.register("a log dir of no id", 102, logDirs=[NO_ID])
    s.register("another's log dir", 102, logDirs=[uuid(1000, 101)])
    s.register("a negative id", -5, logDirs=[uuid(8, 8)], incarnationId=uuid(8, 9))
    s.register("without listeners", 103, listeners=[])
    s.register(
        "a listener twice",
        105,
        listeners=[
            {"name": "X", "host": "h", "port": 1, "securityProtocol": 0},
            {"name": "X", "host": "h", "port": 2, "securityProtocol": 0},
        ],
    )
    s.register("unknown features too", 106, features=features(ottla_version=(1, 2)))
    s.register("several log dirs and a rack", 107, logDirs=[uuid(7, 1), uuid(7, 2)], rack="east")
    s.register("the same process again", 107, logDirs=[uuid(7, 1), uuid(7, 2)], rack="west")
    s.register("another process, no session yet", 107, incarnation=2, logDirs=[uuid(7, 1)])
    s.beat("a session begins", 107)
    s.register("another process, a session", 107, incarnation=3, logDirs=[uuid(7, 1)])
    s.register("the same process, a session", 107, incarnation=2, logDirs=[uuid(7, 3)])
    s.beat("it has seen it all", 107)  # or it would hold up the shutdown of others


def script_heartbeat(s):
    s.beat("unknown", 201, brokerEpoch=5)
    for version in range(3):
        s.register("registers", 201)
        s.beat("not caught up", 201, version, currentMetadataOffset=0)
        s.beat("offset -1", 201, version, currentMetadataOffset=-1)
        s.beat("wants to stay fenced", 201, version, wantFence=True)
        s.beat("an old epoch", 201, version, brokerEpoch=s.epochs[201] - 1)
        s.beat("a coming epoch", 201, version, brokerEpoch=s.epochs[201] + 1)
        s.beat("unfence", 201, version)
        s.beat("again", 201, version)
        s.beat("fence", 201, version, wantFence=True)
        s.beat("shut down, fenced", 201, version, wantShutDown=True)
        s.beat("unfence again", 201, version)
        s.beat("shut down, leads nothing", 201, version, wantShutDown=True)
        s.beat("after the shutdown", 201, version, wantFence=True)
        s.beat("and back", 201, version)
        s.beat("fence and shut down", 201, version, wantFence=True, wantShutDown=True)


def script_producer_ids(s):
    def allocate(name, **changes):
        body = {"brokerId": 301, "brokerEpoch": s.epochs.get(301, 0), **changes}
        s.step(name, ALLOCATE, 0, body)

    allocate("unknown broker")
    s.register("registers", 301)
    allocate("fenced")
    s.beat("unfence", 301)
    allocate("unfenced")
    allocate("again")
    allocate("an old epoch", brokerEpoch=s.epochs[301] - 1)
    allocate("a negative id", brokerId=-1)


def topic(name, partitions=1, replicas=1, assignments=(), configs=()):
    return {
        "name": name,
        "numPartitions": partitions,
        "replicationFactor": replicas,
        "assignments": [
            {"partitionIndex": i, "brokerIds": brokers} for i, brokers in enumerate(assignments)
        ],
        "configs": [{"name": key, "value": value} for key, value in configs],
    }


def kafkas_own(configs):
    return [one for one in configs if not one["name"].startswith("ottla.")]


def create(s, name, *topics, version=7, **changes):
    def shown(answer):
        if isinstance(answer, dict):
            for one in answer["topics"]:
                if one.get("configs"):
                    one["configs"] = len(kafkas_own(one["configs"]))
            answer["topics"].sort(key=lambda one: one["name"])
        return answer

    body = {"topics": list(topics), "timeoutMs": 5000, "validateOnly": False, **changes}
    return s.step(name, CREATE_TOPICS, version, body, shown)


def placed(name, *assignments, configs=()):
    return topic(name, -1, -1, assignments, configs)


def delete(s, name, *topics, version=6):
    def shown(answer):
        if isinstance(answer, dict):
            answer["responses"].sort(key=lambda one: (one["name"] or "", one.get("topicId", "")))
        return answer

    if version >= 6:
        named = [
            {"name": one, "topicId": NO_ID} if isinstance(one, str) else one for one in topics
        ]
        body = {"topics": named, "timeoutMs": 5000}
    else:
        body = {"topicNames": list(topics), "timeoutMs": 5000}
    return s.step(name, DELETE_TOPICS, version, body, shown)


def script_topics(s):
    s.join(401)
    s.join(402)
    s.register("403 stays fenced", 403)
    for version in range(2, 8):
        create(s, "placed", placed(f"v{version}", [401]), version=version)
    for version in range(2, 8):
        create(s, "validate only", placed("not-made", [401]), version=version, validateOnly=True)
    create(s, "nothing")
    create(s, "there already", placed("v7", [401]))
    create(s, "named twice", placed("twice", [401]), placed("twice", [402]), placed("one", [401]))
    for number, name in enumerate(["", ".", "..", "a/b", "x" * 250, "ä", "__cluster_metadata"]):
        create(s, f"bad name {number}", placed(name, [401]))
    create(s, "two partitions of two", placed("p", [401, 402], [402, 401]))
    create(s, "one of them fenced", placed("q", [401, 403]))
    create(s, "all of them fenced", placed("r", [403]))
    create(s, "an unknown broker", placed("r", [999]))
    create(s, "the same broker twice", placed("r", [401, 401]))
    create(s, "no brokers", placed("r", []))
    create(s, "uneven", placed("r", [401, 402], [401]))
    create(s, "placed and counted", topic("r", 3, -1, [[401]]), topic("t", -1, 2, [[401]]))
    create(s, "no partitions", topic("r", 0, 1))
    create(s, "negative partitions", topic("r", -2, 1))
    create(s, "no replicas", topic("r", 1, 0))
    create(s, "negative replicas", topic("r", 1, -2))
    create(s, "more replicas than brokers", topic("r", 1, 100))
    create(s, "too many partitions", topic("r", 10001, 1))
    create(s, "an unknown config", placed("r", [401], configs=[("no.such", "1")]))
    create(s, "a config without value", placed("r", [401], configs=[("retention.ms", None)]))
    create(s, "a config of a wrong value", placed("r", [401], configs=[("retention.ms", "x")]))
    create(
        s,
        "configs",
        placed("c", [401], configs=[("retention.ms", "7"), ("cleanup.policy", "compact")]),
    )
    create(
        s,
        "min.insync.replicas",
        placed("m", [401, 402], configs=[("min.insync.replicas", "2")]),
    )
    for version in range(1, 7):
        delete(s, "unknown and known", f"v{version + 1}", "unknown", version=version)
    delete(s, "nothing")
    delete(s, "named twice", "p", "p")
    delete(s, "by an unknown id", {"name": None, "topicId": uuid(6, 6)})
    delete(s, "by no id", {"name": None, "topicId": NO_ID})
    delete(s, "by both", {"name": "p", "topicId": uuid(6, 6)})
    made = create(s, "with an id", placed("i", [401]))["topics"][0]["topicId"]
    delete(s, "by name and again by id", "i", {"name": None, "topicId": made})
    delete(s, "by id twice", {"name": None, "topicId": made}, {"name": None, "topicId": made})
    delete(s, "by id", {"name": None, "topicId": made})
    delete(s, "by id, gone", {"name": None, "topicId": made})
    delete(s, "the metadata topic", "__cluster_metadata")
    create(s, "a dot", placed("a.b", [401]))
    create(s, "collides", placed("a_b", [401]))
    create(s, "collide in one request", placed("c.d", [401]), placed("c_d", [401]))


def script_configs(s):
    """What clients may ask by way of a broker; of brokers Kafka's controller checks little itself."""
    s.join(411)
    create(s, "a topic", placed("configured", [411], configs=[("retention.ms", "7")]))

    def ask(name, key, version, resources, validate_only):
        def shown(answer):
            if isinstance(answer, dict):
                for one in answer["responses"]:
                    one["errorMessage"] = "a sentence" if one["errorMessage"] else None
                answer["responses"].sort(key=lambda one: (one["resourceName"], one["errorCode"]))
            return answer

        s.step(name, key, version, {"resources": resources, "validateOnly": validate_only}, shown)

    def incremental(name, *resources, version=1, validate_only=False):
        wanted = [
            {
                "resourceType": of,
                "resourceName": resource,
                "configs": [
                    {"name": config, "configOperation": operation, "value": value}
                    for config, operation, value in configs
                ],
            }
            for of, resource, configs in resources
        ]
        ask(name, INCREMENTAL_ALTER_CONFIGS, version, wanted, validate_only)

    def alter(name, of, resource, configs, version=2, validate_only=False):
        configs = [{"name": config, "value": value} for config, value in configs]
        wanted = [{"resourceType": of, "resourceName": resource, "configs": configs}]
        ask(name, ALTER_CONFIGS, version, wanted, validate_only)

    topic_type, broker_type, group_type = 2, 4, 32
    put, remove, append, subtract = 0, 1, 2, 3

    def one(name, *changes, **options):
        incremental(name, (topic_type, "configured", changes), **options)

    for version in (0, 1):
        one("sets two", ("retention.ms", put, str(8 + version)), ("segment.ms", put, "9"),
            version=version)
        one("sets what is so", ("segment.ms", put, "9"), version=version)
        one("appends", ("cleanup.policy", append, "compact"), version=version)
        one("takes away", ("cleanup.policy", subtract, "delete"), version=version)
        one("takes away the rest", ("cleanup.policy", subtract, "compact"), version=version)
        one("removes", ("cleanup.policy", remove, None), ("segment.ms", remove, None),
            version=version)
        one("only validates", ("segment.ms", put, "10"), version=version, validate_only=True)
    one("removes what is not set", ("segment.ms", remove, None), ("no.such", remove, None))
    one("changes nothing")
    one("a wrong value beside a right one", ("segment.ms", put, "11"), ("retention.ms", put, "x"))
    one("an unknown config", ("no.such", put, "1"))
    one("appends to a number", ("retention.ms", append, "1"))
    one("lags in conflict", ("min.compaction.lag.ms", put, "9"), ("max.compaction.lag.ms", put, "8"))
    one("the least ISR", ("min.insync.replicas", put, "2"))
    one("the same least ISR", ("min.insync.replicas", put, "2"))
    one("no least ISR of its own", ("min.insync.replicas", remove, None))
    retention = [("retention.ms", put, "12")]
    incremental("unknown", (topic_type, "nowhere", retention))
    incremental("no name", (topic_type, "", retention))
    incremental("no legal name", (topic_type, "a/b", retention))
    incremental("one of two", (topic_type, "nowhere", retention),
                (topic_type, "configured", retention))
    incremental("nothing")
    for broker in ("", "411"):
        incremental("of a broker", (broker_type, broker, [("log.retention.ms", put, "5")]))
        incremental("of a broker, removed", (broker_type, broker,
                                             [("log.retention.ms", remove, None)]))
    incremental("of a broker that is not there", (broker_type, "999",
                                                  [("log.retention.ms", put, "5")]))
    incremental("of a broker of no number", (broker_type, "x", [("log.retention.ms", put, "5")]))
    incremental("of a negative broker", (broker_type, "-1", [("log.retention.ms", put, "5")]))
    incremental("the cluster's least ISR", (broker_type, "", [("min.insync.replicas", put, "2")]))
    incremental("and back", (broker_type, "", [("min.insync.replicas", put, "1")]))
    incremental("without the cluster's least ISR",
                (broker_type, "", [("min.insync.replicas", remove, None)]))
    incremental("a broker's least ISR", (broker_type, "411", [("min.insync.replicas", put, "2")]))
    timeout = "consumer.session.timeout.ms"
    incremental("of a group", (group_type, "g", [(timeout, put, "50000")]))
    incremental("of a group, too short", (group_type, "g", [(timeout, put, "1")]))
    incremental("of a group, unknown", (group_type, "g", [("no.such", put, "1")]))
    incremental("of no group", (group_type, "", [(timeout, put, "50000")]))
    for version in (0, 1, 2):
        alter("all of it", topic_type, "configured",
              [("retention.ms", str(20 + version)), ("segment.ms", "21")], version)
        alter("less of it", topic_type, "configured", [("segment.ms", "21")], version)
        alter("only validated", topic_type, "configured", [], version, validate_only=True)
        alter("nothing of it", topic_type, "configured", [], version)
    alter("of a group, nothing", group_type, "g", [])
    alter("of a topic that is not there", topic_type, "nowhere", [])
    alter("a wrong value", topic_type, "configured", [("segment.ms", "x")])
    alter("of all brokers, nothing", broker_type, "", [])


def script_partitions(s):
    s.join(421)
    s.join(422)
    s.register("423 stays fenced", 423)
    create(s, "two topics", placed("grown", [421, 422]), placed("single", [421]))

    def grow(name, *topics, version=3, **changes):
        wanted = [
            {
                "name": topic_name,
                "count": count,
                "assignments": [{"brokerIds": one} for one in brokers],
            }
            for topic_name, count, brokers in topics
        ]

        def shown(answer):
            if isinstance(answer, dict):
                answer["results"].sort(key=lambda one: one["name"])
            return answer

        body = {"topics": wanted, "timeoutMs": 5000, "validateOnly": False, **changes}
        s.step(name, CREATE_PARTITIONS, version, body, shown)

    for version in range(4):
        count = 2 + 2 * version
        grow("one more", ("grown", count, [[422, 421]]), version=version)
        grow("with a fenced one", ("grown", count + 1, [[423, 421]]), version=version)
        grow("only validated", ("grown", count + 2, [[421, 422]]), version=version,
             validateOnly=True)
    grow("two at once", ("single", 3, [[422], [421]]))
    grow("as many", ("single", 3, [[421]]))
    grow("fewer", ("single", 2, [[421]]))
    grow("none", ("single", 0, [[421]]))
    grow("more assignments", ("single", 4, [[421], [422]]))
    grow("fewer assignments", ("single", 6, [[421], [422]]))
    grow("more replicas than the others", ("single", 4, [[421, 422]]))
    grow("no replicas", ("single", 4, [[]]))
    grow("a broker twice", ("grown", 20, [[421, 421]]))
    grow("an unknown broker", ("single", 4, [[999]]))
    grow("a fenced broker alone", ("single", 4, [[423]]))
    grow("unknown", ("nowhere", 4, [[421]]))
    grow("no name", ("", 4, [[421]]))
    grow("one of two", ("nowhere", 4, [[421]]), ("single", 4, [[421]]))
    grow("named twice", ("single", 5, [[421]]), ("single", 5, [[421]]))
    grow("nothing")


def script_leaders(s):
    """Who leads, who is in sync, and who is eligible, as brokers come and go (KIP-966)."""
    for broker in (501, 502, 503):
        s.join(broker)
    create(
        s,
        "three replicas, two in sync at least",
        placed("three", [501, 502, 503], configs=[("min.insync.replicas", "2")]),
    )
    create(s, "one replica", placed("one-of-501", [501]))
    s.beat("503 is fenced", 503, wantFence=True)
    s.beat("502 is fenced", 502, wantFence=True)
    s.beat("501 is fenced", 501, wantFence=True)
    s.beat("502 is back", 502)
    s.beat("503 is back", 503)
    s.beat("501 is back", 501)
    s.beat("502 is fenced again", 502, wantFence=True)
    s.beat("501 is fenced again", 501, wantFence=True)
    s.beat("501 is back again", 501)
    s.beat("502 is back again", 502)
    for broker in (501, 502, 503):
        s.beat(f"{broker} is alive", broker)


def script_shutdown(s):
    for broker in (511, 512):
        s.join(broker)
    create(s, "led by 511", placed("led", [511, 512]))
    create(s, "alone on 511", placed("alone", [511]))
    s.beat("511 wants to go, 512 lags", 511, wantShutDown=True)
    s.beat("512 lags", 512, currentMetadataOffset=s.epochs[512])
    s.beat("511 asks again", 511, wantShutDown=True)
    s.beat("512 has seen it", 512)
    # and so has the node's own broker, with one of its next heartbeats
    s.beat("511 asks once more", 511, until="shouldShutDown", wantShutDown=True)


def script_incarnations(s):
    """A broker that comes back as a new process: after a clean end, and after another one."""
    s.join(521)
    s.join(522)
    epoch = s.epochs[521]
    create(s, "one replica", placed("single", [521]))
    create(
        s,
        "two replicas, both in sync at least",
        placed("double", [521, 522], configs=[("min.insync.replicas", "2")]),
    )
    s.beat("522 is fenced", 522, wantFence=True)
    # 522 is fenced already; Kafka fences it again (docs/differences.md)
    ending = (521, 522) if s.kind == "kafka" else (521,)
    s.let_sessions_end("the sessions of 521 and 522 end", *ending)
    s.register("521 comes back clean", 521, incarnation=2, previousBrokerEpoch=epoch)
    s.beat("and is unfenced", 521)
    s.let_sessions_end("the session of 521 ends", 521)
    s.register("521 comes back unclean", 521, incarnation=3)
    s.beat("and is unfenced again", 521)
    s.register("522 comes back unclean", 522, incarnation=2)
    s.beat("and so is 522", 522)


def script_quorum(s):
    def ask(name, version, *topics):
        def shown(answer):
            if isinstance(answer, dict):
                for one in answer["topics"]:
                    for part in one["partitions"]:
                        for state in part["currentVoters"] + part["observers"]:
                            state.pop("replicaDirectoryId", None)
                        part["observers"] = []
                for node in answer.get("nodes", []):
                    for listener in node["listeners"]:
                        listener["port"] = "port"
            return answer

        s.step(name, DESCRIBE_QUORUM, version, {"topics": list(topics)}, shown)

    def metadata(*partitions):
        return {
            "topicName": "__cluster_metadata",
            "partitions": [{"partitionIndex": one} for one in partitions],
        }

    for version in range(3):
        ask("the quorum", version, metadata(0))
        ask("another partition", version, metadata(1))
        ask("two partitions", version, metadata(0, 1))
        ask("another topic", version, {**metadata(0), "topicName": "other"})
        ask("two topics", version, metadata(0), {**metadata(0), "topicName": "other"})
        ask("nothing", version)


def script_fetch(s):
    epoch = s.talk.command(records=0)["epoch"]

    def ask(name, version=17, partition=(), **changes):
        def shown(answer):
            if isinstance(answer, dict):
                for one in answer["responses"]:
                    for part in one["partitions"]:
                        part["records"] = "some" if part.pop("recordsSizeInBytes") else "none"
                for node in answer.get("nodeEndpoints", []):
                    node["port"] = "port"
            return answer

        wanted = {
            "partition": 0,
            "currentLeaderEpoch": epoch,
            "fetchOffset": 0,
            "lastFetchedEpoch": 0,
            "logStartOffset": -1,
            "partitionMaxBytes": 0,
            "replicaDirectoryId": uuid(9, 9),
            **dict(partition),
        }
        body = {
            "clusterId": s.cluster,
            "replicaState": {"replicaId": 900, "replicaEpoch": -1},
            "maxWaitMs": 0,
            "minBytes": 0,
            "maxBytes": 1 << 20,
            "topics": [{"topicId": METADATA_ID, "partitions": [wanted]}],
            **changes,
        }
        s.step(name, FETCH, version, body, shown)

    for version in (17, 18):
        ask("from the start", version)
        ask("of another cluster", version, clusterId="another")
        ask("of an unsaid cluster", version, clusterId=None)
        ask("an old epoch", version, partition={"currentLeaderEpoch": epoch - 1})
        ask("a coming epoch", version, partition={"currentLeaderEpoch": epoch + 1})
        ask("a negative epoch", version, partition={"currentLeaderEpoch": -1})
        ask("behind the end", version, partition={"fetchOffset": 1 << 40})
        ask(
            "behind the end, of this epoch",
            version,
            partition={"fetchOffset": 1 << 40, "lastFetchedEpoch": epoch},
        )
        ask("a negative offset", version, partition={"fetchOffset": -1})
        ask("a negative fetched epoch", version, partition={"lastFetchedEpoch": -1})
        ask("a coming fetched epoch", version, partition={"lastFetchedEpoch": epoch + 1})
        ask("another partition", version, partition={"partition": 1})
        ask("another topic", version, topics=[{"topicId": uuid(6, 6), "partitions": []}])
        ask("no topic", version, topics=[])
        ask("a negative wait", version, maxWaitMs=-1)
        ask("a session", version, sessionId=5, sessionEpoch=3)


def script_snapshot(s):
    epoch = s.talk.command(records=0)["epoch"]

    def ask(name, version, partition=(), topic_name="__cluster_metadata", **changes):
        wanted = {
            "partition": 0,
            "currentLeaderEpoch": epoch,
            "snapshotId": {"endOffset": 1, "epoch": epoch},
            "position": 0,
            **dict(partition),
        }
        body = {
            "clusterId": s.cluster,
            "replicaId": 900,
            "maxBytes": 1000,
            "topics": [{"name": topic_name, "partitions": [wanted]}],
            **changes,
        }
        s.step(name, FETCH_SNAPSHOT, version, body)

    for version in (0, 1):
        ask("unknown", version)
        ask("of another cluster", version, clusterId="another")
        ask("an old epoch", version, partition={"currentLeaderEpoch": epoch - 1})
        ask("a coming epoch", version, partition={"currentLeaderEpoch": epoch + 1})
        ask("another partition", version, partition={"partition": 1})
        ask("another topic", version, topic_name="other")
        ask("a negative position", version, partition={"position": -1})


def script_envelope(s):
    s.join(601)
    principal = b"\0\0" + b"\x05User\x0aANONYMOUS\x00\x00"  # version 0: type, name, no token

    def wrap(name, frame, inner=None, principal=principal, address=b"\x7f\0\0\1"):
        body = {
            "requestData": base64.b64encode(frame).decode(),
            "requestPrincipal": None if principal is None else base64.b64encode(principal).decode(),
            "clientHostAddress": base64.b64encode(address).decode(),
        }

        def shown(answer):
            if isinstance(answer, dict) and inner and answer.get("responseData"):
                data = base64.b64decode(answer["responseData"])
                answer["responseData"] = s.talk.decode(*inner, data)
                for one in answer["responseData"].get("topics", []):
                    one["configs"] = len(kafkas_own(one.get("configs") or []))
            return answer

        s.step(name, ENVELOPE, 0, body, shown)

    def made(name, version=7):
        request = {"topics": [placed(name, [601])], "timeoutMs": 5000, "validateOnly": False}
        return s.talk.encode(CREATE_TOPICS, version, request)

    for version in (2, 4, 5, 7):
        wrap("creates a topic", made(f"e{version}", version), (CREATE_TOPICS, version))
    removal = {"topics": [{"name": "e7", "topicId": NO_ID}], "timeoutMs": 5000}
    wrap("deletes it", s.talk.encode(DELETE_TOPICS, 6, removal), (DELETE_TOPICS, 6))
    wrap("an IPv6 address", made("six"), (CREATE_TOPICS, 7), address=bytes(15) + b"\1")
    wrap("an address of 3 bytes", made("three"), (CREATE_TOPICS, 7), address=b"\1\2\3")
    wrap("no address", made("none"), (CREATE_TOPICS, 7), address=b"")
    wrap("no principal", made("nobody"), (CREATE_TOPICS, 7), principal=None)
    wrap("a garbled principal", made("garbled"), (CREATE_TOPICS, 7), principal=b"\0\0\x7fxyz")
    wrap("an unknown principal version", made("new"), (CREATE_TOPICS, 7), principal=b"\0\7" + b"x")
    registration = s.registration(602)
    registration.pop("cordonedLogDirs")
    wrap("what is not for clients", s.talk.encode(REGISTRATION, 4, registration))
    wrap("what no controller does", s.talk.encode(3, 12, {"topics": None}))
    wrap("no bytes", b"")
    wrap("three bytes", b"\1\2\3")
    wrap("an unknown key", bytes([0x7F, 0, 0, 0]) + made("unknown")[4:])
    wrap("an unknown version", bytes([0, CREATE_TOPICS, 0, 99]) + made("unknown")[4:])
    wrap("a cut request", made("cut")[:-4])
    wrap("a request with a rest", made("rest") + b"rest", (CREATE_TOPICS, 7))


def script_frames(s):
    """What is no request, and what no controller serves."""

    def send(name, data):
        answer = s.talk.send_frame(data)
        s.note(name, "closed" if answer == "closed" else "answered")

    header = b"\0\0\0\7\0\1x"
    send("Produce", bytes([0, 0, 0, 9]) + header + b"\0")
    send("registration of version 99", bytes([0, REGISTRATION, 0, 99]) + header + b"\0")
    send("heartbeat cut short", bytes([0, HEARTBEAT, 0, 0]) + header + b"\0\1")
    send("an unknown key", b"\x7f\0\0\0" + header)
    send("three bytes", b"\0\0\0")


SCRIPTS = [
    script_api_versions,
    script_registration,
    script_heartbeat,
    script_producer_ids,
    script_topics,
    script_configs,
    script_partitions,
    script_leaders,
    script_quorum,
    script_fetch,
    script_snapshot,
    script_envelope,
    script_frames,
]
ALONE = [script_shutdown]  # on a node of its own: what other brokers have seen matters
SHORT_SESSIONS = [script_incarnations]


def run(target, group, report):
    recorded = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else {}
    for scripts, session_seconds in (
        (SHORT_SESSIONS, SHORT_SESSION_SECONDS),
        (SCRIPTS, LONG_SESSION_SECONDS),
        (ALONE, LONG_SESSION_SECONDS),
    ):
        named = [(one.__name__.removeprefix("script_"), one) for one in scripts]
        named = [(name, one) for name, one in named if report.wants_case(group, name)]
        if named:
            run_scripts(target, group, report, named, recorded, session_seconds)
    if os.environ.get("OTTLA_RECORD"):
        text = json.dumps(recorded, indent=1, ensure_ascii=False)
        ANSWERS.write_text(text + "\n")


def run_scripts(target, group, report, named, recorded, session_seconds):
    script = Script(target, session_seconds)
    try:
        for name, steps in named:
            report.run_one(
                group, name, lambda name=name, steps=steps: check(script, steps, name, recorded)
            )
    finally:
        script.close()


def check(script, steps, name, recorded):
    script.steps = []
    script.names = Names()
    script.talk.news()
    steps(script)
    before = recorded.get(name, [])
    if os.environ.get("OTTLA_RECORD"):
        recorded[name] = record(script.kind, before, script.steps)
        return
    assert [one["step"] for one in before] == [
        one["step"] for one in script.steps
    ], "other steps than recorded"
    faults = []
    for wanted, found in zip(before, script.steps):
        wanted = wanted_of(script.kind, wanted)
        if wanted != found:
            faults.append(
                f"{found['step']}\n  wanted {json.dumps(wanted)}\n  found  {json.dumps(found)}"
            )
    assert not faults, f"{len(faults)} of {len(before)} steps differ\n" + "\n".join(faults[:10])


def wanted_of(kind, entry):
    """What is recorded for this target: Kafka's, unless docs/differences.md knows why not."""
    kafkas = {key: value for key, value in entry.items() if key not in ("difference", "ottla")}
    if kind == "kafka" or "difference" not in entry:
        return kafkas
    page = (PROJECT / "docs/differences.md").read_text()
    name = entry["difference"]
    assert f"`{name}`" in page, f"docs/differences.md has no entry `{name}`"
    return {"step": entry["step"], **entry["ottla"]}


def record(kind, before, steps):
    """Kafka's answers are taken as they are; ours only where the entry names its difference."""
    if kind == "kafka":
        kept = {one["step"]: one for one in before if "difference" in one}
        return [{**kept.get(one["step"], {}), **one} for one in steps]
    ours = {one["step"]: one for one in steps}
    for entry in before:
        if "difference" in entry:
            entry["ottla"] = {
                key: value for key, value in ours[entry["step"]].items() if key != "step"
            }
    return before
