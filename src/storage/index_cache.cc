#include "storage/index_cache.h"

namespace ottla::storage {

std::shared_ptr<const SegmentIndexes> IndexCache::find(const TopicIdPartition& partition,
                                                       Offset base_offset) {
  const auto found = by_key_.find(Key(partition, base_offset));
  if (found == by_key_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->indexes;
}

std::shared_ptr<const SegmentIndexes> IndexCache::insert(const TopicIdPartition& partition,
                                                         std::unique_ptr<SegmentIndexes> indexes) {
  const Key key(partition, indexes->offsets.base_offset());
  erase(partition, key.second);
  const std::size_t bytes = indexes->memory_bytes();
  std::shared_ptr<const SegmentIndexes> shared(std::move(indexes));
  if (bytes > bytes_max_) return shared;
  while (bytes_ + bytes > bytes_max_) remove(std::prev(by_use_.end()));
  by_use_.push_front({key, shared, bytes});
  by_key_.emplace(key, by_use_.begin());
  bytes_ += bytes;
  return shared;
}

void IndexCache::erase(const TopicIdPartition& partition, Offset base_offset) {
  const auto found = by_key_.find(Key(partition, base_offset));
  if (found != by_key_.end()) remove(found->second);
}

void IndexCache::remove(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  by_use_.erase(entry);
}

}  // namespace ottla::storage
