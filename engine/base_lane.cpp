#include "engine/base_lane.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

bool well_formed(const BasePiece& piece) {
  if (piece.sums.empty()) return piece.data.empty();
  return piece.range.count <= base_blocks_max && piece.sums.size() == piece.range.count &&
         piece.data.size() == piece.range.count * block_bytes;
}

}  // namespace

Status BaseSource::asked(std::span<const BlockRange> ranges) {
  auto unanswered = unanswered_blocks_;
  for (const auto& range : ranges) {
    unanswered += range.count;
    const bool fits = !range.empty() && range.count <= base_ask_blocks_max &&
                      range.first.value < blocks_ && range.count <= blocks_ - range.first.value &&
                      unanswered <= base_window_blocks_max;
    if (fits) continue;
    return Error{Errc::invalid,
                 fmt::format("base blocks {} were asked for: the volume has {}, {} are unanswered",
                             range, blocks_, unanswered_blocks_)};
  }
  unanswered_blocks_ = unanswered;
  waiting_.insert(waiting_.end(), ranges.begin(), ranges.end());
  return Done{};
}

std::uint64_t BaseSource::next_read_bytes() const {
  if (waiting_.empty() || reading_ == base_reads_max) return 0;
  return std::min<std::uint64_t>(waiting_.front().count, base_blocks_max) * block_bytes;
}

std::optional<BlockRange> BaseSource::begin_read() {
  if (waiting_.empty() || reading_ == base_reads_max) return std::nullopt;
  const auto range = waiting_.front();
  waiting_.pop_front();
  ++reading_;
  return range;
}

Status BaseSource::read(BlockRange range, BasePiece& piece) {
  CHECK(reading_ > 0);
  --reading_;
  const bool zeros = piece.sums.empty();
  if (zeros) piece.range.count = std::min(piece.range.count, range.count);
  const bool fits =
      piece.range.first == range.first && !piece.range.empty() && piece.range.count <= range.count;
  if (!fits || !well_formed(piece)) {
    return Error{Errc::io_failed,
                 fmt::format("reading base blocks {}: got {} with {} sums and {} bytes", range,
                             piece.range, piece.sums.size(), piece.data.size())};
  }
  unanswered_blocks_ -= piece.range.count;
  if (piece.range.count < range.count) {
    waiting_.push_front({piece.range.end(), range.count - piece.range.count});
  }
  flush_lsn_ = std::max(flush_lsn_, piece.flush_lsn);
  return Done{};
}

std::optional<BaseIntake::Search> BaseIntake::begin_search() {
  if (searching_ || whole_) return std::nullopt;
  if (past_end_) {
    if (!pass_ended()) return std::nullopt;
    sometimes(Mark::base_searched_again);
    // A block that a committed record stood for may have a newer one that can still be cut.
    next_ = BlockIndex();
    past_end_ = false;
    asked_in_pass_ = false;
  }
  // Half a window at a time: an answer does not cost a question each.
  if (under_way_blocks_ > base_intake_blocks_max / 2) return std::nullopt;
  searching_ = true;
  return Search{next_, base_intake_blocks_max - under_way_blocks_};
}

void BaseIntake::found(std::span<const BlockRange> ranges, std::optional<BlockIndex> next) {
  CHECK(searching_);
  searching_ = false;
  for (const auto& range : ranges) {
    CHECK(next_ <= range.first);
    asked_[range.first] = range.end();
    under_way_blocks_ += range.count;
    next_ = range.end();
    asked_in_pass_ = true;
  }
  past_end_ = !next;
  if (next) next_ = std::max(next_, *next);
  whole_ = past_end_ && !asked_in_pass_;
}

Status BaseIntake::accept(BlockRange range, Lsn flush_lsn) {
  const auto asked = asked_.find(range.first);
  if (asked == asked_.end() || range.empty() || range.count > asked->second - range.first) {
    return Error{Errc::invalid, fmt::format("base blocks {} were not asked for", range)};
  }
  const auto end = asked->second;
  asked_.erase(asked);
  if (range.end() < end) asked_[range.end()] = end;
  writing_.push_back(range.count);
  flush_lsn_ = std::max(flush_lsn_, flush_lsn);
  return Done{};
}

std::uint64_t BaseIntake::written() {
  CHECK(!writing_.empty());
  const auto blocks = writing_.front();
  writing_.pop_front();
  under_way_blocks_ -= blocks;
  return blocks;
}

bool BaseIntake::take_comparison() {
  if (!whole_ || comparison_ != Comparison::due) return false;
  comparison_ = Comparison::under_way;
  return true;
}

void BaseIntake::ask_again() {
  CHECK(comparison_ == Comparison::under_way);
  comparison_ = Comparison::due;
  next_ = BlockIndex();
  whole_ = past_end_ = asked_in_pass_ = false;
}

void BaseIntake::compared() {
  CHECK(comparison_ == Comparison::under_way);
  comparison_ = Comparison::done;
}

bool BaseIntake::take_whole() {
  if (!whole() || told_) return false;
  told_ = true;
  return true;
}

}  // namespace tidemark::engine
