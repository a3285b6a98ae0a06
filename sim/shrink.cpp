#include "sim/shrink.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "sim/batch.hpp"

namespace tidemark::sim {
namespace {

using engine::Errc;
using engine::Error;

/// Kinds of sources that other schedules come from, and which requests are tried alone.
constexpr std::uint64_t shrink_draw = 102;
constexpr std::uint64_t few_draw = 103;
// The own schedule and so many others. Many where a step saves much, few where there are hundreds of steps.
constexpr std::uint64_t schedules_many = 12;
constexpr std::uint64_t schedules_few = 3;
// With so few requests a run takes a fraction of the time.
constexpr std::size_t asks_few = 64;
constexpr std::uint64_t few_tried = 24;

/// The requests of all clients, one client after the other, that `keeps` their number.
Plan with_asks(Plan plan, const std::function<bool(std::size_t)>& keeps) {
  std::size_t at = 0;
  for (auto& client : plan.clients) {
    std::vector<Ask> kept;
    for (const auto& ask : client.asks)
      if (keeps(at++)) kept.push_back(ask);
    client.asks = std::move(kept);
  }
  return plan;
}

class Shrinker {
 public:
  Shrinker(Plan plan, SeedFailure failure, const ShrinkOptions& options)
      : best_(std::move(plan)),
        cls_(std::move(failure.cls)),
        begun_(std::move(failure.begun)),
        options_(options) {}

  Shrunk run() {
    drop_unreached();
    bool smaller = true;
    while (smaller && !over_) {
      smaller = false;
      for (const auto step : {&Shrinker::keep_few_asks, &Shrinker::drop_faults,
                              &Shrinker::drop_clients, &Shrinker::drop_asks, &Shrinker::simplify}) {
        if (!over_ && (this->*step)()) smaller = true;
      }
    }
    return {best_, cls_, runs_, !over_};
  }

 private:
  /// Takes the first of them that fails the same way, under the own schedule if possible; false: none does.
  bool any_fails(const std::vector<Plan>& smaller, std::uint64_t schedules);
  bool fails(const std::vector<Plan>& smaller, std::uint64_t schedules);
  /// What a run had not come to when it failed; the rest goes as it went.
  void drop_unreached();
  /// Leaves out runs of consecutive items, long ones first; whether any could be spared. `without` makes the plan that
  /// lacks items [first, end) of the smallest so far.
  bool drop(const std::function<std::size_t()>& count, std::uint64_t schedules,
            const std::function<Plan(std::size_t first, std::size_t end)>& without);
  /// Nearly all requests at once: some few, drawn or in a row.
  bool keep_few_asks();
  bool drop_faults();
  bool drop_clients();
  bool drop_asks();
  bool simplify();

