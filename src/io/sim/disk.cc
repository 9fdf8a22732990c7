#include "io/sim/disk.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <ranges>
#include <set>

#include "io/sim/disk_operation.h"
#include "io/sim/shard_disk.h"
#include "io/sim/world.h"

namespace ottla::io::sim {
namespace {

constexpr std::uint64_t kBytesPerMicrosecond = 1000;  // what size adds to a delay

std::unexpected<Error> failed(ErrorKind kind, std::string_view doing, std::string_view path) {
  return std::unexpected(Error{kind, fmt::format("{} {}: {}", doing, path, to_string(kind))});
}

// Parts of a path; "." and empty ones say nothing.
std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, slash - at);
    if (part == ".." && !parts.empty())
      parts.pop_back();
    else if (!part.empty() && part != ".")
      parts.push_back(part);
    at = slash + 1;
  }
  return parts;
}

}  // namespace

SimDisk::SimDisk(World& world, std::uint32_t node, std::string node_name)
    : world_(world),
      node_(node),
      node_name_(std::move(node_name)),
      options_(world.swarm().disk),
      prng_(world.prng("disk/" + node_name_)),
      root_(new_inode(true)) {}

SimDisk::~SimDisk() = default;

std::shared_ptr<Inode> SimDisk::new_inode(bool is_directory) {
  auto inode = std::make_shared<Inode>(used_bytes_);
  inode->is_directory = is_directory;
  return inode;
}

std::shared_ptr<Inode> SimDisk::find(std::string_view path) const {
  std::shared_ptr<Inode> at = root_;
  for (std::string_view part : parts_of(path)) {
    const auto found = at->names.find(part);
    if (found == at->names.end()) return nullptr;
    at = found->second;
  }
  return at;
}

Result<SimDisk::Place> SimDisk::locate(const char* doing, std::string_view path) const {
  const auto parts = parts_of(path);
  if (parts.empty()) return failed(ErrorKind::invalid, doing, path);
  std::shared_ptr<Inode> at = root_;
  for (std::string_view part : parts | std::views::take(parts.size() - 1)) {
    const auto found = at->names.find(part);
    if (found == at->names.end()) return failed(ErrorKind::not_found, doing, path);
    at = found->second;
    if (!at->is_directory) return failed(ErrorKind::invalid, doing, path);
  }
  constexpr std::size_t kNameBytesMax = 255;
  if (parts.back().size() > kNameBytesMax) return failed(ErrorKind::invalid, doing, path);
  const auto found = at->names.find(parts.back());
  return Place{at, std::string(parts.back()), found == at->names.end() ? nullptr : found->second};
}

void SimDisk::record(NameChange change) {
  ++counters_.name_changes;
  change.sequence = ++name_sequence_;
  if (change.removed_from) change.removed_from->names.erase(change.removed_name);
  if (change.added_to) {
    auto& entry = change.added_to->names[change.added_name];
    if (entry) {
      entry->has_name = false;
      entry->release_space_if_gone();
    }
    entry = change.what;
  } else {
    change.what->has_name = false;
    change.what->release_space_if_gone();
  }
  unsynced_names_.push_back(std::move(change));
}

// True if it made a difference.
bool SimDisk::make_durable(const NameChange& change) {
  bool changed = false;
  if (change.removed_from) {
    auto& names = change.removed_from->durable_names;
    const auto found = names.find(change.removed_name);
    if (found != names.end() && found->second == change.what) {
      names.erase(found);
      changed = true;
    }
  }
  if (change.added_to) {
    auto& entry = change.added_to->durable_names[change.added_name];
    changed = changed || entry != change.what;
    entry = change.what;
  }
  return changed;
}

// A rename into another directory is one transaction to its source; a sync of its target alone may
// leave the old name behind as well.
void SimDisk::sync_names(Inode& directory, std::uint64_t mark) {
  // What such a rename replaced has to be there before it.
  std::vector<std::pair<std::shared_ptr<Inode>, std::uint64_t>> targets;
  for (const NameChange& change : unsynced_names_)
    if (change.sequence <= mark && change.removed_from.get() == &directory && change.added_to &&
        change.added_to.get() != &directory)
      targets.emplace_back(change.added_to, change.sequence - 1);
  for (auto& [target, before] : targets) sync_names(*target, before);
  std::erase_if(unsynced_names_, [&](NameChange& change) {
    if (change.sequence > mark) return false;
    const bool removes = change.removed_from.get() == &directory;
    const bool adds = change.added_to.get() == &directory;
    if (!removes && adds && change.removed_from) {
      directory.durable_names[change.added_name] = change.what;
      change.added_to = nullptr;
      return false;
    }
    if (removes || adds) make_durable(change);
    return removes || adds;
  });
}

