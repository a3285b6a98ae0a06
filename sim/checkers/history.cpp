#include "sim/checkers/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {

History::History(std::uint64_t cells, std::uint64_t cells_max, bool always_flushed,
                 bool may_lose_cache, OnFailure fail)
    : size_(cells),
      always_flushed_(always_flushed),
      may_lose_cache_(may_lose_cache),
      fail_(std::move(fail)) {
  Op first;
  first.zeros = true;
  first.flushed = true;
  first.ended = {};
  first.cells = {0, cells_max};
  ops_.push_back(first);
  Cell fresh;
  fresh.live.push_back(Entry{});
  cells_.assign(static_cast<std::size_t>(cells_max), fresh);
}

Reign History::opened(std::uint32_t life) {
  if (!reigns_.empty() && reigns_.back().life == life && !reigns_.back().over) {
    return static_cast<Reign>(reigns_.size());
  }
  reigns_.push_back({life, false, may_lose_cache_ || std::exchange(cache_lost_, false),
                     std::exchange(forced_, false)});
  // What is under way is done by this reign, if it was not done before.
  if (cut_) cut_ = cut_begun(ops_[static_cast<std::size_t>(*cut_)].began);
  return static_cast<Reign>(reigns_.size());
}

void History::reign_over(Reign reign) { reigns_.at(reign - 1).over = true; }

OpId History::write_begun(std::uint64_t connection, Reign reign, engine::MonoTime at,
                          CellRange cells, bool zeros) {
  const OpId id = ops_.size();
  Op o;
  o.connection = connection;
  o.reign = reign;
  o.began = at;
  o.zeros = zeros;
  o.cells = cells;
  ops_.push_back(o);
  for (std::uint64_t i = 0; i < cells.count; ++i) {
    Entry entry;
    entry.op = id;
    cells_[static_cast<std::size_t>(cells.first + i)].live.push_back(entry);
  }
  return id;
}

/// Nobody's connection, so nothing orders it but time.
OpId History::cut_begun(engine::MonoTime at) {
  constexpr std::uint64_t no_connection = ~0ULL;
  return write_begun(no_connection, static_cast<Reign>(reigns_.size()), at,
                     {*next_size_, size_ - *next_size_}, true);
}

void History::resize_begun(engine::MonoTime at, std::uint64_t cells) {
  CHECK(!next_size_ && cells <= cells_.size());
  next_size_ = cells;
  if (cells < size_) cut_ = cut_begun(at);
}

void History::resize_ended(engine::MonoTime at) {
  CHECK(next_size_.has_value());
  // Committed: nothing takes it back but the loss of a log that nobody else had.
  if (cut_) write_answered(cut_.value(), at, !may_lose_cache_);
  size_ = *next_size_;
  size_since_ = at;
  next_size_.reset();
  cut_.reset();
}

void History::within_answered(engine::MonoTime began, CellRange cells) {
  const auto most = std::max(size_, next_size_.value_or(0));
  if (began <= size_since_ || may_lose_cache_ || cells.first + cells.count <= most) return;
  fail_("beyond_end", fmt::format("cells {}+{} were answered, the volume ends at cell {}",
                                  cells.first, cells.count, most));
}

void History::beyond_refused(engine::MonoTime began, CellRange cells) {
  const auto least = std::min(size_, next_size_.value_or(size_));
  if (began <= size_since_ || may_lose_cache_ || cells.first + cells.count > least) return;
  fail_("refused_within", fmt::format("cells {}+{} were refused, the volume ends at cell {}",
                                      cells.first, cells.count, least));
}

void History::write_answered(OpId id, engine::MonoTime at, bool fua) {
  auto& o = ops_[static_cast<std::size_t>(id)];
  o.ended = at;
  if (fua || always_flushed_) {
    o.flushed = true;
  } else {
    unflushed_.push_back(id);
  }
}

void History::flushed(Reign reign, engine::MonoTime began) {
  std::erase_if(unflushed_, [&](OpId id) {
    auto& o = ops_[static_cast<std::size_t>(id)];
    if (o.reign != reign || o.ended >= began) return false;
    o.flushed = true;
    return true;
  });
  std::erase_if(seen_unflushed_, [&](const auto& seen) {
    for (auto& e : cells_[static_cast<std::size_t>(seen.first)].live) {
      if (e.op != seen.second) continue;
      if (e.seen_in != reign || e.seen_at >= began) return false;
      e.flushed = true;
    }
    return true;
  });
}

