// A replica's store on a disk in memory, with a model of what its log
// and blocks must be at every LSN.
#pragma once

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/replica_store.hpp"
#include "tests/storage/memory_disk.hpp"
#include "tests/storage/memory_kv.hpp"

namespace tidemark::tests {

using engine::block_bytes;
using engine::BlockIndex;
using engine::BlockRange;
using engine::Lsn;

class CountedEvents final : public engine::EventSink {
 public:
  void event(const engine::Event& event) override {
    names.push_back(event.name);
    text += engine::render(event) + '\n';
  }
  bool told(const std::string& name) const {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
  std::vector<std::string> names;
  std::string text;  ///< All of them, a line each.
};

inline engine::Uuid test_uuid(std::uint8_t last) {
  engine::Uuid id;
  id.bytes[0] = 0x5a;
  id.bytes[15] = last;
  return id;
}

struct StoreWorld {
  static constexpr std::uint64_t small_volume = 64;

  explicit StoreWorld(std::uint64_t blocks = small_volume) : volume_blocks(blocks) {
    spec.id = test_uuid(7);
    spec.name = "test";
    spec.size_bytes = volume_blocks * block_bytes;
    limits.segment_bytes = 128 * 1024;
    limits.wal_retention_bytes = 4 * limits.segment_bytes;
    limits.reserve_bytes = 0;
    limits.extent_file_bytes = 16 * block_bytes;  // four files
    limits.memory_tail_bytes = 1u << 20;
    limits.flush_bytes = 1u << 30;  // by age only
    MemoryFiles files;
    files["/node"] = nullptr;
    disk = std::make_unique<MemoryDisk>(std::move(files));
    builder.emplace(engine::VolumeKey(spec.id), Lsn(), engine::Digest());
    blocks_at.push_back(std::vector<std::uint64_t>(volume_blocks, 0));
    digest_at.push_back(engine::Digest());
  }
  ~StoreWorld() { store.reset(); }

  storage::StoreConfig config(bool create) {
    return {*disk,           timers,       events,    kv,
            "/node/replica", test_uuid(1), spec,      engine::ReplicaId(3),
            limits,          create,       incomplete};
  }

  /// Runs a task to its end.
  template <class T>
  T finish(storage::Task<T> task) {
    std::optional<T> value;
    store->run(std::move(task), [&value](T v) { value.emplace(std::move(v)); });
    for (int turn = 0; !value && turn < 2000; ++turn) {
      disk->settle();
      if (!value) timers.advance(100 * engine::millisecond);
    }
    BOOST_REQUIRE(value.has_value());
    return std::move(*value);
  }

  engine::Result<storage::OpenedStore> try_open(bool create = false) {
    store = std::make_unique<storage::ReplicaStore>(config(create));
    store->on_failed = [this](engine::Error e) { failure = std::move(e); };
    return finish(store->open());
  }
  storage::OpenedStore open(bool create = false) {
    auto opened = try_open(create);
    if (!opened) BOOST_FAIL(opened.error().text);
    return *opened;
  }

  /// The one that another copy is to be asked for first.
  std::optional<engine::DamagedBlock> damaged_block() const {
    const auto wanted = store->damaged_blocks();
    return wanted.empty() ? std::nullopt : std::optional(wanted.front());
  }

  /// Every block of a write holds the LSN that wrote it; zero after a trim.
  static engine::Slice content(BlockRange range, std::uint64_t value) {
    auto buffer = engine::Buffer::zeroed(range.count * block_bytes);
    for (std::uint64_t b = 0; b < range.count; ++b) {
      for (std::size_t i = 0; i < block_bytes; i += 512) {
        const auto stamp = value * 1000 + (range.first.value + b);
        std::memcpy(buffer.data() + b * block_bytes + i, &stamp, sizeof stamp);
      }
    }
    return std::move(buffer).freeze();
  }

  engine::RecordPtr write(std::uint64_t first, std::uint64_t count) {
    const BlockRange range{BlockIndex(first), count};
    const auto lsn = builder->end().next().value;
    auto record = builder->write(epoch, range, content(range, lsn), origin());
    return note(record, range, lsn);
  }
  engine::RecordPtr trim(std::uint64_t first, std::uint64_t count, bool keep = false) {
    const BlockRange range{BlockIndex(first), count};
    const auto kind = keep ? engine::RecordKind::write_zeroes : engine::RecordKind::trim;
    auto record =
        builder->zero(epoch, kind, keep ? engine::flag_no_hole : std::uint8_t{0}, range, origin());
    return note(record, range, 0);
  }
  engine::RecordPtr chunk_end() { return note(builder->chunk_end(epoch, origin()), {}, 0); }
  engine::RecordPtr begin_epoch(std::uint64_t number) {
    epoch = engine::Epoch(number);
    engine::EpochBody body;
    body.nonce = number * 7;
    body.primary = engine::ReplicaId(3);
    return note(builder->epoch(epoch, body, origin()), {}, 0);
  }

  void append(std::vector<engine::RecordPtr> records, Lsn committed) {
    store->append(records, committed);
  }
  /// Appends, settles, and commits it all.
  void append_durably(std::vector<engine::RecordPtr> records) {
    const auto last = records.back()->lsn();
    append(std::move(records), Lsn());
    disk->settle();
    BOOST_REQUIRE_EQUAL(store->durable().value, last.value);
    store->set_committed(last);
  }
  /// A chunk of its own, that fills a segment: eight writes of two blocks.
  std::vector<engine::RecordPtr> chunk() {
    std::vector<engine::RecordPtr> records;
    for (std::uint64_t i = 0; i < 8; ++i) records.push_back(write(i * 2, 2));
    records.push_back(chunk_end());
    return records;
  }
  void append_chunk() { append_durably(chunk()); }
  /// A new store with as many segments as are retained, all of it in the extents, and two spares.
  void fill_log() {
    limits.wal_retention_bytes = 16 * limits.segment_bytes;
    open(true);
    append_durably({begin_epoch(1)});
    for (int i = 0; i < 20; ++i) {
      append_chunk();
      flush();
    }
  }
  /// Lets the flusher work.
  void flush() {
    timers.advance(2 * engine::second);
    disk->settle();
  }

