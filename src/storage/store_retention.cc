#include "storage/store_retention.h"

#include <algorithm>

#include "storage/store_log.h"
#include "storage/store_shard.h"

namespace ottla::storage {

namespace {

// The first look, so that a node that is started again and again comes to it as well.
constexpr io::Duration kFirstLook = std::chrono::seconds(30);
// The loop serves others after so many logs.
constexpr std::size_t kLogsATurn = 64;

}  // namespace

io::Task<> retain_in_background(ShardStore& store) {
  io::Clock& clock = store.env().clock;
  const io::Duration interval =
      std::chrono::milliseconds(store.limits().retention_check_interval_ms);
  io::Instant next = clock.now() + std::min(interval, kFirstLook);
  while (!co_await store.closing().wait_until(clock, next)) {
    std::size_t looked_at = 0;
    for (const auto& partition : store.partitions()) {
      if (store.is_closing() || store.is_fenced()) co_return;
      const auto log = std::static_pointer_cast<StoredLog>(partition);
      // An error is the log's end or the store's, and told by them; without room there is the next
      // time.
      (void)co_await log->apply_retention(clock.wall_ms());
      if (++looked_at % kLogsATurn == 0) co_await io::sleep_for(clock, io::Duration(1));
    }
    next = clock.now() + interval;
  }
}

}  // namespace ottla::storage
