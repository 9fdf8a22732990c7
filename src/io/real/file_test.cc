// What only the real files show: ranges that are not in memory when they are sent.
#include "io/real/file.h"

#include <algorithm>
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

Task<void> send(Connection& to, Gather what, bool& sent) {
  const auto written = co_await to.write(std::move(what));
  sent = written.has_value();
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

Task<int> send_a_cold_file(Env& env, std::string path) {
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

  auto listener = co_await env.network.listen({"127.0.0.1", 0});
  auto client = co_await env.network.connect((*listener)->local());
  auto server = co_await (*listener)->accept();
  Gather gather;
  gather.append(FileRange{*opened, 12'345, kFileBytes - 12'345});
  bool sent = false;
  TaskGroup group(env.executor);
  group.spawn(send(**server, std::move(gather), sent));
  const bool received = co_await receive(**client, ByteView(content).subspan(12'345));
  co_await group.join();
  co_return sent&& received ? kAsPromised : kLost;
}

TEST(RealFile, AColdRangeIsBroughtInAndSent) {
  NullLogger logger;
  Runtime runtime({.shards = 1, .handle_signals = false, .logger = &logger});
  const std::string path = std::filesystem::absolute("cold_file_test.tmp");
  EXPECT_EQ(runtime.run([&](Env& env) { return send_a_cold_file(env, path); }), kAsPromised);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace ottla::io::real
