#include "storage/wal_history.hpp"

#include <fmt/format.h>

#include "engine/sometimes.hpp"
#include "storage/wal.hpp"

namespace tidemark::storage {

using engine::Digest;
using engine::Done;
using engine::Lsn;

namespace {

// 1 MiB and a rest: 50 MiB/s, as a scrub's.
constexpr std::uint64_t read_between_rests = 1u << 20;
constexpr std::uint64_t rest_for = 20 * engine::millisecond;

/// Reads `segment` as far as it leads to the log that begins behind `to` with the digest `before`.
Task<HistorySegment> read_up_to(const WalContext& context, RecoveryInput input, SegmentPtr segment,
                                SegmentPtr behind, Lsn to, Digest before, Rest rest) {
  ScanState state;
  state.context = &context;
  state.input = &input;
  state.rest = std::move(rest);
  state.begin_with(*segment);
  HistorySegment found;
  auto scanned = co_await scan_segment(state, segment, std::move(behind));
  if (!scanned) {
    found.damage = scanned.error().text;
    co_return found;
  }
  const auto& end = state.log.end;
  found.leads = end.lsn == to && end.digest == before;
  found.damage = std::move(state.log.history_lost);
  if (!found.leads && found.damage.empty()) {
    found.damage =
        fmt::format("segment {} ({}) ends at lsn {}, what follows begins at {}",
                    segment->header.sequence, segment_name(segment->slot), end.lsn, to.next());
  }
  found.whole = found.leads && found.damage.empty();
  co_return found;
}

RecoveryInput input_of(const UnreadHistory& history) {
  RecoveryInput input;
  input.checkpoint = history.checkpoint;
  input.cuts = history.cuts;
  return input;
}

}  // namespace

Task<HistorySegment> read_history(const WalContext& context, const UnreadHistory& history,
                                  SegmentPtr segment, SegmentPtr behind, Rest rest) {
  const auto& next = behind->header;
  auto found = co_await read_up_to(context, input_of(history), std::move(segment), behind,
                                   next.first.previous(), next.before, std::move(rest));
  co_return found;
}

Task<HistorySegment> read_history_head(const WalContext& context, const UnreadHistory& history,
                                       SegmentPtr segment, Rest rest) {
  auto input = input_of(history);
  const auto head = *history.head;
  input.truncate_to = head.first.previous();  // What is known already does not count.
  auto found = co_await read_up_to(context, std::move(input), std::move(segment), nullptr,
                                   head.first.previous(), head.before, std::move(rest));
  co_return found;
}

/// Reads what is unread, piece by piece; ends where somebody else disposed of the rest.
Task<Done> Wal::read_unread() {
  if (history_.head) co_await read_head();
  while (!failure_ && !history_.segments.empty()) co_await read_segment();
  co_return Done{};
}

Task<Done> Wal::read_head() {
  const auto behind = index_.segments().front();
  auto segment = std::make_shared<Segment>();
  segment->slot = behind->slot;
  segment->file = behind->file;
  segment->header = behind->header;
  const Rest pause = [this](std::uint64_t bytes) { return rest(bytes); };
  const auto read = co_await read_history_head(context_, history_, segment, pause);
  if (failure_ || !history_.head) co_return Done{};
  if (read.leads) {
    auto& known = behind->batches;
    known.insert(known.begin(), segment->batches.begin(), segment->batches.end());
  }
  history_.head.reset();
  if (!read.whole) history_ends(read.damage);
  wake_waiting();
  co_return Done{};
}

Task<Done> Wal::read_segment() {
  const auto segment = history_.segments.back();
  const Rest pause = [this](std::uint64_t bytes) { return rest(bytes); };
  const auto read =
      co_await read_history(context_, history_, segment, index_.segments().front(), pause);
  if (failure_ || history_.segments.empty()) co_return Done{};
  if (read.leads) {
    history_.segments.pop_back();
    index_.segments().push_front(segment);
  }
  if (!read.whole) history_ends(read.damage);
  wake_waiting();
  co_return Done{};
}

/// What is older than what the index has is lost.
void Wal::history_ends(const std::string& damage) {
  engine::sometimes(engine::Mark::unread_history_damaged);
  forget_unread();
  set_base();
  writer_->pump();
  top_up();
  if (on_history_lost) on_history_lost(damage);
}

void Wal::forget_unread() {
  history_.head.reset();
  for (auto& segment : history_.segments) pool_.give_back(std::move(segment));
  history_.segments.clear();
}

/// Behind each read of what is unread: the disk is left to others, unless somebody waits. Answers whether it is wanted.
Task<bool> Wal::rest(std::uint64_t bytes) {
  unrested_ += bytes;
  if (unrested_ >= read_between_rests && askers_ == 0) {
    unrested_ = 0;
    rested_ = false;
    const auto timer = context_.timers.after(rest_for, lifetime_.guard([this] {
      rested_ = true;
      wake_waiting();
    }));
    while (!rested_ && askers_ == 0 && !failure_ && !history_.empty()) co_await something_moved();
    context_.timers.cancel(timer);
  }
  co_return !failure_ && !history_.empty();
}

/// Waits until the record at `lsn` can be found, or is known to be gone. In the background the reading is not hurried.
Task<Done> Wal::known(Lsn lsn, Haste haste) {
  const auto comes = [this, lsn] {
    return !failure_ && !history_.empty() && lsn >= retained() && lsn < index_.retained(end().lsn);
  };
  if (!comes()) co_return Done{};
  const std::size_t hurries = haste == Haste::waited_for ? 1 : 0;
  askers_ += hurries;
  wake_waiting();  // The reading rests no more.
  while (comes()) co_await something_moved();
  askers_ -= hurries;
  co_return Done{};
}

/// The `i`th of all segments of the log; its last record is known from the header behind it.
const Segment& Wal::segment(std::size_t i) const {
  const auto& unread = history_.segments;
  return i < unread.size() ? *unread[i] : *index_.segments()[i - unread.size()];
}

Lsn Wal::end_of(std::size_t i) const {
  return i < history_.segments.size() ? segment(i + 1).header.first.previous() : segment(i).end();
}

Lsn Wal::retained() const {
  if (!history_.segments.empty()) return history_.segments.front()->header.first;
  if (history_.head) return index_.segments().front()->header.first;
  return index_.retained(end().lsn);
}

/// The digest at which the retained log begins is known though its record is not.
void Wal::set_base() {
  const auto& unread = history_.segments;
  if (unread.empty() && index_.empty()) return;
  const auto& oldest = unread.empty() ? index_.segments().front()->header : unread.front()->header;
  base_ = oldest.first.previous();
  base_digest_ = oldest.before;
}

}  // namespace tidemark::storage
