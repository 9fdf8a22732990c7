// What a call on the log may answer instead of its result.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "wire/errors.h"

namespace ottla::storage {

enum class LogError : std::uint8_t {
  no_room,                 // the journal is full: await Store::wait_for_room(), then try again
  fenced,                  // the disk failed: nothing is acknowledged any more in this process
  deleted,                 // the partition was removed meanwhile
  offset_out_of_range,     // below the log's start, above its end or above the caller's bound
  corrupt,                 // the range is damaged on disk
  unreadable,              // a file can't be opened or read now; the range may be whole
  too_large,               // the batch does not fit into a journal entry or a segment
  invalid_producer_epoch,  // the five of the producer's rules, storage/producer_state.h
  out_of_order_sequence,
  invalid_txn_state,
  coordinator_fenced,
  too_many_producers,
};

// What a client gets to see. no_room is REQUEST_TIMED_OUT: only who waited in vain answers it.
wire::ErrorCode to_error_code(LogError error);
std::string_view describe(LogError error);

template <class T = void>
using LogResult = std::expected<T, LogError>;

}  // namespace ottla::storage
