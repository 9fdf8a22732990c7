#include <algorithm>
#include <fmt/format.h>

#include "io/conformance/conformance.h"

namespace ottla::io::conformance {
namespace {

constexpr OpenOptions kCreate{.write = true, .create = true};

Bytes pattern(std::size_t size, std::uint8_t seed = 1) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 251 + seed);
  return bytes;
}

template <class T>
bool failed_with(const Result<T>& result, ErrorKind kind) {
  return !result && result.error().kind == kind && !result.error().message.empty();
}

// The bytes of the file from `position` on, at most `size`; empty after an error.
Task<Bytes> read_back(std::shared_ptr<File> file, std::uint64_t position, std::size_t size) {
  Bytes bytes(size);
  auto got = co_await file->read(position, bytes);
  bytes.resize(got ? *got : 0);
  co_return bytes;
}

Task<std::shared_ptr<File>> make_file(Setting& setting, std::string name, Bytes content) {
  auto file = co_await setting.env.disk.open(setting.folder + "/" + name, kCreate);
  OTTLA_EXPECT(file);
  if (!file) co_return nullptr;
  if (!content.empty()) OTTLA_EXPECT(co_await (*file)->write(0, content));
  co_return *file;
}

Task<void> write_is_read_back(Setting& setting) {
  const Bytes content = pattern(10'000);
  auto file = co_await make_file(setting, "a", content);
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await read_back(file, 0, 10'000) == content);
  OTTLA_EXPECT(co_await read_back(file, 5'000, 100) ==
               Bytes(content.begin() + 5'000, content.begin() + 5'100));
  const Bytes other = pattern(300, 77);
  OTTLA_EXPECT(co_await file->write(4'000, other));
  OTTLA_EXPECT(co_await read_back(file, 4'000, 300) == other);
  OTTLA_EXPECT((co_await read_back(file, 0, 4'000)) ==
               Bytes(content.begin(), content.begin() + 4'000));
  OTTLA_EXPECT(file->size_bytes() == 10'000u);
  auto again = co_await setting.env.disk.open(setting.folder + "/a", {});
  OTTLA_REQUIRE(again);
  OTTLA_EXPECT((*again)->size_bytes() == 10'000u);
  OTTLA_EXPECT((co_await read_back(*again, 4'000, 300)) == other);
}

Task<void> read_at_the_end(Setting& setting) {
  auto file = co_await make_file(setting, "a", pattern(1'000));
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT((co_await read_back(file, 900, 500)).size() == 100);
  OTTLA_EXPECT((co_await read_back(file, 1'000, 500)).empty());
  Bytes into(10);
  const auto beyond = co_await file->read(1'000'000, into);
  OTTLA_EXPECT(beyond && *beyond == 0);
}

Task<void> a_hole_reads_as_zeros(Setting& setting) {
  auto file = co_await make_file(setting, "a", {});
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await file->write(20'000, pattern(10)));
  OTTLA_EXPECT(file->size_bytes() == 20'010u);
  OTTLA_EXPECT((co_await read_back(file, 0, 20'000)) == Bytes(20'000));
}

Task<void> large_writes(Setting& setting) {
  const Bytes content = pattern(3 << 20);
  auto file = co_await make_file(setting, "a", content);
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(file->size_bytes() == content.size());
  OTTLA_EXPECT(co_await read_back(file, 0, content.size()) == content);
}

Task<void> pieces_become_one_write(Setting& setting) {
  auto file = co_await make_file(setting, "a", {});
  OTTLA_REQUIRE(file);
  const Bytes content = pattern(9'000);
  std::vector<ByteView> pieces;
  const ByteView all = content;
  std::size_t at = 0;
  for (std::size_t size = 0; at < content.size(); ++size) {
    const std::size_t step = std::min(size % 90, content.size() - at);  // also empty ones
    pieces.push_back(all.subspan(at, step));
    at += step;
  }
  OTTLA_EXPECT(co_await file->write_pieces(100, pieces));
  OTTLA_EXPECT(co_await read_back(file, 100, 9'000) == content);
  OTTLA_EXPECT(file->size_bytes() == 9'100u);
  OTTLA_EXPECT(co_await file->write_pieces(0, {}));
  OTTLA_EXPECT(file->size_bytes() == 9'100u);
}

Task<void> open_what_is_not_there(Setting& setting) {
  Disk& disk = setting.env.disk;
  OTTLA_EXPECT(failed_with(co_await disk.open(setting.folder + "/no", {}), ErrorKind::not_found));
  OTTLA_EXPECT(failed_with(co_await disk.open(setting.folder + "/no", {.write = true}),
                           ErrorKind::not_found));
  OTTLA_EXPECT(
      failed_with(co_await disk.open(setting.folder + "/no/a", kCreate), ErrorKind::not_found));
  OTTLA_EXPECT(failed_with(co_await disk.open(setting.folder, {}), ErrorKind::invalid));
}

Task<void> exclusive_creation(Setting& setting) {
  Disk& disk = setting.env.disk;
  const OpenOptions exclusive{.write = true, .create = true, .exclusive = true};
  OTTLA_EXPECT(co_await disk.open(setting.folder + "/a", exclusive));
  OTTLA_EXPECT(
      failed_with(co_await disk.open(setting.folder + "/a", exclusive), ErrorKind::exists));
  OTTLA_EXPECT(co_await disk.open(setting.folder + "/a", kCreate));
}

Task<void> open_can_truncate(Setting& setting) {
  OTTLA_REQUIRE(co_await make_file(setting, "a", pattern(500)));
  auto file =
      co_await setting.env.disk.open(setting.folder + "/a", {.write = true, .truncate = true});
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT((*file)->size_bytes() == 0u);
  OTTLA_EXPECT((co_await read_back(*file, 0, 500)).empty());
}

Task<void> a_file_opened_to_read_refuses_writes(Setting& setting) {
  OTTLA_REQUIRE(co_await make_file(setting, "a", pattern(500)));
  auto file = co_await setting.env.disk.open(setting.folder + "/a", {});
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(failed_with(co_await (*file)->write(0, pattern(500, 9)), ErrorKind::permission));
  OTTLA_EXPECT(failed_with(co_await (*file)->truncate(3), ErrorKind::permission));
  OTTLA_EXPECT(co_await read_back(*file, 0, 500) == pattern(500));
}

Task<void> truncate_shorter_and_longer(Setting& setting) {
  auto file = co_await make_file(setting, "a", pattern(5'000));
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await file->truncate(1'000));
  OTTLA_EXPECT(file->size_bytes() == 1'000u);
  OTTLA_EXPECT((co_await read_back(file, 0, 5'000)).size() == 1'000);
  OTTLA_EXPECT(co_await file->truncate(3'000));
  OTTLA_EXPECT(file->size_bytes() == 3'000u);
  OTTLA_EXPECT(co_await read_back(file, 1'000, 5'000) == Bytes(2'000));
}

Task<void> reserve_keeps_the_size(Setting& setting) {
  auto file = co_await make_file(setting, "a", pattern(100));
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await file->reserve(1 << 20));
  OTTLA_EXPECT(file->size_bytes() == 100u);
  const auto status = co_await setting.env.disk.status(setting.folder + "/a");
  OTTLA_EXPECT(status && status->size_bytes == 100);
  OTTLA_EXPECT(co_await read_back(file, 0, 1'000) == pattern(100));
}

Task<void> syncs_succeed(Setting& setting) {
  auto file = co_await make_file(setting, "a", pattern(100));
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await file->sync_data());
  OTTLA_EXPECT(co_await file->write_synced(100, pattern(200, 5)));
  OTTLA_EXPECT(co_await read_back(file, 100, 200) == pattern(200, 5));
  OTTLA_EXPECT(file->size_bytes() == 300u);
  OTTLA_EXPECT(co_await setting.env.disk.sync_directory(setting.folder));
  OTTLA_EXPECT(failed_with(co_await setting.env.disk.sync_directory(setting.folder + "/no"),
                           ErrorKind::not_found));
}

Task<void> residency(Setting& setting) {
  auto file = co_await make_file(setting, "a", pattern(300'000));
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await file->make_resident(0, 300'000));
  OTTLA_EXPECT(co_await file->make_resident(299'999, 1'000'000));
  OTTLA_EXPECT(co_await file->make_resident(400'000, 10));
}

Task<void> rename_replaces(Setting& setting) {
  Disk& disk = setting.env.disk;
  OTTLA_REQUIRE(co_await make_file(setting, "new", pattern(200, 2)));
  auto old = co_await make_file(setting, "old", pattern(100, 1));
  OTTLA_REQUIRE(old);
  OTTLA_EXPECT(co_await disk.rename(setting.folder + "/new", setting.folder + "/old"));
  auto file = co_await disk.open(setting.folder + "/old", {});
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await read_back(*file, 0, 1'000) == pattern(200, 2));
  OTTLA_EXPECT(failed_with(co_await disk.status(setting.folder + "/new"), ErrorKind::not_found));
  OTTLA_EXPECT(co_await read_back(old, 0, 1'000) ==
               pattern(100, 1));  // its name is gone, it is not
  OTTLA_EXPECT(failed_with(co_await disk.rename(setting.folder + "/no", setting.folder + "/x"),
                           ErrorKind::not_found));
}

Task<void> rename_of_directories(Setting& setting) {
  Disk& disk = setting.env.disk;
  OTTLA_REQUIRE(co_await disk.make_directory(setting.folder + "/d"));
  auto file = co_await make_file(setting, "d/a", pattern(100));
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await disk.rename(setting.folder + "/d", setting.folder + "/e"));
  OTTLA_EXPECT(co_await disk.status(setting.folder + "/e/a"));
  OTTLA_EXPECT(failed_with(co_await disk.status(setting.folder + "/d/a"), ErrorKind::not_found));
  OTTLA_EXPECT(co_await file->write(100, pattern(10)));
  const auto moved = co_await disk.status(setting.folder + "/e/a");
  OTTLA_EXPECT(moved && moved->size_bytes == 110);
}

Task<void> removal(Setting& setting) {
  Disk& disk = setting.env.disk;
  auto file = co_await make_file(setting, "a", pattern(100));
  OTTLA_REQUIRE(file);
  OTTLA_EXPECT(co_await disk.remove(setting.folder + "/a"));
  OTTLA_EXPECT(failed_with(co_await disk.open(setting.folder + "/a", {}), ErrorKind::not_found));
  OTTLA_EXPECT(failed_with(co_await disk.remove(setting.folder + "/a"), ErrorKind::not_found));
  OTTLA_EXPECT(co_await read_back(file, 0, 100) == pattern(100));
  OTTLA_REQUIRE(co_await disk.make_directory(setting.folder + "/d"));
  OTTLA_REQUIRE(co_await make_file(setting, "d/b", {}));
  OTTLA_EXPECT(failed_with(co_await disk.remove(setting.folder + "/d"), ErrorKind::invalid));
  OTTLA_EXPECT(co_await disk.remove(setting.folder + "/d/b"));
  OTTLA_EXPECT(co_await disk.remove(setting.folder + "/d"));
  OTTLA_EXPECT(failed_with(co_await disk.status(setting.folder + "/d"), ErrorKind::not_found));
}

Task<void> directories(Setting& setting) {
  Disk& disk = setting.env.disk;
  OTTLA_EXPECT(co_await disk.make_directory(setting.folder + "/d"));
  OTTLA_EXPECT(failed_with(co_await disk.make_directory(setting.folder + "/d"), ErrorKind::exists));
  OTTLA_EXPECT(
      failed_with(co_await disk.make_directory(setting.folder + "/x/y"), ErrorKind::not_found));
  const auto status = co_await disk.status(setting.folder + "/d");
  OTTLA_EXPECT(status && *status == (DirectoryEntry{"d", true, 0}));
}

Task<void> lists_are_sorted(Setting& setting) {
  Disk& disk = setting.env.disk;
  const auto nothing = co_await disk.list(setting.folder);
  OTTLA_EXPECT(nothing && nothing->empty());
  OTTLA_REQUIRE(co_await make_file(setting, "b", pattern(7)));
  OTTLA_REQUIRE(co_await make_file(setting, "a-1", pattern(300)));
  OTTLA_REQUIRE(co_await disk.make_directory(setting.folder + "/c"));
  OTTLA_REQUIRE(co_await make_file(setting, "c/inside", pattern(300)));
  OTTLA_REQUIRE(co_await make_file(setting, "B", {}));
  const auto entries = co_await disk.list(setting.folder);
  const std::vector<DirectoryEntry> expected{
      {"B", false, 0}, {"a-1", false, 300}, {"b", false, 7}, {"c", true, 0}};
  OTTLA_EXPECT(entries && *entries == expected);
  OTTLA_EXPECT(failed_with(co_await disk.list(setting.folder + "/no"), ErrorKind::not_found));
  OTTLA_EXPECT(failed_with(co_await disk.list(setting.folder + "/b"), ErrorKind::invalid));
}

Task<void> one_holds_a_lock(Setting& setting) {
  Disk& disk = setting.env.disk;
  auto first = co_await disk.lock(setting.folder + "/.lock");
  OTTLA_REQUIRE(first);
  OTTLA_EXPECT(failed_with(co_await disk.lock(setting.folder + "/.lock"), ErrorKind::in_use));
  first->reset();
  OTTLA_EXPECT(co_await disk.lock(setting.folder + "/.lock"));
}

Task<void> free_space(Setting& setting) {
  const auto free = co_await setting.env.disk.free_bytes(setting.folder);
  OTTLA_EXPECT(free && *free > 0);
}

Task<void> direct_files_want_alignment(Setting& setting) {
  auto opened = co_await setting.env.disk.open(setting.folder + "/a",
                                               {.write = true, .create = true, .direct = true});
  OTTLA_REQUIRE(opened);
  File& file = **opened;
  AlignedBuffer buffer(4 * kDirectAlignment);
  const Bytes content = pattern(buffer.size());
  std::ranges::copy(content, buffer.data());
  OTTLA_EXPECT(co_await file.write(0, buffer.view()));
  OTTLA_EXPECT(co_await file.write_synced(buffer.size(), buffer.view().first(kDirectAlignment)));
  OTTLA_EXPECT(co_await file.sync_data());
  OTTLA_EXPECT(file.size_bytes() == 5 * kDirectAlignment);
  AlignedBuffer back(8 * kDirectAlignment);
  auto got = co_await file.read(0, back.view());
  OTTLA_EXPECT(got && *got == 5 * kDirectAlignment);
  OTTLA_EXPECT(std::ranges::equal(back.view().first(content.size()), content));
  got = co_await file.read(5 * kDirectAlignment, back.view());
  OTTLA_EXPECT(got && *got == 0);
  if (!file.is_direct()) co_return;  // the file system can't
  const MutableByteView view = buffer.view();
  OTTLA_EXPECT(failed_with(co_await file.write(512, view), ErrorKind::invalid));
  OTTLA_EXPECT(failed_with(co_await file.write(0, view.first(1'000)), ErrorKind::invalid));
  OTTLA_EXPECT(
      failed_with(co_await file.write(0, view.subspan(8, kDirectAlignment)), ErrorKind::invalid));
  OTTLA_EXPECT(failed_with(co_await file.write_synced(1, view), ErrorKind::invalid));
  OTTLA_EXPECT(
      failed_with(co_await file.write_pieces(0, {view.first(kDirectAlignment), view.first(10)}),
                  ErrorKind::invalid));
  OTTLA_EXPECT(failed_with(co_await file.read(0, back.view().first(10)), ErrorKind::invalid));
  OTTLA_EXPECT(file.size_bytes() == 5 * kDirectAlignment);
}

Task<void> direct_pieces(Setting& setting) {
  auto opened = co_await setting.env.disk.open(setting.folder + "/a",
                                               {.write = true, .create = true, .direct = true});
  OTTLA_REQUIRE(opened);
  AlignedBuffer first(kDirectAlignment);
  AlignedBuffer second(2 * kDirectAlignment);
  std::ranges::fill(first.view(), std::uint8_t{1});
  std::ranges::fill(second.view(), std::uint8_t{2});
  OTTLA_EXPECT(co_await (*opened)->write_pieces(kDirectAlignment, {second.view(), first.view()}));
  AlignedBuffer back(4 * kDirectAlignment);
  const auto got = co_await (*opened)->read(0, back.view());
  OTTLA_EXPECT(got && *got == back.size());
  OTTLA_EXPECT(back.data()[0] == 0 && back.data()[kDirectAlignment] == 2);
  OTTLA_EXPECT(back.data()[3 * kDirectAlignment - 1] == 2 &&
               back.data()[3 * kDirectAlignment] == 1);
}

Task<void> write_block(std::shared_ptr<File> file, std::size_t block, int& done) {
  const Bytes content(1'000, static_cast<std::uint8_t>(block));
  if (co_await file->write(block * 1'000, content)) ++done;
}

Task<void> writes_side_by_side(Setting& setting) {
  auto file = co_await make_file(setting, "a", {});
  OTTLA_REQUIRE(file);
  constexpr std::size_t kBlocks = 50;
  int done = 0;
  TaskGroup group(setting.env.executor);
  for (std::size_t block = kBlocks; block-- > 0;) group.spawn(write_block(file, block, done));
  co_await group.join();
  OTTLA_EXPECT(done == kBlocks);
  const Bytes all = co_await read_back(file, 0, kBlocks * 1'000);
  OTTLA_REQUIRE(all.size() == kBlocks * 1'000);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] != i / 1'000) OTTLA_REQUIRE(all[i] == i / 1'000);
  }
}

}  // namespace

std::vector<Case> disk_cases() {
  return {
      {"disk/write_is_read_back", write_is_read_back},
      {"disk/read_at_the_end", read_at_the_end},
      {"disk/a_hole_reads_as_zeros", a_hole_reads_as_zeros},
      {"disk/large_writes", large_writes},
      {"disk/pieces_become_one_write", pieces_become_one_write},
      {"disk/open_what_is_not_there", open_what_is_not_there},
      {"disk/exclusive_creation", exclusive_creation},
      {"disk/open_can_truncate", open_can_truncate},
      {"disk/a_file_opened_to_read_refuses_writes", a_file_opened_to_read_refuses_writes},
      {"disk/truncate_shorter_and_longer", truncate_shorter_and_longer},
      {"disk/reserve_keeps_the_size", reserve_keeps_the_size},
      {"disk/syncs_succeed", syncs_succeed},
      {"disk/residency", residency},
      {"disk/rename_replaces", rename_replaces},
      {"disk/rename_of_directories", rename_of_directories},
      {"disk/removal", removal},
      {"disk/directories", directories},
      {"disk/lists_are_sorted", lists_are_sorted},
      {"disk/one_holds_a_lock", one_holds_a_lock},
      {"disk/free_space", free_space},
      {"disk/direct_files_want_alignment", direct_files_want_alignment},
      {"disk/direct_pieces", direct_pieces},
      {"disk/writes_side_by_side", writes_side_by_side},
  };
}

}  // namespace ottla::io::conformance
