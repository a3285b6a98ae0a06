#include "engine/base_lane.hpp"

#include <fmt/format.h>

#include "engine/check.hpp"

namespace tidemark::engine {
namespace {

bool well_formed(const BasePiece& piece) {
  if (piece.sums.empty()) return piece.data.empty();
  return piece.range.count <= base_blocks_max && piece.sums.size() == piece.range.count &&
         piece.data.size() == piece.range.count * block_bytes;
}

}  // namespace

std::optional<BlockIndex> BaseFeed::readable() const {
  if (reading_ || next_.value >= blocks_) return std::nullopt;
  if (window_bytes_ >= base_window_bytes_max || sent_.size() >= base_window_runs_max) {
    return std::nullopt;
  }
  return next_;
}

void BaseFeed::begun() {
  CHECK(!reading_);
  reading_ = true;
}

Status BaseFeed::read(const BasePiece& piece) {
  CHECK(reading_);
  reading_ = false;
  const bool fits = piece.range.first == next_ && !piece.range.empty() &&
                    piece.range.count <= blocks_ - next_.value;
  if (!fits || !well_formed(piece)) {
    return Error{Errc::io_failed,
                 fmt::format("reading base blocks from {}: got {} with {} sums and {} bytes", next_,
                             piece.range, piece.sums.size(), piece.data.size())};
  }
  next_ = piece.range.end();
  if (piece.flush_lsn > flush_lsn_) flush_lsn_ = piece.flush_lsn;
  sent_.push_back({next_, piece.data.size()});
  window_bytes_ += piece.data.size();
  return Done{};
}

bool BaseFeed::take_end() {
  if (ended_ || next_.value < blocks_) return false;
  ended_ = true;
  return true;
}

bool BaseFeed::acked(BlockIndex upto) {
  if (upto > next_) return false;
  while (!sent_.empty() && sent_.front().end <= upto) {
    window_bytes_ -= sent_.front().bytes;
    sent_.pop_front();
  }
  return true;
}

Status BaseIntake::accept(BlockRange range, std::uint64_t bytes) {
  const auto at = [&] {
    return fmt::format("base blocks {} where {} is next of {}", range, next_, blocks_);
  };
  if (finished_) return Error{Errc::invalid, at() + ": after the end"};
  if (range.first != next_ || range.empty() || range.count > blocks_ - next_.value) {
    return Error{Errc::invalid, at() + ": not the next run"};
  }
  // One run more than the window: the source counts what was acknowledged,
  // which lags behind what is written.
  if (window_bytes_ > base_window_bytes_max || accepted_.size() > base_window_runs_max) {
    return Error{Errc::invalid, at() + ": beyond the window"};
  }
  next_ = range.end();
  window_bytes_ += bytes;
  accepted_.push_back({next_, bytes});
  return Done{};
}

void BaseIntake::written() {
  CHECK(!accepted_.empty());
  upto_ = accepted_.front().end;
  window_bytes_ -= accepted_.front().bytes;
  accepted_.pop_front();
}

Status BaseIntake::finish() {
  if (next_.value < blocks_) {
    return Error{Errc::invalid, fmt::format("the base ended at {} of {} blocks", next_, blocks_)};
  }
  finished_ = true;
  return Done{};
}

}  // namespace tidemark::engine
