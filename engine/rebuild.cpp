#include "engine/rebuild.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "engine/check.hpp"

namespace tidemark::engine {

Rebuild::Rebuild(const Plan& plan, std::uint64_t blocks)
    : base_(plan.common_point), target_(plan.target), source_(blocks) {
  CHECK(plan.kind == SessionKind::rebuild);
  CHECK(base_ <= target_);
}

bool Rebuild::ready(Lsn next) {
  if (step_ != Step::starting || next != base_.next()) return false;
  step_ = Step::copying;
  return true;
}

Status Rebuild::asked(std::span<const BlockRange> ranges) {
  if (step_ != Step::copying) {
    return Error{Errc::invalid, "base blocks were asked for out of place"};
  }
  return source_.asked(ranges);
}

std::uint64_t Rebuild::next_read_bytes() const {
  return step_ == Step::copying ? source_.next_read_bytes() : 0;
}

std::optional<BlockRange> Rebuild::begin_read() {
  if (step_ != Step::copying) return std::nullopt;
  return source_.begin_read();
}

Status Rebuild::read(BlockRange range, BasePiece& piece) {
  CHECK(step_ == Step::copying);
  return source_.read(range, piece);
}

Result<Lsn> Rebuild::whole(Lsn flush_lsn, Lsn head) {
  if (step_ != Step::copying || !source_.idle()) {
    return Error{Errc::invalid, "it has the whole base while blocks of it are on their way"};
  }
  if (flush_lsn < source_.flush_lsn() || flush_lsn > head) {
    return Error{Errc::invalid,
                 fmt::format("its base holds content up to {}: it was sent up to {}, the log ends "
                             "at {}",
                             flush_lsn, source_.flush_lsn(), head)};
  }
  step_ = Step::closing;
  barrier_ = std::max({target_, flush_lsn, head, base_});
  return barrier_;
}

bool Rebuild::barrier_reached(Lsn lsn, Lsn durable) {
  if (step_ != Step::closing || lsn != barrier_ || durable < lsn) return false;
  step_ = Step::done;
  return true;
}

}  // namespace tidemark::engine
