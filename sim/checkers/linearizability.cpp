#include "sim/checkers/linearizability.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/check.hpp"

namespace tidemark::sim {

using engine::MonoTime;

Register::Register(MonoTime since) {
  Zone zeros;
  zeros.kind = Kind::zeros;
  zeros.last_begin = since;
  zeros.by = since;
  zones_.push_back(zeros);
}

void Register::write_begun(OpId op, bool zeros, MonoTime at) {
  Zone z;
  z.op = op;
  z.kind = zeros ? Kind::zeros : Kind::data;
  z.last_begin = at;
  zones_.push_back(z);
}

void Register::inherited(OpId op, MonoTime by) {
  write_begun(op, false, by);
  zones_.back().by = by;
}

void Register::write_given_up(OpId op, MonoTime at) {
  if (auto* z = find(op)) z->by = at;
}

Register::Verdict Register::write_answered(OpId op, MonoTime at) {
  auto* z = find(op);
  if (z == nullptr) return std::nullopt;  // Seen, and over, before its answer came.
  z->first_end = std::min({z->first_end, z->by, at});
  return in_order(*z);
}

bool Register::holds(OpId op) const {
  return std::any_of(zones_.begin(), zones_.end(),
                     [&](const Zone& z) { return z.op == op && z.kind == Kind::data; });
}

Register::Verdict Register::read(OpId op, MonoTime began, MonoTime ended) {
  if (op == 0) {
    Zone z;
    z.kind = Kind::zeros_read;
    z.first_end = ended;
    z.last_begin = began;
    zones_.push_back(z);
    return in_order(zones_.back());
  }
  auto* z = find(op);
  CHECK(z != nullptr);
  z->first_end = std::min({z->first_end, z->by, ended});
  z->last_begin = std::max(z->last_begin, began);
  return in_order(*z);
}

Register::Verdict Register::settle(MonoTime horizon) {
  auto safe = horizon;
  for (auto& z : zones_) {
    if (z.kind != Kind::zeros_read || z.settled) continue;
    if (auto breach = explained(z)) return breach;
    if (z.first_end < horizon) {
      z.settled = true;
    } else {
      // What may explain it, or contradict that, is still needed.
      safe = std::min(safe, z.last_begin);
    }
  }
  forget(safe);
  return std::nullopt;
}

Register::Zone* Register::find(OpId op) {
  for (auto& z : zones_) {
    if (z.op == op) return &z;
  }
  return nullptr;
}

MonoTime Register::latest(const Zone& z) { return std::min(z.first_end, z.by); }

std::string Register::called(const Zone& z) {
  return z.op == 0 ? "zeros" : fmt::format("op {}", z.op);
}

/// Nothing is asked of zeros among themselves: each operation on them ends behind its begin, so none is on both sides of another.
Register::Verdict Register::in_order(const Zone& z) const {
  for (const auto& other : zones_) {
    if (&other == &z || !before(z, other) || !before(other, z)) continue;
    return Breach{"register_order",
                  fmt::format("{} must be before and behind {}", called(z), called(other))};
  }
  return std::nullopt;
}

/// Zeros that were written later than the last value that is certainly before the read, or may have been.
Register::Verdict Register::explained(const Zone& read) const {
  MonoTime since{};
  for (const auto& z : zones_) {
    if (z.kind == Kind::data && before(z, read)) since = std::max(since, z.last_begin);
  }
  const auto explains = [&](const Zone& z) {
    return z.kind == Kind::zeros && z.last_begin <= read.first_end && latest(z) >= since;
  };
  if (std::any_of(zones_.begin(), zones_.end(), explains)) return std::nullopt;
  return Breach{
      "register_zeros",
      fmt::format("zeros were read at {}, and not written since something else was there at {}",
                  read.first_end, since)};
}

/// A value is over when another one is behind it, and before all that is to come. If that one also began last, then whatever
/// will be found before and behind the older value is so for the newer one, and zeros that the older one stands
/// in the way of meet the newer one, too.
/// Reads of zeros stand for no zeros that were written: those may have to explain others.
void Register::forget(MonoTime horizon) {
  MonoTime written{};
  MonoTime seen{};
  for (const auto& z : zones_) {
    if (z.first_end >= horizon) continue;
    seen = std::max(seen, z.last_begin);
    if (z.kind != Kind::zeros_read) written = std::max(written, z.last_begin);
  }
  std::erase_if(zones_, [&](const Zone& z) {
    const auto newer = z.kind == Kind::zeros ? written : seen;
    return latest(z) < newer && z.last_begin < newer;
  });
}

}  // namespace tidemark::sim
