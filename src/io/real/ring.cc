#include "io/real/ring.h"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

namespace ottla::io::real {
namespace {

constexpr unsigned kEntries = 256;
constexpr std::size_t kRequestBytesMax = 1 << 30;

}  // namespace

std::unique_ptr<Ring> Ring::make(Loop& loop) {
  std::unique_ptr<Ring> ring(new Ring(loop));
  // Deferred task work (DEFER_TASKRUN) was measured as well: the same times, but four calls to
  // enter the ring for a commit instead of one.
  const unsigned wanted =
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  if (!ring->set_up(wanted) && !ring->set_up(0)) return nullptr;
  return ring;
}

bool Ring::set_up(unsigned flags) {
  // A ring of one issuer belongs to the thread that enables it.
  must_enable_ = (flags & IORING_SETUP_SINGLE_ISSUER) != 0;
  io_uring_params parameters{};
  parameters.flags = flags | IORING_SETUP_CLAMP | (must_enable_ ? IORING_SETUP_R_DISABLED : 0);
  if (io_uring_queue_init_params(kEntries, &ring_, &parameters) != 0) return false;
  is_set_up_ = true;
  completed_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const bool works = completed_.is_open() &&
                     io_uring_register_eventfd(&ring_, completed_.get()) == 0 &&
                     loop_.watch(completed_.get(), EPOLLIN, *this) == 0;
  if (!works) {
    io_uring_queue_exit(&ring_);
    is_set_up_ = false;
  }
  return works;
}

Ring::~Ring() {
  if (is_set_up_) io_uring_queue_exit(&ring_);
}

void Ring::start() {
  // Not by io_uring_enable_rings(): liburing 2.3 does not export it.
  if (must_enable_) {
    OTTLA_CHECK(::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS,
                          nullptr, 0) == 0);
  }
  io_uring_register_ring_fd(&ring_);  // saves looking up the descriptor; may be refused
}

void Ring::make_room(unsigned count) {
  for (int tries = 0; io_uring_sq_space_left(&ring_) < count; ++tries) {
    OTTLA_CHECK(tries < 1'000'000);
    if (!before_wait()) after_wait();
  }
}

void Ring::prepare(const Request& request, Entry& entry, bool linked) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  OTTLA_CHECK(sqe != nullptr);
  const auto size = static_cast<unsigned>(std::min(request.size, kRequestBytesMax));
  switch (request.operation) {
    case Operation::read:
      io_uring_prep_read(sqe, request.descriptor, request.data, size, request.position);
      break;
    case Operation::write:
      io_uring_prep_write(sqe, request.descriptor, request.data, size, request.position);
      break;
    case Operation::sync_data:
      io_uring_prep_fsync(sqe, request.descriptor, IORING_FSYNC_DATASYNC);
      break;
  }
  if (linked) sqe->flags |= IOSQE_IO_LINK;
  io_uring_sqe_set_data(sqe, &entry);
  ++prepared_;
  loop_.begin_outside();
}

bool Ring::before_wait() {
  if (prepared_ == 0) return true;
  const int submitted = io_uring_submit(&ring_);
  // EAGAIN and EBUSY: the kernel has no memory just now, or completions wait to be taken. The next
  // turn tries again.
  if (submitted > 0) prepared_ -= static_cast<unsigned>(submitted);
  OTTLA_CHECK(submitted >= 0 || submitted == -EAGAIN || submitted == -EBUSY || submitted == -EINTR);
  return prepared_ == 0;
}

void Ring::after_wait() {
  if (*ring_.sq.kflags & IORING_SQ_TASKRUN) io_uring_get_events(&ring_);
  std::array<io_uring_cqe*, 64> completed;
  while (const unsigned count =
             io_uring_peek_batch_cqe(&ring_, completed.data(), completed.size())) {
    for (unsigned i = 0; i < count; ++i) {
      auto* entry = static_cast<Entry*>(io_uring_cqe_get_data(completed[i]));
      entry->result = completed[i]->res;
      loop_.end_outside();
      if (--entry->waiter->pending == 0 && !loop_.is_draining()) loop_.post(entry->waiter->handle);
    }
    io_uring_cq_advance(&ring_, count);
  }
}

Ring::Call<1> Ring::read(int descriptor, std::uint64_t position, MutableByteView into) {
  return {*this, {Request{Operation::read, descriptor, position, into.data(), into.size()}}};
}

Ring::Call<1> Ring::write(int descriptor, std::uint64_t position, ByteView from) {
  return {*this,
          {Request{Operation::write, descriptor, position, const_cast<std::uint8_t*>(from.data()),
                   from.size()}}};
}

Ring::Call<1> Ring::sync_data(int descriptor) {
  return {*this, {Request{.operation = Operation::sync_data, .descriptor = descriptor}}};
}

Ring::Call<2> Ring::write_then_sync(int descriptor, std::uint64_t position, ByteView from) {
  return {*this,
          {Request{Operation::write, descriptor, position, const_cast<std::uint8_t*>(from.data()),
                   from.size()},
           Request{.operation = Operation::sync_data, .descriptor = descriptor}}};
}

}  // namespace ottla::io::real
