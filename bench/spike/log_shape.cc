// The spike behind docs/decisions/0001: what does each shape of the log cost? A "shard" thread
// makes the batches, checks them and owns the journal (io_uring), a writer thread has the segments.
//   null: receive copy and CRC only; d: direct journal only;
//   a: direct journal + buffered segment; b: direct journal + direct segment, padded last block;
//   c: whole blocks straight to the segment before the ack, frame and rest in the journal.
// Build and run: bench/spike/run.sh. One line per phase, fields as name=value. Not shipped.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <liburing.h>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <random>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/crc32c.h"

namespace {
using u64 = std::uint64_t;
using u8 = unsigned char;
constexpr u64 kBlock = 4096, kKiB = 1024, kMiB = kKiB * kKiB;
constexpr std::size_t kFrame = 64;

[[noreturn]] void die(const char* what, int err = errno) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(err));
  std::exit(1);
}
u64 ok(long r, const char* what) {
  if (r < 0) die(what);
  return static_cast<u64>(r);
}
u64 now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<u64>(t.tv_sec) * 1000000000u + static_cast<u64>(t.tv_nsec);
}
double cpu_s(int who) {
  rusage r;
  getrusage(who, &r);
  return static_cast<double>(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}
u64 round_up(u64 n) { return (n + kBlock - 1) / kBlock * kBlock; }

// Kernel threads (write-back, jbd2, block) work for us outside our rusage; other processes' I/O
// shows here too.
double kthread_s() {
  double sum = 0;
  for (auto& e : std::filesystem::directory_iterator("/proc")) {
    if (!std::isdigit(e.path().filename().string()[0])) continue;
    std::ifstream stat(e.path() / "stat"), sched(e.path() / "schedstat");
    std::string line;
    if (!std::getline(stat, line)) continue;
    int ppid = 0;
    char state = 0;
    auto close_paren = line.rfind(')');
    if (close_paren == line.npos) continue;
    std::sscanf(line.c_str() + close_paren + 1, " %c %d", &state, &ppid);
    double ns = 0;
    if (ppid == 2 && sched >> ns) sum += ns * 1e-9;
  }
  return sum;
}
u64 proc_value(const char* file, const std::string& field) {
  std::ifstream f(file);
  std::string line;
  while (std::getline(f, line))
    if (line.starts_with(field)) return std::strtoull(line.c_str() + field.size(), nullptr, 10);
  return 0;
}
u64 proc_io(const char* field) { return proc_value("/proc/self/io", field); }
// Sectors written by the whole disk: sees write-back and the file system's journal, and the
// neighbours.
u64 disk_written() {
  std::ifstream f("/sys/block/vda/stat");
  u64 v = 0;
  for (int i = 0; i < 7; ++i) f >> v;
  return v * 512;
}
struct Options {
  std::string variant = "a", dir = "/tmp/spike", sync = "linked", writeback = "none",
              prealloc = "none";
  u64 batch = 16 * kKiB, parts = 16, total = 4096 * kMiB, piece = kMiB, group = kMiB,
      pool = 256 * kMiB;
  u64 segment = 256 * kMiB, keep = 24576 * kMiB, journal_file = 64 * kMiB, journal_files = 16;
  u64 rate = 0, secs = 5, read = 0, warm = 0;
};

u8* pages(u64 n) {
  void* p = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) die("mmap");
  madvise(p, n, MADV_HUGEPAGE);
  std::memset(p, 0, n);
  return static_cast<u8*>(p);
}

// Received bytes live here until their segment has them; this stands for the tail kept in memory.
struct Chunk {
  u8* base;
  u64 used = 0;
  std::atomic<u64> refs{0};
};
struct Ref {
  Chunk* chunk;
  u64 at, len;
  const u8* data() const { return chunk->base + at; }
};
struct Partition {
  int fd = -1;
  u64 number = 0, segments = 0, pos = 0;  // pos: the next byte's place in the segment
  u64 offset = 0, pending_bytes = 0;
  std::vector<Ref> pending;
  std::vector<u8>
      tail;  // bytes after the last whole block (b: the writer thread's, c: the shard's)
  std::string path;
};
struct Job {
  enum Kind { kWrite, kSync, kStop } kind = kWrite;
  Partition* p = nullptr;
  int fd = -1;
  std::vector<Ref> refs = {};
  u64 pos = 0, mark = 0;
  bool pad = false, last = false;
  std::string path = {};
};

