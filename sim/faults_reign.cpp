// Reigns that begin, change or end while somebody has not heard of it: what one of them answered, the next one must
// have.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "sim/faults.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

std::vector<std::uint32_t> Faults::copies_beside(std::uint32_t node) {
  std::vector<std::uint32_t> found;
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) {
    if (n != node && cluster_.hosts_a_copy(n)) found.push_back(n);
  }
  shuffle(found);
  return found;
}

/// What is in flight to the node's log dies with its process; where `lands` is said, it lands late instead.
void Faults::hold_log(std::uint32_t node, bool lands) {
  auto& disk = cluster_.node(node).disk();
  disk.late_writes = lands ? LateWrites::all_land : LateWrites::all_lost;
  disk.holds = [](DiskOp op, const std::string& path) {
    return op == DiskOp::write && path.ends_with(".seg");
  };
}

void Faults::let_go(std::uint32_t node) {
  auto& disk = cluster_.node(node).disk();
  disk.holds = nullptr;
  disk.late_writes = LateWrites::as_the_seed_says;
}

void Faults::part(std::uint32_t a, std::uint32_t b) {
  cluster_.block(a, b);
  cluster_.block(b, a);
}

void Faults::wish(std::uint32_t node) {
  const auto body = fmt::format("{{\"node\":\"{}\"}}", cluster_.node(node).name());
  cluster_.admin_later("POST", "/v1/volumes/data/promote", body, [](engine::AdminReply) {});
}

bool Faults::in_set(std::uint32_t node) {
  const auto v = cluster_.view();
  return v && std::any_of(v->copies.begin(), v->copies.end(), [&](const CopyView& c) {
           return c.node == cluster_.node(node).name() && c.in_set;
         });
}

/// Until the set is recorded without it, or for as long as anybody waits for that.
void Faults::until_left_out(std::uint32_t node) {
  for (int look = 0; look < 80 && !cluster_.failed() && in_set(node); ++look) {
    cluster_.run_for(100 * millisecond);
  }
}

/// Until its base is on its way or there, if that begins soon.
void Faults::until_made(std::uint32_t node) {
  const auto& name = cluster_.node(node).name();
  const auto made = [&] {
    const auto view = cluster_.view();
    return view && std::any_of(view->copies.begin(), view->copies.end(), [&](const CopyView& copy) {
             return copy.node == name && (copy.state == "rebuilding" || copy.state == "streaming");
           });
  };
  for (int look = 0; look < 100 && !cluster_.failed() && !made(); ++look) {
    cluster_.run_for(20 * millisecond);
  }
}

/// Nothing but a restart or an operator moves a primary: so one asks for the heir, and there is time for its reign.
void Faults::interregnum(std::uint32_t heir) {
  wish(heir);
  cluster_.run_for(1 * second + pause());
}

