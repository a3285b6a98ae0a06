#include "engine/log_head.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t chunk_end_cost = chunk_cost(record_header_bytes, 0);

}  // namespace

LogHead::LogHead(VolumeKey key, Epoch epoch, const OpenedLog& log)
    : builder_(key, log.end, log.digest),
      epoch_(epoch),
      mono_time_(log.mono_time),
      chunk_bytes_(log.chunk_bytes),
      chunk_bytes_max_(log.chunk_bytes_max),
      forgotten_(log.end) {
  CHECK(epoch_);
  CHECK(chunk_bytes_max_ >= 2 * chunk_cost(record_head_bytes_max, record_payload_bytes_max));
}

Lsn LogHead::number_epoch(const EpochBody& body, WallTime wall) {
  // Every replica rolls before an epoch record unasked: what was left of the open chunk is lost.
  const auto waste =
      chunk_bytes_ == 0 ? 0 : chunk_bytes_max_ - std::min(chunk_bytes_, chunk_bytes_max_);
  chunk_bytes_ = 0;
  return add(builder_.epoch(epoch_, body, origin({}, 0, wall)), waste);
}

Lsn LogHead::number_write(BlockRange range, Slice payload, FrontSession session,
                          std::uint64_t sequence, WallTime wall) {
  make_room(chunk_cost(record_header_bytes + sizeof(BlockSum) * range.count, payload.size()), wall);
  return add(builder_.write(epoch_, range, std::move(payload), origin(session, sequence, wall)));
}

Lsn LogHead::number_zero(RecordKind kind, std::uint8_t flags, BlockRange range,
                         FrontSession session, std::uint64_t sequence, WallTime wall) {
  make_room(chunk_cost(record_header_bytes, 0), wall);
  return add(builder_.zero(epoch_, kind, flags, range, origin(session, sequence, wall)));
}

Lsn LogHead::number_configure(const Configuration& next, BlockRange cut, WallTime wall) {
  make_room(chunk_cost(record_head_bytes_max, 0), wall);
  return add(builder_.configure(epoch_, next, cut, origin({}, 0, wall)));
}

Lsn LogHead::newest(BlockRange range, Lsn above) const {
  for (auto i = tail_.size(); i > 0; --i) {
    const auto lsn = forgotten_ + i;
    if (lsn <= above) return Lsn{};
    if (tail_[i - 1].range.overlaps(range)) return lsn;
  }
  return Lsn{};
}

void LogHead::forget(Lsn upto) {
  while (!tail_.empty() && forgotten_ < upto) {
    forgotten_sum_ = tail_.pop_front().sum;
    forgotten_ = forgotten_.next();
  }
}

std::uint64_t LogHead::cost_max(std::uint64_t blocks, std::uint64_t records) const {
  const auto cost = blocks * block_bytes + records * chunk_cost(record_head_bytes_max, 0);
  // A chunk that ends wastes less than the record that did not fit; it holds at least two.
  return cost + cost / (chunk_bytes_max_ / 2) * slack();
}

std::uint64_t LogHead::slack() {
  return chunk_end_cost + chunk_cost(record_head_bytes_max, record_payload_bytes_max);
}

RecordBuilder::Origin LogHead::origin(FrontSession session, std::uint64_t sequence, WallTime wall) {
  mono_time_ = std::max(mono_time_.next(), wall);
  if (planted(Bug::record_time_follows_the_clock)) mono_time_ = wall;
  return {session, sequence, wall, mono_time_};
}

/// Ends the chunk when a record of `cost` would not fit it any more.
void LogHead::make_room(std::uint64_t cost, WallTime wall) {
  CHECK(cost <= chunk_bytes_max_);
  if (chunk_bytes_ + cost <= chunk_bytes_max_) return;
  const auto waste = chunk_bytes_max_ - std::min(chunk_bytes_, chunk_bytes_max_);
  add(builder_.chunk_end(epoch_, origin({}, 0, wall)), waste);
  chunk_bytes_ = 0;
}

Lsn LogHead::add(RecordPtr record, std::uint64_t waste) {
  const auto cost = chunk_cost(*record);
  chunk_bytes_ += cost;
  total_.cost += cost + waste;
  total_.bytes += record->bytes();
  tail_.push_back({record->header().range, total_});
  const auto lsn = record->lsn();
  CHECK(lsn == forgotten_ + tail_.size());
  fresh_.push_back(std::move(record));
  return lsn;
}

LogHead::Sum LogHead::sum_at(Lsn lsn) const {
  if (lsn <= forgotten_) return forgotten_sum_;
  return tail_[std::min(lsn - forgotten_, std::uint64_t{tail_.size()}) - 1].sum;
}

}  // namespace tidemark::engine
