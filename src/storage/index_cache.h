// IndexCache: which sealed segments of a shard keep their indexes in memory. A bound in bytes for
// all of them; those used least recently go first. Pure bookkeeping; a partition log asks before
// it reads, and loads with segment_files.h on a miss.
//
// Active segments are not in here: they own their indexes, which grow with what is appended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "base/ids.h"
#include "storage/segment.h"

namespace ottla::storage {

// Of one shard. About eight indexes of full 1 GiB segments with entries each 4 KiB, or tens of
// thousands of small ones.
inline constexpr std::size_t kIndexCacheBytesMax = 32u << 20;

class IndexCache {
 public:
  explicit IndexCache(std::size_t bytes_max = kIndexCacheBytesMax) : bytes_max_(bytes_max) {}

  // nullptr if they are not here. What is returned stays valid for whoever holds it, in the cache
  // or not.
  std::shared_ptr<const SegmentIndexes> find(const TopicIdPartition& partition, Offset base_offset);
  // Replaces an older one. One larger than the bound is returned to the caller, but not kept.
  std::shared_ptr<const SegmentIndexes> insert(const TopicIdPartition& partition,
                                               std::unique_ptr<SegmentIndexes> indexes);
  // When a segment is deleted, truncated or compacted.
  void erase(const TopicIdPartition& partition, Offset base_offset);

  std::size_t bytes() const { return bytes_; }

 private:
  using Key = std::pair<TopicIdPartition, Offset>;
  struct Entry {
    Key key;
    std::shared_ptr<const SegmentIndexes> indexes;
    std::size_t bytes;
  };
  void remove(std::list<Entry>::iterator entry);

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<Entry> by_use_;  // most recent first
  std::map<Key, std::list<Entry>::iterator> by_key_;
};

}  // namespace ottla::storage
