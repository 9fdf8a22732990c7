// Reigns of a quorum of one on the simulated disk: what was committed comes back after any end.
#include "consensus/metadata_log.h"

#include <fmt/format.h>
#include <map>

#include "consensus/consensus_test_support.h"
#include "storage/recovery.h"
#include "wire/codec.h"
#include "wire/control_record.h"
#include "wire/messages/leader_change_message.h"
#include "wire/record_batch.h"

namespace ottla::consensus {
namespace {

using namespace testing;

constexpr TopicIdPartition kPartition{{0, 1}, 0};

Bytes text(std::string_view what) {
  const ByteView view = as_bytes(what);
  return {view.begin(), view.end()};
}

// One process over the folder.
struct Reign {
  std::unique_ptr<storage::LogFolder> folder;
  std::shared_ptr<storage::Store> store;
  std::unique_ptr<MetadataLog> log;
  std::vector<std::string> records;  // replayed
  std::vector<Offset> offsets;
};

struct Settings {
  NodeId node_id = 1;
  bool format = true;
};

io::Task<io::Result<std::unique_ptr<Reign>>> begin(io::Env& env, Settings settings = {}) {
  if (settings.format) {
    auto formatted = co_await format_as_node_1(env);
    if (!formatted) co_return std::unexpected(formatted.error());
  }
  auto reign = std::make_unique<Reign>();
  auto folder = co_await storage::recover_log_dir(env, {.path = kFolder, .limits = {}});
  if (!folder) co_return std::unexpected(folder.error());
  reign->folder = std::move(*folder);
  auto store = co_await reign->folder->open_store(env);
  if (!store) co_return std::unexpected(store.error());
  reign->store = std::move(*store);
  auto loaded = reign->folder->take(kPartition);
  if (!loaded) {
    co_return std::unexpected(io::Error{io::ErrorKind::not_found, "no metadata partition"});
  }
  auto log = co_await MetadataLog::open(env, reign->store->open(std::move(*loaded), {}),
                                        {.directory = kMetadataFolder,
                                         .node_id = settings.node_id,
                                         .directory_id = reign->folder->directory_id(),
                                         .endpoints = kEndpoints,
                                         .snapshot_bytes = 2000});
  if (!log) co_return std::unexpected(log.error());
  reign->log = std::move(*log);
  Reign* into = reign.get();
  auto replayed = co_await reign->log->replay(
      [into](const LogRecord& record) -> std::expected<void, std::string> {
        into->records.emplace_back(as_text(record.value));
        into->offsets.push_back(record.offset);
        return {};
      });
  if (!replayed) co_return std::unexpected(replayed.error());
  co_return std::move(reign);
}

io::Task<bool> commit(Reign& reign, std::vector<std::string> values) {
  std::vector<Bytes> records;
  for (const std::string& value : values) records.push_back(text(value));
  const auto last = reign.log->append(records);
  if (!last) co_return false;
  co_return co_await reign.log->wait_committed(*last);
}

class MetadataLogTest : public ::testing::Test {
 protected:
  // Runs `body` as a process of the node, to its end.
  int run(io::sim::Process::ShardMain body) { return io::sim::run(world, node, std::move(body)); }
  std::string file(const std::string& name) {
    const auto bytes = node.disk().content(kMetadataFolder + "/" + name);
    return bytes ? std::string(as_text(*bytes)) : std::string("none");
  }
  std::vector<std::string> files_with(std::string_view suffix) {
    std::vector<std::string> names;
    for (const std::string& path : node.disk().files())
      if (path.ends_with(suffix)) names.push_back(path.substr(path.rfind('/') + 1));
    return names;
  }

