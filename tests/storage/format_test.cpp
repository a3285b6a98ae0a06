// The bytes of segment header, batch and superblock: golden, and nothing else is taken for them.
#include "storage/superblock.hpp"
#include "storage/wal_format.hpp"
#include "tests/storage/store_world.hpp"

using namespace tidemark;
using namespace tidemark::tests;
using namespace tidemark::storage;

namespace {

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (auto b : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(b));
  return text;
}

SegmentHeader segment_header() {
  SegmentHeader h;
  h.volume = test_uuid(7);
  h.replica = engine::ReplicaId(3);
  h.sequence = SegmentSequence(0x1122);
  h.first = Lsn(100);
  h.before = {0xa1a2a3a4a5a6a7a8, 0xb1b2b3b4b5b6b7b8};
  h.chunk_first = Lsn(100);
  h.chunk_bytes = 0;
  h.durable = Lsn(98);
  h.segment_bytes = 64u << 20;
  return h;
}

Superblock superblock() {
  Superblock b;
  b.generation = 9;
  b.cluster = test_uuid(1);
  b.spec.id = test_uuid(7);
  b.spec.name = "data";
  b.spec.size_bytes = 1u << 30;
  b.replica = engine::ReplicaId(3);
  b.segment_bytes = 64u << 20;
  b.extent_file_bytes = 1u << 30;
  b.checkpoint = Lsn(77);
  b.checkpoint_digest = {1, 2};
  b.durable = Lsn(80);
  b.checkpoint_batch = BatchAddress{SegmentSequence(5), 12288};
  b.wal_start = SegmentSequence(4);
  b.truncate_to = Lsn(79);
  b.cuts = {{SegmentSequence(5), 8192, Lsn(79)}};
  b.history =
      engine::EpochHistory({{engine::Epoch(1), 11, Lsn(1), 0, engine::Mode::sync_all},
                            {engine::Epoch(4), 12, Lsn(50), 2 | engine::EpochStart::mode_changed,
                             engine::Mode::best_effort}});
  const engine::Configuration first{1u << 29, engine::Mode::sync_all, 2};
  const engine::Configuration second{1u << 30, engine::Mode::sync_all, 2};
  b.configurations = engine::ConfigurationHistory({{first, Lsn()}, {second, Lsn(60)}});
  b.sessions = {{{5, engine::Incarnation(2)}, 19}};
  for (const auto number : {0u, 1u, 9u}) b.extent_files.add(number);
  return b;
}

