#include "engine/rebuild.hpp"

#include <algorithm>

#include "engine/check.hpp"

namespace tidemark::engine {

Rebuild::Rebuild(const Plan& plan, std::uint64_t blocks)
    : base_(plan.common_point), target_(plan.target), feed_(blocks) {
  CHECK(plan.kind == SessionKind::rebuild);
  CHECK(base_ <= target_);
}

bool Rebuild::ready(Lsn next) {
  if (step_ != Step::starting || next != base_.next()) return false;
  step_ = Step::copying;
  return true;
}

std::optional<BlockIndex> Rebuild::begin_read() {
  if (step_ != Step::copying) return std::nullopt;
  const auto first = feed_.readable();
  if (first) feed_.begun();
  return first;
}

Status Rebuild::read(const BasePiece& piece) {
  CHECK(step_ == Step::copying);
  return feed_.read(piece);
}

Rebuild::Verdict Rebuild::base_acked(BlockIndex upto, bool complete) {
  if (step_ != Step::copying || !feed_.acked(upto)) return Verdict::refused;
  if (!complete) return Verdict::taken;
  if (upto.value != feed_.blocks()) return Verdict::refused;
  step_ = Step::closing;
  return Verdict::complete;
}

Lsn Rebuild::close(Lsn head) {
  CHECK(step_ == Step::closing);
  CHECK(!barrier_);
  barrier_ = std::max({target_, feed_.flush_lsn(), head, base_});
  return barrier_;
}

bool Rebuild::barrier_reached(Lsn lsn, Lsn durable) {
  if (step_ != Step::closing || lsn != barrier_ || durable < lsn) return false;
  step_ = Step::done;
  return true;
}

}  // namespace tidemark::engine
