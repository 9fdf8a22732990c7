// DescribeProducers (key 61), v0 (KIP-664): the producers that each partition remembers, and where
// their open transactions begin: what hangs there holds up readers of committed records.
#include <map>
#include <set>
#include <vector>

#include "broker/handlers/handlers.h"
#include "broker/topic_answer.h"
#include "wire/messages/describe_producers_request.h"
#include "wire/messages/describe_producers_response.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;
using Answer = wire::DescribeProducersResponse::PartitionResponse;

// Where an answer belongs in the response.
struct Place {
  std::size_t topic;
  std::size_t partition;
  TopicIdPartition id;
};

Answer describe(Shard& there, const TopicIdPartition& id) {
  Answer answer;
  answer.partition_index = id.partition;
  const HostedPartition* hosted = there.find(id);
  if (!hosted) {
    answer.error_code = static_cast<std::int16_t>(ErrorCode::not_leader_or_follower);
    return answer;
  }
  for (const auto& [producer, entry] : hosted->log->producers().producers()) {
    auto& state = answer.active_producers.emplace_back();
    state.producer_id = producer;
    state.producer_epoch = entry.epoch;
    state.last_sequence = entry.last_sequence();
    state.last_timestamp = entry.last_timestamp;
    state.coordinator_epoch = entry.coordinator_epoch;
    state.current_txn_start_offset = entry.open_transaction;
  }
  return answer;
}

io::Task<std::vector<Answer>> describe_there(Shard* there, std::vector<Place> places) {
  std::vector<Answer> answers;
  answers.reserve(places.size());
  for (const Place& place : places) answers.push_back(describe(*there, place.id));
  co_return answers;
}

io::Task<void> serve(RequestContext context, wire::DescribeProducersRequest request) {
  Shard& shard = context.shard;
  const metadata::ImagePtr image = shard.image();
  wire::DescribeProducersResponse response;
  std::map<unsigned, std::vector<Place>> by_owner;
  std::set<TopicIdPartition> asked_for;
  for (const auto& topic : request.topics) {
    auto& of_topic = response.topics.emplace_back();
    of_topic.name = topic.name;
    const metadata::TopicImage* known = image->topics->find(topic.name);
    for (const std::int32_t index : topic.partition_indexes) {
      Answer& answer = of_topic.partitions.emplace_back();
      answer.partition_index = index;
      const auto refuse = [&](ErrorCode code, std::string message) {
        answer.error_code = static_cast<std::int16_t>(code);
        answer.error_message = std::move(message);
      };
      const bool is_known =
          known && index >= 0 && static_cast<std::size_t>(index) < known->partitions.size();
      if (!is_known) {
        const ErrorCode missing =
            known ? ErrorCode::unknown_topic_or_partition : missing_topic_error(topic.name);
        refuse(missing, missing == ErrorCode::invalid_topic_exception
                            ? "The name is not legal for a topic."
                            : "This server does not host this topic-partition.");
        continue;
      }
      const TopicIdPartition id{known->id, index};
      if (!asked_for.insert(id).second) {  // a short question must not have an endless answer
        refuse(ErrorCode::invalid_request, "The partition is named twice.");
        continue;
      }
      by_owner[shard.owner_of(id)].push_back(
          {response.topics.size() - 1, of_topic.partitions.size() - 1, id});
    }
  }
  for (const auto& [owner, places] : by_owner) {
    Shard* there = &shard.sibling(owner);
    auto answers = co_await io::call_on<std::vector<Answer>>(
        shard.env, owner,
        [there, asked = places]() mutable { return describe_there(there, std::move(asked)); });
    for (std::size_t i = 0; i < places.size(); ++i)
      response.topics[places[i].topic].partitions[places[i].partition] = std::move(answers[i]);
  }
  context.answer(response);
}

}  // namespace

void handle_describe_producers(RequestContext context) { serve_in_task(std::move(context), serve); }

}  // namespace ottla::broker
