#include "engine/flush_plan.hpp"

#include <algorithm>
#include <limits>

#include "engine/planted.hpp"
#include "engine/range_map.hpp"

namespace tidemark::engine {
namespace {

bool touches_blocks(const RecordHeader& h) {
  return !h.range.empty() &&
         (h.kind == RecordKind::write || h.kind == RecordKind::trim ||
          h.kind == RecordKind::write_zeroes || h.kind == RecordKind::configure);
}

FlushKind kind_of(const RecordHeader& h) {
  if (h.kind == RecordKind::write) return FlushKind::data;
  return (h.flags & flag_no_hole) != 0 ? FlushKind::zeros : FlushKind::hole;
}

bool joins(const FlushRun& run, FlushKind kind, BlockRange next, std::uint64_t blocks_max) {
  if (run.kind != kind || run.range.end() != next.first) return false;
  return kind != FlushKind::data || run.range.count + next.count <= blocks_max;
}

}  // namespace

Lsn flush_limit(Lsn committed, Lsn durable) {
  if (planted(Bug::extents_hold_uncommitted)) return durable;
  if (planted(Bug::flush_ignores_durable)) return committed;
  return std::min(committed, durable);
}

std::vector<FlushRun> plan_flush(std::span<const RecordPtr> records, std::uint64_t blocks_max) {
  RangeMap<const Record*> newest;
  auto end = BlockIndex();
  for (const auto& record : records) {
    if (!touches_blocks(record->header())) continue;
    newest.assign(record->header().range, &*record);
    end = std::max(end, record->header().range.end());
  }
  std::vector<FlushRun> runs;
  newest.visit({BlockIndex(), end.value}, [&](BlockRange range, const Record* const* record) {
    if (record == nullptr) return;
    const auto kind = kind_of((*record)->header());
    if (runs.empty() || !joins(runs.back(), kind, range, blocks_max))
      runs.push_back({kind, {range.first, 0}, {}});
    auto& run = runs.back();
    run.range.count += range.count;
    if (kind == FlushKind::data) run.parts.push_back({*record, range});
  });
  return runs;
}

}  // namespace tidemark::engine
