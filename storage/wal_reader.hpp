// Reading retained records back from their segments, every byte verified.
#pragma once

#include <vector>

#include "storage/task.hpp"
#include "storage/wal_index.hpp"

namespace tidemark::storage {

/// Records [from, ...] up to `to` and about `bytes_max`, at least one. `from` must be durable.
/// Errors: out_of_window below what is retained; corrupt naming LSN, segment and offset.
Task<engine::Result<std::vector<engine::RecordPtr>>> read_records(const WalContext& context,
                                                                  const WalIndex& index,
                                                                  engine::Lsn from, engine::Lsn to,
                                                                  std::uint64_t bytes_max);
/// The head of one record, without its payload.
Task<engine::Result<engine::RecordHeader>> read_header(const WalContext& context,
                                                       const WalIndex& index, engine::Lsn lsn);
/// What the record `lsn`, a write, holds for `range`, which is part of its own: no other payload is
/// read. Errors as read_records.
Task<engine::Result<engine::Slice>> read_payload(const WalContext& context, const WalIndex& index,
                                                 engine::Lsn lsn, engine::BlockRange range);

}  // namespace tidemark::storage
