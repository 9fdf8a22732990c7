#include "io/sim/calendar.h"

#include "base/check.h"

namespace ottla::io::sim {

void Happening::cancel() {
  if (calendar_) calendar_->take_out(slot_);
}

Calendar::~Calendar() {
  for (Entry& entry : heap_) entry.what->calendar_ = nullptr;
}

void Calendar::plan(Happening& what, Instant at, std::uint32_t tie) {
  OTTLA_CHECK(!what.is_planned());
  what.calendar_ = this;
  heap_.emplace_back();
  rise(heap_.size() - 1, {at, static_cast<std::uint64_t>(tie) << 32 | planned_++, &what});
}

Happening& Calendar::pop() {
  OTTLA_CHECK(!heap_.empty());
  Happening& first = *heap_[0].what;
  take_out(0);
  return first;
}

void Calendar::put(std::size_t slot, const Entry& entry) {
  heap_[slot] = entry;
  entry.what->slot_ = slot;
}

void Calendar::rise(std::size_t slot, Entry entry) {
  while (slot > 0) {
    const std::size_t parent = (slot - 1) / 2;
    if (!entry.before(heap_[parent])) break;
    put(slot, heap_[parent]);
    slot = parent;
  }
  put(slot, entry);
}

void Calendar::sink(std::size_t slot, Entry entry) {
  for (;;) {
    std::size_t child = 2 * slot + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].before(heap_[child])) ++child;
    if (!heap_[child].before(entry)) break;
    put(slot, heap_[child]);
    slot = child;
  }
  put(slot, entry);
}

void Calendar::take_out(std::size_t slot) {
  heap_[slot].what->calendar_ = nullptr;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (slot == heap_.size()) return;
  if (slot > 0 && last.before(heap_[(slot - 1) / 2]))
    rise(slot, last);
  else
    sink(slot, last);
}

}  // namespace ottla::io::sim
