#include "actors/runtime/loop_time.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "engine/check.hpp"

namespace tidemark::actors {
namespace {

std::uint64_t read_clock(clockid_t which) {
  timespec t{};
  CHECK(clock_gettime(which, &t) == 0);
  return static_cast<std::uint64_t>(t.tv_sec) * engine::second +
         static_cast<std::uint64_t>(t.tv_nsec);
}

// Asio's steady timer stands still during suspend, CLOCK_BOOTTIME does not: look again at least
// this often, so that a timer is never late by a suspend.
constexpr std::uint64_t nap_max = 1 * engine::second;

}  // namespace

engine::MonoTime LoopClock::now() const { return engine::MonoTime(read_clock(CLOCK_BOOTTIME)); }
engine::WallTime LoopClock::wall() const { return engine::WallTime(read_clock(CLOCK_REALTIME)); }

LoopTimers::LoopTimers(boost::asio::io_context& io, const engine::Clock& clock)
    : clock_(clock), timer_(io) {}

engine::TimerId LoopTimers::after(std::uint64_t delay, std::function<void()> due) {
  const auto id = ++last_id_;
  const auto at = clock_.now() + delay;
  pending_.emplace(Key(at, id), std::move(due));
  due_.emplace(id, at);
  arm();
  return id;
}

void LoopTimers::cancel(engine::TimerId id) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  pending_.erase(Key(found->second, id));
  due_.erase(found);
}

void LoopTimers::clear() {
  timer_.cancel();
  armed_for_ = {};
  due_.clear();
  // Callbacks may hold actors whose destructors cancel timers: let the map be empty by then.
  const auto dropped = std::exchange(pending_, {});
}

// An earlier wake-up than needed is harmless: it re-arms.
void LoopTimers::arm() {
  if (pending_.empty()) return;
  const auto now = clock_.now();
  const auto wake = std::min(pending_.begin()->first.first, now + nap_max);
  if (armed_for_ && armed_for_ <= wake) return;
  armed_for_ = wake;
  timer_.expires_after(std::chrono::nanoseconds(wake - now));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) fire();
  });
}

void LoopTimers::fire() {
  armed_for_ = {};
  const auto now = clock_.now();
  while (!pending_.empty() && pending_.begin()->first.first <= now) {
    auto node = pending_.extract(pending_.begin());
    due_.erase(node.key().second);
    node.mapped()();
  }
  arm();
}

}  // namespace tidemark::actors
