// What only the real files show: ranges that are not in memory when they are sent.
#include "io/real/file.h"

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>

#include "io/real/runtime.h"

namespace ottla::io::real {
namespace {

constexpr std::size_t kFileBytes = 6 << 20;

// Throws the file out of the page cache.
bool forget(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return ::fdatasync(file.get()) == 0 &&
         ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) == 0;
}

Task<bool> receive(Connection& from, ByteView expected) {
  Bytes into(100'000);
  while (!expected.empty()) {
    const auto got = co_await from.read_some(into);
    if (!got || *got == 0 || *got > expected.size()) co_return false;
    if (!std::equal(into.begin(), into.begin() + static_cast<long>(*got), expected.begin()))
      co_return false;
    expected = expected.subspan(*got);
  }
  co_return true;
}

enum Outcome { kAsPromised, kSystemRefuses, kStaysResident, kNotMadeResident, kLost };

// Where shards find each other. Each shard's things are only touched there.
struct Meeting {
  std::atomic<Env*> sender = nullptr;  // the last shard
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Connection> server;
};

Task<std::uint16_t> listen_there(Meeting& meeting) {
  auto listener = co_await meeting.sender.load()->network.listen({"127.0.0.1", 0});
  meeting.listener = std::move(*listener);
  co_return meeting.listener->local().port;
}

Task<bool> accept_and_send_there(Meeting& meeting, Gather what) {
  auto accepted = co_await meeting.listener->accept();
  meeting.server = std::move(*accepted);
  const auto written = co_await meeting.server->write(std::move(what));
  co_return written.has_value();
}

Task<void> note(Task<bool> from, bool& into) { into = co_await std::move(from); }

// The file is this shard's, the connection another one's.
Task<int> send_from(Env& env, Meeting& meeting, Gather what, ByteView expected) {
  while (meeting.sender.load() == nullptr)
    co_await sleep_for(env.clock, std::chrono::microseconds(100));
  const unsigned there = meeting.sender.load()->shard;
  const auto port =
      co_await call_on<std::uint16_t>(env, there, [&meeting] { return listen_there(meeting); });
  auto client = co_await env.network.connect({"127.0.0.1", port});
  bool sent = false;
  TaskGroup group(env.executor);
  group.spawn(note(call_on<bool>(env, there,
                                 [&meeting, held = std::move(what)]() mutable {
                                   return accept_and_send_there(meeting, std::move(held));
                                 }),
                   sent));
  const bool received = co_await receive(**client, expected);
  co_await group.join();
  co_return sent&& received ? kAsPromised : kLost;
}

Task<int> be_the_sender(Env& env, Meeting& meeting) {
  meeting.sender.store(&env);
  co_return 0;
}

Task<int> send_a_cold_file(Env& env, Meeting& meeting, std::string path) {
  Bytes content(kFileBytes);
  for (std::size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<std::uint8_t>(i * 7 + i / 4096);
  auto opened = co_await env.disk.open(path, {.write = true, .create = true});
  if (!opened || !co_await (*opened)->write(0, content)) co_return kSystemRefuses;
  auto& file = static_cast<RealFile&>(**opened);
  if (file.resident_bytes(0, kFileBytes) != kFileBytes) co_return kStaysResident;
  // The kernel may hold single pages back for a moment.
  for (int tries = 0; file.resident_bytes(1 << 20, 1 << 20) != 0; ++tries) {
    if (!forget(path)) co_return kSystemRefuses;
    if (tries == 20) co_return kStaysResident;
  }

  if (!co_await file.make_resident(100'000, 300'000)) co_return kNotMadeResident;
  if (file.resident_bytes(100'000, 300'000) != 300'000) co_return kNotMadeResident;
  if (!forget(path)) co_return kSystemRefuses;

  Gather gather;
  gather.append(FileRange{*opened, 12'345, kFileBytes - 12'345});
  opened->reset();
  co_return co_await send_from(env, meeting, std::move(gather), ByteView(content).subspan(12'345));
}

class ColdFile : public testing::TestWithParam<unsigned> {};

TEST_P(ColdFile, IsBroughtInAndSent) {
  NullLogger logger;
  Meeting meeting;
  Runtime runtime({.shards = GetParam(), .handle_signals = false, .logger = &logger});
  const std::string path =
      std::filesystem::absolute("cold_file_test." + std::to_string(GetParam()) + ".tmp");
  const int outcome = runtime.run([&](Env& env) {
    if (env.shard + 1 == env.shards.count()) meeting.sender.store(&env);
    return env.shard == 0 ? send_a_cold_file(env, meeting, path) : be_the_sender(env, meeting);
  });
  EXPECT_EQ(outcome, kAsPromised);
  meeting.server.reset();
  meeting.listener.reset();
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(OnOneAndTwoShards, ColdFile, testing::Values(1u, 2u));

}  // namespace
}  // namespace ottla::io::real
