// The two things CAF wants from any scheduler beside running actors: a clock and a printer. Shared
// by the loop's scheduler and the simulator's, so that neither starts a thread.
#pragma once

#include <caf/all.hpp>

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::actors {

/// CAF's own timers are not used: engine::Timers is the one way to be woken, and CAF never
/// forgets the timer of an answered request. Arming one (a finite request timeout,
/// delayed_send) is our mistake.
class NoTimersClock final : public caf::actor_clock {
 public:
  void set_ordinary_timeout(time_point, caf::abstract_actor*, caf::atom_value,
                            std::uint64_t) override {
    refuse();
  }
  void set_multi_timeout(time_point, caf::abstract_actor*, caf::atom_value,
                         std::uint64_t) override {
    refuse();
  }
  void set_request_timeout(time_point, caf::abstract_actor*, caf::message_id) override { refuse(); }
  void schedule_message(time_point, caf::strong_actor_ptr, caf::mailbox_element_ptr) override {
    refuse();
  }
  void schedule_message(time_point, caf::group, caf::strong_actor_ptr, caf::message) override {
    refuse();
  }
  void cancel_ordinary_timeout(caf::abstract_actor*, caf::atom_value) override {}
  void cancel_request_timeout(caf::abstract_actor*, caf::message_id) override {}
  void cancel_timeouts(caf::abstract_actor*) override {}
  void cancel_all() override {}

 private:
  [[noreturn]] static void refuse() {
    engine::check_failed("an actor armed a timer of CAF; engine::Timers is the only clock");
  }
};

/// Receives what CAF itself prints: unhandled exceptions, messages nobody takes.
using OnPrint = std::function<void(const std::string& line)>;

/// CAF sends one message per `<<`; this one assembles lines. Runs on the caller's thread.
class PrinterActor final : public caf::monitorable_actor {
 public:
  PrinterActor(caf::actor_config& config, OnPrint print)
      : caf::monitorable_actor(config), print_(std::move(print)) {}

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) override {
    auto& content = element->content();
    if (!print_ || content.size() != 3 || !content.match_element<std::string>(2)) return;
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto actor = content.get_as<caf::actor_id>(1);
    auto& line = lines_[actor];
    line += content.get_as<std::string>(2);
    if (line.empty() || line.back() != '\n') return;
    line.pop_back();
    print_(line);
    lines_.erase(actor);
  }

 private:
  OnPrint print_;
  std::mutex mutex_;
  std::map<caf::actor_id, std::string> lines_;
};

}  // namespace tidemark::actors
