// Folders that a real Kafka wrote (tests/vectors/kafka_log): opened with and without their clean
// marker, they answer as Kafka did.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "storage/store_test_support.h"

namespace ottla::storage {
namespace {

using namespace testing;
using io::sim::Node;
using io::sim::World;

nlohmann::json answers() {
  std::ifstream file(std::filesystem::path(OTTLA_KAFKA_LOG_VECTORS) / "answers.json");
  return nlohmann::json::parse(file);
}

std::string key_of(const TopicPartition& name, const std::string& question) {
  return name.topic + " " + question;
}

// Offsets of the data records below `bound`, without those of aborted transactions, as a client
// filters.
io::Task<std::vector<Offset>> data_offsets(PartitionLog& log, Offset bound, bool committed_only) {
  std::vector<Offset> offsets;
  auto aborted = co_await log.aborted_transactions(log.log_start_offset(), bound);
  EXPECT_TRUE(aborted.has_value());
  std::set<ProducerId> aborting;
  std::size_t next_aborted = 0;
  auto seen = co_await read_all(log, log.log_start_offset());
  EXPECT_TRUE(seen.has_value());
  for (const SeenBatch& batch : *seen) {
    if (batch.base_offset >= bound) break;
    const auto parsed = wire::parse_batch(batch.bytes);
    const wire::BatchHeader& header = parsed->header;
    while (next_aborted < aborted->size() &&
           (*aborted)[next_aborted].first_offset <= header.last_offset()) {
      aborting.insert((*aborted)[next_aborted++].producer_id);
    }
    if (header.is_control()) {
      aborting.erase(header.producer_id);
      continue;
    }
    if (committed_only && header.is_transactional() && aborting.contains(header.producer_id)) {
      continue;
    }
    for (Offset offset = header.base_offset; offset <= header.last_offset(); ++offset) {
      offsets.push_back(offset);
    }
  }
  co_return offsets;
}

io::Task<int> compare_with_kafka(io::Env& env, bool was_clean, bool read_again_after_close) {
  StoreLimits limits;
  limits.journal_file_bytes = limits.journal_first_file_bytes = 256 * 1024;
  auto running = co_await start_folder(env, limits);
  REQUIRE_OK(running);
  EXPECT_EQ(running->folder->report().was_clean, was_clean);
  for (const std::string& damage : running->folder->report().damages) {
    // Kafka's own topics were left out of the vectors, not out of the checkpoint.
    EXPECT_TRUE(damage.starts_with("__") && damage.find("the folder is gone") != damage.npos)
        << damage;
  }
  EXPECT_EQ(running->folder->report().cut_bytes, 0u);
  const nlohmann::json expected = answers();
  std::size_t compared = 0;
  for (const TopicIdPartition& id : running->folder->found()) {
    auto log = running->store->open(*running->folder->take(id), {});
    const TopicPartition& name = log->name();
    for (const bool committed : {false, true}) {
      const std::string level = committed ? "read_committed" : "read_uncommitted";
      const Offset bound = committed ? log->last_stable_offset() : log->high_watermark();
      EXPECT_EQ(expected.at(key_of(name, level + " earliest")).get<Offset>(),
                log->log_start_offset());
      EXPECT_EQ(expected.at(key_of(name, level + " latest")).get<Offset>(), bound) << name.topic;
      const auto offsets = co_await data_offsets(*log, bound, committed);
      EXPECT_EQ(expected.at(key_of(name, level + " offsets")).get<std::vector<Offset>>(), offsets)
          << name.topic << " " << level;
      ++compared;
    }
    for (const auto& [key, answer] : expected.items()) {
      const std::string prefix = key_of(name, "at ");
      if (key.starts_with(prefix)) {
        auto found = co_await log->find_timestamp(std::stoll(key.substr(prefix.size())),
                                                  log->high_watermark());
        REQUIRE_OK(found);
        EXPECT_EQ(found->timestamp, answer[0].get<TimestampMs>()) << key;
        EXPECT_EQ(found->offset, answer[1].get<Offset>()) << key;
      } else if (key == key_of(name, "max_timestamp")) {
        auto found = co_await log->find_max_timestamp();
        REQUIRE_OK(found);
        EXPECT_EQ(found->timestamp, answer[0].get<TimestampMs>()) << key;
        EXPECT_EQ(found->offset, answer[1].get<Offset>()) << key;
      }
    }
  }
  EXPECT_EQ(compared, 6u);
  if (read_again_after_close) {
    auto closed = co_await running->folder->close_clean({running->store}, 3);
    REQUIRE_OK(closed);
  }
  co_return 0;
}

class StoreTakeoverTest : public ::testing::TestWithParam<bool> {};

TEST_P(StoreTakeoverTest, AnswersAsKafkaDid) {
  World world({.seed = 3});
  Node& node = world.add_node("b1");
  node.disk().copy_in(OTTLA_KAFKA_LOG_VECTORS, kFolder);
  bool clean = GetParam();
  if (!clean) node.disk().erase("data/.kafka_cleanshutdown");
  // Then once more after our own clean stop.
  for (int life = 0; life < 2; ++life) {
    ASSERT_EQ(
        run(world, node, [clean](io::Env& env) { return compare_with_kafka(env, clean, true); }), 0)
        << world.report();
    clean = true;
  }
}
INSTANTIATE_TEST_SUITE_P(Marker, StoreTakeoverTest, ::testing::Values(true, false));

}  // namespace
}  // namespace ottla::storage
