// The log of a replica as verification sees it: recovery's own reading, looked on by somebody who
// also checks what recovery lets be: payload below the checkpoint, where chunks end.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "storage/disk_tasks.hpp"
#include "storage/verify_parts.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::Done;
using engine::Lsn;
using engine::RecordKind;

/// Where the log is not whole, at or below the checkpoint.
struct LogBreak {
  std::string path;
  std::uint64_t offset = 0;
  Lsn lsn;
  std::string why;
};

class LogCheck final : public LogWatcher {
 public:
  LogCheck(Verification& v, const WalContext& context, const Superblock& block)
      : v_(v), context_(context), block_(block) {}

  void segment(const Segment& segment, const LogEnd&, bool continues) override {
    ++v_.verdict.checked.segments;
    continues_ = continues;
    const auto size = context_.disk.size(segment.file);
    if (size && *size != block_.segment_bytes) {
      v_.wrong(path(segment),
               fmt::format("it has {} bytes, a segment has {}", *size, block_.segment_bytes));
    }
  }

  bool batch(const Batch& b) override {
    auto& checked = v_.verdict.checked;
    ++checked.batches;
    checked.records += b.count;
    checked.bytes += b.bytes.size();
    check_padding(b);
    check_promise(b);
    check_chunks(b);
    check_payload(b);
    v_.progress("log, " + segment_name(b.segment.slot));
    return true;
  }

  void broken(const Segment& segment, std::uint64_t offset, Lsn lsn,
              const std::string& why) override {
    breaks.push_back({path(segment), offset, lsn, why});
    after_break_ = true;
  }

  std::string path(const Segment& segment) const {
    return context_.directory + "/" + segment_name(segment.slot);
  }

  std::vector<LogBreak> breaks;

 private:
  void wrong_record(const Batch& b, Lsn lsn, std::string what) {
    v_.found({false, path(b.segment), b.header.offset, lsn, {}, std::move(what)});
  }

  void check_padding(const Batch& b) {
    const auto used = engine::batch_header_bytes + b.header.head_bytes;
    const auto at = first_not_zero(b.bytes.subspan(used, b.header.head_area() - used));
    if (at) v_.tell_padding(path(b.segment), b.header.offset + used + *at);
  }

  /// A longer batch would hide what proves a torn one durable (C14).
  void check_promise(const Batch& b) {
    const bool known = promised_by_ && promised_by_->next() == b.header.first && !after_break_;
    const auto promised = known ? std::min(promised_[0], promised_[1]) : batch_span_max;
    if (b.header.bytes() > promised)
      wrong_record(b, b.header.first, "a batch longer than those before it promised");
    promised_ = {known ? promised_[1] : batch_span_max, b.header.span_next};
    promised_by_ = b.header.first + (b.count - 1);
  }

  /// A chunk's end is the end of its segment; a segment begins behind one, or with an epoch (C17).
  void check_chunks(const Batch& b) {
    const bool begins_segment = b.header.first == b.segment.header.first;
    for (std::uint32_t i = 0; i < b.count; ++i) {
      const auto& h = b.records[i].header;
      const bool begins = begins_segment && i == 0;
      const bool epoch = h.kind == RecordKind::epoch;
      const bool new_chunk = begins && !after_break_ && b.segment.header.chunk_first == h.lsn;
      if (!begins && ended_chunk_ && !after_break_)
        wrong_record(b, h.lsn, "a record behind the end of a chunk, in the same segment");
      if (!begins && epoch && !after_break_)
        wrong_record(b, h.lsn, "an epoch begins within a segment");
      if (new_chunk && continues_ && !ended_chunk_ && !epoch)
        wrong_record(b, h.lsn, "a chunk begins, but the one before has no end");
      ended_chunk_ = h.kind == RecordKind::chunk_end;
      after_break_ = false;
    }
  }

