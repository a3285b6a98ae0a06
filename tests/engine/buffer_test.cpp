#define BOOST_TEST_DYN_LINK
#include "engine/buffer.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string_view>

namespace tidemark::engine {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

bool is_aligned(const void* at) { return reinterpret_cast<std::uintptr_t>(at) % 4096 == 0; }

}  // namespace

BOOST_AUTO_TEST_SUITE(buffers)

BOOST_AUTO_TEST_CASE(every_size_is_aligned_to_a_block) {
  for (std::size_t size : {1u, 4096u, 4097u, 65536u, 1u << 20, (32u << 20) + 8192u}) {
    Buffer buffer(size);
    BOOST_TEST(is_aligned(buffer.data()));
    BOOST_TEST(buffer.size() == size);
  }
}

BOOST_AUTO_TEST_CASE(a_frozen_buffer_is_shared_not_copied) {
  auto buffer = Buffer::copy_of(bytes_of("tide"));
  const auto* memory = buffer.data();
  const auto slice = std::move(buffer).freeze();
  const auto copy = slice;
  BOOST_TEST(slice.data() == memory);
  BOOST_TEST(copy.data() == memory);
  BOOST_TEST(buffer.data() == nullptr);
  BOOST_TEST(buffer.size() == 0u);
}

BOOST_AUTO_TEST_CASE(a_part_keeps_the_whole_alive) {
  Slice part;
  {
    const auto whole = Buffer::copy_of(bytes_of("tidemark")).freeze();
    part = whole.part(4, 4);
  }
  const auto again = Buffer::copy_of(bytes_of("XXXXXXXX"));
  BOOST_TEST(again.data() != part.data() - 4);
  BOOST_TEST(std::ranges::equal(part.bytes(), bytes_of("mark")));
}

BOOST_AUTO_TEST_CASE(a_part_may_be_empty_even_at_the_end) {
  const auto whole = Buffer::zeroed(8).freeze();
  BOOST_TEST(whole.part(8, 0).empty());
}

BOOST_AUTO_TEST_CASE(memory_is_used_again_once_nobody_refers_to_it) {
  const std::byte* first = nullptr;
  {
    const auto slice = Buffer::zeroed(4096).freeze();
    const auto other = slice;
    first = slice.data();
  }
  Buffer again(4096);
  BOOST_TEST(again.data() == first);
}

BOOST_AUTO_TEST_CASE(assignment_drops_what_a_buffer_held) {
  Buffer buffer(4096);
  const auto* first = buffer.data();
  buffer = Buffer(8192);
  BOOST_TEST(buffer.size() == 8192u);
  BOOST_TEST(Buffer(4096).data() == first);
}

BOOST_AUTO_TEST_CASE(zeroed_memory_is_zero_also_when_it_was_used_before) {
  {
    Buffer dirty(4096);
    std::ranges::fill(dirty.bytes(), std::byte{0xff});
  }
  const auto clean = Buffer::zeroed(4096).freeze();
  BOOST_TEST(std::ranges::all_of(clean.bytes(), [](std::byte b) { return b == std::byte{0}; }));
}

BOOST_AUTO_TEST_CASE(zeros_are_one_shared_run) {
  const auto a = zeros(4096);
  const auto b = zeros(1u << 20);
  BOOST_TEST(a.data() == b.data());
  BOOST_TEST(b.size() == 1u << 20);
  BOOST_TEST(std::ranges::all_of(b.bytes(), [](std::byte x) { return x == std::byte{0}; }));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
