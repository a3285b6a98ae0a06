// What the flusher writes: a run of committed records becomes the fewest disk writes that leave
// each block at its newest version of the run.
//
//   records:  10 [2,6)   11 [4,5)   12 trim [8,9)   13 [6,8)
//   plan:     data [2,8) of 10 11 10 13             hole [8,9)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/record/record.hpp"

namespace tidemark::engine {

/// How far extents may follow the log: what is committed and durable here (C10).
Lsn flush_limit(Lsn committed, Lsn durable);

/// Consecutive blocks of one record's range.
struct FlushPart {
  const Record* record = nullptr;
  BlockRange range;
};

enum class FlushKind : std::uint8_t {
  data,   ///< Written with the records' payload.
  zeros,  ///< Written as zeros: write_zeroes that keeps its space.
  hole,   ///< Given back.
};

struct FlushRun {
  FlushKind kind = FlushKind::data;
  BlockRange range;
  std::vector<FlushPart> parts;  ///< kind == data: what the range consists of, in order.
};

/// Runs in ascending order, disjoint; data runs are joined up to `blocks_max` blocks. The records
/// outlive the plan.
std::vector<FlushRun> plan_flush(std::span<const RecordPtr> records, std::uint64_t blocks_max);

}  // namespace tidemark::engine
