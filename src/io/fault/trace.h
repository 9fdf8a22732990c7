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
// of the begin). frames= lists the frames that start in these bytes, as LENGTH:HEX with the first
// bytes behind the length: of a request its api key, version and correlation id, of a response all
// of it if it is short. marks= lists the 8 characters that follow each place where the trace's
// marker stands, in written files and in requests (there as MARK@N: in the connection's N-th frame,
// from 1): a client that puts "<marker>00000042" into a record finds it in the request, in the
// journal and, by op=, under which flush. A file that is renamed while it is open keeps its old
// path.
//
// tests/faults/judge_trace.py reads it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

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

// Finds "<marker>XXXXXXXX", also across pieces.
class MarkFinder {
 public:
  explicit MarkFinder(std::string marker) : marker_(std::move(marker)) {}
  // What follows the marker, at each place where it ends in this piece.
  std::vector<std::string> find(ByteView bytes);

 private:
  std::string marker_;
  std::string carried_;
};

// " marks=00000042,..." or empty.
std::string describe_marks(const std::vector<std::string>& marks);

// Follows one direction of a connection and says which frames begin in each piece, and which marks
// stand in which frame.
class FrameFollower {
 public:
  static constexpr std::size_t kRequestShownBytes = 8;
  static constexpr std::size_t kResponseShownBytes = 1024;

  explicit FrameFollower(std::size_t shown_bytes, std::string marker = {})
      : shown_bytes_(shown_bytes), marker_(std::move(marker)), marks_(marker_) {}

  // " frames=12:0000000900000007,... marks=00000042@1,..." for the frames whose first bytes are
  // complete now, and the marks that end here; empty if there is neither.
  std::string follow(ByteView bytes);
  // The same for bytes that are sent from a file: a frame's first bytes end where they begin.
  std::string skip(std::uint64_t bytes);

 private:
  void take(std::uint8_t byte);
  void end_head();
  void search(ByteView bytes);
  std::string take_found();

  const std::size_t shown_bytes_;
  const std::string marker_;
  MarkFinder marks_;         // of the present frame
  std::uint64_t frame_ = 0;  // its number
  std::string head_;         // length and first bytes of the frame that begins
  std::uint64_t rest_ = 0;   // bytes of the frame that follow its head
  std::vector<std::string> found_frames_;
  std::vector<std::string> found_marks_;
};

// Everything passes through unchanged. The arguments outlive what is made.
std::unique_ptr<Disk> make_trace_disk(Disk& inner, unsigned shard, Clock& clock, TraceLog& log);
std::unique_ptr<Network> make_trace_network(Network& inner, unsigned shard, Clock& clock,
                                            TraceLog& log);

}  // namespace ottla::io::fault
