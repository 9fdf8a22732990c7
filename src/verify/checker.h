// Decides from a history whether the promises to clients were kept. Pure; linear in the size of the
// history but for sorting. The names of the anomalies are Jepsen's where it has one (correctness by
// Kingsbury and Alvaro's Elle; the kafka workload), numbered C1 .. C14 as in this project's list of
// invariants.
//
// Sound only for histories whose final reads reached the end of each partition after all faults
// were healed.
#pragma once

#include <string>
#include <vector>

#include "verify/history.h"

namespace ottla::verify {

enum class Anomaly {
  inconsistent_offsets,        // C1: one offset of a key showed two values
  lost_write,                  // C2: acknowledged, skipped by all, though something later was read
  duplicate,                   // C3: one value at two offsets
  internal_poll_skip,          // C7: inside one operation a known record was passed over
  internal_nonmonotonic_poll,  // C7: inside one operation the order went back
  internal_nonmonotonic_send,  // C7: inside one operation later sends got lower offsets
  nonmonotonic_send,           // C7: a later operation of a process got lower offsets
  poll_skip,              // C8: between two operations of a process a known record was passed over
  nonmonotonic_poll,      // C8: a later operation of a process read earlier records
  unseen,                 // C9: acknowledged, but in no read by the end
  ack_not_after_earlier,  // C10: an acknowledged offset was not above those acknowledged before the
                          // send began
  failed_but_visible,     // C13: a write that certainly failed was read
  unknown_write_repeated,  // C14: a write of unknown outcome is there more than once
  phantom,                 // a value was read that nobody wrote
};

std::string_view to_string(Anomaly anomaly);

// What the checked clients were promised.
struct Promise {
  bool idempotent = true;  // C3 and C14 are demanded
};

struct Finding {
  Anomaly anomaly;
  Key key = 0;
  std::string explanation;              // names values and offsets
  std::vector<std::size_t> operations;  // places in the history
};

// Empty if every promise was kept.
std::vector<Finding> check(const History& history, const Promise& promise = {});

}  // namespace ottla::verify
