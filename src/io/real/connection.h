// One TCP connection of one shard. Its descriptor is registered once, edge-triggered; reads and
// writes are tried at once and wait for readiness only when the kernel says so.
#pragma once

#include <coroutine>

#include "io/network.h"
#include "io/real/address.h"
#include "io/real/file_descriptor.h"
#include "io/real/lanes.h"
#include "io/real/loop.h"

namespace ottla::io::real {

class RealConnection final : public Connection, private Watch {
 public:
  // The socket is connected and non-blocking.
  RealConnection(Loop& loop, Lanes& lanes, FileDescriptor socket, Address local, Address peer);

  // Registers with the loop: 0 or errno.
  int start();

  Task<Result<>> wait_readable() override;
  Task<Result<std::size_t>> read_some(MutableByteView into) override;
  Task<Result<>> write(Gather what) override;
  void close() override;
  Endpoint local() const override { return local_.to_endpoint(); }
  Endpoint peer() const override { return peer_.to_endpoint(); }

 private:
  struct Position {
    std::size_t part = 0;
    std::uint64_t offset = 0;  // inside that part
  };
  enum class Progress { some, would_block, failed };
  struct Readable;
  struct Writable;

  void on_ready(std::uint32_t events) override;
  Error closed_error(std::string_view operation) const;
  Progress send_memory(const Gather& what, Position& at, int& error_number);
  Progress send_file(const FileRange& range, std::uint64_t size_bytes, Position& at,
                     int& error_number);
  Task<Result<>> write_range(const FileRange& range, Position& at);
  void wait_for_room();

  Loop& loop_;
  Lanes& lanes_;
  FileDescriptor socket_;
  Address local_;
  Address peer_;
  std::coroutine_handle<> reader_;
  std::coroutine_handle<> writer_;
  bool closed_ = false;
  bool readable_ = false;        // a read may find something
  bool end_seen_ = false;        // the peer has ended its sending: keep reading to the end
  bool wants_writable_ = false;  // EPOLLOUT is registered
  bool writable_ = true;
};

}  // namespace ottla::io::real
