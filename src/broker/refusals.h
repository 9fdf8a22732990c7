// One line in the log for a request that got an error which a person should know of: a damaged
// batch, a topic that is not there ... Errors of every day (another leader, a topic that exists
// already) get none.
#pragma once

#include <string_view>

#include "broker/request_context.h"
#include "wire/errors.h"

namespace ottla::broker {

// The errors of one request: the first that deserves a line is kept, the others are counted.
class Refusals {
 public:
  // `what` names the topic or partition; `cause` may be empty.
  void add(wire::ErrorCode error, std::string_view what, std::string_view cause = {});
  bool empty() const { return first_.empty(); }
  // "log-0: CORRUPT_MESSAGE: ...", with the remedy.
  std::string describe() const;
  void write(const RequestContext& context) const;

 private:
  std::string first_;
  std::size_t others_ = 0;
};

}  // namespace ottla::broker
