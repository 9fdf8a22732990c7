// Whatever is sent to a node's ports, the broker's and the controller's: each API that they say
// they serve, in each version, with random content that names what is there, and then cut and
// garbled. A request gets an answer that can be read, or the end of its connection, and takes
// nothing else with it.
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/base64.h"
#include "broker/node_test_support.h"
#include "metadata/features.h"
#include "wire/header.h"
#include "wire/messages/api_versions_request.h"
#include "wire/messages/api_versions_response.h"
#include "wire/messages/broker_registration_request.h"
#include "wire/testing/any_message.h"

namespace ottla::broker {
namespace {

using namespace testing;
using Json = nlohmann::json;
using wire::AnyMessage;

constexpr std::uint16_t kBrokerPort = 9092;
constexpr std::uint16_t kControllerPort = 9093;
constexpr int kRequestsOfAVersion = 60;
constexpr std::size_t kAtOnce = 4;
constexpr std::int32_t kCorrelation = 77;
constexpr std::int32_t kProbeCorrelation = 0x600df00d;

const AnyMessage* find_kind(std::int16_t key, wire::MessageKind kind) {
  for (const AnyMessage* message : wire::all_messages())
    if (message->info->key == key && message->info->kind == kind) return message;
  return nullptr;
}

Bytes header_of(std::int16_t key, std::int16_t version, std::int32_t correlation) {
  const bool has_tags = wire::find_api(key)->request_header_version(version) == 2;
  Bytes header(10 + (has_tags ? 1 : 0));
  store_big(header.data(), key);
  store_big(header.data() + 2, version);
  store_big(header.data() + 4, correlation);
  store_big<std::int16_t>(header.data() + 8, -1);  // no client id
  return header;
}

Bytes framed(const Bytes& payload) {
  Bytes frame(wire::kFrameLengthBytes);
  store_big(frame.data(), static_cast<std::uint32_t>(payload.size()));
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

// What a field of this name may say so that the request gets further than the first check.
using Vocabulary = std::map<std::string, std::vector<Json>>;

void steer(Json& node, const Vocabulary& words, io::sim::Prng& prng) {
  if (!node.is_structured()) return;
  if (node.is_array()) {
    for (Json& element : node) steer(element, words, prng);
    return;
  }
  for (auto& [name, value] : node.items()) {
    const auto known = words.find(name);
    // The node's own broker may be replaced by who registers with its id: never with that one.
    if (known != words.end() && (name == "brokerId" || prng.chance(0.8))) {
      value = known->second[prng.below(known->second.size())];
    } else {
      steer(value, words, prng);
    }
  }
}

struct Sent {
  std::int16_t key = 0;
  std::int16_t version = 0;
  Bytes payload;
  bool names_its_api = true;  // the header is whole
  bool is_half = false;       // the connection is left in the middle of it
};

struct Tally {
  int answered = 0;
  int silent = 0;  // Produce with acks=0
  std::array<std::string, kAtOnce> under_way;
};

// What has come so far on a connection, as whole frames.
class FrameReader {
 public:
  explicit FrameReader(io::Connection& connection) : connection_(connection) {}
  // Empty when the connection has ended.
  io::Task<Slice> next() {
    while (true) {
      if (got_.size() >= wire::kFrameLengthBytes) {
        const std::size_t end = wire::kFrameLengthBytes + load_big<std::uint32_t>(got_.data());
        if (got_.size() >= end) {
          const ByteView whole =
              ByteView(got_).subspan(wire::kFrameLengthBytes, end - wire::kFrameLengthBytes);
          Slice frame = Slice::copy_of(whole);
          got_.erase(got_.begin(), got_.begin() + static_cast<std::ptrdiff_t>(end));
          co_return frame;
        }
      }
      Bytes into(64 * 1024);
      const auto read = co_await connection_.read_some(into);
      if (!read || *read == 0) co_return Slice();
      got_.insert(got_.end(), into.begin(), into.begin() + static_cast<std::ptrdiff_t>(*read));
    }
  }

 private:
  io::Connection& connection_;
  Bytes got_;
};

void check_answer(const Sent& sent, const Slice& frame) {
  if (!sent.names_its_api) return;
  const auto header = wire::parse_response_header(frame, *wire::find_api(sent.key), sent.version);
  ASSERT_TRUE(header.has_value()) << sent.key << " v" << sent.version;
  EXPECT_EQ(header->correlation_id, kCorrelation);
  const AnyMessage* response = find_kind(sent.key, wire::MessageKind::kResponse);
  const auto read = response->decode(
      frame.subslice(header->body_offset, frame.size() - header->body_offset), sent.version, {});
  EXPECT_TRUE(read.has_value()) << sent.key << " v" << sent.version;
}

// Sends one request and, behind it on the same connection, a good one: that is answered as well,
// unless the first has ended the connection.
io::Task<void> send_one(io::Env& env, io::Endpoint to, const Sent& sent, Tally& tally) {
  auto connection = co_await env.network.connect(to);
  EXPECT_TRUE(connection.has_value()) << "the node takes no connection any more";
  if (!connection) co_return;
  Bytes bytes = framed(sent.payload);
  if (sent.is_half) {
    bytes.resize(bytes.size() / 2);
    (void)co_await (*connection)->write(Gather(Slice::copy_of(bytes)));
    (*connection)->close();
    co_return;
  }
  const Bytes probe = framed(header_of(18, 0, kProbeCorrelation));
  bytes.insert(bytes.end(), probe.begin(), probe.end());
  (void)co_await (*connection)->write(Gather(Slice::copy_of(bytes)));
  FrameReader reader(**connection);
  bool is_answered = false;
  while (true) {
    const Slice frame = co_await reader.next();
    if (frame.size() < 4) break;  // it has ended
    if (load_big<std::int32_t>(frame.data()) == kProbeCorrelation) {
      is_answered ? ++tally.answered : ++tally.silent;
      break;
    }
    EXPECT_FALSE(is_answered) << "two answers";
    is_answered = true;
    check_answer(sent, frame);
  }
  (*connection)->close();
}

io::Task<void> send_share(io::Env& env, io::Endpoint to, const std::vector<Sent>& all,
                          std::size_t first, Tally& tally) {
  for (std::size_t i = first; i < all.size(); i += kAtOnce) {
    tally.under_way.at(first) =
        fmt::format("request {}: key {} version {}", i, all[i].key, all[i].version);
    co_await send_one(env, to, all[i], tally);
  }
}

class HostileRequestsTest : public NodeTest, public ::testing::WithParamInterface<std::uint64_t> {
 protected:
  HostileRequestsTest() : NodeTest(GetParam()) {
    config.listeners.push_back(
        {.name = "CONTROLLER", .bind = {"", kControllerPort}, .is_controller = true});
    config.auto_create_topics = false;
    config.cluster_id = "cluster-of-the-hostile";
  }
  void SetUp() override {
    NodeTest::SetUp();
    make_topic("kept", 2, {{"retention.ms", "-1"}});  // its records are of 1970
    produce(produce_request("kept", 0));
    log_id_ = make_topic("log");
    produce(produce_request("log", 0));
    make_topic("doomed");
    learn();
  }

  // What this port says that it serves.
  std::vector<wire::ApiVersionsResponse::ApiVersion> served_on(std::uint16_t port) {
    guest_.emplace(world, world.add_node("guest"), io::Endpoint{"b1", port});
    guest_->connect();
    wire::ApiVersionsRequest request;
    request.client_software_name = request.client_software_version = "1";
    auto answer = guest_->ask<wire::ApiVersionsResponse>(request, 4);
    EXPECT_TRUE(answer.has_value());
    return answer ? std::move(answer->api_keys) : decltype(answer->api_keys){};
  }

  void learn() {
    const Json batch = to_base64(batch_of(50).view());
    Bytes inner = header_of(19, 7, 5);
    wire::CreateTopicsRequest creation;
    creation.topics.emplace_back().name = "from-afar";
    creation.topics[0].num_partitions = creation.topics[0].replication_factor = 1;
    wire::Writer writer;
    ASSERT_TRUE(wire::encode(creation, 7, writer).has_value());
    const Slice body = std::move(writer).finish().flatten();
    inner.insert(inner.end(), body.view().begin(), body.view().end());
    Json features = Json::array();
    for (const auto& range : metadata::supported_features()) {
      features.push_back({{"name", range.name},
                          {"minSupportedVersion", range.min_level},
                          {"maxSupportedVersion", range.max_level}});
    }
    const Json names = {"log", "log", "none", "doomed", "a/b", ""};
    const auto words = [](const Json& list) { return list.get<std::vector<Json>>(); };
    words_ = {
        {"name", words(names)},
        {"topic", words(names)},
        {"topicName", words(names)},
        {"resourceName", words({"log", "none", "1", "2", ""})},
        {"resourceType", words({2, 2, 4, 8, 16, 32, 99})},
        {"topicNames", {Json::array({"doomed", "none"}), Json::array()}},
        {"topicId", words({log_id_.to_string(), Uuid{}.to_string()})},
        {"partition", words({0, 1, 7, -1})},
        {"partitionIndex", words({0, 1, 7, -1})},
        {"partitionId", words({0, 1})},
        {"index", words({0, 1, 7, -1})},
        {"fetchOffset", words({0, 1, 1000})},
        {"timestamp", words({-1, -2, -3, -4, 0, 1000})},
        {"currentLeaderEpoch", words({-1, 0, 1, 5})},
        {"leaderEpoch", words({0, 1, 5})},
        {"lastFetchedEpoch", words({-1, 0, 1})},
        {"maxWaitMs", words({0, 100, 400'000})},
        {"minBytes", words({0, 1, 1 << 30})},
        {"maxBytes", words({0, 1, 1 << 20, -1})},
        {"partitionMaxBytes", words({0, 1, 1 << 20, -1})},
        {"sessionId", words({0, 77})},
        {"sessionEpoch", words({-1, 0, 1})},
        {"replicaId", words({-1, 5})},
        {"acks", words({-1, 0, 1, 2})},
        {"records", {batch, batch, nullptr, to_base64(body.view())}},
        {"transactionalId", words({nullptr, "tx"})},
        {"timeoutMs", words({0, 5000})},
        {"numPartitions", words({-1, 0, 1, 3, 200})},
        {"replicationFactor", words({-1, 1, 3})},
        {"assignments", {Json::array()}},
        {"configs", {Json::array()}},
        {"endpointType", words({1, 2})},
        {"responsePartitionLimit", words({1, 3, 2000})},
        {"cursor", words({nullptr, {{"topicName", "log"}, {"partitionIndex", 1}}})},
        {"clusterId", words({nullptr, config.cluster_id, "another"})},
        {"brokerId", words({1000, 2000})},  // no flipped bit makes it the node's own
        {"brokerEpoch", words({-1, 0, 5, 6, 7, 8, 9, 10})},
        {"features", {features}},
        {"logDirs", {Json::array({Uuid{5, 5}.to_string()})}},
        {"isMigratingZkBroker", words({false})},
        {"requestData", {to_base64(inner)}},
        {"position", words({0, 1, 100})},
        {"endOffset", words({0, 1})},
        {"epoch", words({0, 1})},
    };
  }
  // Random content; mostly steered to what is there.
  Slice body_of(const AnyMessage& request, std::int16_t version, io::sim::Prng& prng) {
    const auto content = request.random(prng.next(), version, {});
    if (prng.chance(0.85)) {
      Json json = Json::parse(request.to_json(content.get(), version));
      steer(json, words_, prng);
      const auto steered = request.from_json(json.dump(), version);
      if (steered) {
        ++steered_;
        return request.encode(steered->get(), version).value();
      }
      why_not_.insert(steered.error());
    }
    return request.encode(content.get(), version).value();
  }
  Sent make_request(const AnyMessage& request, std::int16_t version, io::sim::Prng& prng) {
    Sent sent{.key = request.info->key, .version = version};
    sent.payload = header_of(sent.key, version, kCorrelation);
    const std::size_t body_at = sent.payload.size();
    const Slice body = body_of(request, version, prng);
    sent.payload.insert(sent.payload.end(), body.view().begin(), body.view().end());
    const auto draw = prng.below(10);
    if (draw < 3) return sent;
    const std::size_t from = prng.chance(0.9) ? body_at : 0;
    sent.names_its_api = from > 0;
    if (from >= sent.payload.size()) return sent;
    const auto place = [&] { return from + prng.below(sent.payload.size() - from); };
    if (draw < 6) {
      for (auto flips = prng.between(1, 4); flips > 0; --flips)
        sent.payload[place()] ^= static_cast<std::uint8_t>(1u << prng.below(8));
    } else if (draw < 7) {
      sent.payload.resize(place());
    } else if (draw < 8) {
      Bytes noise(prng.between(1, 20));
      for (auto& byte : noise) byte = static_cast<std::uint8_t>(prng.next());
      sent.payload.insert(sent.payload.begin() + static_cast<std::ptrdiff_t>(place()),
                          noise.begin(), noise.end());
    } else if (draw < 9) {
      const std::size_t at = place();
      for (std::size_t i = at; i < std::min(at + 8, sent.payload.size()); ++i)
        sent.payload[i] = prng.chance(0.5) ? 0xff : 0x7f;
    } else {
      sent.is_half = true;
    }
    return sent;
  }

  // Changes that get as far as the records, each in the form of its API.
  static std::vector<Json> configs_for(std::int16_t key) {
    constexpr std::int16_t kAlter = 33;
    constexpr std::int16_t kIncremental = 44;
    std::vector<Json> lists = {Json::array()};
    if (key != kAlter && key != kIncremental) return lists;
    for (const auto& [name, value] : {std::pair{"segment.ms", "5"},
                                      {"cleanup.policy", "compact"},
                                      {"log.roll.ms", "x"},
                                      {"none", ""}}) {
      for (int operation = 0; operation < (key == kIncremental ? 5 : 1); ++operation) {
        Json config = {{"name", name}, {"value", value}};
        if (key == kIncremental) config["configOperation"] = operation;
        lists.push_back(Json::array({config}));
      }
    }
    return lists;
  }
  // All versions of one API; the node is as it was, but for what was validly asked.
  void attack(std::uint16_t port, std::int16_t key, wire::Versions versions) {
    const AnyMessage* request = find_kind(key, wire::MessageKind::kRequest);
    ASSERT_NE(request, nullptr) << key;
    SCOPED_TRACE(fmt::format("{} on port {}", request->info->name, port));
    auto prng = world.prng(request->info->name);
    words_["configs"] = configs_for(key);
    std::vector<Sent> all;
    steered_ = 0;
    why_not_.clear();
    for (std::int16_t version = versions.first; version <= versions.last; ++version) {
      if (!request->info->versions.contains(version)) continue;  // Produce is offered from 0
      for (int i = 0; i < kRequestsOfAVersion; ++i)
        all.push_back(make_request(*request, version, prng));
    }
    EXPECT_GT(steered_ * 2, all.size()) << (why_not_.empty() ? "" : *why_not_.begin());
    Tally tally;
    io::sim::Node& attacker = world.add_node(fmt::format("attacker-{}-{}", port, key));
    attacker.start(1, [&](io::Env& env) { return send_all(env, {"b1", port}, all, tally); });
    ASSERT_TRUE(world.run_until([&] { return !attacker.is_running(); }, 24h))
        << fmt::format("{}", fmt::join(tally.under_way, "; ")) << world.report();
    ASSERT_TRUE(node.is_running()) << world.report();
    EXPECT_GT(tally.answered, 0);
    if (key != 0) {
      EXPECT_EQ(tally.silent, 0);
    }
    const auto kept = fetch(fetch_request("kept", 0, 0));
    EXPECT_EQ(kept.error_code, 0);
    EXPECT_EQ(kept.high_watermark, 1);
    EXPECT_EQ(kept.records.size_bytes(), batch_of(10).size());
  }
  static io::Task<int> send_all(io::Env& env, io::Endpoint to, const std::vector<Sent>& all,
                                Tally& tally) {
    io::TaskGroup group(env.executor);
    for (std::size_t i = 0; i < kAtOnce; ++i) group.spawn(send_share(env, to, all, i, tally));
    co_await group.join();
    co_return 0;
  }
  void attack_all(std::uint16_t port) {
    const auto served = served_on(port);
    ASSERT_FALSE(served.empty());
    for (const auto& api : served) attack(port, api.api_key, {api.min_version, api.max_version});
    // Nobody who waits, and nothing that is half done, holds it up.
    node.stop();
    ASSERT_TRUE(world.run_until([&] { return !node.is_running(); }, 60s)) << world.report();
    EXPECT_EQ(node.exit_code(), 0);
  }

 private:
  std::optional<rpc::testing::Asker> guest_;
  Vocabulary words_;
  Uuid log_id_;
  std::size_t steered_ = 0;
  std::set<std::string> why_not_;
};

TEST_P(HostileRequestsTest, ToTheBroker) { attack_all(kBrokerPort); }
TEST_P(HostileRequestsTest, ToTheController) { attack_all(kControllerPort); }

INSTANTIATE_TEST_SUITE_P(Seeds, HostileRequestsTest, ::testing::Range<std::uint64_t>(1, 21));

}  // namespace
}  // namespace ottla::broker