/// A slot as another build would have written it: whole, with its own format.
void write_in_format(std::vector<std::byte>& bytes, std::size_t slot, std::uint32_t format) {
  const auto at = std::span(bytes).subspan(slot * storage::superblock_slot_bytes,
                                           storage::superblock_slot_bytes);
  std::memcpy(&at[8 + 8], &format, sizeof format);
  const auto crc = engine::crc32c(at.subspan(4, storage::superblock_used_bytes(at) - 4));
  std::memcpy(at.data(), &crc, sizeof crc);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(format)

BOOST_AUTO_TEST_CASE(a_segment_header_has_these_bytes) {
  const auto block = encode_segment_header(segment_header());
  BOOST_CHECK_EQUAL(block.size(), block_bytes);
  BOOST_CHECK_EQUAL(hex(std::span(block.data(), 104)),
                    "2222520a5449445753454731020000005a000000000000000000000000000007"
                    "030000000000000022110000000000006400000000000000a8a7a6a5a4a3a2a1"
                    "b8b7b6b5b4b3b2b1640000000000000000000000000000006200000000000000"
                    "0000000400000000");
}

BOOST_AUTO_TEST_CASE(any_flipped_byte_of_a_segment_header_is_noticed) {
  auto block = encode_segment_header(segment_header());
  BOOST_REQUIRE(decode_segment_header(block.bytes()).has_value());
  BOOST_CHECK_EQUAL(decode_segment_header(block.bytes())->sequence.value, 0x1122u);
  for (std::size_t i = 0; i < 104; ++i) {
    block.data()[i] ^= std::byte{1};
    BOOST_CHECK(!decode_segment_header(block.bytes()));
    block.data()[i] ^= std::byte{1};
  }
}

BOOST_AUTO_TEST_CASE(a_batch_is_bound_to_volume_life_and_place) {
  StoreWorld w;
  const engine::VolumeKey key(w.spec.id);
  const std::vector<engine::RecordPtr> records{w.begin_epoch(1), w.write(1, 2)};
  BatchHeader h;
  h.sequence = SegmentSequence(0x1122);
  h.offset = 8192;
  h.first = Lsn(1);
  h.count = 2;
  for (const auto& r : records) h.head_bytes += static_cast<std::uint32_t>(r->head().size());
  h.payload_bytes = 2 * block_bytes;
  h.durable = Lsn(0);
  h.committed = Lsn(0);
  h.chunk_first = Lsn(0x33);
  h.chunk_bytes = 0x4455;
  h.span_next = batch_span_min;
  auto area = encode_batch_head(key, h, records);
  BOOST_CHECK_EQUAL(hex(std::span(area.data(), 128)),
                    "38a19f23338376c6544d423102000000a42eba81611d47f82211000000000000"
                    "0020000000000000010000000000000000000000000000000000000000000000"
                    "0000000000000000000000000000000000200000000000004801000033000000"
                    "0000000055440000000000000101000000000000000000000000000000000000");
  const auto found = decode_batch_header(key, area.bytes(), 8192);
  BOOST_REQUIRE(found.has_value());
  BOOST_CHECK_EQUAL(found->bytes(), area.size() + 2 * block_bytes);
  BOOST_CHECK(!decode_batch_header(key, area.bytes(), 4096));
  BOOST_CHECK(!decode_batch_header(engine::VolumeKey(test_uuid(8)), area.bytes(), 8192));
  const auto places = decode_batch_heads(key, *found, area.bytes());
  BOOST_REQUIRE(places.has_value());
  BOOST_CHECK_EQUAL(places->size(), 2u);
  const auto end = engine::batch_header_bytes + h.head_bytes;
  for (std::size_t i = 0; i < end; ++i) {
    area.data()[i] ^= std::byte{1};
    const auto header = decode_batch_header(key, area.bytes(), 8192);
    BOOST_CHECK(!header || !decode_batch_heads(key, *header, area.bytes()));
    area.data()[i] ^= std::byte{1};
  }
}

BOOST_AUTO_TEST_CASE(a_superblock_has_these_bytes_and_comes_back) {
  auto slot = encode_superblock(superblock());
  BOOST_CHECK_EQUAL(slot.size(), superblock_slot_bytes);
  BOOST_CHECK_EQUAL(hex(std::span(slot.data(), 8)), "be2669e668010000");
  const auto back = decode_superblock(slot.bytes());
  BOOST_REQUIRE(back.has_value());
  BOOST_CHECK_EQUAL(back->spec.name, "data");
  BOOST_CHECK_EQUAL(back->checkpoint_batch->sequence.value, 5u);
  BOOST_CHECK_EQUAL(back->checkpoint_batch->offset, 12288u);
  BOOST_CHECK_EQUAL(back->truncate_to->value, 79u);
  BOOST_CHECK_EQUAL(back->cuts.at(0).offset, 8192u);
  BOOST_CHECK(back->history.starts() == superblock().history.starts());
  BOOST_CHECK_EQUAL(back->sessions.at(0).sequence, 19u);
  BOOST_CHECK(back->extent_files == superblock().extent_files);
  BOOST_CHECK(back->configurations.starts() == superblock().configurations.starts());
  BOOST_CHECK(encode_superblock(*back).bytes().size() == slot.size());
  BOOST_CHECK_EQUAL(hex(encode_superblock(*back).bytes()),
                    hex(std::span(slot.data(), slot.size())));
}

BOOST_AUTO_TEST_CASE(the_fullest_superblock_fits_its_slot) {
  auto b = superblock();
  std::vector<engine::EpochStart> starts;
  for (std::uint64_t i = 1; i <= engine::epoch_history_max; ++i) {
    starts.push_back({engine::Epoch(i), i, Lsn(i), 3, engine::Mode::sync_all});
  }
  b.history = engine::EpochHistory(std::move(starts));
  b.sessions.assign(session_table_max, {{~0ull, engine::Incarnation(~0ull)}, ~0ull});
  b.cuts.assign(cut_marks_max, {SegmentSequence(~0ull), ~0ull, Lsn(~0ull)});
  for (std::uint64_t n = 0; n < 2 * ExtentFileSet::named_max; ++n) b.extent_files.add(n);
  std::vector<engine::ConfigurationStart> sizes;
  for (std::uint64_t i = 1; i <= engine::configuration_history_max; ++i) {
    sizes.push_back({{i << 20, engine::Mode::sync_all, 2}, Lsn(i)});
  }
  b.configurations = engine::ConfigurationHistory(std::move(sizes));
  b.damage.assign(5000, 'x');
  b.spec.name.assign(64, 'n');
  BOOST_CHECK(decode_superblock(encode_superblock(b).bytes()).has_value());
}

// The other slot would open, but may be older than what that build left. And no vote is withdrawn for it.
BOOST_AUTO_TEST_CASE(a_superblock_of_another_format_in_either_slot_is_refused_and_is_no_damage) {
  for (const std::size_t slot : {0u, 1u}) {
    StoreWorld w;
    w.open(true);
    w.append_durably({w.begin_epoch(1)});
    w.crash(MemoryDisk::Loss::process, 1);
    auto& file = w.file_of("superblock");
    for (auto* bytes : {&file.seen, &file.durable}) write_in_format(*bytes, slot, 2);
    const auto before = file.seen;
    const auto refused = w.try_open();
    BOOST_REQUIRE(!refused);
    BOOST_CHECK(refused.error().code == engine::Errc::invalid);
    BOOST_CHECK_NE(refused.error().text.find("format 2, this build reads 3"), std::string::npos);
    BOOST_CHECK(w.file_of("superblock").seen == before);
  }
}

BOOST_AUTO_TEST_SUITE_END()