  /// What lies above the checkpoint was verified before it came here.
  void check_payload(const Batch& b) {
    auto& checked = v_.verdict.checked;
    checked.log_blocks += b.header.payload_bytes / block_bytes;
    if (b.bytes.size() < b.header.bytes())
      return wrong_record(b, b.header.first, "a batch that passes the end of its file");
    const auto payload = b.bytes.subspan(b.header.head_area());
    for (std::uint32_t i = 0; i < b.count; ++i) {
      const auto& place = b.records[i];
      if (place.header.lsn > block_.checkpoint) return;
      const auto rotten = rotten_block(context_.key, place, payload);
      if (!rotten) continue;
      const auto offset = b.header.offset + b.header.head_area() + place.payload_offset +
                          (*rotten - place.header.range.first) * block_bytes;
      v_.found({false, path(b.segment), offset, place.header.lsn, *rotten,
                "the payload does not match its checksum (below the checkpoint: the extents have "
                "the block)"});
    }
  }

  Verification& v_;
  const WalContext& context_;
  const Superblock& block_;
  bool continues_ = false;
  bool ended_chunk_ = false;
  bool after_break_ = false;                                    ///< What stood there is unknown.
  std::array<std::uint64_t, writes_in_flight_max> promised_{};  ///< By the last two batches.
  std::optional<Lsn> promised_by_;  ///< The last record of the last one.
};

/// A segment without a header that counts.
struct OddSegment {
  SegmentPtr segment;
  std::string what;
  bool refused = false;
  std::optional<BatchHeader> first;  ///< Its first batch, if it can be read.
};

Task<OddSegment> look_into(const WalContext& context, SegmentSequence start, SegmentPtr segment,
                           std::string what, bool refused) {
  OddSegment odd{segment, std::move(what), refused, std::nullopt};
  const auto at = engine::segment_header_bytes;
  auto block = co_await read_file(context.disk, segment->file, at, block_bytes);
  if (!block) co_return odd;
  odd.first = decode_batch_header(context.key, block->bytes(), at);
  if (odd.first && odd.first->sequence < start) odd.first.reset();  // of a life that is over
  co_return odd;
}

Task<std::vector<OddSegment>> odd_segments(const WalContext& context, const Superblock& block,
                                           const ReadLog& read) {
  std::vector<OddSegment> odd;
  for (const auto& segment : read.doubtful) {
    auto looked = co_await look_into(context, block.wal_start, segment,
                                     "the header of the segment is not whole", false);
    odd.push_back(std::move(looked));
  }
  for (const auto& refused : read.refused) {
    if (!refused.segment) continue;
    auto looked =
        co_await look_into(context, block.wal_start, refused.segment, refused.error.text, true);
    odd.push_back(std::move(looked));
  }
  co_return odd;
}

/// The record that is missing where the log stops.
Lsn stop_of(const LogCheck& check, const ReadLog& read) {
  return read.gave_up && !check.breaks.empty() ? check.breaks.back().lsn : read.log.end.lsn.next();
}

/// Tells of one such segment, and takes away what it explains: the break of the log where it should
/// go on, the damage. Returns whether it was the damage.
bool tell_odd(Verification& v, LogCheck& check, const ReadLog& read, Lsn stop,
              const OddSegment& odd) {
  const auto path = check.path(*odd.segment);
  const auto& log = read.log;
  if (!odd.first) {
    if (odd.refused) {
      v.wrong_at(path, 0, odd.what);
    } else {
      v.tell(path, odd.what + "; no batch stands behind it: a spare from the opening on");
    }
    return false;
  }
  const auto first = odd.first->first;
  std::erase_if(check.breaks, [first](const LogBreak& b) { return b.lsn == first; });
  const bool damage = !log.damage.empty() && first == stop;
  if (damage || odd.refused || first <= log.end.lsn) {
    v.found({false, path, 0, first, {}, damage ? odd.what + ": " + log.damage : odd.what});
  } else {
    v.tell(path, odd.what + ", behind the end of the log: a spare from the opening on");
  }
  return damage;
}

void tell_breaks(Verification& v, const LogCheck& check, const ReadLog& read,
                 const Superblock& block) {
  for (std::size_t i = 0; i < check.breaks.size(); ++i) {
    const auto& b = check.breaks[i];
    auto what = "the log is not whole, below the checkpoint: " + b.why;
    if (read.gave_up && i + 1 == check.breaks.size())
      what += fmt::format("; nothing leads on to the checkpoint at lsn {}", block.checkpoint);
    // The older superblock may name segments that were given up since.
    v.found({v.fallen_back, b.path, b.offset, b.lsn, {}, what});
  }
}

