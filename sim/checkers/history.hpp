// The clients' side of the story, and the judge of every read. Trusts nothing of the engine
// but whether a reign began with the cache_lost mark; everything else is what clients asked
// and were answered.
//
// Each cell of a volume is a register. A read may return a write's value unless
//   - the write began after the read ended, or nobody ever wrote it          (corrupt, future)
//   - another write is certainly behind it, in force before the read began   (lost or stale)
//   - an earlier read already showed that it was gone                        (came back),
//     but for a reign that lost, with the cache, what had taken its place
// None of it holds against what came before a reign that an operator forced.
// In force is: flushed, at any time; answered in the reign that answers the read; or seen by a read
// of that reign. An answered write that was not flushed may vanish only where a reign ended, its
// connections were cut, and the next one says cache_lost. One reign is one uninterrupted service of
// the volume by one process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/types.hpp"
#include "sim/stamp.hpp"

namespace tidemark::sim {

using Reign = std::uint32_t;  ///< From 1, in order of time.

struct CellRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

class History {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// `always_flushed`: the volume answers writes when they are durable. `may_lose_cache`: any new
  /// reign may begin without what was not flushed (best_effort).
  /// `cells_max`: no size will be greater.
  History(std::uint64_t cells, std::uint64_t cells_max, bool always_flushed, bool may_lose_cache,
          OnFailure fail);

  /// A connection was opened to the process `life`; which reign that is.
  Reign opened(std::uint32_t life);
  /// The reign that begins next (or has begun and was not opened yet) says
  /// that answered writes were lost.
  void cache_lost() { cache_lost_ = true; }
  /// The same, by an operator's word: it may lack flushed writes as well.
  void forced() { forced_ = true; }
  /// Its connections were cut, or its process ended. Harmless to repeat.
  void reign_over(Reign reign);

  /// `zeros`: TRIM or WRITE_ZEROES. Requests of one connection and reign take effect
  /// in the order of these calls.
  OpId write_begun(std::uint64_t connection, Reign reign, engine::MonoTime at, CellRange cells,
                   bool zeros);
  void write_answered(OpId op, engine::MonoTime at, bool fua);
  /// FLUSH succeeded: it began at `began` on a connection of `reign`.
  void flushed(Reign reign, engine::MonoTime began);
  /// One cell of a read that was answered without error. `value` as read_stamp() tells.
  void cell_read(Reign reign, engine::MonoTime began, engine::MonoTime ended, std::uint64_t cell,
                 std::optional<OpId> value);

  // --- the volume's size, as operators asked for it and were told; in cells

  /// A change to `cells` was asked for, and may be in force from here on.
  void resize_begun(engine::MonoTime at, std::uint64_t cells);
  /// It certainly is.
  void resize_ended(engine::MonoTime at);
  bool resizing() const { return next_size_.has_value(); }
  std::uint64_t size() const { return size_; }
  /// A request that began at `began` was answered without error; or refused for reaching beyond the end.
  void within_answered(engine::MonoTime began, CellRange cells);
  void beyond_refused(engine::MonoTime began, CellRange cells);

  std::uint64_t writes() const { return ops_.size() - 1; }

 private:
  struct Op {
    std::uint64_t connection = 0;
    Reign reign = 0;
    engine::MonoTime began;
    engine::MonoTime ended{~0ULL};  ///< Never: unknown.
    bool zeros = false;
    bool flushed = false;
    CellRange cells;
  };
  /// A write as one cell knows it.
  struct Entry {
    OpId op = 0;
    Reign seen_in = 0;                ///< The last reign whose read returned it.
    engine::MonoTime seen_at{~0ULL};  ///< Never: by nobody.
    bool flushed = false;             ///< Seen, then flushed, whatever its own reign.
    engine::MonoTime gone_at{};       ///< Set for entries that are over; so are the next two.
    Reign gone_in = 0;                ///< Of the read that showed it.
    OpId gone_for = 0;                ///< What that read returned.
  };
  struct Cell {
    std::vector<Entry> live;
    std::vector<Entry> gone;
  };
  struct Read {
    Reign reign = 0;
    engine::MonoTime began;
    engine::MonoTime ended;
  };

  const Op& op(const Entry& e) const { return ops_[static_cast<std::size_t>(e.op)]; }
  bool answered(const Op& o) const { return o.ended.value != ~0ULL; }
  bool in_force(const Entry& e, const Read& r) const;
  bool finished(const Entry& e, const Read& r) const;
  bool certainly_after(const Entry& later, const Entry& earlier) const;
  bool excused(Reign from, Reign to) const;
  bool forced_between(Reign from, Reign to) const;
  bool known_before(const Entry& e, engine::MonoTime t) const;
  const Entry* blocker(const Cell& cell, const Entry& candidate, const Read& r) const;
  bool is_flushed(const Entry& e) const;
  void add_returned_zeros(Cell& cell, std::vector<std::size_t>& candidates, const Read& r);
  bool may_return(const Cell& cell, const Entry& e, const Read& r) const;
  void judge_missing(Cell& cell, std::uint64_t index, OpId value, const Read& r);
  void settle(Cell& cell, const std::vector<std::size_t>& candidates, const Read& r);
  std::string describe(const Entry& e) const;

  OpId cut_begun(engine::MonoTime at);

  std::vector<Op> ops_;  ///< By id; 0 is the volume's first zeros.
  std::vector<Cell> cells_;
  struct Served {
    std::uint32_t life = 0;
    bool over = false;
    bool cache_lost = false;  ///< It began with the loss of answered writes.
    bool forced = false;      ///< It began with the loss of flushed ones.
  };
  std::vector<Served> reigns_;  ///< Reign n at n - 1.
  std::vector<OpId> unflushed_;
  std::vector<std::pair<std::uint64_t, OpId>> seen_unflushed_;
  std::uint64_t size_;                      ///< In force, or last before what is under way.
  std::optional<std::uint64_t> next_size_;  ///< Asked for, and not known to be in force.
  std::optional<OpId> cut_;                 ///< What it cuts off, as a write of zeros.
  engine::MonoTime size_since_;             ///< From when on size_ alone is in force.
  bool always_flushed_;
  bool may_lose_cache_;
  bool cache_lost_ = false;
  bool forced_ = false;
  OnFailure fail_;
};

}  // namespace tidemark::sim