bool SimDisk::charge(Inode& file, std::uint64_t end) {
  const std::uint64_t wanted = (std::max({end, file.content.size_bytes(), file.reserved_bytes}) +
                                SparseBytes::kPageBytes - 1) /
                               SparseBytes::kPageBytes * SparseBytes::kPageBytes;
  if (wanted <= file.charged_bytes) return true;
  const std::uint64_t more = wanted - file.charged_bytes;
  if (*used_bytes_ + more > options_.size_bytes) return false;
  *used_bytes_ += more;
  file.charged_bytes = wanted;
  return true;
}

void SimDisk::recharge(Inode& file) {
  *used_bytes_ -= std::exchange(file.charged_bytes, 0);
  const std::uint64_t limit = std::exchange(options_.size_bytes, UINT64_MAX / 2);
  charge(file, 0);
  options_.size_bytes = limit;
}

Duration SimDisk::draw_delay(std::string_view path, std::uint64_t size_bytes) {
  Duration delay = prng_.delay(options_.delay, options_.delay_tail);
  delay += std::chrono::microseconds(size_bytes / kBytesPerMicrosecond);
  if (path.ends_with(options_.stall_path) && prng_.chance(options_.stall)) {
    ++counters_.stalls;
    delay += Duration(static_cast<std::int64_t>(
        prng_.below(static_cast<std::uint64_t>(options_.stall_max.count()))));
  }
  return delay;
}

Result<std::shared_ptr<Inode>> SimDisk::do_open(const std::string& path, OpenOptions options) {
  auto place = locate("opening", path);
  if (!place) return std::unexpected(std::move(place.error()));
  if (!place->found) {
    if (!options.create) return failed(ErrorKind::not_found, "opening", path);
    auto file = new_inode(false);
    record({0, nullptr, {}, place->parent, place->name, file});
    return file;
  }
  if (place->found->is_directory) return failed(ErrorKind::invalid, "opening", path);
  if (options.create && options.exclusive) return failed(ErrorKind::exists, "opening", path);
  if (options.truncate) {
    place->found->content.truncate(0);
    recharge(*place->found);
  }
  return place->found;
}

Result<> SimDisk::do_make_directory(const std::string& path) {
  auto place = locate("making the directory", path);
  if (!place) return std::unexpected(std::move(place.error()));
  if (place->found) return failed(ErrorKind::exists, "making the directory", path);
  record({0, nullptr, {}, place->parent, place->name, new_inode(true)});
  return {};
}

Result<> SimDisk::do_remove(const std::string& path) {
  auto place = locate("removing", path);
  if (!place) return std::unexpected(std::move(place.error()));
  if (!place->found) return failed(ErrorKind::not_found, "removing", path);
  if (place->found->is_directory && !place->found->names.empty())
    return failed(ErrorKind::invalid, "removing the directory, which is not empty,", path);
  record({0, place->parent, place->name, nullptr, {}, place->found});
  return {};
}

Result<> SimDisk::do_rename(const std::string& from, const std::string& to) {
  auto source = locate("renaming", from);
  if (!source) return std::unexpected(std::move(source.error()));
  if (!source->found) return failed(ErrorKind::not_found, "renaming", from);
  auto target = locate("renaming to", to);
  if (!target) return std::unexpected(std::move(target.error()));
  if (target->found == source->found) return {};
  if (target->found) {
    if (target->found->is_directory != source->found->is_directory)
      return failed(ErrorKind::invalid, "renaming to", to);
    if (!target->found->names.empty())
      return failed(ErrorKind::invalid, "renaming to the directory, which is not empty,", to);
  }
  record({0, source->parent, source->name, target->parent, target->name, source->found});
  return {};
}

