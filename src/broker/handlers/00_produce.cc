// Produce (key 0), v3 to v13. v7 allows zstd, v8 names faulty records, v9 is flexible, v10 hints at
// new leaders, v12 joins partitions to an open transaction (not served yet), v13 names topics by
// id.
//
// Every answer but that of acks=0 waits until the batch is durable: acks=1 and acks=all differ only
// in how many replicas are waited for. Each partition is decided by the shard that owns it; the
// last to finish sends the answer.
#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <string>
#include <vector>

#include "broker/append.h"
#include "broker/handlers/handlers.h"
#include "broker/refusals.h"
#include "wire/messages/produce_request.h"
#include "wire/messages/produce_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;
using PartitionResponse = wire::ProduceResponse::PartitionProduceResponse;

constexpr std::int16_t kTopicIdsFrom = 13;
constexpr std::int32_t kWaitMsMax = 60'000;  // for room, whatever the client asks for

// One Produce request under way; lives until its last partition has been decided.
class Produce : public std::enable_shared_from_this<Produce> {
 public:
  Produce(RequestContext context, wire::ProduceRequest request)
      : context_(std::move(context)),
        request_(std::move(request)),
        deadline_(context_.shard.env.clock.now() +
                  std::chrono::milliseconds(std::clamp(request_.timeout_ms, 0, kWaitMsMax))) {}

  void run() {
    undecided_ = 1;  // this function itself
    response_.responses.reserve(request_.topic_data.size());
    for (auto& topic : request_.topic_data) prepare(topic);
    std::map<unsigned, std::vector<Job>> elsewhere;
    Shard& shard = context_.shard;
    for (Job& job : jobs_) {
      ++undecided_;
      const unsigned owner = shard.owner_of(job.append.partition);
      if (owner != shard.env.shard) {
        elsewhere[owner].push_back(std::move(job));
        continue;
      }
      append(shard, std::move(job.append),
             [self = shared_from_this(), place = job.place](AppendOutcome outcome) {
               self->decided(place, std::move(outcome));
             });
    }
    for (auto& [owner, jobs] : elsewhere) send_to(owner, std::move(jobs));
    jobs_.clear();
    finish_one();
  }

 private:
  // Where an outcome belongs in the answer.
  struct Place {
    std::size_t topic;
    std::size_t partition;
  };
  struct Job {
    Place place;
    AppendRequest append;
  };

  void prepare(wire::ProduceRequest::TopicProduceData& topic) {
    const bool by_id = context_.request.api_version >= kTopicIdsFrom;
    const metadata::TopicsImage& topics = *context_.shard.image()->topics;
    const metadata::TopicImage* image =
        by_id ? topics.find(topic.topic_id) : topics.find(topic.name);
    auto& answer = response_.responses.emplace_back();
    answer.name = topic.name;
    answer.topic_id = topic.topic_id;
    answer.partition_responses.reserve(topic.partition_data.size());
    for (auto& data : topic.partition_data) {
      const Place place{response_.responses.size() - 1, answer.partition_responses.size()};
      PartitionResponse& result = answer.partition_responses.emplace_back();
      result.index = data.index;
      result.base_offset = -1;
      if (const auto refusal = refuse(image, data.index, by_id)) {
        const std::string name = by_id ? topic.topic_id.to_string() : topic.name;
        refusals_.add(*refusal, fmt::format("{}-{}", name, data.index));
        set_error(result, *refusal, {});
        continue;
      }
      Job job{place,
              {.partition = {image->id, data.index},
               .produce_version = context_.request.api_version,
               .deadline = deadline_}};
      job.append.records = data.records.flatten();
      data.records = {};
      jobs_.push_back(std::move(job));
    }
  }

  std::optional<ErrorCode> refuse(const metadata::TopicImage* topic, PartitionIndex index,
                                  bool by_id) const {
    if (request_.acks < -1 || request_.acks > 1) return ErrorCode::invalid_required_acks;
    if (!topic) return by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
    if (index < 0 || static_cast<std::size_t>(index) >= topic->partitions.size()) {
      return ErrorCode::unknown_topic_or_partition;
    }
    if (topic->partitions[static_cast<std::size_t>(index)].leader !=
        context_.shard.config.node_id) {
      return ErrorCode::not_leader_or_follower;
    }
    return std::nullopt;
  }

  // The owner appends all of them, and sends their outcomes back together.
  void send_to(unsigned owner, std::vector<Job> jobs) {
    struct Batch {
      std::shared_ptr<Produce> self;
      std::vector<std::pair<Place, AppendOutcome>> outcomes;
      std::size_t left = 0;
    };
    Shard& home = context_.shard;
    // The other shard only passes the reference on and back: this lives and dies at home.
    home.env.shards.post(owner, [self = shared_from_this(), &home, owner,
                                 jobs = std::move(jobs)]() mutable {
      auto batch = std::make_shared<Batch>();
      batch->self = std::move(self);
      batch->left = jobs.size();
      Shard& there = home.sibling(owner);
      auto done = [batch, &home, &there](Place place, AppendOutcome outcome) {
        batch->outcomes.emplace_back(place, std::move(outcome));
        if (--batch->left > 0) return;
        there.env.shards.post(home.env.shard, [self = std::move(batch->self),
                                               outcomes = std::move(batch->outcomes)]() mutable {
          for (auto& [where, what] : outcomes) self->decided(where, std::move(what));
        });
      };
      for (Job& job : jobs) {
        append(there, std::move(job.append),
               [done, place = job.place](AppendOutcome outcome) mutable {
                 done(place, std::move(outcome));
               });
      }
    });
  }

  void decided(Place place, AppendOutcome outcome) {
    PartitionResponse& result =
        response_.responses[place.topic].partition_responses[place.partition];
    result.log_start_offset = outcome.log_start_offset;
    result.log_append_time_ms = outcome.log_append_time_ms;
    result.base_offset = outcome.base_offset;
    if (outcome.error != ErrorCode::none) {
      refusals_.add(outcome.error,
                    fmt::format("{}-{}", response_.responses[place.topic].name, result.index),
                    outcome.message);
      set_error(result, outcome.error, std::move(outcome.message));
    }
    for (wire::RecordFault& fault : outcome.faults) {
      auto& named = result.record_errors.emplace_back();
      named.batch_index = fault.batch_index;
      named.batch_index_error_message = std::move(fault.message);
    }
    finish_one();
  }

  void set_error(PartitionResponse& result, ErrorCode error, std::string message) {
    failed_ = true;
    result.error_code = static_cast<std::int16_t>(error);
    result.base_offset = -1;
    if (!message.empty()) result.error_message = std::move(message);
  }

  void finish_one() {
    if (--undecided_ > 0) return;
    if (request_.acks != 0) {
      refusals_.write(context_);
      return context_.answer(response_);
    }
    // Without an answer the only way to tell the producer that it must look for the leader anew.
    if (failed_) {
      return context_.reply.close("a Produce with acks=0 failed, so that the client looks anew; " +
                                  refusals_.describe());
    }
    context_.reply.send_nothing();
  }

  RequestContext context_;
  wire::ProduceRequest request_;
  const io::Instant deadline_;
  wire::ProduceResponse response_;
  std::vector<Job> jobs_;
  Refusals refusals_;
  std::size_t undecided_ = 0;
  bool failed_ = false;
};

}  // namespace

void handle_produce(RequestContext context) {
  auto request = context.decode<wire::ProduceRequest>();
  if (!request) return;
  std::make_shared<Produce>(std::move(context), std::move(*request))->run();
}

}  // namespace ottla::broker
