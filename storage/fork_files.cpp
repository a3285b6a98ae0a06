#include "storage/fork_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "engine/record/checksum.hpp"
#include "engine/sometimes.hpp"
#include "storage/bytes.hpp"
#include "storage/disk_tasks.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::RecordPtr;
using engine::Result;
using engine::Status;

constexpr std::uint64_t fork_magic = 0x314b'524f'4644'4954;  ///< "TIDFORK1" on the disk.
constexpr std::uint32_t fork_format = 1;
/// crc (4), records (4), bytes of content (8).
constexpr std::size_t frame_head_bytes = 16;
constexpr std::string_view fresh_suffix = ".new";

std::uint64_t whole_blocks(std::uint64_t bytes) {
  return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

Error no_fork(std::string_view what) {
  return {Errc::corrupt, fmt::format("reading a fork: {}", what)};
}

struct ForkName {
  std::uint64_t epoch = 0;
  std::uint64_t parts_at = 0;
  std::uint64_t end = 0;
  /// Epochs rise, so the oldest comes first.
  auto operator<=>(const ForkName&) const = default;
};

/// Nothing for a file that is no fork of ours.
std::optional<ForkName> parse_name(std::string_view text) {
  ForkName name;
  const auto* at = text.data();
  const auto* const end = at + text.size();
  for (auto* part : {&name.epoch, &name.parts_at, &name.end}) {
    if (part != &name.epoch && (at == end || *at++ != '-')) return std::nullopt;
    const auto read = std::from_chars(at, end, *part);
    if (read.ec != std::errc()) return std::nullopt;
    at = read.ptr;
  }
  return at == end ? std::optional(name) : std::nullopt;
}

engine::Slice frame_of(const std::vector<RecordPtr>& records) {
  std::size_t content = 0;
  for (const auto& record : records) content += record->bytes();
  auto buffer = engine::Buffer::zeroed(whole_blocks(frame_head_bytes + content));
  auto* at = buffer.data() + frame_head_bytes;
  for (const auto& record : records) {
    at = std::copy(record->head().begin(), record->head().end(), at);
    const auto payload = record->payload().bytes();
    at = std::copy(payload.begin(), payload.end(), at);
  }
  ByteWriter head;
  head.put(static_cast<std::uint32_t>(records.size()));
  head.put(static_cast<std::uint64_t>(content));
  std::memcpy(buffer.data() + 4, head.bytes().data(), head.bytes().size());
  const auto crc = engine::crc32c({buffer.data() + 4, frame_head_bytes - 4});
  std::memcpy(buffer.data(), &crc, sizeof crc);
  return std::move(buffer).freeze();
}

}  // namespace

std::string ForkHead::id() const { return fmt::format("{}-{}-{}", epoch, parts_at, end); }

std::vector<std::byte> encode_fork_head(const ForkHead& head) {
  ByteWriter fields;
  fields.put(fork_magic);
  fields.put(fork_format);
  fields.put(head.volume);
  for (const auto value : {head.replica.value, head.epoch.value, head.parts_at.value,
                           head.end.value, head.first.value, head.last.value})
    fields.put(value);
  fields.put(head.digest);
  ByteWriter crc;
  crc.put(engine::crc32c(fields.bytes()));
  std::vector<std::byte> block(crc.bytes().begin(), crc.bytes().end());
  block.insert(block.end(), fields.bytes().begin(), fields.bytes().end());
  block.resize(block_bytes);
  return block;
}

Result<ForkHead> decode_fork_head(std::span<const std::byte> block) {
  constexpr std::size_t fields_bytes = 8 + 4 + 16 + 6 * 8 + 16;
  if (block.size() < 4 + fields_bytes) return no_fork("too short");
  ByteReader in(block);
  if (in.get<std::uint32_t>() != engine::crc32c(block.subspan(4, fields_bytes)))
    return no_fork("its head does not match its checksum");
  if (in.get<std::uint64_t>() != fork_magic) return no_fork("not a fork");
  if (in.get<std::uint32_t>() != fork_format) return no_fork("of another format");
  ForkHead head;
  head.volume = in.uuid();
  head.replica = engine::ReplicaId(in.get<std::uint64_t>());
  head.epoch = engine::Epoch(in.get<std::uint64_t>());
  head.parts_at = Lsn(in.get<std::uint64_t>());
  head.end = Lsn(in.get<std::uint64_t>());
  head.first = Lsn(in.get<std::uint64_t>());
  head.last = Lsn(in.get<std::uint64_t>());
  head.digest = in.digest();
  const bool possible =
      head.parts_at < head.first && head.first <= head.last && head.last <= head.end;
  if (!possible) return no_fork("impossible");
  return head;
}

void ForkFiles::tell_sealed(const ForkHead& head, const std::string& why) const {
  const auto level = head.complete() ? engine::Level::warning : engine::Level::error;
  events_.event(engine::Event(level, "fork_sealed")
                    .with("replica", head.replica)
                    .with("fork", head.id())
                    .with("parts_at", head.parts_at)
                    .with("first", head.first)
                    .with("last", head.last)
                    .with("end", head.end)
                    .with("complete", head.complete())
                    .with("why", why));
}

