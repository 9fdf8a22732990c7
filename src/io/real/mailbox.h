// What other threads bring to a loop: a queue that many push to and one takes from.
#pragma once

#include <atomic>

namespace ottla::io::real {

// Whoever pushes an item gives up all rights to it.
class MailboxItem {
 public:
  // On the loop's thread. `dropped`: the loop is ending, nothing of the shard may run any more.
  virtual void deliver(bool dropped) = 0;

 protected:
  ~MailboxItem() = default;

 private:
  friend class Mailbox;
  MailboxItem* next_ = nullptr;
};

class Mailbox {
 public:
  bool empty() const { return first_.load() == nullptr; }

  // From any thread.
  void push(MailboxItem& item) {
    MailboxItem* first = first_.load(std::memory_order_relaxed);
    do {
      item.next_ = first;
    } while (!first_.compare_exchange_weak(first, &item));
  }

  // Visits all, the oldest first. An item may be gone once it has been visited.
  template <class Visit>
  void take_all(Visit visit) {
    MailboxItem* newest = first_.exchange(nullptr);
    MailboxItem* oldest = nullptr;
    while (newest != nullptr) {
      MailboxItem* next = newest->next_;
      newest->next_ = oldest;
      oldest = newest;
      newest = next;
    }
    while (oldest != nullptr) {
      MailboxItem* next = oldest->next_;
      visit(*oldest);
      oldest = next;
    }
  }

 private:
  std::atomic<MailboxItem*> first_{nullptr};
};

}  // namespace ottla::io::real