// Loss is excused on the way from one reign to another when one of those in between began with it.
bool History::excused(Reign from, Reign to) const {
  for (Reign r = from; r < to; ++r) {
    if (reigns_[r].cache_lost) return true;
  }
  return false;
}

bool History::forced_between(Reign from, Reign to) const {
  for (Reign r = from; r < to; ++r) {
    if (reigns_[r].forced) return true;
  }
  return false;
}

/// Answered or seen by then; what is not may have come behind what began then.
bool History::known_before(const Entry& e, engine::MonoTime t) const {
  return op(e).ended < t || e.seen_at < t;
}

bool History::in_force(const Entry& e, const Read& r) const {
  const auto& o = op(e);
  // What was seen or answered since counts again.
  if (forced_between(std::max(o.reign, e.seen_in), r.reign)) return false;
  if (is_flushed(e)) return known_before(e, r.began);
  return (o.ended < r.began && !excused(o.reign, r.reign)) ||
         (e.seen_at < r.began && !excused(e.seen_in, r.reign));
}

// It can have no effect any more that it did not have when the read began.
bool History::finished(const Entry& e, const Read& r) const {
  return known_before(e, r.began) || op(e).reign < r.reign;
}

bool History::certainly_after(const Entry& later, const Entry& earlier) const {
  const auto& a = op(earlier);
  const auto& b = op(later);
  if (known_before(earlier, b.began) || a.reign < b.reign) return true;
  return a.connection == b.connection && earlier.op < later.op;
}

const History::Entry* History::blocker(const Cell& cell, const Entry& candidate,
                                       const Read& r) const {
  for (const auto& other : cell.live) {
    if (certainly_after(other, candidate) && in_force(other, r)) return &other;
  }
  return nullptr;
}

std::string History::describe(const Entry& e) const {
  const auto& o = op(e);
  return fmt::format(
      "op {} ({}{}, reign {}, connection {}, began {:.6f}{})", e.op, o.zeros ? "zeros" : "data",
      is_flushed(e) ? ", flushed" : "", o.reign, o.connection,
      static_cast<double>(o.began.value) / 1e9,
      answered(o) ? fmt::format(", answered {:.6f}", static_cast<double>(o.ended.value) / 1e9)
                  : std::string(", never answered"));
}

void History::cell_read(Reign reign, engine::MonoTime began, engine::MonoTime ended,
                        std::uint64_t index, std::optional<OpId> value) {
  auto& cell = cells_[static_cast<std::size_t>(index)];
  const Read r{reign, began, ended};
  if (!value) {
    return fail_("corrupt", fmt::format("cell {} holds bytes that nobody wrote there", index));
  }
  const bool zeros = *value == 0;
  std::vector<std::size_t> candidates;
  const Entry* blocked_by = nullptr;
  const Entry* blocked = nullptr;
  bool any = false;
  for (std::size_t i = 0; i < cell.live.size(); ++i) {
    const auto& e = cell.live[i];
    if (zeros ? !op(e).zeros : e.op != *value) continue;
    any = true;
    if (op(e).began > r.ended) continue;
    if (const auto* by = blocker(cell, e, r)) {
      blocked_by = by;
      blocked = &e;
    } else {
      candidates.push_back(i);
    }
  }
  if (!any) return judge_missing(cell, index, *value, r);
  if (candidates.empty()) {
    if (blocked_by == nullptr) {
      return fail_("future",
                   fmt::format("cell {} holds op {} before it was asked for", index, *value));
    }
    return fail_(is_flushed(*blocked_by) ? "lost_flushed" : "lost_answered",
                 fmt::format("cell {} read as {} in reign {}, behind it is {}", index,
                             describe(*blocked), reign, describe(*blocked_by)));
  }
  if (zeros && candidates.size() == 1) {
    // Zeros look alike: those that were seen to be over while this read was under way explain it, too.
    const auto just_gone = [&](const Entry& e) { return op(e).zeros && e.gone_at >= r.began; };
    if (std::any_of(cell.gone.begin(), cell.gone.end(), just_gone)) return;
    add_returned_zeros(cell, candidates, r);
  }
  settle(cell, candidates, r);
}