void write_all(int fd, const u8* p, u64 n, u64 at) {
  while (n > 0) {
    u64 w = ok(pwrite(fd, p, n, static_cast<off_t>(at)), "pwrite");
    p += w, n -= w, at += w;
  }
}

struct Spike {
  explicit Spike(const Options& options) : o(options), parts(o.parts) {}
  const Options& o;
  std::vector<Partition> parts;
  std::vector<u8> model;
  std::deque<Chunk> chunks;
  std::vector<Chunk*> free_chunks;
  std::mutex pool_mutex;  // free_chunks: the writer thread gives back
  Chunk* open_chunk = nullptr;
  // The writer thread.
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> jobs;
  std::atomic<u64> synced_mark{0}, jobs_open{0};
  int event = -1;
  std::thread thread;
  std::deque<std::pair<std::string, u64>> closed;
  u64 closed_bytes = 0;
  // The journal.
  io_uring ring;
  std::vector<int> journal;
  u8* staging[2] = {};
  u8* big = nullptr;
  struct Entry {
    Partition* p;
    Ref ref;
    u64 intended;
  };
  std::vector<Entry> entries[2];
  u64 staged = 0, cur = 0, head = 0, mark_asked = 0, flight_start = 0, in_flight = 0, next_part = 0;
  u64 expected[4096] = {};
  std::vector<int> to_sync;
  bool syncing = false;
  u64 event_value = 0, commits = 0;
  std::vector<u64> latencies;

  bool journals() const { return o.variant != "null"; }
  bool direct() const { return o.variant != "a"; }
  bool segments() const { return o.variant != "null" && o.variant != "d"; }

  void start() {
    std::filesystem::remove_all(o.dir);
    std::filesystem::create_directories(o.dir);
    std::mt19937 random(7);
    model.resize(o.batch);
    for (auto& b : model) b = static_cast<u8>(random());
    std::uint32_t length = static_cast<std::uint32_t>(o.batch - 12);
    std::memcpy(model.data() + 8, &length, 4);
    std::uint32_t crc = crc_of(model.data());
    std::memcpy(model.data() + 17, &crc, 4);
    u8* memory = pages(o.pool);
    for (u64 i = 0; i < o.pool / kMiB; ++i) {
      chunks.emplace_back(memory + i * kMiB);
      free_chunks.push_back(&chunks.back());
    }
    for (u64 i = 0; i < parts.size(); ++i) parts[i].number = i;
    event = static_cast<int>(ok(eventfd(0, 0), "eventfd"));
    io_uring_params params{};
    params.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER;
    if (int r = io_uring_queue_init_params(4096, &ring, &params); r < 0) die("io_uring", -r);
    for (auto& s : staging) s = pages(o.group + o.batch + 2 * kBlock);
    big = pages(o.group + o.batch + (o.parts + 2) * 2 * kBlock);
    iovec fixed[2] = {{staging[0], o.group + o.batch + 2 * kBlock},
                      {staging[1], o.group + o.batch + 2 * kBlock}};
    if (int r = io_uring_register_buffers(&ring, fixed, 2); r < 0) die("register", -r);
    u8* zero = pages(kMiB);
    for (u64 i = 0; i < o.journal_files && journals(); ++i) {
      auto name = o.dir + "/journal." + std::to_string(i);
      int fd =
          static_cast<int>(ok(open(name.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0644), "journal"));
      for (u64 at = 0; at < o.journal_file; at += kMiB) write_all(fd, zero, kMiB, at);
      fsync(fd);
      journal.push_back(fd);
    }
    munmap(zero, kMiB);
    if (segments())
      for (auto& p : parts) open_segment(p);
    arm_event();
    thread = std::thread([this] { writer(); });
  }
  static std::uint32_t crc_of(const u8* batch) {
    std::uint32_t length;
    std::memcpy(&length, batch + 8, 4);
    return ottla::crc32c(ottla::ByteView(
        reinterpret_cast<const ottla::ByteView::value_type*>(batch) + 21, length - 9));
  }
  void open_segment(Partition& p) {
    p.path = o.dir + "/" + std::to_string(p.number) + "-" + std::to_string(p.segments++);
    int flags = O_RDWR | O_CREAT | (direct() ? O_DIRECT : 0);
    p.fd = static_cast<int>(ok(open(p.path.c_str(), flags, 0644), "segment"));
    p.pos = 0;
    if (o.prealloc == "keep")
      ok(fallocate(p.fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(o.segment)), "fallocate");
  }

