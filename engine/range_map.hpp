// Which value holds for which block: disjoint half-open ranges of blocks, each with one value. A
// newer range cuts what it overlaps, the rest of an older one stands.
//
//   assign [2,8) = a      . . a a a a a a . .
//   assign [4,6) = b      . . a a b b a a . .        three entries
//
// Answers "the newest record that wrote this block" (value = Lsn) at the rate of writes. Neighbours
// with equal values are not joined: what was assigned as one piece stays one until it is cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

#include <absl/container/btree_map.h>

#include "engine/check.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// `Value` is copied where a range is cut in two. Ranges must not wrap around 2^64 (CHECKed); an
/// empty range holds nothing and changes nothing.
template <class Value>
class RangeMap {
 public:
  /// Every block of `range` has `value` from here on. Over an entry of exactly this range: one
  /// lookup, no allocation.
  void assign(BlockRange range, Value value) {
    if (!is_some(range)) return;
    auto at = entries_.lower_bound(range.first);
    if (at != entries_.end() && at->first == range.first && at->second.end == range.end()) {
      at->second.value = std::move(value);
      return;
    }
    at = carve(at, range);
    blocks_ += range.count;
    entries_.emplace_hint(at, range.first, Entry{range.end(), std::move(value)});
  }

  /// No block of `range` has a value from here on.
  void erase(BlockRange range) {
    if (is_some(range)) carve(entries_.lower_bound(range.first), range);
  }

  /// Erases the blocks of `range` whose value fulfils `pred(const Value&)`.
  template <class Predicate>
  void erase_if(BlockRange range, Predicate pred) {
    if (!is_some(range)) return;
    auto at = overlapping(range.first);
    while (at != entries_.end() && at->first < range.end()) {
      if (!pred(std::as_const(at->second.value))) {
        ++at;
        continue;
      }
      const auto cut = clipped(at, range);
      // carve() takes the first entry that begins at or behind the cut.
      at = carve(at->first < cut.first ? std::next(at) : at, cut);
    }
  }

  /// Calls `fn(BlockRange, const Value*)` for the parts of `range` in ascending order, without gap
  /// or overlap; nullptr where no block has a value. `fn` must not change the map.
  template <class Function>
  void visit(BlockRange range, Function fn) const {
    if (!is_some(range)) return;
    auto done = range.first;
    for (auto at = overlapping(range.first); at != entries_.end() && at->first < range.end();
         ++at) {
      const auto part = clipped(at, range);
      if (done < part.first) fn(between(done, part.first), static_cast<const Value*>(nullptr));
      fn(part, &at->second.value);
      done = part.end();
    }
    if (done < range.end()) fn(between(done, range.end()), static_cast<const Value*>(nullptr));
  }

  /// The value of one block, or nullptr. Valid until the map changes.
  const Value* find(BlockIndex block) const {
    const auto at = overlapping(block);
    if (at == entries_.end() || block < at->first) return nullptr;
    return &at->second.value;
  }

  bool empty() const { return entries_.empty(); }
  /// How many ranges, not blocks: what the map costs in memory.
  std::size_t size() const { return entries_.size(); }
  /// How many blocks have a value. O(1).
  std::uint64_t blocks() const { return blocks_; }
  void clear() {
    entries_.clear();
    blocks_ = 0;
  }

 private:
  struct Entry {
    BlockIndex end;  ///< Beyond the key, at most the next entry's key.
    Value value;
  };
  // A B-tree: a binary tree's lookup misses the cache once per level (a third of the speed, with
  // 65,536 entries). Changing it invalidates all iterators and references.
  using Entries = absl::btree_map<BlockIndex, Entry>;
  using Iterator = typename Entries::iterator;

  static bool is_some(BlockRange range) {
    CHECK(range.end() >= range.first);
    return !range.empty();
  }

  static BlockRange between(BlockIndex first, BlockIndex end) { return {first, end - first}; }

  static BlockRange clipped(typename Entries::const_iterator at, BlockRange range) {
    return between(std::max(at->first, range.first), std::min(at->second.end, range.end()));
  }

  /// The entry that holds `block`, else the first behind it.
  template <class Self>
  static auto overlapping_in(Self& entries, BlockIndex block) {
    auto at = entries.upper_bound(block);
    if (at != entries.begin() && std::prev(at)->second.end > block) --at;
    return at;
  }
  Iterator overlapping(BlockIndex block) { return overlapping_in(entries_, block); }
  auto overlapping(BlockIndex block) const { return overlapping_in(entries_, block); }

  /// Makes `range` a gap. `at` is the first entry that begins at or behind range.first; returns the
  /// first behind the gap.
  Iterator carve(Iterator at, BlockRange range) {
    if (at != entries_.begin()) {
      auto& left = std::prev(at)->second;
      if (left.end > range.end()) {
        Entry rest = left;
        left.end = range.first;
        blocks_ -= range.count;
        return entries_.emplace_hint(at, range.end(), std::move(rest));
      }
      blocks_ -= left.end - range.first;
      left.end = std::min(left.end, range.first);
    }
    while (at != entries_.end() && at->first < range.end()) {
      blocks_ -= clipped(at, range).count;
      if (at->second.end > range.end()) return begin_at(at, range.end());
      at = entries_.erase(at);
    }
    return at;
  }

  /// Moves the begin of an entry to `first`, within itself.
  Iterator begin_at(Iterator at, BlockIndex first) {
    auto entry = std::move(at->second);
    return entries_.emplace_hint(entries_.erase(at), first, std::move(entry));
  }

  Entries entries_;
  std::uint64_t blocks_ = 0;  ///< Of all entries.
};

}  // namespace tidemark::engine