  io::sim::World world{{.seed = 11}};
  io::sim::Node& node = world.add_node("b1");
};

struct ControlSeen {
  wire::ControlRecordType type;
  Bytes value;
};

io::Task<std::vector<ControlSeen>> control_records(storage::PartitionLog& log, Offset from) {
  std::vector<ControlSeen> seen;
  auto read = co_await log.read({.from = from, .max_bytes = 1 << 20});
  if (!read) co_return seen;
  for (const Gather::Part& part : read->records.parts()) {
    const auto* slice = std::get_if<Slice>(&part);
    if (!slice) continue;
    wire::BatchCursor batches(*slice);
    for (wire::Batch batch; batches.next(batch);) {
      if (!batch.header.is_control()) continue;
      wire::RecordCursor records(batch.records(), batch.header.record_count);
      for (wire::Record record; records.next(record);) {
        seen.push_back({wire::parse_control_key(record.key)->type,
                        Bytes(record.value->begin(), record.value->end())});
      }
    }
  }
  co_return seen;
}

io::Task<int> first_reign(io::Env& env) {
  auto reign = co_await begin(env);
  REQUIRE(reign);
  MetadataLog& log = *(*reign)->log;
  EXPECT_EQ(log.epoch(), 1);
  EXPECT_EQ(log.epoch_start(), 0);
  EXPECT_EQ(log.next_offset(), 3);
  EXPECT_EQ(log.log().high_watermark(), 3);  // committed before open() has returned
  EXPECT_EQ(log.snapshot(), std::nullopt);
  EXPECT_EQ(log.voters().kraft_version, 1);
  const auto seen = co_await control_records(log.log(), 0);
  REQUIRE(seen.size() == 3);
  EXPECT_EQ(seen[0].type, wire::ControlRecordType::leader_change);
  EXPECT_EQ(seen[1].type, wire::ControlRecordType::kraft_version);
  EXPECT_EQ(seen[2].type, wire::ControlRecordType::kraft_voters);
  const auto change = wire::decode<wire::LeaderChangeMessage>(Slice::copy_of(seen[0].value), 0);
  REQUIRE(change);
  EXPECT_EQ(change->leader_id, 1);
  REQUIRE(change->voters.size() == 1 && change->granting_voters.size() == 1);
  co_return 0;
}

TEST_F(MetadataLogTest, AReignBeginsWithAnEpochOfItsOwn) {
  EXPECT_EQ(run(first_reign), 0);
  EXPECT_EQ(
      file("quorum-state"),
      R"({"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1})");
}

io::Task<int> later_reign(io::Env& env) {
  auto reign = co_await begin(env);
  REQUIRE(reign);
  MetadataLog& log = *(*reign)->log;
  const auto seen = co_await control_records(log.log(), log.epoch_start());
  EXPECT_EQ(seen.size(), 1u);  // version and voters stand in the log already
  REQUIRE(co_await commit(**reign, {fmt::format("reign {}", log.epoch())}));
  co_return 0;
}

TEST_F(MetadataLogTest, EachReignHasAHigherEpochWhateverEndedTheLast) {
  EXPECT_EQ(run(first_reign), 0);
  for (int life = 2; life <= 5; ++life) {
    EXPECT_EQ(run(later_reign), 0);
    EXPECT_THAT(file("quorum-state"), HasSubstr(fmt::format("\"leaderEpoch\":{},", life)));
  }
}

TEST_F(MetadataLogTest, WithoutQuorumStateTheLogTellsTheEpoch) {
  EXPECT_EQ(run(first_reign), 0);
  EXPECT_EQ(run(later_reign), 0);
  node.disk().put(kMetadataFolder + "/quorum-state",
                  as_bytes(R"({"leaderId":1,"leaderEpoch":0,"votedId":-1,"data_version":1})"));
  EXPECT_EQ(run(later_reign), 0);
  EXPECT_THAT(file("quorum-state"), HasSubstr("\"leaderEpoch\":3,"));
}

io::Task<int> expect_refusal(io::Env& env, Settings settings, std::string words) {
  auto reign = co_await begin(env, settings);
  REQUIRE(!reign);
  EXPECT_EQ(reign.error().kind, io::ErrorKind::invalid);
  EXPECT_THAT(reign.error().message, HasSubstr(words));
  co_return 0;
}

TEST_F(MetadataLogTest, ABrokenQuorumStateStopsTheStart) {
  EXPECT_EQ(run(first_reign), 0);
  node.disk().put(kMetadataFolder + "/quorum-state", as_bytes("{"));
  EXPECT_EQ(run([](io::Env& env) { return expect_refusal(env, {}, "quorum-state"); }), 0);
}

TEST_F(MetadataLogTest, AnotherNodesLogIsRefused) {
  EXPECT_EQ(run(first_reign), 0);
  EXPECT_EQ(run([](io::Env& env) { return expect_refusal(env, {.node_id = 2}, "quorum"); }), 0);
}

TEST_F(MetadataLogTest, VotersOfAStaticQuorumAreSeenInQuorumState) {
  EXPECT_EQ(run(first_reign), 0);
  node.disk().put(kMetadataFolder + "/quorum-state",
                  as_bytes(R"({"leaderId":1,"leaderEpoch":1,"votedId":-1,)"
                           R"("currentVoters":[{"voterId":1},{"voterId":2}],"data_version":0})"));
  EXPECT_EQ(run([](io::Env& env) { return expect_refusal(env, {}, "alone"); }), 0);
}

// A second voter joined after the checkpoint of format was written: only the log tells.
io::Task<int> add_a_voter(io::Env& env) {
  auto reign = co_await begin(env);
  REQUIRE(reign);
  MetadataLog& log = *(*reign)->log;
  auto voters = log.voters().voters;
  voters.push_back({2, {5, 6}, {{"CONTROLLER", "other", 9093}}});
  const Slice value = encode_voters(voters);
  const std::array records{wire::ControlRecord{wire::ControlRecordType::kraft_voters, value}};
  const Slice batch = wire::build_control_batch(log.next_offset(), log.epoch(), 1, records);
  const auto appended =
      log.log().append(batch, *wire::parse_batch_header(batch),
                       {.leader_epoch = log.epoch(), .origin = storage::AppendOrigin::coordinator});
  REQUIRE(appended);
  REQUIRE(co_await log.wait_committed(appended->last_offset));
  co_return 0;
}

TEST_F(MetadataLogTest, ALogOfALargerQuorumIsRefused) {
  EXPECT_EQ(run(add_a_voter), 0);
  EXPECT_EQ(run([](io::Env& env) { return expect_refusal(env, {}, "alone"); }), 0);
}

io::Task<int> write_snapshots(io::Env& env) {
  auto reign = co_await begin(env);
  REQUIRE(reign);
  MetadataLog& log = *(*reign)->log;
  REQUIRE(co_await commit(**reign, {"a", "b"}));
  EXPECT_FALSE(log.wants_snapshot());
  REQUIRE(co_await commit(**reign, {std::string(3000, 'c')}));
  EXPECT_TRUE(log.wants_snapshot());
  const SnapshotId first{log.next_offset(), log.epoch()};
  REQUIRE(co_await log.write_snapshot(first, 77, {text("a2"), text("c2")}));
  EXPECT_FALSE(log.wants_snapshot());
  EXPECT_EQ(log.snapshot(), first);
  EXPECT_EQ(log.log().log_start_offset(), first.end_offset);
  REQUIRE(co_await commit(**reign, {"d"}));
  const SnapshotId second{log.next_offset(), log.epoch()};
  REQUIRE(co_await log.write_snapshot(second, 88, {text("a3")}));
  REQUIRE(co_await commit(**reign, {"e", "f"}));

  const auto gone = co_await log.read_snapshot(first, 0, 10);
  REQUIRE(gone);
  EXPECT_FALSE(*gone);
  const auto whole = co_await log.read_snapshot(second, 0, 1 << 20);
  REQUIRE(whole && *whole);
  EXPECT_EQ((*whole)->bytes.size(), (*whole)->size_bytes);
  const auto part = co_await log.read_snapshot(second, 5, 7);
  REQUIRE(part && *part);
  EXPECT_EQ((*part)->bytes, (*whole)->bytes.subslice(5, 7));
  const auto behind = co_await log.read_snapshot(second, (*whole)->size_bytes, 7);
  REQUIRE(behind && *behind);
  EXPECT_TRUE((*behind)->bytes.empty());
  co_return 0;
}

io::Task<int> read_after_snapshots(io::Env& env) {
  auto reign = co_await begin(env);
  REQUIRE(reign);
  EXPECT_THAT((*reign)->records, ::testing::ElementsAre("a3", "e", "f"));
  const Offset end = (*reign)->log->snapshot()->end_offset;
  EXPECT_THAT((*reign)->offsets, ::testing::ElementsAre(end - 1, end, end + 1));
  EXPECT_EQ((*reign)->log->voters().voters.size(), 1u);
  EXPECT_EQ((*reign)->log->voters().kraft_version, 1);
  co_return 0;
}

TEST_F(MetadataLogTest, ASnapshotStandsInForTheLogBeforeIt) {
  EXPECT_EQ(run(write_snapshots), 0);
  // the one of format, and the newest
  EXPECT_EQ(files_with(".checkpoint").size(), 3u);  // with bootstrap.checkpoint
  EXPECT_EQ(run(read_after_snapshots), 0);
}

TEST_F(MetadataLogTest, LeftoversOfACrashInASnapshotGo) {
  EXPECT_EQ(run(write_snapshots), 0);
  node.disk().put(kMetadataFolder + "/00000000000000000099-0000000001.checkpoint.part",
                  as_bytes("torn"));
  // an older one that could not be removed any more
  node.disk().put(kMetadataFolder + "/" + file_name({4, 1}), as_bytes("whatever"));
  EXPECT_EQ(run(read_after_snapshots), 0);
  EXPECT_TRUE(files_with(".part").empty());
  EXPECT_EQ(file(file_name({4, 1})), "none");
  EXPECT_NE(file(file_name({0, 0})), "none");
}

TEST_F(MetadataLogTest, AMissingSnapshotIsNotPassedOver) {
  EXPECT_EQ(run(write_snapshots), 0);
  for (const std::string& name : files_with(".checkpoint")) {
    if (name == file_name({0, 0}) || name == "bootstrap.checkpoint") continue;
    // what is left of it is not a snapshot, so the log begins in the middle
    node.disk().put(kMetadataFolder + "/" + name, as_bytes(""));
  }
  EXPECT_EQ(run([](io::Env& env) { return expect_refusal(env, {}, ".checkpoint"); }), 0);
}

TEST_F(MetadataLogTest, ASnapshotAheadOfTheLogIsNotPassedOver) {
  EXPECT_EQ(run(first_reign), 0);
  SnapshotBuilder builder(1, 5, 5, std::nullopt);
  builder.add({text("x")});
  node.disk().put(kMetadataFolder + "/" + file_name({1000, 1}), std::move(builder).finish());
  EXPECT_EQ(run([](io::Env& env) { return expect_refusal(env, {}, "before its snapshot"); }), 0);
}

io::Task<int> count_bytes_of_the_past(io::Env& env, bool wants) {
  auto reign = co_await begin(env);
  REQUIRE(reign);
  EXPECT_EQ((*reign)->log->wants_snapshot(), wants);
  if (!wants) REQUIRE(co_await commit(**reign, {std::string(3000, 'c')}));
  co_return 0;
}

TEST_F(MetadataLogTest, BytesOfFormerReignsCountForTheNextSnapshot) {
  EXPECT_EQ(run([](io::Env& env) { return count_bytes_of_the_past(env, false); }), 0);
  EXPECT_EQ(run([](io::Env& env) { return count_bytes_of_the_past(env, true); }), 0);
}

// --- rot, where no journal holds a second copy

io::Task<int> reign_with_a_clean_end(io::Env& env) {
  auto reign = co_await begin(env);
  REQUIRE(reign);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(co_await commit(**reign, {fmt::format("{} of reign {}", i, (*reign)->log->epoch())}));
  }
  std::vector<std::shared_ptr<storage::Store>> stores{(*reign)->store};
  REQUIRE(co_await (*reign)->folder->close_clean(stores, 0));
  co_await (*reign)->store->stop();
  co_return 0;
}

