// `log dump` and `log verify` over a folder that a real Kafka 4.3.1 wrote, on the simulated disk.
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/log_dump.h"
#include "cli/log_verify.h"
#include "io/sim/test_support.h"

namespace ottla::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

// A node that has Kafka's folder as "data" and does one thing.
class KafkaFolder : public testing::Test {
 protected:
  KafkaFolder() : world_({.seed = 1}), node_(world_.add_node("n")) {
    node_.disk().copy_in(OTTLA_KAFKA_LOG_VECTORS, "data");
  }

  void run(ShardMain main) {
    main_ = std::move(main);
    io::sim::run(world_, node_, [this](io::Env& env) { return main_(env); });
  }

  io::Task<int> verify_into(io::Env& env, std::string path) {
    findings_.clear();
    auto report = co_await verify_path(
        env, path, [this](const Finding& finding) { findings_.push_back(finding); });
    is_readable_ = report.has_value();
    if (report) report_ = *report;
    co_return 0;
  }
  // The damages, as text.
  std::vector<std::string> verify(const std::string& path = "data") {
    run([this, path](io::Env& env) { return verify_into(env, path); });
    std::vector<std::string> damages;
    for (const Finding& finding : findings_) {
      if (finding.weight == Finding::Weight::damage)
        damages.push_back(finding.file + ": " + finding.what);
    }
    return damages;
  }

  io::Task<int> dump_into(io::Env& env, std::string path, bool with_records) {
    lines_.clear();
    auto good = co_await dump_path(
        env, path, {.with_records = with_records},
        [this](std::string_view json) { lines_.push_back(nlohmann::json::parse(json)); });
    is_readable_ = good.has_value();
    is_good_ = good && *good;
    co_return 0;
  }
  const std::vector<nlohmann::json>& dump(const std::string& path, bool with_records = false) {
    run([this, path, with_records](io::Env& env) { return dump_into(env, path, with_records); });
    return lines_;
  }
  std::size_t count(std::string_view kind) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        lines_, [&](const auto& line) { return line.contains("kind") && line["kind"] == kind; }));
  }

  io::sim::World world_;
  io::sim::Node& node_;
  ShardMain main_;
  std::vector<Finding> findings_;
  VerifyReport report_;
  std::vector<nlohmann::json> lines_;
  bool is_readable_ = false;
  bool is_good_ = false;
};

constexpr const char* kTxn = "data/txn-0/";

TEST_F(KafkaFolder, IsGood) {
  EXPECT_THAT(verify(), IsEmpty());
  EXPECT_TRUE(report_.is_clean);
  EXPECT_EQ(report_.partitions, 3u);
  EXPECT_GT(report_.batches, 50u);
}

TEST_F(KafkaFolder, OnePartitionMayBeAskedFor) {
  EXPECT_THAT(verify("data/txn-0/"), IsEmpty());
  EXPECT_EQ(report_.partitions, 1u);
  EXPECT_EQ(report_.segments, 3u);
}

TEST_F(KafkaFolder, AMissingFolderIsSaid) {
  verify("nowhere");
  EXPECT_FALSE(is_readable_);
}

// One bit in each part of the folder; each is named with its file.
TEST_F(KafkaFolder, EachDamageIsFound) {
  struct Place {
    const char* file;
    std::uint64_t position;
  };
  for (const Place& place :
       {Place{"txn-0/00000000000000000000.log", 100}, Place{"txn-0/00000000000000000035.log", 3},
        Place{"txn-0/00000000000000000000.index", 7},
        Place{"txn-0/00000000000000000000.timeindex", 6},
        Place{"txn-0/00000000000000000035.snapshot", 12}, Place{"txn-0/leader-epoch-checkpoint", 0},
        Place{"txn-0/partition.metadata", 0}, Place{"meta.properties", 50},
        Place{"recovery-point-offset-checkpoint", 0}}) {
    const std::string path = std::string("data/") + place.file;
    node_.disk().flip_bit(path, place.position, 4);
    const auto damages = verify();
    ASSERT_FALSE(damages.empty()) << path;
    EXPECT_THAT(damages.front(), HasSubstr(place.file));
    node_.disk().flip_bit(path, place.position, 4);
  }
  EXPECT_THAT(verify(), IsEmpty());
}

TEST_F(KafkaFolder, EveryByteThatTheCrcCoversCounts) {
  constexpr std::uint64_t kCovered = 21;
  const std::string path = std::string(kTxn) + "00000000000000000035.log";
  const auto bytes = dump(path).front()["bytes"].get<std::uint64_t>();
  for (std::uint64_t position = kCovered; position < bytes; ++position) {
    node_.disk().flip_bit(path, position, position % 8);
    EXPECT_FALSE(verify().empty()) << position;
    node_.disk().flip_bit(path, position, position % 8);
  }
}

TEST_F(KafkaFolder, IsDumpedWhole) {
  dump("data", true);
  EXPECT_TRUE(is_good_);
  EXPECT_GT(count("batch"), 50u);
  EXPECT_GT(count("record"), count("batch"));
  EXPECT_GT(count("offset_index"), 0u);
  EXPECT_GT(count("time_index"), 0u);
  EXPECT_GT(count("aborted_transaction"), 0u);
  EXPECT_GT(count("producer"), 0u);
  EXPECT_GT(count("leader_epoch"), 0u);
  EXPECT_GT(count("offset_checkpoint"), 0u);
  EXPECT_GE(count("text"), 2u);
}

TEST_F(KafkaFolder, RecordsAreThoseOfTheirBatches) {
  dump(std::string(kTxn) + "00000000000000000000.log", true);
  std::int64_t next = 0;
  std::size_t records = 0;
  for (const auto& line : lines_) {
    if (line["kind"] == "batch") {
      EXPECT_EQ(line["base_offset"], next);
      EXPECT_TRUE(line["crc_matches"]);
      next = line["last_offset"].get<std::int64_t>() + 1;
      records += line["records"].get<std::size_t>();
    } else {
      EXPECT_TRUE(line.contains("offset"));
    }
  }
  EXPECT_EQ(next, 35);
  EXPECT_EQ(count("record"), records);
}

TEST_F(KafkaFolder, WhatCanNotBeReadIsALineToo) {
  const std::string path = std::string(kTxn) + "00000000000000000000.index";
  node_.disk().flip_bit(path, 0, 7);  // a negative offset
  dump(path);
  EXPECT_FALSE(is_good_);
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_TRUE(lines_[0].contains("error"));
  dump("data/README.md");
  EXPECT_FALSE(is_good_);
}

}  // namespace
}  // namespace ottla::cli
