// Calendar: what the simulated devices will do, by virtual time. Happenings of equal time come in
// an order that the seed draws.
#pragma once

#include <cstdint>
#include <vector>

#include "io/clock.h"

namespace ottla::io::sim {

class Calendar;

// Something planned at most once at a time; its destruction cancels it.
class Happening {
 public:
  Happening() = default;
  Happening(const Happening&) = delete;
  Happening& operator=(const Happening&) = delete;
  virtual ~Happening() { cancel(); }
  virtual void happen() = 0;
  bool is_planned() const { return calendar_ != nullptr; }
  void cancel();

 private:
  friend class Calendar;
  Calendar* calendar_ = nullptr;
  std::size_t slot_ = 0;
};

class Calendar {
 public:
  Calendar() = default;
  Calendar(const Calendar&) = delete;
  Calendar& operator=(const Calendar&) = delete;
  ~Calendar();

  // REQUIRES: not planned. `tie` orders happenings of equal time.
  void plan(Happening& what, Instant at, std::uint32_t tie);
  bool empty() const { return heap_.empty(); }
  Instant next() const { return heap_.empty() ? Instant::never() : heap_[0].at; }
  Happening& pop();  // REQUIRES: not empty

 private:
  friend class Happening;
  struct Entry {
    Instant at;
    std::uint64_t order;  // tie, then the order of planning
    Happening* what;
    bool before(const Entry& other) const {
      return at != other.at ? at < other.at : order < other.order;
    }
  };
  void put(std::size_t slot, const Entry& entry);
  void rise(std::size_t slot, Entry entry);
  void sink(std::size_t slot, Entry entry);
  void take_out(std::size_t slot);

  std::vector<Entry> heap_;
  std::uint32_t planned_ = 0;
};

}  // namespace ottla::io::sim
