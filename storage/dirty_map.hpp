// Which record holds the newest version of a block that the extents do not have yet.
#pragma once

#include "engine/range_map.hpp"
#include "engine/record/record.hpp"

namespace tidemark::storage {

enum class DirtyKind : std::uint8_t { data, zeros, hole };

struct DirtyBlock {
  engine::Lsn lsn;
  DirtyKind kind = DirtyKind::data;
};

class DirtyMap {
 public:
  void add(const engine::RecordHeader& h) {
    switch (h.kind) {
      case engine::RecordKind::write:
        return map_.assign(h.range, {h.lsn, DirtyKind::data});
      case engine::RecordKind::trim:
        return map_.assign(h.range, {h.lsn, DirtyKind::hole});
      case engine::RecordKind::write_zeroes: {
        const bool keep = (h.flags & engine::flag_no_hole) != 0;
        return map_.assign(h.range, {h.lsn, keep ? DirtyKind::zeros : DirtyKind::hole});
      }
      default:
        return;
    }
  }
  /// The record is in the extents.
  void flushed(const engine::RecordHeader& h) {
    map_.erase_if(h.range, [&](const DirtyBlock& d) { return d.lsn <= h.lsn; });
  }
  template <class Function>
  void visit(engine::BlockRange range, Function fn) const {
    map_.visit(range, fn);
  }
  const DirtyBlock* find(engine::BlockIndex block) const { return map_.find(block); }
  void clear() { map_.clear(); }
  /// How many blocks; walks all ranges.
  std::uint64_t blocks() const {
    std::uint64_t n = 0;
    map_.visit({engine::BlockIndex(), ~std::uint64_t{0}},
               [&n](engine::BlockRange range, const DirtyBlock* dirty) {
                 if (dirty != nullptr) n += range.count;
               });
    return n;
  }

 private:
  engine::RangeMap<DirtyBlock> map_;
};

}  // namespace tidemark::storage