/// Damage, or a torn tail; of damage, the break that led to it is a part.
void tell_end(Verification& v, LogCheck& check, const ReadLog& read, Lsn stop) {
  const auto& log = read.log;
  Finding end;
  end.file = v.verdict.directory + "/wal";
  end.lsn = stop;
  if (read.tail) {
    end.file = check.path(*read.tail);
    end.offset = read.tail->used;
  } else if (!read.beyond.empty()) {
    end.file = check.path(*read.beyond.front());
  }
  if (!log.damage.empty()) {
    std::erase_if(check.breaks, [stop](const LogBreak& b) { return b.lsn == stop; });
    end.what = log.damage;
    v.found(std::move(end));
  } else if (read.torn) {
    end.information = true;
    end.what =
        fmt::format("a torn tail behind lsn {}, nothing proves it durable: cut at opening{}",
                    log.end.lsn, read.stop_reason.empty() ? "" : " (" + read.stop_reason + ")");
    v.found(std::move(end));
  }
}

/// What is retained begins where the superblock says. A segment that is gone cannot be told from one
/// that a crash behind a reset kept from being written.
void tell_begin(Verification& v, const LogCheck& check, const ReadLog& read,
                const Superblock& block) {
  const auto& log = read.log;
  if (log.slots_used == 0) return v.wrong(v.verdict.directory + "/wal", "holds no segment at all");
  if (log.log.empty()) return;
  const auto& front = *log.log.front();
  if (front.header.sequence <= block.wal_start || front.first() <= Lsn(1)) return;
  v.tell(check.path(front),
         fmt::format("the log begins here, at lsn {} in segment {}; those from {} on are retained: "
                     "they are gone, or never were",
                     front.first(), front.header.sequence, block.wal_start));
}

/// A header fills its block.
Task<Done> check_header_blocks(Verification& v, const LogCheck& check, const ReadLog& read) {
  for (const auto& segment : read.log.log) {
    auto block = co_await read_file(v.disk, segment->file, 0, engine::segment_header_bytes);
    if (!block) {
      v.wrong_at(check.path(*segment), 0, block.error().text);
      continue;
    }
    const auto at = first_not_zero(block->bytes().subspan(segment_header_used_bytes));
    if (at) v.tell_padding(check.path(*segment), segment_header_used_bytes + *at);
  }
  co_return Done{};
}

}  // namespace

Task<Done> verify_log(Verification& v, const Superblock& block) {
  const WalContext context{v.disk,
                           v.timers,
                           engine::VolumeKey(block.spec.id),
                           block.spec.id,
                           block.replica,
                           v.verdict.directory + "/wal",
                           block.segment_bytes};
  const auto input = recovery_input(block);
  LogCheck check(v, context, block);
  auto read = co_await read_log(context, input, &check);
  if (!read) {
    v.wrong(context.directory, read.error().text);
    co_return Done{};
  }
  for (const auto& refused : read->refused) {
    if (!refused.segment) v.wrong(context.directory + "/" + refused.name, "does not belong there");
  }
  for (const auto& name : read->unfinished)
    v.tell(context.directory + "/" + name, "half created by a crash: removed at opening");
  bool damage_told = false;
  const auto odd = co_await odd_segments(context, block, *read);
  if (odd.empty() && check.breaks.empty()) tell_begin(v, check, *read, block);
  const auto stop = stop_of(check, *read);
  for (const auto& segment : odd)
    damage_told = tell_odd(v, check, *read, stop, segment) || damage_told;
  if (!damage_told) tell_end(v, check, *read, stop);
  tell_breaks(v, check, *read, block);
  co_await check_header_blocks(v, check, *read);
  v.verdict.end = read->log.end.lsn;
  v.verdict.retained =
      read->log.log.empty() ? v.verdict.end.next() : read->log.log.front()->first();
  for (const auto& record : read->log.replay) v.dirty.add(record.header);
  co_return Done{};
}

}  // namespace tidemark::storage