bool History::is_flushed(const Entry& e) const { return op(e).flushed || e.flushed; }

/// What had taken its place was never flushed and went with the cache, so the older value shows again. Not where
/// the entry itself had been lost before, nor where anything behind it was flushed or is in force.
bool History::may_return(const Cell& cell, const Entry& e, const Read& r) const {
  if (!excused(e.gone_in, r.reign) || blocker(cell, e, r) != nullptr) return false;
  Entry successor;
  successor.op = e.gone_for;
  if (certainly_after(e, successor)) return false;
  const auto kept = [&](const Entry& other) {
    const bool behind = other.op == e.gone_for || certainly_after(other, e);
    return behind && is_flushed(other) && known_before(other, r.began) &&
           !forced_between(std::max(op(other).reign, other.seen_in), r.reign);
  };
  return std::none_of(cell.live.begin(), cell.live.end(), kept) &&
         std::none_of(cell.gone.begin(), cell.gone.end(), kept);
}

/// Zeros may be those of a cut under way, or older ones that are back as what had taken their place was
/// lost: which of them was seen is not known.
void History::add_returned_zeros(Cell& cell, std::vector<std::size_t>& candidates, const Read& r) {
  for (std::size_t i = 0; i < cell.gone.size();) {
    if (!op(cell.gone[i]).zeros || !may_return(cell, cell.gone[i], r)) {
      ++i;
      continue;
    }
    auto back = cell.gone[i];
    back.gone_at = {};
    cell.gone.erase(cell.gone.begin() + static_cast<std::ptrdiff_t>(i));
    candidates.push_back(cell.live.size());
    cell.live.push_back(back);
  }
}

// Its value is of a write that an earlier read has shown to be over: fine for a read that was under
// way by then, and where the write that took its place was lost with the cache.
void History::judge_missing(Cell& cell, std::uint64_t index, OpId value, const Read& r) {
  const Entry* gone = nullptr;
  for (const auto& e : cell.gone) {
    if (value == 0 ? !op(e).zeros : e.op != value) continue;
    if (e.gone_at >= r.began) return;
    if (may_return(cell, e, r)) {
      auto back = e;
      back.gone_at = {};
      cell.gone.erase(cell.gone.begin() + (&e - cell.gone.data()));
      cell.live.push_back(back);
      return settle(cell, {cell.live.size() - 1}, r);
    }
    gone = &e;
  }
  if (gone == nullptr) {
    return fail_("corrupt", fmt::format("cell {} holds op {}, which never wrote it", index, value));
  }
  fail_("came_back",
        fmt::format("cell {} read as {} in reign {} at {:.6f}, seen to be gone at {:.6f}", index,
                    describe(*gone), r.reign, static_cast<double>(r.ended.value) / 1e9,
                    static_cast<double>(gone->gone_at.value) / 1e9));
}

void History::settle(Cell& cell, const std::vector<std::size_t>& candidates, const Read& r) {
  if (candidates.size() == 1) {
    auto& e = cell.live[candidates.front()];
    if (e.seen_in != r.reign) {
      e.seen_in = r.reign;
      e.seen_at = r.ended;
      if (!is_flushed(e)) {
        seen_unflushed_.emplace_back(static_cast<std::uint64_t>(&cell - cells_.data()), e.op);
      }
    }
  }
  // Zeros look alike: which of several it was is not known, so none of them is over.
  std::vector<Entry> kept;
  for (const auto i : candidates) kept.push_back(cell.live[i]);
  const bool zeros = op(kept.front()).zeros;
  for (std::size_t i = 0; i < cell.live.size();) {
    const auto& e = cell.live[i];
    const bool same = zeros ? op(e).zeros : e.op == kept.front().op;
    if (same || !finished(e, r)) {
      ++i;
      continue;
    }
    auto over = e;
    over.gone_at = r.ended;
    over.gone_in = r.reign;
    // Older zeros tell that it was lost; newer ones only that they took its place.
    const auto newer = std::find_if(kept.begin(), kept.end(),
                                    [&](const Entry& k) { return !certainly_after(e, k); });
    over.gone_for = newer == kept.end() ? kept.front().op : newer->op;
    cell.gone.push_back(over);
    cell.live.erase(cell.live.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace tidemark::sim