const std::vector<std::string> kWrittenByTwoReigns = {
    "0 of reign 1", "1 of reign 1", "2 of reign 1", "0 of reign 2", "1 of reign 2", "2 of reign 2"};

// The log of two reigns with one bit flipped is refused, or says the same as before.
void check_flip(std::uint64_t position, unsigned bit, int& refusals) {
  io::sim::World world({.seed = 12});
  io::sim::Node& node = world.add_node("b1");
  const auto run = [&](io::sim::Process::ShardMain body) {
    return io::sim::run(world, node, std::move(body));
  };
  ASSERT_EQ(run(reign_with_a_clean_end), 0);
  ASSERT_EQ(run(reign_with_a_clean_end), 0);
  node.disk().flip_bit(kMetadataFolder + "/00000000000000000000.log", position, bit);
  const int code = run([&](io::Env& env) -> io::Task<int> {
    auto reign = co_await begin(env);
    if (!reign) {
      ++refusals;
      EXPECT_THAT(reign.error().message, HasSubstr("__cluster_metadata"));
      co_return 0;
    }
    EXPECT_EQ((*reign)->records, kWrittenByTwoReigns);
    co_return 0;
  });
  EXPECT_EQ(code, 0);
}

TEST(MetadataLogRot, AFlippedBitIsNeverTakenForAnotherState) {
  // All of what the batches' CRCs leave out, and a sample of the rest. The last batch may be taken
  // for a torn one: whether the log is as long as it was is recovery's to say.
  io::sim::World world({.seed = 12});
  io::sim::Node& node = world.add_node("b1");
  for (int reign = 0; reign < 2; ++reign) ASSERT_EQ(run(world, node, reign_with_a_clean_end), 0);
  const auto bytes = node.disk().content(kMetadataFolder + "/00000000000000000000.log");
  ASSERT_TRUE(bytes);
  std::vector<wire::Batch> all;
  wire::BatchCursor batches(*bytes);
  for (wire::Batch batch; batches.next(batch);) all.push_back(batch);
  ASSERT_EQ(all.size(), 8u);
  int refusals = 0;
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const auto begin = static_cast<std::uint64_t>(all[i].bytes.data() - bytes->data());
    for (std::uint64_t bit = 0; bit < all[i].bytes.size() * 8; bit += bit < 17 * 8 ? 1 : 31) {
      SCOPED_TRACE(fmt::format("batch {}, bit {}", i, bit));
      check_flip(begin + bit / 8, static_cast<unsigned>(bit % 8), refusals);
    }
  }
  EXPECT_GT(refusals, 7 * 17 * 8 / 2);
}