void ForkFiles::tell_not_sealed(const ForkHead& head, const std::string& why) const {
  events_.event(engine::Event(engine::Level::error, "fork_not_sealed")
                    .with("replica", head.replica)
                    .with("fork", head.id())
                    .with("parts_at", head.parts_at)
                    .with("end", head.end)
                    .with("why", why));
}

/// What a crash left of one that was being written.
Task<Status> ForkFiles::remove_unfinished() {
  auto names = co_await list_directory(disk_, directory_);
  if (!names) co_return names.error();
  for (const auto& name : *names) {
    if (!engine::sometimes(name.ends_with(fresh_suffix), engine::Mark::fork_left_unfinished))
      continue;
    auto removed = co_await remove_file(disk_, directory_ + "/" + name);
    if (!removed) co_return removed;
  }
  co_return Done{};
}

Task<bool> ForkFiles::drop_oldest(std::size_t count, std::string kept) {
  auto names = co_await list_directory(disk_, directory_);
  if (!names) co_return false;
  std::vector<std::pair<ForkName, std::string>> sealed;
  for (auto& text : *names) {
    const auto name = parse_name(text);
    if (name && text != kept) sealed.emplace_back(*name, std::move(text));
  }
  if (sealed.size() <= count) co_return false;
  std::sort(sealed.begin(), sealed.end());
  for (std::size_t i = 0; i + count < sealed.size(); ++i) {
    auto removed = co_await remove_file(disk_, directory_ + "/" + sealed[i].second);
    if (!removed) co_return false;
    engine::sometimes(engine::Mark::fork_dropped);
    events_.event(engine::Event(engine::Level::warning, "fork_dropped")
                      .with("directory", directory_)
                      .with("fork", sealed[i].second)
                      .with("reason", "a newer one needs its place"));
  }
  co_return true;
}

Task<Status> ForkFiles::seal(Wal& wal, ForkHead head) {
  if (head.first > head.end) {
    head.last = head.end;
    tell_not_sealed(head, "the log has none of it any more");
    co_return Done{};
  }
  auto made = co_await make_directory(disk_, directory_);
  const bool there = made || made.error().code == Errc::already_exists;
  (void)co_await remove_unfinished();
  Status sealed = made;
  if (there) sealed = co_await seal_to(wal, head, directory_ + "/" + head.id());
  if (sealed) {
    (void)co_await drop_oldest(forks_max - 1, head.id());  // Not before the new one is there.
    co_return sealed;
  }
  if (sealed.error().code != Errc::no_space) co_return sealed;
  engine::sometimes(engine::Mark::fork_not_sealed_for_space);
  (void)co_await remove_unfinished();  // It gives its space back.
  tell_not_sealed(head, sealed.error().text);
  co_return Done{};
}

Status ForkFiles::room_for(std::uint64_t bytes) const {
  const auto space = disk_.space(directory_);
  if (!space || space->free_bytes >= reserve_bytes_ + bytes) return Done{};
  return Error{Errc::no_space,
               fmt::format("{} bytes for a fork in {}: {} are free, {} are kept in reserve", bytes,
                           directory_, space->free_bytes, reserve_bytes_)};
}

Task<Result<std::uint64_t>> ForkFiles::append(const FilePtr& file, std::uint64_t at,
                                              const std::vector<RecordPtr>& records,
                                              std::string kept) {
  auto frame = frame_of(records);
  const auto bytes = frame.size();
  for (;;) {
    auto written = room_for(bytes);
    if (written) written = co_await write_file(disk_, file, at, frame);
    if (written) co_return at + bytes;
    if (written.error().code != Errc::no_space) co_return written.error();
    const bool dropped = co_await drop_oldest(0, kept);
    if (!dropped) co_return written.error();
  }
}

Task<std::optional<ForkHead>> ForkFiles::head_of(const std::string& path) {
  auto file = co_await open_file(disk_, path, OpenOptions{});
  if (!file) co_return std::nullopt;
  auto block = co_await read_file(disk_, *file, 0, block_bytes);
  if (!block) co_return std::nullopt;
  auto head = decode_fork_head({block->data(), block->size()});
  if (!head) co_return std::nullopt;
  co_return *head;
}

Task<Status> ForkFiles::seal_to(Wal& wal, ForkHead head, const std::string& path) {
  const auto earlier = co_await head_of(path);
  if (engine::sometimes(earlier && earlier->complete(), engine::Mark::fork_sealed_before_crash))
    co_return Done{};  // By an attempt that a crash ended.
  const auto fresh = path + std::string(fresh_suffix);
  OpenOptions options;
  options.create = true;
  auto file = co_await open_file(disk_, fresh, options);
  if (!file) co_return file.error();
  auto written = co_await write(wal, head, *file);
  if (!written) co_return written.error();
  const auto& sealed = *written;
  const bool more =
      !earlier || sealed.head.first < earlier->first || sealed.head.last > earlier->last;
  if (sealed.empty() || !more) {
    if (!earlier) tell_not_sealed(head, sealed.short_of);
    auto removed = co_await remove_file(disk_, fresh);
    co_return removed;
  }
  auto renamed = co_await rename_file(disk_, fresh, path);
  if (!renamed) co_return renamed;
  auto kept = co_await sync_directory(disk_, directory_);
  if (!kept) co_return kept;
  kept = co_await sync_directory(disk_, directory_.substr(0, directory_.rfind('/')));
  if (!kept) co_return kept;
  engine::sometimes(engine::Mark::fork_sealed);
  tell_sealed(sealed.head, sealed.short_of);
  co_return Done{};
}

