#include "storage/superblock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "storage/bytes.hpp"
#include "storage/disk_tasks.hpp"

namespace tidemark::storage {
namespace {

using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::Result;
using engine::Status;

constexpr std::uint64_t magic = 0x315253444954ull;  // "TIDSR1"
constexpr std::uint32_t format_version = 3;
constexpr std::size_t crc_bytes = 4;
constexpr std::size_t length_bytes = 4;
constexpr std::size_t text_bytes_max = 1024;

enum Flag : std::uint8_t { flag_clean = 1, flag_resetting = 2, flag_truncating = 4 };

void put_spec(ByteWriter& w, const engine::VolumeSpec& s) {
  w.put(s.id);
  w.put(std::string_view(s.name));
  w.put(s.size_bytes);
  w.put(static_cast<std::uint8_t>(s.mode));
  w.put(static_cast<std::uint8_t>(s.ack));
  w.put(s.copies);
  w.put(s.min_copies);
}

engine::VolumeSpec get_spec(ByteReader& r) {
  engine::VolumeSpec s;
  s.id = r.uuid();
  s.name = r.text(text_bytes_max);
  s.size_bytes = r.get<std::uint64_t>();
  s.mode = static_cast<engine::Mode>(r.get<std::uint8_t>());
  s.ack = static_cast<engine::AckPolicy>(r.get<std::uint8_t>());
  s.copies = r.get<std::uint32_t>();
  s.min_copies = r.get<std::uint32_t>();
  return s;
}

void put_history(ByteWriter& w, const engine::EpochHistory& history) {
  w.put(static_cast<std::uint32_t>(history.starts().size()));
  for (const auto& s : history.starts()) {
    w.put(s.epoch.value);
    w.put(s.nonce);
    w.put(s.first.value);
    w.put(s.marks);
    w.put(static_cast<std::uint8_t>(s.mode));
  }
}

std::vector<engine::EpochStart> get_history(ByteReader& r) {
  std::vector<engine::EpochStart> starts(
      std::min<std::size_t>(r.get<std::uint32_t>(), engine::epoch_history_max));
  for (auto& s : starts) {
    s.epoch = engine::Epoch(r.get<std::uint64_t>());
    s.nonce = r.get<std::uint64_t>();
    s.first = Lsn(r.get<std::uint64_t>());
    s.marks = r.get<std::uint8_t>();
    s.mode = static_cast<engine::Mode>(r.get<std::uint8_t>());
  }
  return starts;
}

void put_configurations(ByteWriter& w, const engine::ConfigurationHistory& history) {
  CHECK(history.starts().size() <= engine::configuration_history_max);
  w.put(static_cast<std::uint32_t>(history.starts().size()));
  for (const auto& s : history.starts()) {
    w.put(s.first.value);
    w.put(s.configuration.size_bytes);
    w.put(s.configuration.min_copies);
    w.put(static_cast<std::uint8_t>(s.configuration.mode));
  }
}

engine::ConfigurationHistory get_configurations(ByteReader& r) {
  std::vector<engine::ConfigurationStart> starts(
      std::min<std::size_t>(r.get<std::uint32_t>(), engine::configuration_history_max));
  for (auto& s : starts) {
    s.first = Lsn(r.get<std::uint64_t>());
    s.configuration.size_bytes = r.get<std::uint64_t>();
    s.configuration.min_copies = r.get<std::uint32_t>();
    s.configuration.mode = static_cast<engine::Mode>(r.get<std::uint8_t>());
  }
  return engine::ConfigurationHistory(std::move(starts));
}

bool rising(const engine::ConfigurationHistory& history) {
  const auto& starts = history.starts();
  for (std::size_t i = 1; i < starts.size(); ++i) {
    if (starts[i].first <= starts[i - 1].first) return false;
  }
  return true;
}

bool rising(const std::vector<engine::EpochStart>& starts) {
  for (std::size_t i = 1; i < starts.size(); ++i) {
    if (starts[i].first <= starts[i - 1].first || starts[i].epoch <= starts[i - 1].epoch)
      return false;
  }
  return true;
}

void put_sessions(ByteWriter& w, const std::vector<SessionLine>& sessions) {
  CHECK(sessions.size() <= session_table_max);
  w.put(static_cast<std::uint32_t>(sessions.size()));
  for (const auto& line : sessions) {
    w.put(line.session.node_key);
    w.put(line.session.incarnation.value);
    w.put(line.sequence);
  }
}

std::vector<SessionLine> get_sessions(ByteReader& r) {
  std::vector<SessionLine> lines(std::min<std::size_t>(r.get<std::uint32_t>(), session_table_max));
  for (auto& line : lines) {
    line.session.node_key = r.get<std::uint64_t>();
    line.session.incarnation = engine::Incarnation(r.get<std::uint64_t>());
    line.sequence = r.get<std::uint64_t>();
  }
  return lines;
}

void put_cuts(ByteWriter& w, const std::vector<CutMark>& cuts) {
  CHECK(cuts.size() <= cut_marks_max);
  w.put(static_cast<std::uint32_t>(cuts.size()));
  for (const auto& cut : cuts) {
    w.put(cut.sequence.value);
    w.put(cut.offset);
    w.put(cut.to.value);
  }
}

std::vector<CutMark> get_cuts(ByteReader& r) {
  std::vector<CutMark> cuts(std::min<std::size_t>(r.get<std::uint32_t>(), cut_marks_max));
  for (auto& cut : cuts) {
    cut.sequence = SegmentSequence(r.get<std::uint64_t>());
    cut.offset = r.get<std::uint64_t>();
    cut.to = Lsn(r.get<std::uint64_t>());
  }
  return cuts;
}

void put_extent_files(ByteWriter& w, const ExtentFileSet& files) {
  CHECK(files.bits.size() <= ExtentFileSet::named_max / 8);
  w.put(files.count);
  w.put(static_cast<std::uint32_t>(files.bits.size()));
  for (const auto byte : files.bits) w.put(byte);
}

ExtentFileSet get_extent_files(ByteReader& r) {
  ExtentFileSet files;
  files.count = r.get<std::uint64_t>();
  files.bits.resize(std::min<std::size_t>(r.get<std::uint32_t>(), ExtentFileSet::named_max / 8));
  for (auto& byte : files.bits) byte = r.get<std::uint8_t>();
  return files;
}

std::uint8_t flags_of(const Superblock& b) {
  unsigned flags = 0;
  if (b.clean) flags |= flag_clean;
  if (b.resetting) flags |= flag_resetting;
  if (b.truncate_to) flags |= flag_truncating;
  return static_cast<std::uint8_t>(flags);
}

Error flawed(std::string_view what) { return {Errc::corrupt, std::string(what)}; }

}  // namespace

engine::Buffer encode_superblock(const Superblock& b) {
  ByteWriter w;
  w.put(magic);
  w.put(format_version);
  w.put(b.generation);
  w.put(b.cluster);
  put_spec(w, b.spec);
  w.put(b.replica.value);
  w.put(b.segment_bytes);
  w.put(b.extent_file_bytes);
  w.put(b.checkpoint.value);
  w.put(b.checkpoint_digest);
  w.put(b.checkpoint_time.value);
  const auto batch = b.checkpoint_batch.value_or(BatchAddress{});
  w.put(batch.sequence.value);
  w.put(batch.offset);
  w.put(b.committed.value);
  w.put(b.durable.value);
  w.put(b.wal_start.value);
  w.put(static_cast<std::uint8_t>(b.base));
  w.put(std::string_view(b.damage).substr(0, text_bytes_max));
  w.put(flags_of(b));
  w.put(b.truncate_to.value_or(Lsn()).value);
  put_cuts(w, b.cuts);
  put_history(w, b.history);
  put_sessions(w, b.sessions);
  put_extent_files(w, b.extent_files);
  put_configurations(w, b.configurations);
  const auto body = w.bytes();
  CHECK(crc_bytes + length_bytes + body.size() <= superblock_slot_bytes);
  auto slot = engine::Buffer::zeroed(superblock_slot_bytes);
  const auto length = static_cast<std::uint32_t>(body.size());
  std::memcpy(slot.data() + crc_bytes, &length, length_bytes);
  std::memcpy(slot.data() + crc_bytes + length_bytes, body.data(), body.size());
  const auto crc = engine::crc32c(slot.bytes().subspan(crc_bytes, length_bytes + body.size()));
  std::memcpy(slot.data(), &crc, crc_bytes);
  return slot;
}

Result<Superblock> decode_superblock(std::span<const std::byte> slot) {
  if (slot.size() != superblock_slot_bytes) return flawed("too short");
  std::uint32_t crc = 0;
  std::uint32_t length = 0;
  std::memcpy(&crc, slot.data(), crc_bytes);
  std::memcpy(&length, slot.data() + crc_bytes, length_bytes);
  if (length > slot.size() - crc_bytes - length_bytes) return flawed("its length is impossible");
  if (crc != engine::crc32c(slot.subspan(crc_bytes, length_bytes + length)))
    return flawed("its crc does not match");
  ByteReader r(slot.subspan(crc_bytes + length_bytes, length));
  if (r.get<std::uint64_t>() != magic) return flawed("no superblock");
  const auto version = r.get<std::uint32_t>();
  if (version != format_version)
    return Error{Errc::invalid,
                 fmt::format("format {}, this build reads {}", version, format_version)};
  Superblock b;
  b.generation = r.get<std::uint64_t>();
  b.cluster = r.uuid();
  b.spec = get_spec(r);
  b.replica = engine::ReplicaId(r.get<std::uint64_t>());
  b.segment_bytes = r.get<std::uint64_t>();
  b.extent_file_bytes = r.get<std::uint64_t>();
  b.checkpoint = Lsn(r.get<std::uint64_t>());
  b.checkpoint_digest = r.digest();
  b.checkpoint_time = engine::WallTime(r.get<std::uint64_t>());
  BatchAddress batch;
  batch.sequence = SegmentSequence(r.get<std::uint64_t>());
  batch.offset = r.get<std::uint64_t>();
  if (batch.sequence) b.checkpoint_batch = batch;
  b.committed = Lsn(r.get<std::uint64_t>());
  b.durable = Lsn(r.get<std::uint64_t>());
  b.wal_start = SegmentSequence(r.get<std::uint64_t>());
  b.base = static_cast<engine::BaseState>(r.get<std::uint8_t>());
  b.damage = r.text(text_bytes_max);
  const auto flags = r.get<std::uint8_t>();
  b.clean = (flags & flag_clean) != 0;
  b.resetting = (flags & flag_resetting) != 0;
  const auto to = Lsn(r.get<std::uint64_t>());
  if ((flags & flag_truncating) != 0) b.truncate_to = to;
  b.cuts = get_cuts(r);
  auto starts = get_history(r);
  b.sessions = get_sessions(r);
  b.extent_files = get_extent_files(r);
  b.configurations = get_configurations(r);
  if (!r.whole()) return flawed("it ends too early");
  if (!rising(starts)) return flawed("its epoch history does not rise");
  if (!rising(b.configurations)) return flawed("its sizes are out of order");
  b.history = engine::EpochHistory(std::move(starts));
  return b;
}

std::size_t superblock_used_bytes(std::span<const std::byte> slot) {
  std::uint32_t length = 0;
  std::memcpy(&length, slot.data() + crc_bytes, length_bytes);
  return crc_bytes + length_bytes + length;
}

std::optional<std::size_t> slot_in_force(
    const std::array<Result<Superblock>, superblock_slots>& slots) {
  const auto& [a, b] = slots;
  if (!a && !b) return std::nullopt;
  engine::sometimes(!a || !b, engine::Mark::superblock_slot_torn);
  return !a || (b && b->generation > a->generation) ? 1 : 0;
}

RecoveryInput recovery_input(const Superblock& b) {
  RecoveryInput input;
  input.checkpoint = b.checkpoint;
  input.checkpoint_digest = b.checkpoint_digest;
  input.checkpoint_time = b.checkpoint_time;
  input.checkpoint_batch = b.checkpoint_batch;
  input.proved_durable = std::max(b.checkpoint, b.durable);
  input.start = b.wal_start;
  input.cuts = b.cuts;
  input.truncate_to = b.truncate_to;
  input.clean = b.clean;
  return input;
}

Status check_identity(const Superblock& found, const engine::ClusterId& cluster,
                      const engine::VolumeSpec& spec, engine::ReplicaId replica,
                      const std::string& path) {
  if (engine::planted(engine::Bug::foreign_copy_is_adopted)) return Done{};
  const auto refuse = [&](std::string_view what, const auto& here, const auto& wanted) {
    return Error{Errc::refused,
                 fmt::format("open of {}: it belongs to {} {}, not {}", path, what, here, wanted)};
  };
  if (found.cluster != cluster) {
    return refuse("cluster", engine::to_string(found.cluster), engine::to_string(cluster));
  }
  if (found.spec.id != spec.id) {
    return refuse("volume", engine::to_string(found.spec.id), engine::to_string(spec.id));
  }
  if (found.replica != replica) return refuse("replica", found.replica, replica);
  return Done{};
}

Task<Status> SuperblockFile::create(Superblock first) {
  const auto fresh = path_ + ".new";
  auto removed = co_await remove_file(disk_, fresh);  // what a crash left of an earlier try
  if (!removed && removed.error().code != Errc::not_found) co_return removed.error();
  OpenOptions options;
  options.create = true;
  options.dsync = true;
  auto file = co_await open_file(disk_, fresh, options);
  if (!file) co_return file.error();
  file_ = *file;
  // Both slots hold the first state: whichever rots, the other opens.
  for (std::size_t i = 0; i < superblock_slots; ++i) {
    first.generation = i + 1;
    auto slot = encode_superblock(first).freeze();
    auto written = co_await write_file(
        disk_, file_, (first.generation % superblock_slots) * superblock_slot_bytes,
        std::move(slot));
    if (!written) co_return written.error();
  }
  generation_ = superblock_slots;
  auto synced = co_await sync_file(disk_, file_);
  if (!synced) co_return synced.error();
  auto renamed = co_await rename_file(disk_, fresh, path_);
  if (!renamed) co_return renamed.error();
  auto durable = co_await sync_directory(disk_, path_.substr(0, path_.rfind('/')));
  co_return durable;
}

Task<Result<Superblock>> SuperblockFile::open() {
  OpenOptions options;
  options.dsync = true;
  auto file = co_await open_when_unlocked(disk_, timers_, path_, options);
  if (!file) co_return file.error();
  file_ = *file;
  const auto size = disk_.size(file_);
  if (!size) co_return size.error();
  if (*size != superblock_slots * superblock_slot_bytes) {
    co_return Error{Errc::corrupt,
                    fmt::format("open of {}: it has {} bytes, a superblock has {}", path_, *size,
                                superblock_slots * superblock_slot_bytes)};
  }
  auto bytes = co_await read_file(disk_, file_, 0, *size);
  if (!bytes) co_return bytes.error();
  const auto view = std::span<const std::byte>(bytes->data(), bytes->size());
  const std::array slots{decode_superblock(view.first(superblock_slot_bytes)),
                         decode_superblock(view.subspan(superblock_slot_bytes))};
  // The other slot may be older: it is not what another build left.
  for (const auto& slot : slots) {
    if (slot || slot.error().code != Errc::invalid) continue;
    co_return Error{Errc::invalid, fmt::format("open of {}: {}", path_, slot.error().text)};
  }
  const auto in_force = slot_in_force(slots);
  if (!in_force) {
    co_return Error{Errc::corrupt, fmt::format("open of {}: slot 0: {}; slot 1: {}", path_,
                                               slots[0].error().text, slots[1].error().text)};
  }
  Superblock newest = *slots[*in_force];
  generation_ = newest.generation;
  co_return newest;
}

Task<Result<std::size_t>> SuperblockFile::rotten_slots() {
  auto bytes = co_await read_file(disk_, file_, 0, superblock_slots * superblock_slot_bytes);
  if (!bytes && bytes.error().code != Errc::io_failed) co_return bytes.error();
  if (!bytes) co_return superblock_slots;
  std::size_t rotten = 0;
  bool newest = false;
  for (std::size_t i = 0; i < superblock_slots; ++i) {
    const auto slot =
        decode_superblock(std::span<const std::byte>(bytes->data(), bytes->size())
                              .subspan(i * superblock_slot_bytes, superblock_slot_bytes));
    rotten += slot ? 0u : 1u;
    newest = newest || (slot && slot->generation == generation_);
  }
  // Two whole slots without the last one written: that write was lost.
  co_return engine::sometimes(rotten == 0 && !newest, engine::Mark::superblock_write_lost)
      ? std::size_t{1}
      : rotten;
}

Task<Status> SuperblockFile::write(Superblock block) {
  // A write that failed is tried again in the same slot: the other holds the newest state.
  block.generation = generation_ + 1;
  auto slot = encode_superblock(block).freeze();
  const bool in_place = engine::planted(engine::Bug::superblock_in_one_place);
  const auto place = in_place ? 0 : block.generation % superblock_slots;
  auto written = co_await write_file(disk_, file_, place * superblock_slot_bytes, std::move(slot));
  if (written) generation_ = block.generation;
  co_return written;
}

}  // namespace tidemark::storage
