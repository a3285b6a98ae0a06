#include <fmt/format.h>

#include <boost/json.hpp>

#include <cstdio>
#include <ctime>

#include "apps/cli/client.hpp"
#include "apps/cli/directory.hpp"
#include "apps/cli/render.hpp"
#include "apps/cli/verify.hpp"
#include "apps/descriptor_limit.hpp"
#include "storage/wal_reading.hpp"

namespace tidemark::cli {

namespace json = boost::json;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::RecordKind;

namespace {

/// RFC 3339, UTC, nanoseconds.
std::string moment(engine::WallTime time) {
  const auto seconds = static_cast<std::time_t>(time.value / engine::second);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     time.value % engine::second);
}

class LogDump final : public storage::LogWatcher {
 public:
  LogDump(const DumpWords& words, bool as_json)
      : words_(words),
        json_(as_json),
        from_(words.from.value_or(0)),
        to_(words.to.value_or(~std::uint64_t{0})),
        left_(words.limit.value_or(~std::uint64_t{0})) {}

  void segment(const storage::Segment&, const storage::LogEnd&, bool) override {}

  bool batch(const Batch& b) override {
    const auto last = b.header.first + (b.count - 1);
    if (b.header.first > to_) return false;
    if (last < from_) return true;
    if (words_.batches) print_batch(b, last);
    for (std::uint32_t i = 0; i < b.count; ++i) {
      const auto lsn = b.records[i].header.lsn;
      if (lsn < from_) continue;
      if (lsn > to_ || left_ == 0) return false;
      print_record(b, b.records[i]);
      --left_;
    }
    return left_ > 0 && last < to_;
  }

  void broken(const storage::Segment& segment, std::uint64_t offset, Lsn lsn,
              const std::string& why) override {
    wrong(storage::segment_name(segment.slot), offset, lsn,
          "the log is not whole, below the checkpoint: " + why);
  }

  /// What ends the dump, or a part of it.
  void wrong(const std::string& file, std::uint64_t offset, Lsn lsn, const std::string& what) {
    sound = false;
    if (json_) {
      fmt::print("{}\n", json::serialize(json::object{{"type", "damage"},
                                                      {"lsn", lsn.value},
                                                      {"file", file},
                                                      {"offset", offset},
                                                      {"what", what}}));
      return;
    }
    std::fflush(stdout);
    fmt::print(stderr, "tidemark: at lsn {}, {}, offset {}: {}\n", lsn, file, offset,
               printable(what));
  }

  bool sound = true;

 private:
  void print_batch(const Batch& b, Lsn last) {
    const auto& h = b.header;
    const auto file = storage::segment_name(b.segment.slot);
    if (json_) {
      fmt::print("{}\n", json::serialize(json::object{{"type", "batch"},
                                                      {"first", h.first.value},
                                                      {"last", last.value},
                                                      {"records", h.count},
                                                      {"segment", h.sequence.value},
                                                      {"durable", h.durable.value},
                                                      {"committed", h.committed.value},
                                                      {"bytes", h.bytes()},
                                                      {"file", file},
                                                      {"offset", h.offset}}));
      return;
    }
    fmt::print("batch lsn={}..{} records={} segment={} durable={} committed={} bytes={} at={}+{}\n",
               h.first, last, h.count, h.sequence, h.durable, h.committed, h.bytes(), file,
               h.offset);
  }

