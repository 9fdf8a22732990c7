// Memory that the connections of a shard may hold together (queued.max.request.bytes), for requests
// and once more for answers that are not sent yet.
//
// Small requests have a quarter of it to themselves, so that they find room however many large ones
// come in slowly. In each pool one request is let in whatever its size.
#pragma once

#include <cstdint>

#include "io/event.h"

namespace ottla::rpc {

class MemoryBudget {
 public:
  static constexpr std::uint64_t kLargeFrom = 32 << 10;

  MemoryBudget(io::Executor& executor, std::uint64_t bytes_max)
      : freed_(executor),
        large_{bytes_max - bytes_max / 4, 0},
        small_{bytes_max / 4, 0},
        answers_{bytes_max, 0} {}

  // Of one request, by the bytes of its frame.
  bool has_room(std::uint64_t frame_bytes) const {
    const Pool& pool = frame_bytes > kLargeFrom ? large_ : small_;
    return pool.used == 0 || pool.used + frame_bytes <= pool.max;
  }
  void take(std::uint64_t frame_bytes) {
    (frame_bytes > kLargeFrom ? large_ : small_).used += frame_bytes;
  }
  void give(std::uint64_t frame_bytes) {
    (frame_bytes > kLargeFrom ? large_ : small_).used -= frame_bytes;
    freed_.pulse();
  }
  std::uint64_t used_bytes() const { return large_.used + small_.used; }

  // Pulsed when there may be room.
  io::Event& freed() { return freed_; }
  void begin_waiting() { ++waiting_; }
  void end_waiting() { --waiting_; }
  bool is_waited_for() const { return waiting_ > 0; }

  void take_answer(std::uint64_t bytes) { answers_.used += bytes; }
  void give_answer(std::uint64_t bytes) { answers_.used -= bytes; }
  bool has_too_many_answers() const { return answers_.used > answers_.max; }
  std::uint64_t answer_bytes() const { return answers_.used; }

 private:
  struct Pool {
    std::uint64_t max;
    std::uint64_t used;
  };
  io::Event freed_;
  Pool large_;
  Pool small_;
  Pool answers_;
  std::size_t waiting_ = 0;
};

}  // namespace ottla::rpc