Task<Result<ForkFiles::Sealed>> ForkFiles::write(Wal& wal, ForkHead head, FilePtr file) {
  // Its place is taken before the disk can be full.
  auto headed = co_await write_file(disk_, file, 0, engine::Buffer::zeroed(block_bytes).freeze());
  if (!headed) co_return headed.error();
  std::uint64_t at = block_bytes;
  Sealed sealed{head, {}};
  sealed.head.last = head.parts_at;
  for (auto from = head.first; from <= head.end && at < fork_bytes_max;) {
    auto records = co_await wal.read(from, head.end, fork_frame_bytes);
    const bool gone = !records && records.error().code == Errc::out_of_window;
    if (gone && from == sealed.head.first && from < wal.retained()) {
      from = sealed.head.first = wal.retained();  // Shorter than its headers had said.
      continue;
    }
    if (!records) {
      sealed.short_of = records.error().text;
      break;
    }
    auto end = co_await append(file, at, *records, head.id());
    if (!end && end.error().code != Errc::no_space) co_return end.error();
    if (!end) {
      sealed.short_of = end.error().text;
      break;
    }
    at = *end;
    sealed.head.last = records->back()->lsn();
    sealed.head.digest = records->back()->header().digest;
    from = sealed.head.last.next();
  }
  if (sealed.empty()) co_return sealed;
  const auto block = encode_fork_head(sealed.head);
  auto buffer = engine::Buffer::zeroed(block_bytes);
  std::copy(block.begin(), block.end(), buffer.data());
  headed = co_await write_file(disk_, file, 0, std::move(buffer).freeze());
  if (!headed) co_return headed.error();
  auto sized = co_await resize_file(disk_, file, at);  // Without what a full disk left half.
  if (!sized) co_return sized.error();
  auto synced = co_await sync_file(disk_, file);
  if (!synced) co_return synced.error();
  co_return sealed;
}

namespace {

/// The records of one frame's content.
Status each_of(engine::VolumeKey key, const engine::Slice& content, std::uint32_t count,
               Lsn& expected, const std::function<void(const RecordPtr&)>& each) {
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto rest = content.bytes().subspan(at);
    if (rest.size() < engine::record_header_bytes) return no_fork("a record is cut short");
    const auto tail_bytes = engine::record_head_bytes(rest);
    if (!tail_bytes) return tail_bytes.error();
    const auto head_bytes = engine::record_header_bytes + *tail_bytes;
    if (head_bytes > rest.size()) return no_fork("a record is cut short");
    const auto header = engine::decode_header(key, rest.first(head_bytes));
    if (!header) return header.error();
    if (header->payload_bytes > rest.size() - head_bytes) return no_fork("a record is cut short");
    auto record = engine::decode_record(key, rest.first(head_bytes),
                                        content.part(at + head_bytes, header->payload_bytes));
    if (!record) return record.error();
    if ((*record)->lsn() != expected) return no_fork("a record is missing");
    at += head_bytes + header->payload_bytes;
    expected = expected.next();
    each(*record);
  }
  return Done{};
}

}  // namespace

Task<Result<ForkHead>> read_fork(Disk& disk, std::string path,
                                 std::function<void(const RecordPtr&)> each) {
  auto file = co_await open_file(disk, path, OpenOptions{});
  if (!file) co_return file.error();
  auto block = co_await read_file(disk, *file, 0, block_bytes);
  if (!block) co_return block.error();
  auto head = decode_fork_head({block->data(), block->size()});
  if (!head) co_return head.error();
  const engine::VolumeKey key(head->volume);
  auto expected = head->first;
  std::uint64_t at = block_bytes;
  while (expected <= head->last) {
    auto first = co_await read_file(disk, *file, at, block_bytes);
    if (!first) co_return first.error();
    ByteReader in({first->data(), first->size()});
    const auto crc = in.get<std::uint32_t>();
    const auto count = in.get<std::uint32_t>();
    const auto bytes = in.get<std::uint64_t>();
    const bool right = crc == engine::crc32c({first->data() + 4, frame_head_bytes - 4});
    if (!right || count == 0 || bytes > fork_frame_bytes_max)
      co_return no_fork(fmt::format("the frame at {} is damaged", at));
    const auto size = whole_blocks(frame_head_bytes + bytes);
    auto frame = co_await read_file(disk, *file, at, size);
    if (!frame) co_return frame.error();
    const auto content = std::move(*frame).freeze().part(frame_head_bytes, bytes);
    auto told = each_of(key, content, count, expected, each);
    if (!told) co_return told.error();
    at += size;
  }
  co_return head;
}

}  // namespace tidemark::storage
