#include "storage/log_error.h"

namespace ottla::storage {

wire::ErrorCode to_error_code(LogError error) {
  switch (error) {
    case LogError::no_room:
      return wire::ErrorCode::request_timed_out;
    case LogError::fenced:
      return wire::ErrorCode::kafka_storage_error;
    case LogError::deleted:
      return wire::ErrorCode::unknown_topic_or_partition;
    case LogError::offset_out_of_range:
      return wire::ErrorCode::offset_out_of_range;
    case LogError::unreadable:
      return wire::ErrorCode::kafka_storage_error;
    case LogError::corrupt:
      return wire::ErrorCode::corrupt_message;
    case LogError::too_large:
      return wire::ErrorCode::message_too_large;
    case LogError::invalid_producer_epoch:
      return wire::ErrorCode::invalid_producer_epoch;
    case LogError::out_of_order_sequence:
      return wire::ErrorCode::out_of_order_sequence_number;
    case LogError::invalid_txn_state:
      return wire::ErrorCode::invalid_txn_state;
    case LogError::coordinator_fenced:
      return wire::ErrorCode::transaction_coordinator_fenced;
    case LogError::too_many_producers:
      return wire::ErrorCode::policy_violation;
  }
  return wire::ErrorCode::unknown_server_error;
}

std::string_view describe(LogError error) {
  switch (error) {
    case LogError::no_room:
      return "the journal is full";
    case LogError::fenced:
      return "the disk failed";
    case LogError::deleted:
      return "the partition was removed";
    case LogError::offset_out_of_range:
      return "the offset is outside the log";
    case LogError::unreadable:
      return "a file can't be read";
    case LogError::corrupt:
      return "the range is damaged on disk";
    case LogError::too_large:
      return "the batch is too large for the journal";
    case LogError::invalid_producer_epoch:
      return "the producer's epoch is an old one";
    case LogError::out_of_order_sequence:
      return "the sequence is not the next one";
    case LogError::invalid_txn_state:
      return "the transaction's state does not allow it";
    case LogError::coordinator_fenced:
      return "the coordinator is an old one";
    case LogError::too_many_producers:
      return "too many producers have open transactions";
  }
  return "unknown";
}

}  // namespace ottla::storage
