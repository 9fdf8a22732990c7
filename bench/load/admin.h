// What happens before and after a measurement, one blocking request at a time: making a topic,
// learning its id and where its log ends, deleting it.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "options.h"

namespace ottla::load {

[[noreturn]] void die(const std::string& why);  // a line on stderr, exit code 1

double now_seconds();   // monotonic
std::int64_t now_ns();  // the same clock

// A connected socket that does not delay small writes; -1 if nobody listens.
int connect_to(const Options& options);

struct Topic {
  std::string name;
  Uuid id;
  int partitions = 0;
};

class Admin {
 public:
  explicit Admin(const Options& options);
  // On a socket that is connected already.
  Admin(const Options& options, int socket) : options_(options), socket_(socket) {}
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // Waits until every partition has a leader. Makes the topic if it is not there.
  Topic make_topic();
  void delete_topic();
  std::vector<Offset> end_offsets(const Topic& topic);

 private:
  template <class Response, class Request>
  Response ask(const Request& request, std::int16_t version);

  const Options& options_;
  int socket_;
  std::int32_t next_correlation_ = 1;
};

}  // namespace ottla::load
