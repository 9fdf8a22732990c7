// An intrusive doubly linked list whose members may leave it at any time, also after the list
// itself is gone.
#pragma once

#include "base/check.h"

namespace ottla::io {

class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }

  bool is_linked() const { return next_ != nullptr; }
  void unlink() {
    if (!next_) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
  }

 private:
  template <class T>
  friend class List;
  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

// T derives publicly from ListNode. Does not own its members; its destructor lets them go.
template <class T>
class List {
 public:
  List() { head_.next_ = head_.previous_ = &head_; }
  ~List() {
    while (!empty()) head_.next_->unlink();
    head_.next_ = head_.previous_ = nullptr;
  }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  bool empty() const { return head_.next_ == &head_; }
  T& front() { return static_cast<T&>(*head_.next_); }
  T& back() { return static_cast<T&>(*head_.previous_); }
  void push_back(T& item) {
    ListNode& node = item;
    OTTLA_CHECK(!node.is_linked());
    node.previous_ = head_.previous_;
    node.next_ = &head_;
    head_.previous_->next_ = &node;
    head_.previous_ = &node;
  }
  // `visit` may unlink the member that it is given, no other.
  template <class Visit>
  void for_each(Visit visit) {
    for (ListNode* at = head_.next_; at != &head_;) {
      ListNode* next = at->next_;
      visit(static_cast<T&>(*at));
      at = next;
    }
  }
  T& pop_front() {
    OTTLA_CHECK(!empty());
    T& item = front();
    static_cast<ListNode&>(item).unlink();
    return item;
  }

 private:
  ListNode head_;
};

}  // namespace ottla::io
