#include "broker/topic_answer.h"

#include "storage/log_directory.h"

namespace ottla::broker {

bool is_internal_topic(std::string_view name) {
  return name == "__consumer_offsets" || name == "__transaction_state" ||
         name == "__share_group_state";
}

wire::ErrorCode missing_topic_error(std::string_view name) {
  return storage::is_topic_name(name) ? wire::ErrorCode::unknown_topic_or_partition
                                      : wire::ErrorCode::invalid_topic_exception;
}

}  // namespace ottla::broker