  // ---- writer thread: everything that may block ----
  void push(Job job) {
    ++jobs_open;
    {
      std::lock_guard lock(mutex);
      jobs.push_back(std::move(job));
    }
    wake.notify_one();
  }
  void release(const Ref& r) {
    if (r.chunk->refs.fetch_sub(1) == 1) {
      std::lock_guard lock(pool_mutex);
      r.chunk->used = 0;
      free_chunks.push_back(r.chunk);
    }
  }
  void writer() {
    std::map<int, u64> dirty;  // fd -> end of what was written and not yet synced
    std::vector<iovec> iov;
    u8* scratch = pages(o.piece * 2 + o.batch * 2 + 2 * kBlock);
    u64 scratch_size = o.piece * 2 + o.batch * 2 + kBlock;
    for (;;) {
      Job j;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return !jobs.empty(); });
        j = std::move(jobs.front());
        jobs.pop_front();
      }
      if (j.kind == Job::kStop) return;
      if (j.kind == Job::kSync) {
        for (auto& [fd, end] : dirty) ok(fdatasync(fd), "fdatasync");
        dirty.clear();
        synced_mark = std::max(synced_mark.load(), j.mark);
      } else if (o.variant == "a") {
        for (u64 i = 0; i < j.refs.size();) {
          iov.clear();
          u64 n = 0;
          for (; i < j.refs.size() && iov.size() < 1024; ++i) {
            iov.push_back({j.refs[i].chunk->base + j.refs[i].at, j.refs[i].len});
            n += j.refs[i].len;
          }
          u64 w =
              ok(pwritev(j.fd, iov.data(), static_cast<int>(iov.size()), static_cast<off_t>(j.pos)),
                 "pwritev");
          if (w != n) die("short pwritev");
          if (o.writeback != "none")
            sync_file_range(j.fd, static_cast<off_t>(j.pos), static_cast<off_t>(n),
                            SYNC_FILE_RANGE_WRITE);
          // Dropping needs clean pages: wait for those 32 MiB back, then let go.
          constexpr u64 kBehind = 8 * kMiB;
          if (o.writeback == "drop" && j.pos / kMiB != (j.pos + n) / kMiB && j.pos > 2 * kBehind) {
            auto from = static_cast<off_t>(j.pos - 2 * kBehind), len = static_cast<off_t>(kBehind);
            sync_file_range(
                j.fd, from, len,
                SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
            posix_fadvise(j.fd, from, len, POSIX_FADV_DONTNEED);
          }
          j.pos += n;
          dirty[j.fd] = 1;
        }
        for (auto& r : j.refs) release(r);
      } else {
        auto& tail = j.p->tail;
        u64 at = j.pos - tail.size(), n = tail.size();
        std::memcpy(scratch, tail.data(), n);
        for (auto& r : j.refs) {
          if (n + r.len > scratch_size) {
            u64 whole = n / kBlock * kBlock;
            write_all(j.fd, scratch, whole, at);
            std::memmove(scratch, scratch + whole, n - whole);
            at += whole, n -= whole;
          }
          std::memcpy(scratch + n, r.data(), r.len);
          n += r.len;
          release(r);
        }
        u64 whole = n / kBlock * kBlock, write = j.pad ? round_up(n) : whole;
        std::memset(scratch + n, 0, write > n ? write - n : 0);
        if (write > 0) write_all(j.fd, scratch, write, at), dirty[j.fd] = 1;
        tail.assign(scratch + whole, scratch + n);
        if (j.last) ok(ftruncate(j.fd, static_cast<off_t>(at + n)), "ftruncate"), tail.clear();
      }
      if (j.last) {
        ok(fdatasync(j.fd), "fdatasync");
        dirty.erase(j.fd);
        if (o.writeback == "drop") posix_fadvise(j.fd, 0, 0, POSIX_FADV_DONTNEED);
        struct stat st;
        fstat(j.fd, &st);
        close(j.fd);
        closed.emplace_back(j.path, static_cast<u64>(st.st_size));
        for (closed_bytes += closed.back().second; closed_bytes > o.keep; closed.pop_front()) {
          unlink(closed.front().first.c_str());
          closed_bytes -= closed.front().second;
        }
      }
      --jobs_open;
      u64 one = 1;
      ok(write(event, &one, 8), "eventfd");
    }
  }

  // ---- shard thread ----
  void arm_event() {
    auto* sqe = io_uring_get_sqe(&ring);
    io_uring_prep_read(sqe, event, &event_value, 8, 0);
    io_uring_sqe_set_data64(sqe, 1);
  }
  Chunk* take_chunk() {
    std::lock_guard lock(pool_mutex);
    if (free_chunks.empty()) return nullptr;
    auto* c = free_chunks.back();
    free_chunks.pop_back();
    return c;
  }
  // Receives, checks and stages one batch; false when there is no room now.
  bool ingest(u64 intended) {
    if (journals() && staged + kFrame + o.batch > o.group) return false;
    if (!open_chunk || open_chunk->used + o.batch > kMiB) {
      Chunk* next = take_chunk();
      if (!next) return false;
      if (open_chunk) release({open_chunk, 0, 0});
      open_chunk = next;
      open_chunk->refs = 1;
    }
    Ref ref{open_chunk, open_chunk->used, o.batch};
    u8* data = open_chunk->base + ref.at;
    open_chunk->used += o.batch;
    ++open_chunk->refs;
    std::memcpy(data, model.data(), o.batch);  // what recv does
    std::uint32_t crc;
    std::memcpy(&crc, data + 17, 4);
    if (crc_of(data) != crc) die("crc", EIO);
    auto& p = parts[next_part++ % parts.size()];
    std::memcpy(data, &p.offset, 8);
    ++p.offset;
    if (!journals()) {
      if (intended) latencies.push_back(now_ns() - intended);
      release(ref);
      return true;
    }
    u8* frame = staging[cur] + staged;
    std::memset(frame, 0, kFrame);
    std::memcpy(frame, &p.number, 8), std::memcpy(frame + 8, &p.offset, 8);
    std::uint32_t sum =
        ottla::crc32c({reinterpret_cast<ottla::ByteView::value_type*>(frame), kFrame - 4});
    std::memcpy(frame + kFrame - 4, &sum, 4);
    staged += kFrame;
    if (o.variant != "c") std::memcpy(frame + kFrame, data, o.batch), staged += o.batch;
    entries[cur].push_back({&p, ref, intended});
    return true;
  }
  // c counts against the group the bytes that go to segments.
  bool group_full() const {
    return staged + (o.variant == "c" ? entries[cur].size() * o.batch : 0) + kFrame + o.batch >
           o.group;
  }
  bool room_for_batch() {
    std::lock_guard lock(pool_mutex);
    return !free_chunks.empty() || (open_chunk && open_chunk->used + o.batch <= kMiB);
  }
  void prep_write(int fd, const u8* p, u64 n, u64 at, int fixed) {
    auto* sqe = io_uring_get_sqe(&ring);
    if (fixed >= 0)
      io_uring_prep_write_fixed(sqe, fd, p, static_cast<unsigned>(n), at, fixed);
    else
      io_uring_prep_write(sqe, fd, p, static_cast<unsigned>(n), at);
    u64 slot = in_flight++;
    expected[slot % 4096] = n;
    io_uring_sqe_set_data64(sqe, 2 | (slot << 8));
    if (o.sync != "linked") return to_sync.push_back(fd);
    sqe->flags |= IOSQE_IO_LINK;
    prep_sync(fd);
  }
  void prep_sync(int fd) {
    auto* sqe = io_uring_get_sqe(&ring);
    io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_data64(sqe, 3);
    ++in_flight;
  }
  void submit_group() {
    if (in_flight || entries[cur].empty()) return;
    u64 most = round_up(o.group) + kBlock, in_file = head % o.journal_file;
    if (in_file + most > o.journal_file) head += o.journal_file - in_file;
    u64 room = segments() ? synced_mark.load() : head;
    if (head + most > room + o.journal_file * o.journal_files) return;  // wait for the checkpoint
    if (o.variant == "c") straight();
    u64 n = round_up(staged);
    std::memset(staging[cur] + staged, 0, n - staged);
    flight_start = head;
    prep_write(journal[head / o.journal_file % o.journal_files], staging[cur], n,
               head % o.journal_file, static_cast<int>(cur));
    head += n;
    ++commits;
    cur ^= 1;
    staged = 0;
  }
  // c: one write a partition, whole blocks only; the rest of the last block rides in the journal.
  void straight() {
    std::sort(entries[cur].begin(), entries[cur].end(), [](auto& x, auto& y) { return x.p < y.p; });
    u64 at = 0;
    for (u64 i = 0; i < entries[cur].size();) {
      Partition& p = *entries[cur][i].p;
      u8* from = big + at;
      u64 n = p.tail.size();
      std::memcpy(from, p.tail.data(), n);
      u64 start = p.pos - n;
      for (; i < entries[cur].size() && entries[cur][i].p == &p; ++i) {
        std::memcpy(from + n, entries[cur][i].ref.data(), o.batch);
        n += o.batch;
      }
      u64 whole = n / kBlock * kBlock;
      if (whole) prep_write(p.fd, from, whole, start, -1);
      p.tail.assign(from + whole, from + n);
      std::memcpy(staging[cur] + staged, p.tail.data(), n - whole);
      staged += n - whole;
      p.pos = start + n;
      at += round_up(n);
    }
  }
  void group_done() {
    auto& done = entries[cur ^ 1];
    u64 t = now_ns();
    for (auto& e : done) {
      if (e.intended) latencies.push_back(t - e.intended);
      auto& p = *e.p;
      if (o.variant == "d") {
        release(e.ref);
      } else if (o.variant == "c") {
        release(e.ref);
        if (p.pos + o.batch > o.segment && p.pos > 0) roll(p);
      } else {
        if (p.pos + p.pending_bytes + o.batch > o.segment) roll(p);
        p.pending.push_back(e.ref);
        p.pending_bytes += o.batch;
        if (p.pending_bytes >= o.piece) emit(p, false, false);
      }
    }
    done.clear();
  }
  void emit(Partition& p, bool pad, bool last) {
    if (p.pending.empty() && !last && !pad) return;
    Job j{Job::kWrite, &p, p.fd, std::move(p.pending), p.pos, 0, pad || last, last, p.path};
    p.pending = {};
    p.pending.reserve(j.refs.size());
    p.pos += p.pending_bytes;
    p.pending_bytes = 0;
    push(std::move(j));
  }
  void roll(Partition& p) {
    if (o.variant == "c") {
      push({Job::kWrite, &p, p.fd, {}, p.pos, 0, true, true, p.path});
      while (jobs_open) std::this_thread::yield();
    } else {
      emit(p, true, true);
    }
    open_segment(p);
  }
  void checkpoint(bool force) {
    if (!segments()) return;
    u64 mark = in_flight ? flight_start : head;
    bool half = mark >= mark_asked + o.journal_file * o.journal_files / 2;
    bool pressure = free_chunks.size() < 8;
    if (!force && (mark_asked > synced_mark || (!half && !pressure))) return;
    if (!force && !half) {  // memory is short before the journal is: write what there is, no sync
      if (jobs_open == 0)
        for (auto& p : parts) emit(p, false, false);
      return;
    }
    if (o.variant != "c")
      for (auto& p : parts) emit(p, o.variant == "b", false);
    mark_asked = std::max<u64>(mark, 1);
    push({.kind = Job::kSync, .mark = mark_asked});
  }
  void complete(io_uring_cqe* cqe) {
    u64 data = io_uring_cqe_get_data64(cqe);
    if (cqe->res < 0) die("completion", -cqe->res);
    if (data == 1) return arm_event();
    if ((data & 255) == 2 && static_cast<u64>(cqe->res) != expected[(data >> 8) % 4096])
      die("short write", EIO);
    done_count++;
    if (done_count < in_flight) return;
    done_count = in_flight = 0;
    if (!to_sync.empty() && o.sync != "none") {
      for (int fd : to_sync)
        o.sync == "inline" ? void(ok(fdatasync(fd), "fdatasync")) : prep_sync(fd);
      to_sync.clear();
      if (in_flight) return;
    }
    to_sync.clear();
    group_done();
  }
  u64 done_count = 0;
  // Submits, waits for at most `wait_ns` (closed loop: for one completion), handles what came.
  void turn(bool wait, u64 wait_ns = 0) {
    submit_group();
    checkpoint(false);
    io_uring_cqe* cqe;
    if (!wait)
      io_uring_submit(&ring), io_uring_get_events(&ring);
    else if (wait_ns) {
      __kernel_timespec ts{0, static_cast<long long>(wait_ns)};
      io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &ts, nullptr);
    } else {
      io_uring_submit_and_wait(&ring, 1);
    }
    while (io_uring_peek_cqe(&ring, &cqe) == 0) {
      io_uring_cqe copy = *cqe;
      io_uring_cqe_seen(&ring, cqe);
      complete(&copy);
    }
  }
  void drain() {
    while (in_flight || !entries[0].empty() || !entries[1].empty()) turn(true, 1000000);
    checkpoint(true);
    while (jobs_open) turn(true, 1000000);
  }
  void closed_loop(u64 bytes) {
    for (u64 done = 0; done < bytes;) {
      while (done < bytes && !group_full() && ingest(0)) done += o.batch;
      if (journals()) turn((in_flight || jobs_open) && (group_full() || !room_for_batch()));
    }
    drain();
  }
  void open_loop(double secs) {
    latencies.clear();
    u64 gap = 1000000000u / o.rate, next = now_ns() + 1000000,
        end = next + static_cast<u64>(secs * 1e9);
    while (next < end) {
      u64 t = now_ns();
      while (next <= t && next < end && !group_full() && ingest(next)) next += gap;
      t = now_ns();
      turn(true, next > t ? next - t : (group_full() ? 1000000 : 1000));
    }
    drain();
  }
  std::vector<std::string> files() {
    std::vector<std::string> out;
    for (auto& e : std::filesystem::directory_iterator(o.dir))
      if (!e.path().filename().string().starts_with("journal")) out.push_back(e.path());
    std::sort(out.begin(), out.end());
    return out;
  }
  u64 verify() {
    u64 found = 0;
    for (auto& path : files()) {
      if (!path.starts_with(o.dir + "/0-")) continue;
      std::ifstream f(path, std::ios::binary);
      std::vector<u8> b(o.batch);
      while (f.read(reinterpret_cast<char*>(b.data()), static_cast<long>(b.size()))) {
        std::uint32_t length, crc;
        std::memcpy(&length, b.data() + 8, 4), std::memcpy(&crc, b.data() + 17, 4);
        if (length == 0) break;
        if (length != o.batch - 12 || crc_of(b.data()) != crc) die("segment damaged", EIO);
        ++found;
      }
    }
    return found;
  }
  void stop() {
    push({.kind = Job::kStop});
    thread.join();
    std::filesystem::remove_all(o.dir);
  }
};