  Plan best_;
  std::string cls_;
  std::optional<Begun> begun_;  ///< When the smallest failed.
  const ShrinkOptions& options_;
  std::uint64_t runs_ = 0;
  bool over_ = false;
};

bool Shrinker::fails(const std::vector<Plan>& smaller, std::uint64_t schedules) {
  if (smaller.empty() || over_) return false;
  const auto plan_of = [&](std::uint64_t i) {
    auto plan = smaller[static_cast<std::size_t>(i % smaller.size())];
    if (const auto other = i / smaller.size(); other != 0)
      plan.schedule = Random::at(plan.schedule, shrink_draw, other).next() >> 16;
    return plan;
  };
  BatchOptions batch;
  batch.first = 0;
  batch.count = smaller.size() * schedules;
  batch.jobs = options_.jobs;
  batch.bug = options_.bug;
  batch.stop_at_failure = true;
  batch.quiet = true;
  batch.plan = plan_of;
  batch.only_class = cls_;
  batch.over = options_.over;
  const auto result = run_batch(batch);
  runs_ += result.done;
  over_ = result.interrupted || (options_.over && options_.over());
  if (result.failures.empty()) return false;
  best_ = plan_of(result.failures.front().seed);
  begun_ = result.failures.front().begun;
  if (options_.progress) options_.progress(best_, runs_);
  return true;
}

bool Shrinker::any_fails(const std::vector<Plan>& smaller, std::uint64_t schedules) {
  const bool found = fails(smaller, schedules);
  if (found) drop_unreached();
  return found;
}

void Shrinker::drop_unreached() {
  if (!begun_) return;
  auto plan = best_;
  plan.faults.resize(std::min<std::size_t>(plan.faults.size(), begun_->faults));
  std::vector<PlannedClient> clients;
  for (std::size_t i = 0; i < plan.clients.size() && i < begun_->asks.size(); ++i) {
    auto& asks = plan.clients[i].asks;
    asks.resize(std::min<std::size_t>(asks.size(), begun_->asks[i]));
    if (!asks.empty()) clients.push_back(plan.clients[i]);
  }
  if (!clients.empty()) plan.clients = std::move(clients);
  if (to_text(plan) != to_text(best_)) (void)fails({std::move(plan)}, schedules_few);
}

bool Shrinker::drop(const std::function<std::size_t()>& count, std::uint64_t schedules,
                    const std::function<Plan(std::size_t, std::size_t)>& without) {
  bool smaller = false;
  for (auto chunk = count(); chunk > 0 && !over_;) {
    std::vector<Plan> plans;
    for (std::size_t first = 0; first < count(); first += chunk)
      plans.push_back(without(first, std::min(first + chunk, count())));
    const bool fails = any_fails(plans, schedules);
    smaller = smaller || fails;
    chunk = fails ? std::min(chunk, count()) : chunk / 2;
  }
  return smaller;
}

bool Shrinker::drop_faults() {
  const auto count = [&] { return best_.faults.size(); };
  return drop(count, schedules_many, [&](std::size_t first, std::size_t end) {
    auto plan = best_;
    plan.faults.erase(plan.faults.begin() + static_cast<std::ptrdiff_t>(first),
                      plan.faults.begin() + static_cast<std::ptrdiff_t>(end));
    return plan;
  });
}

/// One at least stays: who asks for nothing does no harm.
bool Shrinker::drop_clients() {
  if (best_.clients.size() < 2) return false;
  std::vector<Plan> smaller;
  for (std::size_t i = 0; i < best_.clients.size(); ++i) {
    smaller.push_back(best_);
    smaller.back().clients.erase(smaller.back().clients.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return any_fails(smaller, schedules_many);
}

bool Shrinker::keep_few_asks() {
  for (const std::uint64_t keep : {0u, 4u, 16u, 64u, 256u}) {
    const auto all = best_.asks();
    if (over_ || keep * 2 > all || all == 0) return false;
    std::vector<Plan> smaller;
    for (std::uint64_t i = 0; i < (keep == 0 ? 1 : few_tried); ++i) {
      auto random = Random::at(best_.schedule, few_draw, keep << 32 | i);
      const auto first = random.below(all - keep + 1);
      const bool in_a_row = i % 2 == 0;
      smaller.push_back(with_asks(best_, [&](std::size_t at) {
        return in_a_row ? at >= first && at < first + keep : random.chance(keep, all);
      }));
    }
    if (any_fails(smaller, keep == 0 ? schedules_many : schedules_few)) return true;
  }
  return false;
}

bool Shrinker::drop_asks() {
  const auto count = [&] { return static_cast<std::size_t>(best_.asks()); };
  const auto schedules = count() <= asks_few ? schedules_many : schedules_few;
  return drop(count, schedules, [&](std::size_t first, std::size_t end) {
    return with_asks(best_, [&](std::size_t at) { return at < first || at >= end; });
  });
}

/// Each thing that has a plainer form gets it by itself.
bool Shrinker::simplify() {
  std::vector<Plan> smaller;
  const auto with = [&](auto change) {
    auto plan = best_;
    change(plan);
    if (to_text(plan) != to_text(best_)) smaller.push_back(std::move(plan));
  };
  with([](Plan& p) { p.knobs.clear(); });
  for (const auto& [name, unused] : best_.knobs) with([&](Plan& p) { p.knobs.erase(name); });
  with([](Plan& p) { p.rules_at_rest = false; });
  with([](Plan& p) { p.cold_restart = false; });
  with([](Plan& p) { p.blocks = Plan{}.blocks; });
  with([](Plan& p) { p.ack = Plan{}.ack; });
  with([](Plan& p) { p.below_min = Plan{}.below_min; });
  with([](Plan& p) {
    if (p.copies != 3) return;
    p.nodes = 3;
    p.hosts.clear();
  });
  with([](Plan& p) {
    for (auto& client : p.clients) client.think_max = 0;
  });
  with([](Plan& p) {
    for (auto& client : p.clients) client.depth = 1;
  });
  for (std::size_t i = 0; i < best_.faults.size(); ++i) {
    with([&](Plan& p) { p.faults[i].resizes = false; });
    with([&](Plan& p) { p.faults[i].reconfigures = false; });
  }
  return any_fails(smaller, schedules_few);
}

}  // namespace

engine::Result<Shrunk> shrink(const Plan& plan, const ShrinkOptions& options) {
  BatchOptions first;
  first.first = plan.seed;
  first.count = 1;
  first.bug = options.bug;
  first.quiet = true;
  first.plan = [&](std::uint64_t) { return plan; };
  const auto result = run_batch(first);
  if (result.failures.empty())
    return Error{Errc::invalid, "the plan does not fail: there is nothing to shrink"};
  return Shrinker(plan, result.failures.front(), options).run();
}

}  // namespace tidemark::sim
