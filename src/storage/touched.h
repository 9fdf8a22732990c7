// Lists of the logs that have something in a piece of memory or a file: each log once, with the end
// of the last thing that it has there. Private to storage.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"

namespace ottla::storage {

class StoredLog;

struct Touched {
  std::weak_ptr<StoredLog> log;
  Offset end = 0;
};

// Kept by the log: where it stands in the present list of a kind.
struct TouchMark {
  std::uint64_t list = 0;  // lists have numbers from 1
  std::size_t at = 0;
};

// Enters the log into list `number`, or moves its end there.
inline void touch(std::vector<Touched>& list, std::uint64_t number, TouchMark& mark,
                  const std::shared_ptr<StoredLog>& log, Offset end) {
  if (mark.list == number) {
    list[mark.at].end = end;
    return;
  }
  mark = {number, list.size()};
  list.push_back({log, end});
}

}  // namespace ottla::storage
