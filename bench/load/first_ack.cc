// From exec to the first acknowledged record: starts the broker, knocks until somebody answers,
// makes the topic if it is not there, and produces one record (to each partition, if asked). The
// broker goes on running; its process id is in the report.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "admin.h"
#include "broker_process.h"
#include "options.h"
#include "produce_frames.h"
#include "report.h"

extern "C" {  // which the header of glibc 2.36 leaves out
#include <sys/pidfd.h>
}

extern char** environ;

namespace ottla::load {
namespace {

// Between two tries: that a port begins to listen, or a partition to be led, no broker tells to
// others, so it is tried until it works. 200 us are lost in what is measured.
constexpr timespec kKnockPause{.tv_sec = 0, .tv_nsec = 200'000};
constexpr std::size_t kRecordBytes = 100;

// The broker's process. Its end is an event, so a pause between two tries ends with it.
class Broker {
 public:
  explicit Broker(pid_t pid) : pid_(pid), descriptor_(::pidfd_open(pid, 0)) {
    if (descriptor_ < 0) die("the broker ended; see its log");
  }
  ~Broker() { ::close(descriptor_); }
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;
  pid_t pid() const { return pid_; }
  void pause() const {
    pollfd ended{descriptor_, POLLIN, 0};
    if (::ppoll(&ended, 1, &kKnockPause, nullptr) > 0) die("the broker ended; see its log");
  }

 private:
  pid_t pid_;
  int descriptor_;
};

pid_t start_broker(const Options& options) {
  std::vector<char*> command;
  for (const std::string& word : options.broker) command.push_back(const_cast<char*>(word.c_str()));
  command.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, options.broker_log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  if (::posix_spawnp(&pid, command[0], &actions, &attributes, command.data(), environ) != 0)
    die("the broker's command can't be started");
  return pid;
}

// -1: the answer was not an acknowledgement
bool produce_one(int socket, const Bytes& frame, std::string& error) {
  if (::send(socket, frame.data(), frame.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(frame.size())) {
    error = "the request was not sent";
    return false;
  }
  std::uint8_t length[4];
  if (::recv(socket, length, sizeof length, MSG_WAITALL) != sizeof length) {
    error = "no answer";
    return false;
  }
  const Slice answer = Slice::allocate(load_big<std::uint32_t>(length));
  if (::recv(socket, answer.mutable_data(), answer.size(), MSG_WAITALL) !=
      static_cast<ssize_t>(answer.size())) {
    error = "half an answer";
    return false;
  }
  return read_produce_answer(answer, error).has_value();
}

}  // namespace

nlohmann::json run_first_ack(const Options& options) {
  if (options.broker.empty()) die("first-ack wants the broker's command behind --");
  const std::int64_t begin = now_ns();
  const auto ms_since = [begin] { return static_cast<double>(now_ns() - begin) * 1e-6; };
  const Broker broker(start_broker(options));
  int socket = -1;
  while ((socket = connect_to(options)) < 0) {
    if (ms_since() > options.timeout_seconds * 1e3) die("the broker does not listen in time");
    broker.pause();
  }
  const double listens_ms = ms_since();
  Admin admin(options, socket);
  const Topic topic = admin.make_topic();
  const double leads_ms = ms_since();
  const Batch batch = make_batch(kRecordBytes, kRecordBytes);
  double first_ms = 0;
  for (int i = 0; i < (options.all_partitions != 0 ? topic.partitions : 1); ++i) {
    const Bytes frame = make_produce_frame(topic, i, batch);
    std::string error;
    while (!produce_one(socket, frame, error)) {
      if (ms_since() > options.timeout_seconds * 1e3) die(error);
      broker.pause();
    }
    if (i == 0) first_ms = ms_since();
  }
  return {{"pid", broker.pid()},
          {"listens_ms", listens_ms},
          {"leads_ms", leads_ms},
          {"first_ack_ms", first_ms},
          {"all_acked_ms", ms_since()},
          {"broker_cpu_seconds", cpu_seconds_of(broker.pid())},
          {"errors", nlohmann::json::array()}};
}

}  // namespace ottla::load