Result<> SimDisk::do_write(Inode& file, const std::string& path, std::uint64_t position,
                           ByteView from) {
  if (from.empty()) return {};
  if (!charge(file, position + from.size())) {
    ++counters_.no_space;
    // What still fits may have been written.
    const std::uint64_t room = file.charged_bytes > position ? file.charged_bytes - position : 0;
    const std::uint64_t fits = std::min<std::uint64_t>(from.size(), room);
    if (fits > 0) file.content.write(position, from.first(prng_.below(fits + 1)));
    return failed(ErrorKind::no_space, "writing", path);
  }
  file.content.write(position, from);
  return {};
}

Result<> SimDisk::do_truncate(Inode& file, const std::string& path, std::uint64_t size_bytes) {
  if (size_bytes > file.content.size_bytes() && !charge(file, size_bytes)) {
    ++counters_.no_space;
    return failed(ErrorKind::no_space, "truncating", path);
  }
  ++counters_.truncates;
  if (size_bytes < file.content.size_bytes()) file.reserved_bytes = 0;
  file.content.truncate(size_bytes);
  recharge(file);
  return {};
}

Result<> SimDisk::do_reserve(Inode& file, const std::string& path, std::uint64_t size_bytes) {
  if (!charge(file, size_bytes)) {
    ++counters_.no_space;
    return failed(ErrorKind::no_space, "reserving", path);
  }
  file.reserved_bytes = std::max(file.reserved_bytes, size_bytes);
  return {};
}

Result<std::size_t> SimDisk::do_read(Inode& file, const std::string& path, std::uint64_t position,
                                     MutableByteView into) {
  ++counters_.reads;
  const std::uint64_t end = std::min(file.content.size_bytes(), position + into.size());
  if (position < end && prng_.chance(options_.rot_on_read)) {
    const std::uint64_t where = prng_.between(position, end - 1);
    file.content.flip(where, static_cast<unsigned>(prng_.below(8)));
    ++counters_.bits_flipped;
    world_.note({node_, 0}, What::fault, where, 0, path);
  }
  return file.content.read(position, into);
}

void SimDisk::process_died() {
  ++deaths_;
  while (!in_flight_.empty()) in_flight_.front().cut_short();
  // Pages that a failed sync called clean may be evicted at any time; here is a good one.
  std::vector<std::string> paths;
  list_files(*root_, "", paths);
  for (const std::string& path : paths) {
    auto file = find(path);
    if (prng_.chance(0.5) && file->content.forget_clean()) {
      ++counters_.clean_pages_lost;
      recharge(*file);
    }
  }
}

void SimDisk::power_lost() {
  ++counters_.power_losses;
  const std::size_t prefix = prng_.below(unsynced_names_.size() + 1);
  for (std::size_t i = 0; i < unsynced_names_.size(); ++i) {
    const bool kept = options_.names_in_order ? i < prefix : prng_.chance(0.5);
    if (kept)
      make_durable(unsynced_names_[i]);
    else
      ++counters_.names_lost;
  }
  unsynced_names_.clear();
  std::vector<std::shared_ptr<Inode>> todo{root_};
  std::set<const Inode*> seen;  // a file with two names loses once
  while (!todo.empty()) {
    const std::shared_ptr<Inode> inode = std::move(todo.back());
    todo.pop_back();
    if (inode->is_directory) {
      inode->names = inode->durable_names;
      for (auto& [name, child] : inode->names) todo.push_back(child);
      continue;
    }
    if (!seen.insert(inode.get()).second) continue;
    if (inode->content.unsynced_changes() > 0) {
      const Loss loss = inode->content.lose_power(options_, prng_);
      counters_.unsynced_bytes_lost += loss.bytes_lost;
      counters_.sectors_torn += loss.sectors_torn;
      counters_.sectors_garbage += loss.sectors_garbage;
      counters_.truncates_lost += loss.truncates_lost;
    }
    if (inode->content.forget_clean()) ++counters_.clean_pages_lost;
    inode->has_name = true;
    inode->reserved_bytes = 0;
    recharge(*inode);
  }
}

bool SimDisk::exists(std::string_view path) const { return find(path) != nullptr; }

std::optional<Bytes> SimDisk::content(std::string_view path) const {
  const auto file = find(path);
  if (!file || file->is_directory) return std::nullopt;
  Bytes bytes(file->content.size_bytes());
  file->content.read(0, bytes);
  return bytes;
}

std::optional<Bytes> SimDisk::durable_content(std::string_view path) const {
  const auto file = find(path);
  if (!file || file->is_directory) return std::nullopt;
  Bytes bytes(file->content.durable_size_bytes());
  file->content.read_durable(0, bytes);
  return bytes;
}