void drop(const std::vector<std::string>& files) {
  for (auto& f : files) {
    int fd = open(f.c_str(), O_RDONLY);
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
}
struct Read {
  u64 bytes = 0;
  double cpu = 0, secs = 0;
};
// Sends the files by 1 MiB sendfile over loopback TCP; the receiver discards without copying.
Read catch_up(const std::vector<std::string>& files, u64 limit, std::atomic<bool>* stop = nullptr) {
  int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof a;
  ok(bind(l, reinterpret_cast<sockaddr*>(&a), len), "bind");
  getsockname(l, reinterpret_cast<sockaddr*>(&a), &len);
  listen(l, 1);
  ok(connect(c, reinterpret_cast<sockaddr*>(&a), len), "connect");
  int s = accept(l, nullptr, nullptr);
  std::thread sink([c] {
    std::vector<char> b(kMiB);
    while (recv(c, b.data(), b.size(), MSG_TRUNC) > 0) continue;
  });
  Read r;
  double cpu = cpu_s(RUSAGE_THREAD);
  u64 t = now_ns();
  for (auto& f : files) {
    int fd = open(f.c_str(), O_RDONLY);
    while (fd >= 0 && r.bytes < limit && !(stop && *stop)) {
      ssize_t n = sendfile(s, fd, nullptr, kMiB);
      if (n <= 0) break;
      r.bytes += static_cast<u64>(n);
    }
    close(fd);
  }
  r.secs = 1e-9 * static_cast<double>(now_ns() - t);
  r.cpu = cpu_s(RUSAGE_THREAD) - cpu;
  shutdown(s, SHUT_RDWR);
  sink.join();
  close(s), close(c), close(l);
  return r;
}

std::string label(const Options& o) {
  char b[256];
  std::snprintf(b, sizeof b, "v=%s batch=%lu parts=%lu sync=%s wb=%s pre=%s piece=%luK group=%luK",
                o.variant.c_str(), o.batch, o.parts, o.sync.c_str(), o.writeback.c_str(),
                o.prealloc.c_str(), o.piece / kKiB, o.group / kKiB);
  return b;
}
void print_latency(const char* phase, Spike& s, const std::string& extra = "") {
  auto& l = s.latencies;
  std::ranges::sort(l);
  auto at = [&](double q) {
    auto i = static_cast<u64>(q * static_cast<double>(l.size() - 1));
    return l.empty() ? 0.0 : 1e-3 * static_cast<double>(l[i]);
  };
  std::printf("%s %s rate=%lu p50=%.0f p99=%.0f p999=%.0f max=%.0f us n=%zu%s\n", phase,
              label(s.o).c_str(), s.o.rate, at(.5), at(.99), at(.999), at(1), l.size(),
              extra.c_str());
}

int run(const Options& o) {
  prctl(PR_SET_TIMERSLACK, 1), std::setvbuf(stdout, nullptr, _IOLBF, 4096);
  if (o.warm)
    munmap(pages(o.warm), o.warm);  // have the host back the memory that the page cache will take
  Spike s(o);
  s.start();
  s.closed_loop(std::min<u64>(o.total / 8, 256 * kMiB));
  u64 written = proc_io("write_bytes:"), disk = disk_written();
  auto cache_kib = [] { return static_cast<long>(proc_value("/proc/meminfo", "Cached:")); };
  long cached = cache_kib();
  double cpu = cpu_s(RUSAGE_SELF), kernel = kthread_s();
  u64 t = now_ns(), commits = s.commits;
  s.closed_loop(o.total);
  double secs = 1e-9 * static_cast<double>(now_ns() - t), gb = 1e-9 * static_cast<double>(o.total);
  cpu = cpu_s(RUSAGE_SELF) - cpu, kernel = kthread_s() - kernel;
  auto per_byte = [&](u64 n) { return static_cast<double>(n) / static_cast<double>(o.total); };
  std::printf(
      "produce %s gb=%.1f cpu/gb=%.3f kthr/gb=%.3f gb/s=%.2f wr/rx=%.2f disk/rx=%.2f commits=%lu "
      "rss=%luM cache+=%ldM\n",
      label(o).c_str(), gb, cpu / gb, kernel / gb, gb / secs,
      per_byte(proc_io("write_bytes:") - written), per_byte(disk_written() - disk),
      s.commits - commits, proc_value("/proc/self/status", "VmRSS:") / kKiB,
      (cache_kib() - cached) / 1024);
  if (u64 want = s.parts[0].offset; s.segments() && o.keep > 2 * o.total && s.verify() + 1 < want)
    die("batches are missing", EIO);
  if (o.read && s.segments()) {
    auto files = s.files();
    for (auto* phase : {"asleft", "cold", "warm"}) {
      if (std::strcmp(phase, "cold") == 0) drop(files);
      Read r = catch_up(files, o.read);
      double g = 1e-9 * static_cast<double>(r.bytes);
      std::printf("read-%s %s gb=%.1f cpu/gb=%.3f gb/s=%.2f\n", phase, label(o).c_str(), g,
                  r.cpu / g, g / r.secs);
    }
  }
  if (o.rate) {
    double c0 = cpu_s(RUSAGE_SELF);
    s.open_loop(static_cast<double>(o.secs));
    char extra[64];
    std::snprintf(extra, sizeof extra, " cpu_us/req=%.2f",
                  1e6 * (cpu_s(RUSAGE_SELF) - c0) / static_cast<double>(s.latencies.size()));
    print_latency("latency", s, extra);
    if (o.read && s.segments()) {
      auto files = s.files();
      drop(files);
      std::atomic<bool> stop{false};
      Read r;
      std::thread reader([&] {
        while (!stop) {
          Read x = catch_up(files, ~0ull, &stop);
          r.bytes += x.bytes, r.secs += x.secs;
          drop(files);
        }
      });
      s.open_loop(static_cast<double>(o.secs));
      stop = true;
      reader.join();
      std::snprintf(extra, sizeof extra, " reader_gb/s=%.2f",
                    1e-9 * static_cast<double>(r.bytes) / r.secs);
      print_latency("latency-cold-read", s, extra);
    }
  }
  s.stop();
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  Options o;
  std::map<std::string, u64*> numbers{{"batch", &o.batch},        {"parts", &o.parts},
                                      {"total", &o.total},        {"piece", &o.piece},
                                      {"group", &o.group},        {"pool", &o.pool},
                                      {"segment", &o.segment},    {"keep", &o.keep},
                                      {"jfile", &o.journal_file}, {"jfiles", &o.journal_files},
                                      {"rate", &o.rate},          {"secs", &o.secs},
                                      {"read", &o.read},          {"warm", &o.warm}};
  std::map<std::string, std::string*> words{{"v", &o.variant},
                                            {"dir", &o.dir},
                                            {"sync", &o.sync},
                                            {"wb", &o.writeback},
                                            {"pre", &o.prealloc}};
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i], key = arg.substr(0, arg.find('=')),
                value = arg.substr(arg.find('=') + 1);
    if (words.contains(key)) {
      *words[key] = value;
    } else if (numbers.contains(key)) {
      char* end = nullptr;
      u64 n = std::strtoull(value.c_str(), &end, 10);
      *numbers[key] = n * (*end == 'K' ? kKiB : *end == 'M' ? kMiB : *end == 'G' ? kKiB * kMiB : 1);
    } else {
      std::fprintf(stderr, "unknown option %s\n", key.c_str());
      return 2;
    }
  }
  if (o.variant == "c" && o.batch < 2 * kBlock) return std::puts("c is for big batches"), 2;
  return run(o);
}
