#include "broker/refusals.h"

#include <fmt/format.h>

#include "wire/api.h"

namespace ottla::broker {
namespace {

using wire::ErrorCode;

constexpr std::size_t kNameBytesMax = 249;  // a name that is longer may be of any length

// What to do about it; empty for errors that need no line.
std::string_view remedy_of(ErrorCode error) {
  switch (error) {
    case ErrorCode::corrupt_message:
      return "it was damaged on its way or by the producer; it may be sent again";
    case ErrorCode::message_too_large:
      return "raise the topic's max.message.bytes, or lower the producer's batch size";
    case ErrorCode::invalid_record:
    case ErrorCode::unsupported_compression_type:
    case ErrorCode::unsupported_for_message_format:
      return "the producer breaks the format of batches: look at its version";
    case ErrorCode::invalid_timestamp:
      return "look at the producer's clock, or at the topic's message.timestamp.* configs";
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::unknown_topic_id:
      return "create the topic, or correct its name at the client";
    case ErrorCode::invalid_topic_exception:
      return "a name has 1 to 249 of the characters a-z A-Z 0-9 . _ - and is not . or ..";
    case ErrorCode::offset_out_of_range:
      return "the client should begin anew from the earliest or latest offset";
    case ErrorCode::invalid_required_acks:
      return "acks is -1, 0 or 1: correct the producer";
    case ErrorCode::invalid_txn_state:
      return "transactions are not served yet: take transactional.id out of the producer";
    default:
      return "";
  }
}

}  // namespace

void Refusals::add(ErrorCode error, std::string_view what, std::string_view cause) {
  const std::string_view remedy = remedy_of(error);
  if (remedy.empty()) return;
  if (!first_.empty()) {
    ++others_;
    return;
  }
  first_ = fmt::format("{:?}: {}{}{}; {}", what.substr(0, kNameBytesMax), wire::error_name(error),
                       cause.empty() ? "" : ": ", cause, remedy);
}

std::string Refusals::describe() const {
  return others_ == 0 ? first_ : fmt::format("{} (and {} more of this request)", first_, others_);
}

void Refusals::write(const RequestContext& context) const {
  if (empty()) return;
  const rpc::Request& request = context.request;
  const wire::ApiInfo* api = wire::find_api(request.api_key);
  context.shard.client_log.write(
      fmt::format("refused a {} of client {:?} at {}: {}", api ? api->name : "request",
                  request.client_id.value_or("").substr(0, kNameBytesMax),
                  context.peer->remote.to_string(), describe()));
}

}  // namespace ottla::broker