bool SimDisk::is_name_durable(std::string_view path) const {
  const Inode* at = root_.get();
  for (std::string_view part : parts_of(path)) {
    const auto found = at->durable_names.find(part);
    if (found == at->durable_names.end()) return false;
    at = found->second.get();
  }
  return true;
}

std::uint64_t SimDisk::unsynced_bytes(std::string_view path) const {
  const auto file = find(path);
  return file ? file->content.unsynced_bytes() : 0;
}

void SimDisk::list_files(const Inode& directory, const std::string& prefix,
                         std::vector<std::string>& files) const {
  for (auto& [name, inode] : directory.names) {
    if (inode->is_directory)
      list_files(*inode, prefix + name + "/", files);
    else
      files.push_back(prefix + name);
  }
}

std::vector<std::string> SimDisk::files() const {
  std::vector<std::string> all;
  list_files(*root_, "", all);
  return all;
}

void SimDisk::make_directories(std::string_view path) {
  std::shared_ptr<Inode> at = root_;
  for (std::string_view part : parts_of(path)) {
    auto found = at->names.find(part);
    if (found == at->names.end())
      found = at->names.emplace(std::string(part), new_inode(true)).first;
    OTTLA_CHECK(found->second->is_directory);
    at->durable_names[std::string(part)] = found->second;
    at = found->second;
  }
}

void SimDisk::put(std::string_view path, ByteView bytes) {
  const std::size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) make_directories(path.substr(0, slash));
  auto place = locate("putting", path);
  OTTLA_CHECK(place.has_value());
  auto file = new_inode(false);
  file->content.write(0, bytes);
  file->content.sync(file->content.mark());
  recharge(*file);
  place->parent->names[place->name] = file;
  place->parent->durable_names[place->name] = file;
}

void SimDisk::erase(std::string_view path) {
  auto place = locate("erasing", path);
  if (!place || !place->found) return;
  place->parent->names.erase(place->name);
  place->parent->durable_names.erase(place->name);
  std::erase_if(unsynced_names_, [&](NameChange& change) { return change.what == place->found; });
}

void SimDisk::flip_bit(std::string_view path, std::uint64_t position, unsigned bit) {
  const auto file = find(path);
  OTTLA_CHECK(file && position < file->content.size_bytes());
  file->content.flip(position, bit);
  ++counters_.bits_flipped;
  world_.note({node_, 0}, What::fault, position, bit, path);
}

bool SimDisk::rot(const Atlas& may_rot) {
  const std::vector<std::string> all = files();
  for (int tries = 0; tries < kRotTries && !all.empty(); ++tries) {
    const std::string& path = all[prng_.below(all.size())];
    const std::uint64_t size = find(path)->content.durable_size_bytes();
    const std::uint64_t position = prng_.below(size);
    if (size == 0 || !may_rot(path, position)) continue;
    flip_bit(path, position, static_cast<unsigned>(prng_.below(8)));
    return true;
  }
  return false;
}

void SimDisk::copy_in(const std::filesystem::path& from, std::string_view to) {
  make_directories(to);
  std::vector<std::filesystem::path> found;
  for (auto& entry : std::filesystem::recursive_directory_iterator(from))
    found.push_back(entry.path());
  std::ranges::sort(found);
  for (auto& path : found) {
    const std::string name = std::string(to) + "/" + path.lexically_relative(from).generic_string();
    if (std::filesystem::is_directory(path)) {
      make_directories(name);
      continue;
    }
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    OTTLA_CHECK(in.good() || in.eof());
    put(name, as_bytes(text));
  }
}

void SimDisk::copy_out(std::string_view from, const std::filesystem::path& to) const {
  const auto directory = find(from);
  OTTLA_CHECK(directory && directory->is_directory);
  std::filesystem::create_directories(to);
  for (auto& [name, inode] : directory->names) {
    if (inode->is_directory) {
      copy_out(std::string(from) + "/" + name, to / name);
      continue;
    }
    const Bytes bytes = *content(std::string(from) + "/" + name);
    std::ofstream out(to / name, std::ios::binary);
    out << as_text(bytes);
    OTTLA_CHECK(out.good());
  }
}

std::unique_ptr<Disk> SimDisk::attach(Shard& shard) {
  return std::make_unique<ShardDisk>(*this, shard);
}

}  // namespace ottla::io::sim