// --- crashes at every point

struct Ghost {
  int next = 0;
  int acknowledged = 0;  // values below are committed
  LeaderEpoch epoch = 0;
};

io::Task<int> append_and_snapshot(io::Env& env, Ghost& ghost, int appends) {
  auto reign = co_await begin(env);
  REQUIRE(reign);
  MetadataLog& log = *(*reign)->log;
  EXPECT_GT(log.epoch(), ghost.epoch);
  ghost.epoch = log.epoch();
  // what comes back is 0, 1, 2 ... without a gap, at least up to what was acknowledged
  int known = 0;
  for (const std::string& record : (*reign)->records) EXPECT_EQ(record, std::to_string(known++));
  EXPECT_GE(known, ghost.acknowledged);
  EXPECT_LE(known, ghost.next);
  ghost.next = ghost.acknowledged = known;
  for (int i = 0; i < appends; ++i) {
    const int value = ghost.next++;
    REQUIRE(co_await commit(**reign, {std::to_string(value)}));
    ghost.acknowledged = ghost.next;
    if (i % 3 == 2) {
      std::vector<Bytes> state;
      for (int k = 0; k < ghost.next; ++k) state.push_back(text(std::to_string(k)));
      REQUIRE(co_await log.write_snapshot({log.next_offset(), log.epoch()}, 1, std::move(state)));
    }
  }
  co_return 0;
}