  /// Until what no opening waits for was read; and the flusher works as well.
  void read_history() {
    for (int i = 0; i < 200; ++i) {
      timers.advance(20 * engine::millisecond);
      disk->settle();
    }
  }

  /// Until all of it is in the extents.
  void flush_all() {
    for (int i = 0; i < 100 && store->checkpoint() < builder->end(); ++i) flush();
    BOOST_REQUIRE_EQUAL(store->checkpoint().value, builder->end().value);
  }

  /// A file of the replica, as readers and as a power loss will find it.
  MemoryFile& file_of(const std::string& path) {
    return *disk->files().at("/node/replica/" + path);
  }
  /// The log's files that hold a part of it, by their sequence.
  std::vector<std::string> segment_files() {
    std::map<std::uint64_t, std::string> by_sequence;
    for (const auto& [path, file] : disk->files()) {
      if (!path.ends_with(".seg") || !file) continue;
      const auto header = storage::decode_segment_header(std::span(file->seen).first(block_bytes));
      if (header)
        by_sequence[header->sequence.value] = path.substr(std::string("/node/replica/").size());
    }
    std::vector<std::string> paths;
    for (auto& [number, path] : by_sequence) paths.push_back(path);
    return paths;
  }
  std::vector<storage::BatchHeader> batches_in(const std::string& path) {
    std::vector<storage::BatchHeader> found;
    const auto& bytes = file_of(path).seen;
    for (std::uint64_t at = block_bytes; at + block_bytes <= bytes.size();) {
      const auto h = storage::decode_batch_header(engine::VolumeKey(spec.id),
                                                  std::span(bytes).subspan(at), at);
      if (h) found.push_back(*h);
      at += h ? h->bytes() : block_bytes;
    }
    return found;
  }
  /// One bit rots.
  static void flip(MemoryFile& file, std::uint64_t offset) {
    file.seen.at(offset) ^= std::byte{0x40};
    file.durable.at(offset) ^= std::byte{0x40};
  }

  /// The model forgets what lies behind `to`.
  void forget_behind(Lsn to) {
    blocks_at.resize(to.value + 1);
    digest_at.resize(to.value + 1);
    builder.emplace(engine::VolumeKey(spec.id), to, digest_at.back());
  }

  /// Reads the whole volume and compares it with the model at `lsn`.
  std::string difference_at(Lsn lsn) {
    auto read = finish(store->read_blocks({BlockIndex(), volume_blocks}));
    if (!read) return read.error().text;
    std::vector<std::byte> all;
    for (const auto& piece : *read) {
      all.insert(all.end(), piece.data.bytes().begin(), piece.data.bytes().end());
      all.resize(all.size() + piece.zero_bytes);
    }
    if (all.size() != volume_blocks * block_bytes) return "of another size";
    for (std::uint64_t b = 0; b < volume_blocks; ++b) {
      const auto value = blocks_at[lsn.value][b];
      const BlockRange one{BlockIndex(b), 1};
      const auto want = value == 0 ? engine::zeros(block_bytes) : content(one, value);
      if (std::memcmp(all.data() + b * block_bytes, want.data(), block_bytes) != 0) {
        return "block " + std::to_string(b) + " is not as lsn " + std::to_string(value) +
               " left it";
      }
    }
    return "";
  }

  /// The crash, and a new disk with what it left. The store is gone; the model stays.
  void crash(MemoryDisk::Loss loss, std::uint64_t seed) {
    Dice dice(seed);
    auto left = disk->crash(loss, dice);
    store.reset();
    kv.crash(dice);
    disk = std::make_unique<MemoryDisk>(std::move(left));
  }

  engine::RecordPtr note(engine::RecordPtr record, BlockRange range, std::uint64_t value) {
    auto blocks = blocks_at.back();
    for (auto b = range.first; b < range.end(); b = b.next()) blocks[b.value] = value;
    blocks_at.push_back(std::move(blocks));
    digest_at.push_back(record->header().digest);
    return record;
  }
  engine::RecordBuilder::Origin origin() {
    engine::RecordBuilder::Origin o;
    o.session = {11, engine::Incarnation(1)};
    o.sequence = ++sequence;
    o.raw_time = o.mono_time = engine::WallTime(1'000'000 + sequence);
    return o;
  }

  std::uint64_t volume_blocks;
  engine::VolumeSpec spec;
  storage::StoreLimits limits;
  bool incomplete = false;
  std::unique_ptr<MemoryDisk> disk;
  MemoryKv kv{[this](std::function<void()> complete) { disk->later(std::move(complete)); }};
  ManualTimers timers;
  CountedEvents events;
  std::optional<engine::RecordBuilder> builder;
  engine::Epoch epoch{1};
  std::uint64_t sequence = 0;
  std::vector<std::vector<std::uint64_t>> blocks_at;  ///< By LSN: who wrote each block.
  std::vector<engine::Digest> digest_at;
  std::optional<engine::Error> failure;
  std::unique_ptr<storage::ReplicaStore> store;
};

}  // namespace tidemark::tests
