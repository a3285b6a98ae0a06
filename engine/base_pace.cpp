#include "engine/base_pace.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t microsecond = 1'000;

// A lane that waits for its replica may catch up by a twentieth of a second, not by more.
std::uint64_t burst_of(std::uint64_t rate) { return rate / 20; }

}  // namespace

std::string_view to_string(PaceHold hold) {
  switch (hold) {
    case PaceHold::none:
      return "none";
    case PaceHold::turn:
      return "turn";
    case PaceHold::cap:
      return "cap";
    case PaceHold::governor:
      return "governor";
    case PaceHold::reference:
      return "reference";
  }
  return "unknown";
}

BasePace::BasePace(PaceLimits limits) : limits_(limits) { CHECK(limits_.lanes_max > 0); }

void BasePace::ask(LaneId lane, std::uint64_t bytes, MonoTime now) {
  CHECK(lane && bytes > 0);
  if (lanes_.empty()) {
    refilled_ = now;
    balance_ = 0;
    looked_.reset();
    begin_window(now);
    if (anyone_at_work(now)) governed_ = pace::rate_start;
  }
  const auto known =
      std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& l) { return l.id == lane; });
  if (known == lanes_.end()) {
    lanes_.push_back({lane, bytes});
  } else {
    known->asked = bytes;
  }
}

void BasePace::used(std::uint64_t granted, std::uint64_t used) {
  balance_ += static_cast<std::int64_t>(granted) - static_cast<std::int64_t>(used);
  window_bytes_ -= std::min(window_bytes_, granted - std::min(granted, used));
}

void BasePace::leave(LaneId lane, MonoTime now) {
  if (planted(Bug::lane_keeps_its_place)) return;
  const auto at =
      std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& l) { return l.id == lane; });
  if (at == lanes_.end()) return;
  const auto index = static_cast<std::size_t>(at - lanes_.begin());
  if (index < next_) --next_;  // The others keep their turn.
  lanes_.erase(at);
  if (!lanes_.empty()) return;
  refill(now);
  ungoverned();
  looking_.reset();
}

void BasePace::set_cap(std::uint64_t bytes_per_second, MonoTime now) {
  refill(now);  // What was saved or owed is at the old rate.
  limits_.cap = bytes_per_second;
  balance_ = std::max<std::int64_t>(balance_, 0);
}

// --- what clients saw ----------------------------------------------------------------------------

void BasePace::served(const VolumeId& volume, MonoTime now) {
  volumes_[volume].heard = now;
  if (!lanes_.empty()) governed_ = std::min(governed_.value_or(pace::rate_start), pace::rate_start);
}

void BasePace::measured(const VolumeId& volume, const LatencySample& sample) {
  auto& seen = volumes_[volume];
  seen.heard = sample.ended;
  const bool quiet = lanes_.empty() || !granted_ || *granted_ + pace::settle <= sample.began;
  if (quiet) return refer(seen, sample);
  // Clients that come while a rebuild runs unlimited are not to wait until the window is over.
  if (!governed_) governed_ = std::max(pace::rate_min, moved_per_second(sample.ended) / 2);
  heard_ = true;
  suffered_ = suffered_ || (seen.reference && suffers(*seen.reference, sample));
}

// An old reference is of other clients, perhaps: the new one replaces it. Else it moves by a fourth.
void BasePace::refer(Foreground& volume, const LatencySample& sample) {
  const Reference fresh{sample.median, sample.p99, sample.ended};
  auto& known = volume.reference;
  if (!known || sample.ended - known->at >= pace::look_every / 2) {
    known = fresh;
    return;
  }
  known->median = (3 * known->median + fresh.median) / 4;
  known->p99 = (3 * known->p99 + fresh.p99) / 4;
  known->at = fresh.at;
}

bool BasePace::suffers(const Reference& reference, const LatencySample& sample) {
  const auto longer = [](std::uint64_t now, std::uint64_t was) { return 2 * now > 3 * was; };
  if (longer(sample.median, reference.median)) return true;
  return sample.count >= pace::p99_count_min && longer(sample.p99, reference.p99);
}

bool BasePace::at_work(const Foreground& volume, MonoTime now) const {
  return volume.heard && volume.heard + pace::rest_after > now;
}

bool BasePace::anyone_at_work(MonoTime now) const {
  return std::any_of(volumes_.begin(), volumes_.end(),
                     [&](const auto& v) { return at_work(v.second, now); });
}

// --- the governor --------------------------------------------------------------------------------

