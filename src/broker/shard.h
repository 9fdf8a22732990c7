// Shard: all that one core owns: its partitions, its fetch sessions, its copy of the image. Nothing
// here is shared; other shards send functions to run (Shards::post, io::call_on). A request is
// served by the shard that accepted its connection, which asks the owners of the partitions
// concerned.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/fetch_session.h"
#include "broker/image_view.h"
#include "broker/node_config.h"
#include "broker/topic_settings.h"
#include "coordinator/group_coordinator.h"
#include "io/env.h"
#include "io/list.h"
#include "metadata/image.h"
#include "rpc/client_log.h"
#include "storage/store.h"
#include "wire/record_validation.h"

namespace ottla::broker {

class Controller;

// An append that waits because the journal is full.
struct HeldBack {
  io::Instant deadline;
  ProducerId producer = -1;
  // Once: tries again, or ends with this error.
  std::move_only_function<void(std::optional<storage::LogError>)> go_on;
};

// A partition that this shard serves as leader.
struct HostedPartition {
  std::shared_ptr<storage::PartitionLog> log;
  std::shared_ptr<const TopicSettings> settings;  // of its topic
  LeaderEpoch leader_epoch = 0;
  std::int32_t partition_epoch = 0;
  std::deque<HeldBack> held_back;  // in the order of their requests; later ones queue behind them
  bool is_letting_in = false;      // somebody waits for room on their behalf
};

// A request that waits for records; woken early when the node stops.
struct LongPoll : io::ListNode {
  explicit LongPoll(std::shared_ptr<io::Event> event) : changed(std::move(event)) {}
  std::shared_ptr<io::Event> changed;
};

class Shard {
 public:
  Shard(io::Env& env, const NodeConfig& config, Controller& controller,
        std::shared_ptr<storage::Store> store);

  // --- the image

  const metadata::ImagePtr& image() const { return image_; }
  // A new image comes in three steps, each of which all shards take before the next: a topic that
  // is made again has the same names and maybe other owners, and who sees a topic on one shard
  // finds its partitions on the others. Errors mean that the disk failed.
  io::Task<io::Result<>> remove_gone(metadata::ImagePtr image);  // partitions that are not its
  io::Task<io::Result<>> prepare(metadata::ImagePtr image);      // opens, creates, configures
  void show(metadata::ImagePtr image);                           // to requests
  // Told whenever image() has changed.
  io::Event& image_changed() { return image_changed_; }

  // --- partitions

  unsigned owner_of(const TopicIdPartition& id) const {
    return static_cast<unsigned>(
        (std::hash<Uuid>()(id.topic_id) + static_cast<std::uint64_t>(id.partition)) %
        env.shards.count());
  }
  bool is_owner_of(const TopicIdPartition& id) const { return owner_of(id) == env.shard; }
  // Null if this shard does not serve it (any more).
  HostedPartition* find(const TopicIdPartition& id);
  storage::Store& store() { return *store_; }
  // Until an append may find room in the journal again; false when the deadline came first.
  io::Task<bool> wait_for_room(io::Instant deadline);

  // --- stopping

  // From now on no request waits for records, or for room in the journal.
  void stop_waiting();
  bool is_stopping() const { return is_stopping_; }
  // From now on no request waits for an image either: there may come none.
  void take_no_more_images();
  bool has_last_image() const { return has_last_image_; }
  void add(LongPoll& poll) { long_polls_.push_back(poll); }

  // --- the other shards; only to be touched by functions that run there

  void set_siblings(std::vector<Shard*> siblings) { siblings_ = std::move(siblings); }
  Shard& sibling(unsigned shard) { return *siblings_[shard]; }

  // constant
  io::Env& env;
  const NodeConfig& config;
  Controller& controller;  // belongs to this shard: hops to shard 0 by itself

  const ImageView cluster_view;  // what groups see of image()

  // soft
  FetchSessions fetch_sessions;
  coordinator::GroupCoordinator groups;  // of the partitions of __consumer_offsets that are here
  rpc::ClientLog client_log;
  wire::ValidationScratch validation_scratch;
  io::TaskGroup tasks;        // requests under way
  io::TaskGroup store_tasks;  // what ends only when the store has stopped

 private:
  io::Task<void> watch_room();
  void update_groups(const metadata::Image& before);

  std::shared_ptr<storage::Store> store_;
  metadata::ImagePtr image_;
  io::Event image_changed_;
  io::Event room_;
  bool is_watching_room_ = false;
  std::unordered_map<TopicIdPartition, HostedPartition> partitions_;  // looked up, never iterated
  std::vector<Shard*> siblings_;
  io::List<LongPoll> long_polls_;
  bool is_stopping_ = false;
  bool has_last_image_ = false;
};

}  // namespace ottla::broker
