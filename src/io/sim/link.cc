#include "io/sim/link.h"

#include <algorithm>

namespace ottla::io::sim {
namespace {

constexpr Duration kRetryFirst = 200ms;
constexpr Duration kRetryMost = 5s;

}  // namespace

Place Link::place(int end) const {
  return ends[end].shard ? ends[end].shard->place()
                         : Place{UINT32_MAX, static_cast<std::uint32_t>(end)};
}

std::size_t Link::room(int from) const {
  const std::size_t most = fabric.options().buffer_bytes;
  return pipes[from].held_bytes >= most ? 0 : most - pipes[from].held_bytes;
}

std::size_t Link::quarter() const {
  return std::max<std::size_t>(1, fabric.options().buffer_bytes / 4);
}

void Link::send(int from, std::vector<Slice> slices) {
  const NetworkOptions& options = fabric.options();
  Pipe& pipe = pipes[from];
  std::uint64_t size = 0;
  for (const Slice& slice : slices) {
    size += slice.size();
    world().note(place(from), What::send, id, slice.size(), {}, slice);
  }
  ++fabric.counters_.messages;
  fabric.counters_.sent_bytes += size;
  if (is_cut) {
    fabric.counters_.bytes_lost += size;
    return tell_later(from);
  }
  Instant arrival = world().now() + fabric.draw_delay(ends[from].node, ends[1 - from].node);
  if (options.bytes_per_second > 0)
    arrival = std::max(arrival, pipe.last_arrival) +
              Duration(static_cast<std::int64_t>(size * 1'000'000'000 / options.bytes_per_second));
  std::uint64_t cut = UINT64_MAX;  // how many more bytes come before the next delay
  if (size > 1 && prng().chance(options.chunk)) {
    cut = prng().between(1, size - 1);
    ++fabric.counters_.split;
  }
  pipe.held_bytes += size;
  for (Slice& slice : slices) {
    arrival = std::max(arrival, pipe.last_arrival);
    while (cut < slice.size()) {
      if (cut > 0) pipe.in_flight.push_back({slice.subslice(0, cut), arrival});
      slice = slice.subslice(cut, slice.size() - cut);
      arrival = arrival + fabric.draw_delay(ends[from].node, ends[1 - from].node);
      cut = prng().chance(0.5) ? UINT64_MAX : prng().between(1, size);
    }
    if (cut != UINT64_MAX) cut -= slice.size();
    pipe.in_flight.push_back({std::move(slice), arrival});
    pipe.last_arrival = arrival;
  }
  if (prng().chance(options.reset)) return reset();
  if (!pipe.is_planned()) world().plan(pipe, pipe.in_flight.front().arrival);
}

void Link::send_end(int from) {
  Pipe& pipe = pipes[from];
  if (pipe.end_sent || is_cut) return;
  pipe.end_sent = true;
  const Instant arrival = std::max(
      pipe.last_arrival, world().now() + fabric.draw_delay(ends[from].node, ends[1 - from].node));
  pipe.last_arrival = arrival;
  pipe.in_flight.push_back({{}, arrival});
  if (!pipe.is_planned()) world().plan(pipe, pipe.in_flight.front().arrival);
}

void Link::deliver(Pipe& pipe) {
  const auto self = shared_from_this();
  End& sender = ends[pipe.from];
  End& receiver = ends[1 - pipe.from];
  Node* host = world().find_node(receiver.node);
  const bool silent = !receiver.shard && !host->is_up();
  if (silent || fabric.is_blocked(sender.node, receiver.node)) {
    ++fabric.counters_.held_by_partition;
    const Instant now = world().now();
    if (!pipe.blocked_since) {
      pipe.blocked_since = now;
      pipe.retry = kRetryFirst;
    }
    if (now - *pipe.blocked_since >= fabric.options().give_up_after) {
      ++fabric.counters_.gave_up;
      lose_in_flight(pipe, 0);
      return die(pipe.from, ErrorKind::timed_out);
    }
    world().plan_in(pipe, pipe.retry);
    pipe.retry = std::min<Duration>(2 * pipe.retry, kRetryMost);
    return;
  }
  pipe.blocked_since.reset();
  if (!receiver.is_open || !receiver.shard || receiver.dead) {
    // Nobody there: the sender is told.
    const bool only_end = pipe.in_flight.size() == 1 && pipe.in_flight.front().bytes.empty();
    lose_in_flight(pipe, 0);
    if (!only_end && sender.is_open && !sender.dead) tell_later(pipe.from);
    return forget_if_over();
  }
  while (!pipe.in_flight.empty() && pipe.in_flight.front().arrival <= world().now()) {
    Piece piece = std::move(pipe.in_flight.front());
    pipe.in_flight.pop_front();
    world().note(place(1 - pipe.from), What::arrive, id, piece.bytes.size());
    if (piece.bytes.empty())
      pipe.end_arrived = true;
    else
      pipe.arrived.push_back(std::move(piece.bytes));
  }
  if (!pipe.in_flight.empty()) world().plan(pipe, pipe.in_flight.front().arrival);
  receiver.wake_reader();
  forget_if_over();
}

void Link::close(int end) {
  End& here = ends[end];
  if (!here.is_open) return;
  here.is_open = false;
  world().note(place(end), What::close, id);
  here.wake_reader();
  here.wake_writer();
  here.shard = nullptr;
  notices[end].cancel();
  if (!here.dead) end_sending(end);
  pipes[1 - end].arrived.clear();
  forget_if_over();
}

void Link::die(int end, ErrorKind as) {
  End& here = ends[end];
  if (here.dead || !here.is_open) return;
  here.dead = as;
  world().note(place(end), What::reset, id, static_cast<std::uint64_t>(as));
  here.wake_reader();
  here.wake_writer();
  forget_if_over();
}

void Link::lose_in_flight(Pipe& pipe, std::size_t keep) {
  for (std::size_t i = keep; i < pipe.in_flight.size(); ++i) {
    fabric.counters_.bytes_lost += pipe.in_flight[i].bytes.size();
    pipe.held_bytes -= pipe.in_flight[i].bytes.size();
  }
  pipe.in_flight.resize(std::min(keep, pipe.in_flight.size()));
  pipe.last_arrival = pipe.in_flight.empty() ? Instant{0} : pipe.in_flight.back().arrival;
  if (pipe.in_flight.empty()) pipe.cancel();
}

void Link::tell_later(int end) {
  if (!ends[end].is_open || ends[end].dead || notices[end].is_planned()) return;
  const Instant arrival = world().now() + fabric.draw_delay(ends[1 - end].node, ends[end].node);
  // Not before what arrives.
  world().plan(notices[end], std::max(arrival, pipes[1 - end].last_arrival));
}

void Link::reset() {
  if (is_cut) return;
  is_cut = true;
  ++fabric.counters_.resets;
  for (int end : {0, 1}) lose_in_flight(pipes[end], prng().below(pipes[end].in_flight.size() + 1));
  // At most one side stays in the dark; it learns by writing.
  const int unaware =
      prng().chance(fabric.options().half_open) ? static_cast<int>(prng().below(2)) : -1;
  for (int end : {0, 1}) {
    Pipe& pipe = pipes[end];
    if (!pipe.in_flight.empty() && !pipe.is_planned())
      world().plan(pipe, pipe.in_flight.front().arrival);
    if (end == unaware)
      ++fabric.counters_.half_open;
    else
      tell_later(end);
  }
}

void Link::process_died(int end, bool silently) {
  End& here = ends[end];
  if (!here.shard) return;
  here.shard = nullptr;
  here.reader = here.writer = nullptr;
  const bool was_open = here.is_open && !here.dead;
  here.is_open = false;
  notices[end].cancel();
  if (!was_open) return forget_if_over();
  if (silently) {
    Pipe& pipe = pipes[end];
    lose_in_flight(pipe, prng().below(pipe.in_flight.size() + 1));
    ++fabric.counters_.half_open;
  } else {
    end_sending(end);
  }
  pipes[1 - end].arrived.clear();
  forget_if_over();
}

// As Linux does: whoever closes with something unread resets the connection, and what it sent last
// may be lost.
void Link::end_sending(int end) {
  if (pipes[1 - end].arrived.empty()) return send_end(end);
  Pipe& pipe = pipes[end];
  if (prng().chance(0.5)) lose_in_flight(pipe, prng().below(pipe.in_flight.size() + 1));
  tell_later(1 - end);
}

void Link::forget_if_over() {
  const bool over = !ends[0].is_open && !ends[1].is_open;
  if (over) fabric.forget(*this);
}

}  // namespace ottla::io::sim
