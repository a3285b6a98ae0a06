#include "storage/wal_reader.hpp"

#include <fmt/format.h>

#include "storage/disk_tasks.hpp"

namespace tidemark::storage {
namespace {

using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::RecordPtr;
using engine::Result;

// One disk read takes as many neighbouring batches as fit; a single larger batch is read whole.
constexpr std::uint64_t read_bytes_max = 1u << 20;

Error damage(const Segment& segment, const BatchPlace& place, std::string_view what) {
  return {Errc::corrupt,
          fmt::format("read of the log at lsn {} (segment {}, {}, offset {}): {}", place.first,
                      segment.header.sequence, segment_name(segment.slot), place.offset(), what)};
}

// A bad cable, not a bad sector: what comes at the second time was not lost. A few times, and at once, as somebody waits.
constexpr int log_reads_max = 4;

Task<Result<engine::Buffer>> read_again(Disk& disk, FilePtr file, std::uint64_t offset,
                                        std::size_t bytes) {
  auto read = co_await read_file(disk, file, offset, bytes);
  for (int again = 1; again < log_reads_max; ++again) {
    if (read || read.error().code != Errc::io_failed) break;
    read = co_await read_file(disk, file, offset, bytes);
  }
  co_return read;
}

Error out_of_window(Lsn lsn) {
  return {Errc::out_of_window,
          fmt::format("read of the log at lsn {}: it is no longer retained", lsn)};
}

/// Appends the records [from, to] of one batch whose bytes are `bytes`.
engine::Status decode_batch(const WalContext& context, const Segment& segment,
                            const BatchPlace& place, const engine::Slice& bytes, Lsn from, Lsn to,
                            std::vector<RecordPtr>& out) {
  const auto header = decode_batch_header(context.key, bytes.bytes(), place.offset());
  if (!header || header->sequence != segment.header.sequence || header->first != place.first) {
    return damage(segment, place, "no batch header where one was written");
  }
  if (header->head_area() != place.head_bytes() || header->bytes() != place.bytes()) {
    return damage(segment, place, "the batch has another size than when it was written");
  }
  auto places = decode_batch_heads(context.key, *header, bytes.bytes().first(place.head_bytes()));
  if (!places) return damage(segment, place, places.error().text);
  for (const auto& record : *places) {
    if (record.header.lsn < from || record.header.lsn > to || record.header.lsn > place.last())
      continue;
    auto payload =
        bytes.part(place.head_bytes() + record.payload_offset, record.header.payload_bytes);
    auto decoded = engine::decode_record(context.key, record.head, std::move(payload));
    if (!decoded) return damage(segment, place, decoded.error().text);
    out.push_back(std::move(*decoded));
  }
  return engine::Done{};
}

/// One past the last batch that is read together with `first`.
std::size_t run_end(const Segment& segment, std::size_t first, Lsn to, std::uint64_t bytes_max) {
  const auto begin = segment.batches[first].offset();
  auto end = first + 1;
  while (end < segment.batches.size() && segment.batches[end].first <= to &&
         segment.batches[end].end_offset() - begin <= bytes_max &&
         segment.batches[end].offset() == segment.batches[end - 1].end_offset()) {
    ++end;
  }
  return end;
}

}  // namespace

Task<Result<std::vector<RecordPtr>>> read_records(const WalContext& context, const WalIndex& index,
                                                  Lsn from, Lsn to, std::uint64_t bytes_max) {
  std::vector<RecordPtr> records;
  std::uint64_t taken = 0;
  while (from <= to && (records.empty() || taken < bytes_max)) {
    const auto place = index.find(from);
    if (!place.segment) co_return out_of_window(from);
    const auto segment = place.segment;  // keeps the file from being recycled
    const auto limit =
        std::min(read_bytes_max, std::max<std::uint64_t>(bytes_max - taken, engine::block_bytes));
    const auto end = run_end(*segment, place.batch, to, limit);
    const std::vector<BatchPlace> run(
        segment->batches.begin() + static_cast<std::ptrdiff_t>(place.batch),
        segment->batches.begin() + static_cast<std::ptrdiff_t>(end));
    const auto begin = run.front().offset();
    auto bytes =
        co_await read_again(context.disk, segment->file, begin, run.back().end_offset() - begin);
    if (!bytes) co_return bytes.error();
    const auto slice = std::move(*bytes).freeze();
    for (const auto& batch : run) {
      auto decoded =
          decode_batch(context, *segment, batch, slice.part(batch.offset() - begin, batch.bytes()),
                       from, to, records);
      if (!decoded) co_return decoded.error();
      taken += batch.bytes();
    }
    from = records.back()->lsn().next();
  }
  co_return records;
}

namespace {

/// A batch's heads; what `records` points to lies in `bytes`.
struct BatchHeads {
  engine::Buffer bytes;
  std::vector<RecordPlace> records;
};

Task<Result<BatchHeads>> read_heads(const WalContext& context, SegmentPtr segment,
                                    BatchPlace batch) {
  auto bytes = co_await read_again(context.disk, segment->file, batch.offset(), batch.head_bytes());
  if (!bytes) co_return bytes.error();
  const auto header = decode_batch_header(context.key, bytes->bytes(), batch.offset());
  if (!header || header->sequence != segment->header.sequence || header->first != batch.first ||
      header->head_area() != batch.head_bytes()) {
    co_return damage(*segment, batch, "no batch header where one was written");
  }
  auto places = decode_batch_heads(context.key, *header, bytes->bytes());
  if (!places) co_return damage(*segment, batch, places.error().text);
  co_return BatchHeads{std::move(*bytes), std::move(*places)};
}

}  // namespace

Task<Result<engine::RecordHeader>> read_header(const WalContext& context, const WalIndex& index,
                                               Lsn lsn) {
  const auto place = index.find(lsn);
  if (!place.segment) co_return out_of_window(lsn);
  const auto batch = place.segment->batches[place.batch];
  auto heads = co_await read_heads(context, place.segment, batch);
  if (!heads) co_return heads.error();
  co_return heads->records[lsn - batch.first].header;
}

Task<Result<engine::Slice>> read_payload(const WalContext& context, const WalIndex& index, Lsn lsn,
                                         engine::BlockRange range) {
  const auto place = index.find(lsn);
  if (!place.segment) co_return out_of_window(lsn);
  const auto segment = place.segment;  // keeps the file from being recycled
  const auto batch = segment->batches[place.batch];
  const auto heads = co_await read_heads(context, segment, batch);
  if (!heads) co_return heads.error();
  const auto& record = heads->records[lsn - batch.first];
  const auto& written = record.header.range;
  if (range.first < written.first || range.end() > written.end() ||
      record.header.payload_bytes != written.count * engine::block_bytes) {
    co_return damage(*segment, batch, fmt::format("no record of blocks {}", range));
  }
  const auto skipped = range.first - written.first;
  auto bytes = co_await read_again(
      context.disk, segment->file,
      batch.offset() + batch.head_bytes() + record.payload_offset + skipped * engine::block_bytes,
      range.count * engine::block_bytes);
  if (!bytes) co_return bytes.error();
  for (std::uint64_t i = 0; i < range.count; ++i) {
    const auto content = bytes->bytes().subspan(i * engine::block_bytes, engine::block_bytes);
    if (engine::block_sum(context.key, range.first + i, content) !=
        engine::head_sum(record.head, skipped + i)) {
      co_return damage(*segment, batch,
                       fmt::format("block {} of lsn {} has another checksum than its record says",
                                   range.first + i, lsn));
    }
  }
  co_return std::move(*bytes).freeze();
}

}  // namespace tidemark::storage
