#include "storage/wal_history.hpp"

#include <fmt/format.h>

#include "storage/wal.hpp"
#include "storage/wal_scan.hpp"

namespace tidemark::storage {

using engine::Done;
using engine::Lsn;

Task<HistorySegment> read_history(const WalContext& context, const UnreadHistory& history,
                                  SegmentPtr segment, SegmentPtr behind) {
  RecoveryInput input;
  input.checkpoint = history.checkpoint;
  input.cuts = history.cuts;
  ScanState state;
  state.context = &context;
  state.input = &input;
  state.begin_with(*segment);
  HistorySegment found;
  auto scanned = co_await scan_segment(state, segment, behind);
  if (!scanned) {
    found.damage = scanned.error().text;
    co_return found;
  }
  const auto& next = behind->header;
  const auto& end = state.log.end;
  found.leads = end.lsn.next() == next.first && end.digest == next.before;
  found.whole = found.leads && segment->first() == segment->header.first;
  found.damage = std::move(state.log.history_lost);
  if (!found.leads && found.damage.empty()) {
    found.damage =
        fmt::format("segment {} ({}) ends at lsn {}, the next begins at {}",
                    segment->header.sequence, segment_name(segment->slot), end.lsn, next.first);
  }
  co_return found;
}

/// Reads what is unread, segment by segment; ends where somebody else disposed of the rest.
Task<Done> Wal::read_unread() {
  while (!history_.segments.empty()) {
    const auto segment = history_.segments.back();
    const auto read = co_await read_history(context_, history_, segment, index_.segments().front());
    if (history_.segments.empty()) co_return Done{};
    if (read.leads) {
      history_.segments.pop_back();
      index_.segments().push_front(segment);
    }
    if (!read.whole) {
      forget_unread();
      set_base();
      writer_->pump();
      top_up();
      if (on_history_lost) on_history_lost(read.damage);
    }
    wake_waiting();
  }
  co_return Done{};
}

void Wal::forget_unread() {
  for (auto& segment : history_.segments) pool_.give_back(std::move(segment));
  history_.segments.clear();
}

/// Waits until the record at `lsn` can be found, or is known to be gone.
Task<Done> Wal::known(Lsn lsn) {
  const auto& unread = history_.segments;
  while (!failure_ && !unread.empty() && lsn >= unread.front()->header.first &&
         lsn < index_.retained(end().lsn)) {
    co_await something_moved();
  }
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