  void print_record(const Batch& b, const storage::RecordPlace& place) {
    const auto& h = place.header;
    const auto file = storage::segment_name(b.segment.slot);
    const auto offset =
        b.header.offset + static_cast<std::uint64_t>(place.head.data() - b.bytes.data());
    const auto flags = (h.flags & engine::flag_no_hole) != 0 ? "no_hole" : "-";
    // What an epoch or configure record says of the volume's size.
    const auto said =
        engine::configuration_of(h.kind, place.head.subspan(engine::record_header_bytes));
    const auto size = said ? said->size_bytes : 0;
    const auto session = fmt::format("{:016x}/{}", h.session.node_key, h.session.incarnation.value);
    if (json_) {
      fmt::print("{}\n",
                 json::serialize(json::object{{"type", "record"},
                                              {"lsn", h.lsn.value},
                                              {"epoch", h.epoch.value},
                                              {"kind", engine::to_string(h.kind)},
                                              {"first_block", h.range.first.value},
                                              {"blocks", h.range.count},
                                              {"flags", h.flags},
                                              {"session", session},
                                              {"sequence", h.sequence},
                                              {"time", moment(h.raw_time)},
                                              {"payload_bytes", h.payload_bytes},
                                              {"size_bytes", size},
                                              {"sums_hash", fmt::format("{:016x}", h.sums_hash)},
                                              {"file", file},
                                              {"offset", offset},
                                              {"digest", engine::to_string(h.digest)}}));
      return;
    }
    fmt::print(
        "lsn={} epoch={} {}{} blocks={} flags={} session={} sequence={} time={} bytes={} "
        "sums={:016x} at={}+{} digest={}\n",
        h.lsn, h.epoch, engine::to_string(h.kind),
        said ? fmt::format(" size={}", size) : std::string(), h.range, flags, session, h.sequence,
        moment(h.raw_time), h.payload_bytes, h.sums_hash, file, offset,
        engine::to_string(h.digest));
  }

  const DumpWords& words_;
  bool json_;
  Lsn from_;
  Lsn to_;
  std::uint64_t left_;
};

engine::Result<FoundReplica> only_one(std::vector<FoundReplica> found, const std::string& path) {
  if (found.empty()) return Error{Errc::not_found, path + " has no copy of any volume"};
  if (found.size() == 1) return std::move(found.front());
  std::string names;
  for (const auto& replica : found) {
    const auto* block = replica.in_force();
    if (block != nullptr) names += (names.empty() ? "" : ", ") + block->spec.name;
  }
  return Error{Errc::invalid, fmt::format("{} has {} copies; choose one with --volume: {}", path,
                                          found.size(), names)};
}

/// How the reading ended, as the last words.
void tell_end(LogDump& dump, const storage::ReadLog& read) {
  const auto& log = read.log;
  for (const auto& refused : read.refused)
    dump.wrong(refused.name, 0, log.end.lsn.next(), refused.error.text);
  const auto file = read.tail ? storage::segment_name(read.tail->slot) : "no segment";
  const auto offset = read.tail ? read.tail->used : 0;
  if (!log.damage.empty()) {
    dump.wrong(file, offset, log.end.lsn.next(), log.damage);
  } else if (read.torn) {
    dump.wrong(file, offset, log.end.lsn.next(),
               "a torn tail, which nothing proves durable" +
                   (read.stop_reason.empty() ? "" : ": " + read.stop_reason));
  }
}

}  // namespace

int dump_log(const DumpWords& words, bool as_json) {
  raise_descriptor_limit();
  const auto node = open_directory(words.directory);
  if (!node) return cannot(as_json, node.error());
  storage::ReadOnlyDisk disk;
  auto found = find_replicas(disk, *node, words.volume);
  if (!found) return cannot(as_json, found.error());
  const auto replica = only_one(std::move(*found), node->path);
  if (!replica) return cannot(as_json, replica.error());
  if (!replica->slots) return cannot(as_json, replica->slots.error());
  const auto* block = replica->in_force();
  if (block == nullptr) {
    return cannot(as_json, {Errc::corrupt,
                            fmt::format("{}/superblock: neither slot counts; `tidemark superblock "
                                        "show` tells why",
                                        replica->path)});
  }
  const storage::WalContext context{disk,
                                    disk,
                                    engine::VolumeKey(block->spec.id),
                                    block->spec.id,
                                    block->replica,
                                    replica->path + "/wal",
                                    block->segment_bytes};
  const auto input = storage::recovery_input(*block);
  LogDump dump(words, as_json);
  const auto read = disk.run(storage::read_log(context, input, &dump));
  if (!read) return cannot(as_json, read.error());
  tell_end(dump, *read);
  return dump.sound ? ok : failed;
}

}  // namespace tidemark::cli
