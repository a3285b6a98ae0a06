#include "engine/lag.hpp"

#include <algorithm>

namespace tidemark::engine {

void LagMarks::numbered(Lsn head, std::uint64_t bytes, MonoTime now) {
  if (!marks_.empty() && now - marks_.back().at < spacing_) {
    marks_.back().upto = head;
  } else {
    marks_.push_back({head, bytes_, now});
  }
  bytes_ += bytes;
  if (marks_.size() <= marks_max) return;
  spacing_ *= 2;
  std::deque<Mark> thinned;
  for (std::size_t i = 0; i + 1 < marks_.size(); i += 2) {
    // The older one's beginning with the younger one's end:
    // ages are told too long, never too short.
    thinned.push_back({marks_[i + 1].upto, marks_[i].bytes_before, marks_[i].at});
  }
  if (marks_.size() % 2 != 0) thinned.push_back(marks_.back());
  marks_ = std::move(thinned);
}

void LagMarks::forget(Lsn lsn) {
  while (marks_.size() > 1 && marks_.front().upto <= lsn) marks_.pop_front();
  if (marks_.size() <= marks_max / 4) spacing_ = spacing;
}

std::uint64_t LagMarks::bytes_beyond(Lsn lsn) const {
  const auto* mark = covering(lsn);
  return mark == nullptr ? 0 : bytes_ - mark->bytes_before;
}

std::uint64_t LagMarks::milliseconds_behind(Lsn lsn, MonoTime now) const {
  const auto* mark = covering(lsn);
  return mark == nullptr ? 0 : (now - mark->at) / millisecond;
}

const LagMarks::Mark* LagMarks::covering(Lsn lsn) const {
  const auto found = std::upper_bound(marks_.begin(), marks_.end(), lsn,
                                      [](Lsn l, const Mark& m) { return l < m.upto; });
  return found == marks_.end() ? nullptr : &*found;
}

}  // namespace tidemark::engine
