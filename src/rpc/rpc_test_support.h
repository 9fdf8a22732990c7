// What the tests of servers share: a client on a simulated machine of its own, which a test asks
// through from outside of that machine. Not part of the library.
#pragma once

#include <gtest/gtest.h>
#include <optional>
#include <utility>

#include "io/sim/world.h"
#include "rpc/client.h"

namespace ottla::rpc::testing {

// Empty until it has come.
template <class Response>
using Answer = std::optional<io::Result<Response>>;

// One connection to `to`, from connect() on, held by a process of `machine`.
class Asker {
 public:
  Asker(io::sim::World& world, io::sim::Node& machine, io::Endpoint to)
      : world_(world), machine_(machine), to_(std::move(to)) {}

  // Tries until it is connected; a connection from before is closed first.
  void connect() {
    client_ = nullptr;
    if (machine_.is_running()) {
      machine_.stop();
      ASSERT_TRUE(wait([&] { return !machine_.is_running(); })) << world_.report();
    }
    machine_.start(1, [this](io::Env& env) { return hold(env); });
    ASSERT_TRUE(wait([&] { return client_ != nullptr; })) << world_.report();
  }
  bool is_open() const { return client_ && client_->is_open(); }

  // Spawns what `make_task` gives for the client.
  template <class MakeTask>
  void spawn(MakeTask make_task) {
    machine_.process()->post(0, [this, make_task = std::move(make_task)]() mutable {
      tasks_->spawn(make_task(*client_));
    });
  }
  template <class Response, class Request>
  void ask_later(Request request, std::int16_t version, Answer<Response>& answer) {
    spawn([request = std::move(request), version, &answer](Client& client) mutable {
      return call<Response>(client, std::move(request), version, answer);
    });
  }
  // The answer, or why there is none.
  template <class Response, class Request>
  io::Result<Response> ask(Request request, std::int16_t version) {
    Answer<Response> answer;
    ask_later(std::move(request), version, answer);
    EXPECT_TRUE(wait([&] { return answer.has_value(); })) << world_.report();
    return std::move(answer.value());
  }

 private:
  template <class Done>
  bool wait(const Done& done) {
    return world_.run_until(done, std::chrono::minutes(2));
  }
  io::Task<int> hold(io::Env& env) {
    io::Result<std::unique_ptr<Client>> held;
    while (!(held = co_await Client::connect(env, to_, "test")))
      co_await io::sleep_for(env.clock, std::chrono::milliseconds(20));
    io::TaskGroup group(env.executor);
    tasks_ = &group;
    client_ = held->get();
    co_await env.stop.wait();
    client_ = nullptr;
    co_await (*held)->close();
    co_await group.join();
    co_return 0;
  }
  template <class Response, class Request>
  static io::Task<void> call(Client& client, Request request, std::int16_t version,
                             Answer<Response>& answer) {
    answer.emplace(
        co_await client.call<Response>(std::move(request), version, std::chrono::seconds(20)));
  }

  io::sim::World& world_;
  io::sim::Node& machine_;
  io::Endpoint to_;
  io::TaskGroup* tasks_ = nullptr;
  Client* client_ = nullptr;
};

}  // namespace ottla::rpc::testing