std::uint64_t BasePace::moved_per_second(MonoTime now) const {
  const auto microseconds = std::max<std::uint64_t>((now - window_began_) / microsecond, 1'000);
  return window_bytes_ * 1'000'000 / microseconds;
}

void BasePace::begin_window(MonoTime now) {
  window_began_ = now;
  window_bytes_ = 0;
  suffered_ = heard_ = false;
}

void BasePace::end_window(MonoTime now) {
  const auto moved = moved_per_second(now);
  if (!anyone_at_work(now)) {
    ungoverned();
    looking_.reset();
  } else if (looking_) {
    // Held on purpose: it says nothing of the rate.
  } else if (!governed_) {
    governed_ = std::max(pace::rate_min, moved / 2);
  } else if (suffered_) {
    // From what really moved: a rate that was not used up did not make them suffer.
    const auto from = std::min(*governed_, std::max(moved, pace::rate_min));
    governed_ = std::max(pace::rate_min, from / 10 * 7);
    sometimes(Mark::rebuild_slowed_for_clients);
    suffered_at_ = from;
  } else if (heard_ && moved >= *governed_ / 2) {
    grow();
  }
  begin_window(now);
}

/// Fast where nobody is known to suffer, slowly where they did.
void BasePace::grow() {
  if (suffered_at_ && *governed_ > *suffered_at_ / 4 * 5) suffered_at_.reset();  // Not any more.
  const auto now = *governed_;
  const auto left = suffered_at_ ? *suffered_at_ - std::min(*suffered_at_, now) : now;
  *governed_ += std::max(pace::rate_step, left / 4);
}

void BasePace::ungoverned() {
  governed_.reset();
  suffered_at_.reset();
}

/// Somebody is at work whose reference is missing or old: hold the lanes until it is there.
void BasePace::look_if_due(MonoTime now) {
  const auto since = looking_.value_or(now);
  bool wanted = false;
  for (const auto& [id, volume] : volumes_) {
    if (!at_work(volume, now)) continue;
    const auto& known = volume.reference;
    wanted =
        wanted || !known || (looking_ ? known->at <= since : known->at + pace::look_every <= now);
  }
  if (looking_) {
    if (wanted && now - since < pace::look_max) return;
    looking_.reset();
    looked_ = now;
    begin_window(now);
    return;
  }
  // A volume that could not be measured is not looked at again and again.
  if (wanted && (!looked_ || *looked_ + pace::look_every <= now)) looking_ = now;
}

// --- grants --------------------------------------------------------------------------------------

std::size_t BasePace::placed() const {
  return std::min<std::size_t>(lanes_.size(), limits_.lanes_max);
}

std::uint64_t BasePace::rate() const {
  if (!governed_) return limits_.cap;
  return limits_.cap == 0 ? *governed_ : std::min(limits_.cap, *governed_);
}

void BasePace::refill(MonoTime now) {
  const auto rate_now = rate();
  const auto microseconds =
      std::min<std::uint64_t>((now - refilled_) / microsecond, 1'000'000);  // A second at most.
  const auto added = rate_now / 1'000 * microseconds / 1'000;
  if (rate_now != 0 && added == 0) return;  // Time that brought no whole byte is not lost.
  refilled_ = now;
  if (rate_now == 0) {
    balance_ = 0;
    return;
  }
  balance_ = std::min(balance_ + static_cast<std::int64_t>(added),
                      static_cast<std::int64_t>(burst_of(rate_now)));
}

std::vector<PaceGrant> BasePace::grant(MonoTime now) {
  std::vector<PaceGrant> grants;
  if (lanes_.empty()) return grants;
  refill(now);
  if (now - window_began_ >= pace::window) end_window(now);
  look_if_due(now);
  if (looking_) return grants;
  const auto places = placed();
  const auto most = governed_ ? *governed_ / pace::pieces_per_second / block_bytes * block_bytes
                              : ~std::uint64_t{0};
  for (std::size_t idle = 0; idle < places;) {
    if (rate() != 0 && balance_ < 0) break;
    next_ = next_ % places;
    auto& lane = lanes_[next_++];
    if (lane.asked == 0) {
      ++idle;
      continue;
    }
    idle = 0;
    const auto bytes = std::min(lane.asked, most);
    grants.push_back({lane.id, bytes});
    balance_ -= static_cast<std::int64_t>(bytes);
    window_bytes_ += bytes;
    lane.asked = 0;
    granted_ = now;
  }
  return grants;
}

std::optional<MonoTime> BasePace::wake_at() const {
  if (lanes_.empty()) return std::nullopt;
  auto due = window_began_ + pace::window;
  const auto places = placed();
  const bool asked =
      std::any_of(lanes_.begin(), lanes_.begin() + static_cast<std::ptrdiff_t>(places),
                  [](const Lane& l) { return l.asked != 0; });
  const auto rate_now = rate();
  if (asked && !looking_ && rate_now != 0 && balance_ < 0) {
    const auto owed = static_cast<std::uint64_t>(-balance_);
    const auto wait = owed * 1'000 / std::max<std::uint64_t>(rate_now / 1'000, 1) + 1;
    due = std::min(due, refilled_ + wait * microsecond);
  }
  return due;
}

PaceStanding BasePace::standing(LaneId lane) const {
  PaceStanding s;
  s.rate = rate();
  const auto at =
      std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& l) { return l.id == lane; });
  if (at == lanes_.end()) return s;
  if (static_cast<std::size_t>(at - lanes_.begin()) >= placed()) {
    s.hold = PaceHold::turn;
  } else if (looking_) {
    s.hold = PaceHold::reference;
  } else if (s.rate != 0) {
    s.hold = governed_ && *governed_ == s.rate ? PaceHold::governor : PaceHold::cap;
  }
  return s;
}

}  // namespace tidemark::engine
