// What format writes is what Kafka's own formatter writes: tests/vectors/format.
#include "consensus/format.h"

#include <fstream>
#include <iterator>

#include "base/crc32c.h"
#include "consensus/consensus_test_support.h"
#include "consensus/quorum_state.h"
#include "wire/record_batch.h"

namespace ottla::consensus {
namespace {

using namespace testing;

const std::string kInitialCheckpoint = kMetadataFolder + "/" + file_name({0, 0});

Bytes read_vector(const std::string& name) {
  std::ifstream file(std::string(OTTLA_FORMAT_VECTORS) + "/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Kafka stamps each batch with its own time, ours has one for the file.
Bytes with_one_time(Bytes file, TimestampMs time) {
  for (std::size_t at = 0; at < file.size();) {
    const wire::BatchHeader header = wire::load_batch_header(file.data() + at);
    store_big(file.data() + at + wire::batch_at::kBaseTimestamp, time);
    store_big(file.data() + at + wire::batch_at::kMaxTimestamp, time);
    const ByteView covered = ByteView(file).subspan(
        at + wire::batch_at::kAttributes, header.total_size() - wire::batch_at::kAttributes);
    store_big(file.data() + at + wire::batch_at::kCrc, crc32c(covered));
    at += header.total_size();
  }
  return file;
}

std::vector<Bytes> values_of(const SnapshotContent& content) {
  std::vector<Bytes> values;
  for (const Slice& record : content.records)
    values.emplace_back(record.view().begin(), record.view().end());
  return values;
}

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

TEST(FormatVectors, BootstrapCheckpointIsKafkasByteForByte) {
  constexpr TimestampMs kTime = 1'795'000'000'000;
  const Bytes kafkas = read_vector("bootstrap.checkpoint");
  const auto content = parse_snapshot(Slice::copy_of(kafkas));
  ASSERT_TRUE(content.has_value()) << content.error();
  EXPECT_EQ(content->voters, std::nullopt);
  EXPECT_EQ(content->last_contained_log_timestamp, 0);
  EXPECT_EQ(content->records.size(), 6u);
  SnapshotBuilder ours(0, 0, kTime, std::nullopt);
  ours.add(values_of(*content));
  EXPECT_EQ(hex(std::move(ours).finish()), hex(with_one_time(kafkas, kTime)));
}

TEST(FormatVectors, InitialCheckpointIsKafkasByteForByte) {
  constexpr TimestampMs kTime = 1'795'000'000'000;
  const Bytes kafkas = read_vector("00000000000000000000-0000000000.checkpoint");
  const auto content = parse_snapshot(Slice::copy_of(kafkas));
  ASSERT_TRUE(content.has_value()) << content.error();
  ASSERT_TRUE(content->voters);
  EXPECT_EQ(content->voters->kraft_version, 1);
  ASSERT_EQ(content->voters->voters.size(), 1u);
  const Voter& voter = content->voters->voters[0];
  EXPECT_EQ(voter.id, 1);
  EXPECT_EQ(voter.directory_id.to_string(), "ZWAdeF9OTCClrHIc73wzmg");
  EXPECT_EQ(voter.endpoints, (std::vector<VoterEndpoint>{{"CONTROLLER", "127.0.0.1", 29193}}));
  EXPECT_TRUE(content->records.empty());
  // built from what we know of such a node, not from what was decoded
  const VoterSet voters{
      1, {{1, *Uuid::parse("ZWAdeF9OTCClrHIc73wzmg"), {{"CONTROLLER", "127.0.0.1", 29193}}}}};
  SnapshotBuilder ours(0, content->last_contained_log_timestamp, kTime, voters);
  EXPECT_EQ(hex(std::move(ours).finish()), hex(with_one_time(kafkas, kTime)));
}

TEST(FormatVectors, MetaPropertiesIsKafkasByteForByte) {
  const Bytes kafkas = read_vector("meta.properties");
  const auto parsed = storage::parse_meta_properties(as_text(kafkas));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(storage::serialize_meta_properties(*parsed, "Sat Nov 21 12:07:45 UTC 2026"),
            as_text(kafkas));
}

// --- the folder

io::Task<int> format_folder(io::Env& env) {
  const auto done = co_await format_as_node_1(env, {Bytes{1, 2, 3}});
  if (!done) env.logger.warning("format: {}", done.error().message);
  co_return done ? 0 : 1;
}

int run(io::sim::World& world, io::sim::Node& node) {
  return io::sim::run(world, node, format_folder);
}

struct Formatted {
  storage::MetaProperties properties;
  SnapshotContent initial;
};

std::optional<Formatted> load(io::sim::Node& node) {
  const auto text = [&](const std::string& path) { return node.disk().durable_content(path); };
  const auto properties = text(kFolder + "/meta.properties");
  const auto initial = text(kInitialCheckpoint);
  const auto bootstrap = text(kFolder + "/bootstrap.checkpoint");
  const auto topic_id = text(kMetadataFolder + "/partition.metadata");
  if (!properties || !initial || !bootstrap || !topic_id) return std::nullopt;
  EXPECT_EQ(as_text(*topic_id), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
  const auto bootstrap_content = parse_snapshot(Slice::copy_of(*bootstrap));
  EXPECT_TRUE(bootstrap_content && bootstrap_content->records.size() == 1);
  auto content = parse_snapshot(Slice::copy_of(*initial));
  const auto parsed = storage::parse_meta_properties(as_text(*properties));
  if (!content || !parsed) return std::nullopt;
  return Formatted{*parsed, std::move(*content)};
}

TEST(Format, AnEmptyFolderBecomesALogDirOnDisk) {
  io::sim::World world({.seed = 3});
  io::sim::Node& node = world.add_node("b1");
  ASSERT_EQ(run(world, node), 0);
  const auto formatted = load(node);
  ASSERT_TRUE(formatted);
  EXPECT_EQ(formatted->properties.node_id, 1);
  EXPECT_EQ(formatted->properties.cluster_id.size(), 22u);
  ASSERT_TRUE(formatted->initial.voters);
  EXPECT_EQ(formatted->initial.voters->voters.at(0).directory_id,
            formatted->properties.directory_id);
}

TEST(Format, AFolderThatHasItsPropertiesIsLeftAlone) {
  io::sim::World world({.seed = 3});
  io::sim::Node& node = world.add_node("b1");
  ASSERT_EQ(run(world, node), 0);
  const auto before = node.disk().content(kInitialCheckpoint);
  const auto properties = node.disk().content(kFolder + "/meta.properties");
  ASSERT_EQ(run(world, node), 0);
  EXPECT_EQ(node.disk().content(kInitialCheckpoint), before);
  EXPECT_EQ(node.disk().content(kFolder + "/meta.properties"), properties);
}

// Kafka's tool leaves partition.metadata to the first start, and with voters in the configuration
// the whole folder.
TEST(Format, WhatKafkasFormatterLeavesIsCompleted) {
  const std::string id_file = kMetadataFolder + "/partition.metadata";
  for (const bool has_voters : {true, false}) {
    io::sim::World world({.seed = 3});
    io::sim::Node& node = world.add_node("b1");
    const Bytes properties = read_vector("meta.properties");
    node.disk().put(kFolder + "/meta.properties", properties);
    node.disk().put(kFolder + "/bootstrap.checkpoint", read_vector("bootstrap.checkpoint"));
    if (has_voters) node.disk().put(kInitialCheckpoint, read_vector(file_name({0, 0})));
    ASSERT_EQ(run(world, node), 0);
    ASSERT_TRUE(node.disk().durable_content(id_file));
    EXPECT_TRUE(node.disk().is_name_durable(id_file));
    EXPECT_THAT(std::string(as_text(*node.disk().content(id_file))),
                HasSubstr("topic_id: AAAAAAAAAAAAAAAAAAAAAQ"));
    EXPECT_EQ(node.disk().content(kFolder + "/meta.properties"), properties);
    EXPECT_EQ(node.disk().exists(kInitialCheckpoint), has_voters);
  }
}

TEST(Format, ABrokersFolderGetsNoMetadata) {
  io::sim::World world({.seed = 3});
  io::sim::Node& node = world.add_node("b1");
  node.disk().put(kFolder + "/meta.properties", read_vector("meta.properties"));
  node.disk().put(kFolder + "/bootstrap.checkpoint", read_vector("bootstrap.checkpoint"));
  node.disk().make_directories(kFolder + "/topic-0");
  ASSERT_EQ(run(world, node), 0);
  EXPECT_FALSE(node.disk().exists(kMetadataFolder));
}

TEST(Format, AMetadataLogWithoutPropertiesIsNotFormattedOver) {
  for (const std::string name : {"quorum-state", "00000000000000000000.log"}) {
    io::sim::World world({.seed = 3});
    io::sim::Node& node = world.add_node("b1");
    node.disk().put(kMetadataFolder + "/" + name, Bytes{1});
    EXPECT_EQ(run(world, node), 1) << name;
    EXPECT_FALSE(node.disk().content(kFolder + "/meta.properties")) << name;
    EXPECT_TRUE(node.has_logged("put that file back")) << world.report();
  }
}

// Power fails before or after each disk operation of format; the next start formats to the end, and
// a folder that once was formatted keeps its ids.
TEST(Format, AfterACrashAtAnyPointTheNextStartFinishes) {
  std::uint64_t points = 0;
  {
    io::sim::World world({.seed = 1});
    io::sim::Node& node = world.add_node("b1");
    ASSERT_EQ(run(world, node), 0);
    points = node.disk().counters().points;
  }
  ASSERT_GT(points, 10u);
  for (std::uint64_t index = 0; index < points; ++index) {
    for (const auto phase : {io::sim::DiskPoint::Phase::before, io::sim::DiskPoint::Phase::during,
                             io::sim::DiskPoint::Phase::after}) {
      io::sim::World world({.seed = index + 1});
      io::sim::Node& node = world.add_node("b1");
      node.disk().on_operation([&](const io::sim::DiskPoint& point) {
        if (point.index == index && point.phase == phase)
          node.crash(io::sim::CrashKind::power_loss);
      });
      run(world, node);
      node.disk().on_operation({});
      const auto before = node.disk().durable_content(kFolder + "/meta.properties");
      ASSERT_EQ(run(world, node), 0) << "point " << index << world.report();
      const auto formatted = load(node);
      ASSERT_TRUE(formatted) << "point " << index;
      ASSERT_TRUE(formatted->initial.voters);
      EXPECT_EQ(formatted->initial.voters->voters.at(0).directory_id,
                formatted->properties.directory_id)
          << "point " << index;
      if (before) {
        EXPECT_EQ(before, node.disk().durable_content(kFolder + "/meta.properties"));
      }
    }
  }
}

}  // namespace
}  // namespace ottla::consensus
