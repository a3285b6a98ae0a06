// What a record promises: it is numbered, chained and sealed once, and reads back as it was.
#define BOOST_TEST_DYN_LINK
#include "engine/record/record.hpp"

#include <boost/test/unit_test.hpp>

#include "engine/record/layout.hpp"
#include "tests/engine/record_support.hpp"

namespace tidemark::engine {
namespace {

using namespace record_support;

RecordPtr decoded(const RecordPtr& record) {
  auto result = decode_record(key(), record->head(), record->payload());
  if (!result) BOOST_FAIL(result.error().text);
  return *result;
}

void check_same(const RecordHeader& a, const RecordHeader& b) {
  BOOST_TEST((a.kind == b.kind));
  BOOST_TEST(a.flags == b.flags);
  BOOST_TEST((a.epoch == b.epoch));
  BOOST_TEST((a.lsn == b.lsn));
  BOOST_TEST((a.range == b.range));
  BOOST_TEST((a.session == b.session));
  BOOST_TEST(a.sequence == b.sequence);
  BOOST_TEST((a.raw_time == b.raw_time));
  BOOST_TEST((a.mono_time == b.mono_time));
  BOOST_TEST(a.sums_hash == b.sums_hash);
  BOOST_TEST(a.inline_bytes == b.inline_bytes);
  BOOST_TEST(a.payload_bytes == b.payload_bytes);
  BOOST_TEST((a.digest == b.digest));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(record)

BOOST_AUTO_TEST_CASE(records_of_every_kind_read_back_as_they_were_sealed) {
  for (const auto& sealed : one_of_each_kind()) {
    const auto read = decoded(sealed);
    check_same(read->header(), sealed->header());
    BOOST_TEST(hex(read->head()) == hex(sealed->head()));
    BOOST_TEST(read->payload().data() == sealed->payload().data());
    const auto header = decode_header(key(), sealed->head());
    BOOST_REQUIRE(header.has_value());
    check_same(*header, sealed->header());
  }
}

BOOST_AUTO_TEST_CASE(lsns_are_dense_and_each_digest_chains_to_the_one_before) {
  Digest digest = before_digest();
  Lsn end = before_end();
  for (const auto& sealed : one_of_each_kind()) {
    digest = chain(digest, sealed->head());
    end = end.next();
    BOOST_TEST((sealed->lsn() == end));
    BOOST_TEST((sealed->header().digest == digest));
  }
}

BOOST_AUTO_TEST_CASE(a_builder_that_continues_a_log_seals_the_same_bytes) {
  const auto all = one_of_each_kind();
  RecordBuilder builder(key(), all[0]->lsn(), all[0]->header().digest);
  const auto again = builder.write(Epoch(3), {BlockIndex(0x1234), 2}, two_blocks(), origin());
  BOOST_TEST(hex(again->head()) == hex(all[1]->head()));
  BOOST_TEST((builder.end() == all[1]->lsn()));
  BOOST_TEST((builder.digest() == all[1]->header().digest));
}

// One record's change shows in every digest behind it, and in nothing before it.
BOOST_AUTO_TEST_CASE(logs_that_differ_in_one_block_never_agree_again) {
  RecordBuilder a(key(), before_end(), before_digest());
  RecordBuilder b(key(), before_end(), before_digest());
  const BlockRange block{BlockIndex(9), 1};
  a.write(Epoch(3), block, content(1, 1), origin());
  b.write(Epoch(3), block, content(1, 1), origin());
  BOOST_TEST((a.digest() == b.digest()));
  a.write(Epoch(3), block, content(1, 2), origin());
  b.write(Epoch(3), block, content(1, 3), origin());
  for (int i = 0; i < 10; ++i) {
    a.write(Epoch(3), block, content(1, 4), origin());
    b.write(Epoch(3), block, content(1, 4), origin());
    BOOST_TEST((a.digest() != b.digest()));
  }
}

BOOST_AUTO_TEST_CASE(a_write_carries_the_checksum_of_each_block_at_its_address) {
  const auto record = one_of_each_kind()[1];
  for (std::uint64_t i = 0; i < 2; ++i) {
    const auto bytes = record->payload().bytes().subspan(i * block_bytes, block_bytes);
    const auto expected = block_sum(key(), BlockIndex(0x1234 + i), bytes);
    BOOST_TEST(record->sum(i) == expected);
    BOOST_TEST(head_sum(record->head(), i) == expected);
  }
}

BOOST_AUTO_TEST_CASE(the_largest_write_takes_the_largest_head_and_reads_back) {
  RecordBuilder builder(key(), Lsn{}, Digest{});
  const auto record = builder.write(Epoch(1), {BlockIndex(0), record_blocks_max},
                                    content(record_blocks_max, 5), origin());
  BOOST_TEST(record->head().size() == record_head_bytes_max);
  BOOST_TEST(record->bytes() == record_head_bytes_max + record_payload_bytes_max);
  check_same(decoded(record)->header(), record->header());
}

BOOST_AUTO_TEST_CASE(a_trim_of_any_size_is_one_record_without_payload) {
  RecordBuilder builder(key(), Lsn{}, Digest{});
  const BlockRange whole{BlockIndex(0), std::uint64_t{1} << 50};
  const auto record = builder.zero(Epoch(1), RecordKind::trim, 0, whole, origin());
  BOOST_TEST(record->bytes() == record_header_bytes);
  BOOST_TEST((decoded(record)->header().range == whole));
}

BOOST_AUTO_TEST_CASE(a_block_beyond_32_bits_keeps_its_number_on_disk) {
  const BlockRange far{BlockIndex((std::uint64_t{1} << 40) + 5), 1};
  RecordBuilder builder(key(), Lsn{}, Digest{});
  const auto record = builder.write(Epoch(1), far, content(1, 1), origin());
  BOOST_TEST((decoded(record)->header().range == far));
  BOOST_TEST(layout::load<std::uint64_t>(record->head(), layout::first_block_at) ==
             far.first.value);
  BOOST_TEST(layout::block_count_at - layout::first_block_at == sizeof(std::uint64_t));
}

BOOST_AUTO_TEST_CASE(an_epoch_body_reads_back_with_the_end_that_the_builder_knew) {
  const auto record = one_of_each_kind()[0];
  const auto body = decode_epoch(record->inline_body());
  BOOST_REQUIRE(body.has_value());
  BOOST_TEST(body->nonce == epoch_body().nonce);
  BOOST_TEST((body->primary == epoch_body().primary));
  BOOST_TEST((body->incarnation == epoch_body().incarnation));
  BOOST_TEST((body->mode == epoch_body().mode));
  BOOST_TEST(body->marks == epoch_body().marks);
  BOOST_TEST((body->members == epoch_body().members));
  BOOST_TEST((body->previous_end == before_end()));
}

BOOST_AUTO_TEST_CASE(an_epoch_of_most_members_still_reads_back) {
  auto body = epoch_body();
  body.members.clear();
  for (std::uint64_t i = 1; i <= epoch_members_max; ++i) body.members.emplace_back(i);
  RecordBuilder builder(key(), Lsn{}, Digest{});
  const auto read = decoded(builder.epoch(Epoch(1), body, origin()));
  BOOST_TEST((decode_epoch(read->inline_body())->members == body.members));
}

BOOST_AUTO_TEST_CASE(control_records_name_no_front_end_session) {
  for (const auto& record : one_of_each_kind()) {
    const auto& h = record->header();
    const bool control = h.kind == RecordKind::epoch || h.kind == RecordKind::chunk_end;
    BOOST_TEST((h.session == FrontSession{}) == control);
    BOOST_TEST((h.sequence == 0) == control);
    BOOST_TEST((h.mono_time == origin().mono_time));
  }
}

BOOST_AUTO_TEST_CASE(a_record_that_is_used_again_keeps_nothing_of_its_former_life) {
  RecordBuilder builder(key(), Lsn{}, Digest{});
  // Large head first, so that the pooled record had spilled.
  builder.write(Epoch(1), {BlockIndex(0), 64}, content(64, 1), origin());
  const auto record = builder.chunk_end(Epoch(1), origin());
  BOOST_TEST(record->bytes() == record_header_bytes);
  BOOST_TEST(record->payload().empty());
  BOOST_TEST(record->inline_body().empty());
}

BOOST_AUTO_TEST_CASE(numbering_uses_the_memory_of_a_record_that_nobody_holds) {
  RecordBuilder builder(key(), Lsn{}, Digest{});
  const auto payload = content(1, 1);
  const auto number = [&] {
    return builder.write(Epoch(1), {BlockIndex(0), 1}, payload, origin());
  };
  const auto first = &*number();
  for (int i = 0; i < 10; ++i) BOOST_TEST(&*number() == first);
}

BOOST_AUTO_TEST_CASE(a_record_lives_as_long_as_anyone_refers_to_it) {
  RecordPtr kept;
  {
    RecordBuilder builder(key(), Lsn{}, Digest{});
    auto record = builder.write(Epoch(1), {BlockIndex(0), 1}, content(1, 1), origin());
    kept = record;
    for (int i = 0; i < 8; ++i) {
      builder.write(Epoch(1), {BlockIndex(1), 1}, content(1, 2), origin());
    }
  }
  BOOST_TEST(kept->lsn().value == 1u);
  check_same(decoded(kept)->header(), kept->header());
}

// The bytes of format 1. A change here is a new format: docs/DATA_FORMAT.md.
BOOST_AUTO_TEST_CASE(the_bytes_of_each_kind_are_pinned) {
  const auto all = one_of_each_kind();
  BOOST_TEST(hex(all[0]->head()) == golden_epoch);
  BOOST_TEST(hex(all[1]->head()) == golden_write);
  BOOST_TEST(hex(all[2]->head()) == golden_trim);
  BOOST_TEST(hex(all[3]->head()) == golden_write_zeroes);
  BOOST_TEST(hex(all[4]->head()) == golden_chunk_end);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
