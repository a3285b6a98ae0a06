#include "storage/missing_blocks.hpp"

#include <cstring>

#include "engine/messages.hpp"
#include "engine/record/checksum.hpp"
#include "engine/sometimes.hpp"
#include "storage/bytes.hpp"
#include "storage/disk_tasks.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::Done;
using engine::Errc;
using engine::Result;
using engine::Status;

constexpr std::uint64_t missing_magic = 0x3153'4953'494d'4454;  ///< "TDMISIS1" on the disk.
constexpr std::size_t head_bytes = 24;

/// magic (8) | crc of what follows it (4) | zero (4) | bytes (8) | content
engine::Slice framed(std::span<const std::byte> content) {
  ByteWriter head;
  head.put(missing_magic);
  head.put(engine::crc32c(content));
  head.put(std::uint32_t{0});
  head.put(static_cast<std::uint64_t>(content.size()));
  const auto bytes = head_bytes + content.size();
  auto buffer = engine::Buffer::zeroed((bytes + block_bytes - 1) / block_bytes * block_bytes);
  std::memcpy(buffer.data(), head.bytes().data(), head_bytes);
  std::memcpy(buffer.data() + head_bytes, content.data(), content.size());
  return std::move(buffer).freeze();
}

}  // namespace

void MissingBlocks::note_lacked() {
  constexpr auto group = engine::base_group_blocks_min;
  if (!lacked) lacked.emplace(engine::volume_blocks_max);
  for (auto run = blocks.next_run(engine::BlockIndex()); run;) {
    const auto first = run->first.value / group * group;
    const auto end = (run->end().value + group - 1) / group * group;
    lacked->add({engine::BlockIndex(first), end - first});
    run = blocks.next_run(engine::BlockIndex(end));
  }
}

std::optional<MissingBlocks> MissingFile::decode(std::span<const std::byte> bytes,
                                                 std::uint64_t blocks) const {
  ByteReader head(bytes);
  const auto magic = head.get<std::uint64_t>();
  const auto crc = head.get<std::uint32_t>();
  head.get<std::uint32_t>();
  const auto size = head.get<std::uint64_t>();
  if (!head.whole() || magic != missing_magic || size > bytes.size() - head_bytes) {
    return std::nullopt;
  }
  const auto content = bytes.subspan(head_bytes, size);
  if (engine::crc32c(content) != crc) return std::nullopt;
  ByteReader fields(content);
  const auto volume = fields.uuid();
  const auto replica = engine::ReplicaId(fields.get<std::uint64_t>());
  const auto epoch = engine::Epoch(fields.get<std::uint64_t>());
  const auto flush_lsn = engine::Lsn(fields.get<std::uint64_t>());
  if (!fields.whole() || volume != volume_ || replica != replica_) return std::nullopt;
  constexpr std::size_t fixed_bytes = 16 + 3 * 8;
  const auto sets = content.subspan(fixed_bytes);
  const auto first = BlockSet::serialised_bytes(sets);
  if (!first) return std::nullopt;
  auto set = BlockSet::deserialise(blocks, sets.first(*first));
  if (!set) return std::nullopt;
  MissingBlocks missing{epoch, flush_lsn, std::move(*set)};
  if (*first == sets.size()) return missing;
  auto lacked = BlockSet::deserialise(blocks, sets.subspan(*first));
  if (!lacked) return std::nullopt;
  missing.lacked = std::move(*lacked);
  return missing;
}

Task<Result<std::optional<MissingBlocks>>> MissingFile::load(std::uint64_t blocks) {
  auto file = co_await open_when_unlocked(disk_, timers_, path_, {});
  const bool gone = !file && file.error().code == Errc::not_found;
  if (engine::sometimes(gone, engine::Mark::missing_list_gone))
    co_return std::optional<MissingBlocks>();
  if (!file) co_return file.error();
  const auto size = disk_.size(*file);
  if (!size) co_return size.error();
  if (*size == 0) co_return std::optional<MissingBlocks>();
  auto bytes = co_await read_file(disk_, *file, 0, *size);
  if (!bytes) co_return bytes.error();
  co_return decode({bytes->data(), bytes->size()}, blocks);
}

Task<Status> MissingFile::save(const MissingBlocks& missing) {
  ByteWriter fields;
  fields.put(volume_);
  fields.put(replica_.value);
  fields.put(missing.epoch.value);
  fields.put(missing.flush_lsn.value);
  std::vector<std::byte> content(fields.bytes().begin(), fields.bytes().end());
  const auto set = missing.blocks.serialise();
  content.insert(content.end(), set.begin(), set.end());
  if (missing.lacked) {
    const auto lacked = missing.lacked->serialise();
    content.insert(content.end(), lacked.begin(), lacked.end());
  }
  bytes_ = content.size();

  const auto fresh = path_ + ".new";
  auto removed = co_await remove_file(disk_, fresh);  // what a crash left of an earlier try
  if (!removed && removed.error().code != Errc::not_found) co_return removed.error();
  OpenOptions options;
  options.create = true;
  auto file = co_await open_file(disk_, fresh, options);
  if (!file) co_return file.error();
  auto written = co_await write_file(disk_, *file, 0, framed(content));
  if (!written) co_return written.error();
  auto synced = co_await sync_file(disk_, *file);
  if (!synced) co_return synced.error();
  auto renamed = co_await rename_file(disk_, fresh, path_);
  if (!renamed) co_return renamed.error();
  auto durable = co_await sync_directory(disk_, path_.substr(0, path_.rfind('/')));
  co_return durable;
}

Task<Status> MissingFile::remove() {
  auto removed = co_await remove_file(disk_, path_);
  if (!removed && removed.error().code == Errc::not_found) co_return Done{};
  if (removed) removed = co_await sync_directory(disk_, path_.substr(0, path_.rfind('/')));
  co_return removed;
}

}  // namespace tidemark::storage