// Whatever it commits alone meanwhile is gone with it.
void Faults::leaving_unheard() {
  if (random_.chance(1, 2) && !whole_soon()) return;
  const auto primary = primary_or_any();
  if (primary == 0) return;  // the control plane's host
  if (random_.chance(1, 2)) {
    cluster_.block(primary, 0);
    if (random_.chance(1, 2)) cluster_.block(0, primary);
  } else {
    cluster_.world().net.filter = [](const Passage& p) {
      return std::holds_alternative<engine::ProposeSet>(p.message) ? Fate::hold : Fate::pass;
    };
  }
  const bool alone = random_.chance(1, 2);
  const auto others = copies_beside(primary);
  for (const auto other : others) {
    if (alone || random_.chance(1, 2)) cluster_.block(primary, other);
  }
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(8'000) * millisecond);
  cluster_.kill(primary, how());
  cluster_.world().net.filter = nullptr;
  cluster_.heal();
  interregnum(others.front());
  cluster_.boot(primary);
}

// That it counts is recorded, and the primary does not hear of it any more.
void Faults::joining_unheard() {
  if (!whole_soon()) return;
  const auto primary = primary_or_any();
  const auto others = copies_beside(primary);
  const auto node = others.front();
  if (primary == 0 || node == 0) return;  // the control plane's host
  cluster_.kill(node, how());
  if (make_busy) make_busy();
  until_left_out(node);
  const auto asked = std::make_shared<bool>(false);
  const bool records_too = random_.chance(2, 3);
  cluster_.world().net.filter = [=](const Passage& p) {
    const bool proposes = std::holds_alternative<engine::ProposeSet>(p.message);
    *asked = *asked || (proposes && p.from == primary);
    if (!*asked || proposes) return Fate::pass;
    const bool control = p.purpose == engine::Purpose::control;
    const bool answer = control && p.from == 0 && p.to == primary;
    const bool records = records_too && p.from == primary && p.to == node;
    return answer || records ? Fate::hold : Fate::pass;
  };
  cluster_.boot(node);
  cluster_.run_until([&] { return *asked; }, 10 * second);
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(1'500) * millisecond);
  cluster_.kill(primary, how());
  for (const auto other : others) {
    if (other != node && other != 0 && random_.chance(1, 2)) cluster_.kill(other, how());
  }
  cluster_.world().net.filter = nullptr;
  interregnum(node);
  for (std::uint32_t n = 0; n < cluster_.size(); ++n) cluster_.boot(n);
}

// One of the others has what the last primary numbered and nobody was answered. It reigns until it is gone as well:
// was it seen there, it may not be gone.
void Faults::brief_reign() {
  if (!whole_soon()) return;
  const auto first = primary_or_any();
  const auto others = copies_beside(first);
  if (others.size() < 2 || first == 0 || others[0] == 0) return;  // the control plane's host
  const auto brief = others[0];
  const auto last = others[1];
  auto& lags = cluster_.world().net.records_lag;
  lags[last] = 10 * second;
  if (random_.chance(2, 3)) hold_log(first);
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(100) * millisecond);
  cluster_.kill(first, how());
  let_go(first);
  wish(brief);
  cluster_.run_until([&] { return cluster_.serving() == brief; }, 5 * second);
  cluster_.run_for(random_.below(400) * millisecond);
  cluster_.kill(brief, random_.chance(1, 2) ? Kill::power : Kill::process);
  lags.erase(last);
  if (random_.chance(1, 2)) cluster_.boot(first);
  interregnum(last);
  cluster_.boot(first);
  cluster_.boot(brief);
}

// The first primary hears of the second one from a replica, and its clients are still with it. One that nobody can
// tell, or only late, goes on serving reads, as there are no leases (C19, C20): so no spikes delay it.
void Faults::split_reign() {
  if (!whole_soon()) return;
  const auto first = primary_or_any();
  const auto others = copies_beside(first);
  const bool told = others.size() == 2 && others[0] != 0 && others[1] != 0;
  if (first == 0 || !told || cluster_.options().weather.spike_one_in != 0) return;
  part(first, 0);
  part(first, others.front());
  cluster_.admit_nobody_new(first);
  for (const auto& client : cluster_.clients()) {
    if (client->connected() && random_.chance(1, 2)) client->connection_lost("cut by the network");
  }
  wish(others.front());
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(5'000) * millisecond);
  cluster_.heal();
}

// What the process had on its way to its log lands while the next one reads that, or behind it.
void Faults::late_landing() {
  const auto node = random_.chance(1, 2) ? primary_or_any() : any_node();
  auto& disk = cluster_.node(node).disk();
  const auto landing = disk.late_landing_max;
  disk.late_landing_max = random_.between(1, 400) * millisecond;
  hold_log(node, true);
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(30) * millisecond);
  cluster_.kill(node);
  disk.holds = nullptr;
  cluster_.run_for(random_.below(5) * millisecond);
  cluster_.boot(node);
  cluster_.run_for(random_.below(600) * millisecond);
  if (random_.chance(1, 2)) kill_and_boot(node);
  disk.late_landing_max = landing;
  let_go(node);
}

// A copy is made of what the source has; what nobody else has goes with the source.
void Faults::source_lost() {
  if (!whole_soon()) return;
  if (primary_or_any() == 0) {  // the control plane's host
    wish(copies_beside(0).front());
    cluster_.run_for(2 * second);
    if (!whole_soon()) return;
  }
  const auto source = primary_or_any();
  auto others = copies_beside(source);
  if (others.front() == 0) std::swap(others.front(), others.back());
  const auto node = others.front();
  if (source == 0 || node == 0) return;
  auto& lags = cluster_.world().net.records_lag;
  cluster_.wipe(node);
  cluster_.run_for(pause());
  cluster_.boot(node);
  auto& disk = cluster_.node(node).disk();
  if (random_.chance(1, 2)) disk.slow_factor = random_.between(1, 100);
  const auto have_what_nobody_else_has = [&] {
    for (const auto other : others) lags[other] = 10 * second;
    if (random_.chance(2, 3)) hold_log(source);
    if (make_busy) make_busy();
  };
  const bool before = random_.chance(1, 2);
  if (before) have_what_nobody_else_has();
  cluster_.replace(node);
  until_made(node);
  if (!before) have_what_nobody_else_has();
  cluster_.run_for(random_.below(before ? 100 : 800) * millisecond);
  cluster_.kill(source, how());
  let_go(source);
  for (const auto other : others) lags.erase(other);
  disk.slow_factor = 1;
  interregnum(others.back());
  cluster_.boot(source);
  if (whole_soon()) cluster_.copies_equal();
}

// What is said to be in force was committed by copies of which some have it only later: one of a quorum, or all that
// had left a sync_all set.
void Faults::reconfigure_behind() {
  const auto seen = cluster_.view();
  if (!seen || seen->alone() || !whole_soon()) return;
  const bool quorum = seen->mode == to_string(engine::Mode::sync_quorum);
  const auto primary = primary_or_any();
  auto behind = copies_beside(primary);
  if (primary == 0) return;  // the control plane's host
  auto& lags = cluster_.world().net.records_lag;
  if (random_.chance(quorum ? 7 : 1, 8)) behind.resize(1);
  for (const auto node : behind) lags[node] = 20 * second;
  const bool away = random_.chance(quorum ? 1 : 7, 8);
  for (const auto node : behind) {
    if (away && node != 0) cluster_.kill(node, how());
  }
  if (make_busy) make_busy();
  if (away) until_left_out(behind.front());
  cluster_.run_for(random_.below(away ? 2'000 : 200) * millisecond);
  for (const auto node : behind) cluster_.boot(node);
  if (random_.chance(1, 2)) cluster_.run_for(random_.below(200) * millisecond);
  reconfigure_otherwise();
  if (make_busy) make_busy();
  cluster_.run_until([&] { return !cluster_.configuring(); },
                     random_.below(random_.chance(1, 2) ? 2'000 : 12'000) * millisecond);
  cluster_.run_for(random_.below(20) * millisecond);
  cluster_.kill(primary, Kill::power);
  for (const auto node : behind) lags.erase(node);
  interregnum(behind.front());
  cluster_.boot(primary);
}

// One copy is behind, another one fails, and who has all dies. They are two of three, and one of them has no vote.
void Faults::voteless() {
  if (!whole_soon()) return;
  const auto primary = primary_or_any();
  const auto others = copies_beside(primary);
  if (others.size() < 2 || primary == 0) return;  // the control plane's host
  auto& lags = cluster_.world().net.records_lag;
  lags[others[0]] = 20 * second;
  if (make_busy) make_busy();
  cluster_.run_for(random_.below(500) * millisecond);
  auto& disk = cluster_.node(others[1]).disk();
  disk.fail_writes = 1'000'000;
  cluster_.run_for(random_.below(100) * millisecond);
  cluster_.kill(primary, how());
  lags.erase(others[0]);
  interregnum(others[0]);
  disk.fail_writes = 0;
  cluster_.kill(others[1]);
  cluster_.boot(others[1]);
  cluster_.boot(primary);
}

// The first reign's records are with it alone when the second one begins, with itself alone; and when the first one
// reigns again they come to be on a majority, but not the record of its new epoch.
void Faults::older_epoch() {
  if (!whole_soon()) return;
  const auto first = primary_or_any();
  auto others = copies_beside(first);
  const auto seen = cluster_.view();
  const bool quorum = seen && seen->mode == to_string(engine::Mode::sync_quorum);
  if (!quorum || others.size() < 2 || first == 0) return;  // the control plane's host
  if (others[0] == 0) std::swap(others[0], others[1]);
  const auto next = others[0];
  const auto third = others[1];
  auto& lags = cluster_.world().net.records_lag;
  for (const auto other : others) lags[other] = 1'000 * second;
  if (flood) flood();
  cluster_.run_for(random_.below(200) * millisecond);
  cluster_.kill(first);
  wish(next);
  cluster_.run_for(1 * second + random_.below(4'000) * millisecond);
  cluster_.kill(next);
  lags.clear();
  const auto passed = std::make_shared<std::uint64_t>(0);
  const auto most = random_.between(1, 4);
  cluster_.world().net.filter = [=](const Passage& p) {
    const bool records = std::holds_alternative<engine::Records>(p.message);
    return records && p.to == third && ++*passed > most ? Fate::hold : Fate::pass;
  };
  cluster_.boot(first);
  cluster_.run_for(random_.below(1'000) * millisecond);
  wish(first);
  cluster_.run_until([&] { return *passed > 0; }, 10 * second);
  cluster_.run_for(random_.below(3'000) * millisecond);
  cluster_.kill(first);
  cluster_.world().net.filter = nullptr;
  cluster_.boot(next);
  interregnum(next);
  cluster_.boot(first);
}

// What a reign numbered and nobody else got is longer than all that the next one commits; then the two meet, and the
// one that has what was committed has the shorter log.
void Faults::longest_log() {
  if (!whole_soon()) return;
  const auto first = primary_or_any();
  const auto others = copies_beside(first);
  const auto seen = cluster_.view();
  const bool quorum = seen && seen->mode == to_string(engine::Mode::sync_quorum);
  if (!quorum || others.size() < 2 || first == 0) return;  // the control plane's host
  auto& lags = cluster_.world().net.records_lag;
  for (const auto other : others) lags[other] = 1'000 * second;
  if (flood) flood();
  cluster_.run_for(random_.below(500) * millisecond);
  cluster_.kill(first);
  lags.clear();
  in_quiet([&] {
    wish(others.front());
    cluster_.run_until([&] { return cluster_.serving().has_value(); }, 10 * second);
    write_few(3 * second);
    const auto next = cluster_.serving().value_or(others.front());
    const auto third = next == others.front() ? others.back() : others.front();
    if (next != 0) cluster_.kill(next, how());
    // It knows what was committed as long as it runs.
    if (third != 0 && random_.chance(1, 2)) {
      cluster_.kill(third, Kill::power);
      cluster_.boot(third);
    }
    cluster_.boot(first);
    cluster_.run_for(random_.below(500) * millisecond);
    interregnum(random_.chance(1, 2) ? first : third);
    cluster_.boot(next);
  });
  cluster_.boot(first);
}

/// A reign that began as best_effort, and commits on all copies since.
bool Faults::begin_as_best_effort() {
  if (cluster_.options().copies < 3 || !whole_soon()) return false;
  if (!cluster_.configure(engine::Mode::best_effort, 1)) return false;
  kill_and_boot(primary_or_any());
  return cluster_.configure(engine::Mode::sync_all, 2);
}

// The copy that reigns by a set out of a backup lacks what was committed since: whoever has that may not follow it,
// until an operator makes one of them the primary again.
void Faults::control_from_backup() {
  const auto rules = cluster_.view();
  if (cluster_.hosts_a_copy(0) || cluster_.configuring() || !rules) return;
  const bool changes = random_.chance(1, 2);
  if (!changes || begin_as_best_effort()) reign_out_of_a_backup();
  if (!changes || cluster_.failed()) return;
  const auto mode = *engine::parse_mode(rules->mode);
  // In a quorum of three fewer than two say nothing, and are refused.
  const auto fewest = mode == engine::Mode::sync_quorum ? std::uint64_t{2} : std::uint64_t{1};
  cluster_.configure(mode, static_cast<std::uint32_t>(std::max(rules->min_copies, fewest)));
}

void Faults::reign_out_of_a_backup() {
  const auto seen = cluster_.view();
  if (!seen || seen->alone() || seen->min_copies < 2) return;
  if (cluster_.configuring() || cluster_.history().resizing() || !whole_soon()) return;
  const auto primary = primary_or_any();
  const auto others = copies_beside(primary);
  const bool heard_late = cluster_.options().weather.spike_one_in != 0;
  if (others.size() < 2 || primary == 0 || heard_late) return;
  // With little to write the other one's disk does not say that it is committed.
  if (random_.chance(1, 2)) {
    in_quiet([&] { forget_the_set_of(primary, others[0], others[1], true); });
  } else {
    forget_the_set_of(primary, others[0], others[1], false);
  }
  operator_decides({primary, others[1]});
}

void Faults::forget_the_set_of(std::uint32_t primary, std::uint32_t old, std::uint32_t other,
                               bool quiet) {
  const auto backup = cluster_.control_records();
  cluster_.kill(old, how());
  if (quiet) {
    hold_writes(other, [](const std::string& path) { return !path.ends_with(".seg"); });
    write_few(10 * second);
  } else {
    if (make_busy) make_busy();
    until_left_out(old);
    if (make_busy) make_busy();
  }
  // Who loses its power as it hears of the set forgets it (decision 0007).
  cluster_.run_for(100 * millisecond + random_.below(1'000) * millisecond);
  cluster_.kill(0);
  cluster_.restore_control(backup);
  cluster_.kill(primary, how());
  // Where its power goes, it knows no more of what was committed than its disk does.
  if (quiet || random_.chance(1, 2)) {
    cluster_.kill(other, Kill::power);
  } else {
    part(0, other);
  }
  cluster_.node(other).disk().holds = nullptr;
  cluster_.boot(old);
  cluster_.boot(0);
  cluster_.run_for(1 * second);
  wish(old);
  cluster_.run_until([&] { return cluster_.serving() == old; }, 5 * second);
  cluster_.heal();
  cluster_.boot(other);
  cluster_.run_for(pause());
  cluster_.boot(primary);
}

/// The truth is one of `candidates`, and who looks at them sees only in the end which. A copy that is refused even then
/// is given up.
void Faults::operator_decides(const std::vector<std::uint32_t>& candidates) {
  for (std::size_t attempt = 0; attempt < 4 && !cluster_.failed(); ++attempt) {
    if (whole_soon()) return;
    cluster_.promote(candidates[attempt % candidates.size()], true);
  }
  if (whole_soon()) return;
  const auto seen = cluster_.view();
  for (std::uint32_t node = 1; seen && node < cluster_.size(); ++node) {
    const auto refused = [&](const CopyView& copy) {
      return copy.node == cluster_.node(node).name() && copy.state == "refused";
    };
    if (std::any_of(seen->copies.begin(), seen->copies.end(), refused)) cluster_.replace(node);
  }
  whole_soon();
}

}  // namespace tidemark::sim
