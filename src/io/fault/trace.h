// An ordered log of what a process did to its disk and said on its network, from which a script can
// prove, for example, that no answer to a Produce precedes the end of the flush that covers its
// records.
//
// One line each, in one order over all shards (the order of the lines is the order of the events;
// the time is the shard's, read once a turn):
//
//   SEQUENCE NS SHARD file EVENT PHASE path=... at=... bytes=... op=...      EVENT: write sync
//   write_synced ... SEQUENCE NS SHARD net  EVENT PHASE connection=... bytes=... frames=... op=...
//
// PHASE is "begin" (before anything was done) or "ok" / "failed" (after it had been done, with op=
// of the begin). frames= lists the frames that start in these bytes, as LENGTH:HEX with the first 8
// bytes behind the length: of a request its api key, version and correlation id, of a response its
// correlation id. marks= lists the 8 characters that follow each place where the trace's marker
// stands, in written files and in bytes received: a client that puts "<marker>00000042" into a
// record finds it in the request, in the journal and, by op=, under which flush.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "io/env.h"

namespace ottla::io::fault {

class TraceLog {
 public:
  // Null if the file can't be made. Without a marker no marks are looked for.
  static std::unique_ptr<TraceLog> open(const std::string& path, std::string marker);
  ~TraceLog();

  // From any shard. The line is in the file when it returns.
  void write(unsigned shard, Instant now, std::string_view text);
  std::uint64_t next_id();
  const std::string& marker() const { return marker_; }

 private:
  TraceLog(std::FILE* file, std::string marker) : file_(file), marker_(std::move(marker)) {}
  std::mutex mutex_;
  std::FILE* file_;
  std::uint64_t sequence_ = 0;
  std::uint64_t next_id_ = 0;
  const std::string marker_;
};

// Follows one direction of a connection and says which frames begin in each piece.
class FrameFollower {
 public:
  // " frames=12:0000000900000007,..." for the frames whose first 8 bytes are complete now; empty if
  // none is.
  std::string follow(ByteView bytes);
  void skip(std::uint64_t bytes);  // sent from a file

 private:
  void take(std::uint8_t byte, std::string& found);
  std::string head_;        // length and first bytes of the frame that begins
  std::uint64_t rest_ = 0;  // bytes of the frame that follow its head
};

// Finds "<marker>XXXXXXXX", also across pieces.
class MarkFinder {
 public:
  explicit MarkFinder(std::string marker) : marker_(std::move(marker)) {}
  // " marks=00000042,..." or empty.
  std::string find(ByteView bytes);

 private:
  const std::string marker_;
  std::string carried_;
};

// Everything passes through unchanged. The arguments outlive what is made.
std::unique_ptr<Disk> make_trace_disk(Disk& inner, unsigned shard, Clock& clock, TraceLog& log);
std::unique_ptr<Network> make_trace_network(Network& inner, unsigned shard, Clock& clock,
                                            TraceLog& log);

}  // namespace ottla::io::fault