TEST(MetadataLogCrash, WhatWasCommittedSurvivesAPowerLossAtEveryPoint) {
  constexpr int kAppends = 7;
  std::uint64_t points = 0;
  {
    io::sim::World world({.seed = 1});
    io::sim::Node& node = world.add_node("b1");
    Ghost ghost;
    const auto live = [&](io::Env& env) { return append_and_snapshot(env, ghost, kAppends); };
    ASSERT_EQ(run(world, node, live), 0) << world.report();
    points = node.disk().counters().points;
  }
  int crashes = 0;
  for (std::uint64_t index = 0; index < points; ++index) {
    for (const auto phase : {io::sim::DiskPoint::Phase::before, io::sim::DiskPoint::Phase::during,
                             io::sim::DiskPoint::Phase::after}) {
      io::sim::World world({.seed = index + 100});
      io::sim::Node& node = world.add_node("b1");
      Ghost ghost;
      const auto live = [&](io::Env& env) { return append_and_snapshot(env, ghost, kAppends); };
      node.disk().on_operation([&](const io::sim::DiskPoint& point) {
        if (point.index != index || point.phase != phase) return;
        node.crash(io::sim::CrashKind::power_loss);
        ++crashes;
      });
      run(world, node, live);
      node.disk().on_operation({});
      ASSERT_EQ(run(world, node, live), 0) << "point " << index << world.report();
      ASSERT_FALSE(::testing::Test::HasFailure()) << "point " << index;
    }
  }
  EXPECT_GT(crashes, 100);
}

}  // namespace
}  // namespace ottla::consensus
