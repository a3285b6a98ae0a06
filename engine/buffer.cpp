#include "engine/buffer.hpp"

#include <array>
#include <bit>
#include <cstdlib>
#include <new>
#include <vector>

#include "engine/check.hpp"

namespace tidemark::engine {
namespace detail {

struct Slab {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t size_class = 0;
  std::byte* memory = nullptr;
};

}  // namespace detail

namespace {

using detail::Slab;

constexpr std::size_t alignment = 4096;
constexpr std::size_t smallest_bits = 12;  // 4 KiB, one block
constexpr std::size_t largest_bits = 26;   // 64 MiB: a 32 MiB NBD payload with unaligned edges
constexpr std::size_t classes = largest_bits - smallest_bits + 1;
// What a thread keeps for reuse per size class. 4 MiB covers the writes in flight of one busy loop
// turn; more goes back to the allocator, so that a burst does not stay resident.
constexpr std::size_t kept_bytes_max = std::size_t{4} << 20;

std::size_t class_of(std::size_t bytes) {
  CHECK(bytes <= std::size_t{1} << largest_bits);
  if (bytes <= std::size_t{1} << smallest_bits) return 0;
  return static_cast<std::size_t>(std::bit_width(bytes - 1)) - smallest_bits;
}

void destroy(Slab* slab) {
  std::free(slab->memory);
  delete slab;
}

struct Pool {
  std::array<std::vector<Slab*>, classes> free;

  ~Pool() {
    for (auto& list : free) {
      for (auto* slab : list) destroy(slab);
    }
    alive = false;
  }
  static thread_local bool alive;
};
thread_local bool Pool::alive = true;
thread_local Pool pool;

Slab* take(std::size_t bytes) {
  const auto index = class_of(bytes);
  auto& list = pool.free[index];
  if (!list.empty()) {
    auto* slab = list.back();
    list.pop_back();
    slab->references.store(1, std::memory_order_relaxed);
    return slab;
  }
  auto* slab = new Slab;
  slab->size_class = static_cast<std::uint32_t>(index);
  slab->memory = static_cast<std::byte*>(
      std::aligned_alloc(alignment, std::size_t{1} << (index + smallest_bits)));
  if (slab->memory == nullptr) throw std::bad_alloc();
  return slab;
}

}  // namespace

namespace detail {

void retain(Slab* slab) noexcept { slab->references.fetch_add(1, std::memory_order_relaxed); }

void release(Slab* slab) noexcept {
  if (slab->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (!Pool::alive) return destroy(slab);
  auto& list = pool.free[slab->size_class];
  const auto bytes = std::size_t{1} << (slab->size_class + smallest_bits);
  if ((list.size() + 1) * bytes > kept_bytes_max) return destroy(slab);
  list.push_back(slab);
}

}  // namespace detail

Slice Slice::part(std::size_t offset, std::size_t bytes) const {
  CHECK(offset <= size_);
  CHECK(bytes <= size_ - offset);
  Slice s = *this;
  s.data_ += offset;
  s.size_ = bytes;
  return s;
}

std::size_t Slice::memory_bytes() const {
  return slab_ == nullptr ? 0 : std::size_t{1} << (slab_->size_class + smallest_bits);
}

Buffer::Buffer(std::size_t bytes) : slab_(take(bytes)), data_(slab_->memory), size_(bytes) {}

Buffer Buffer::zeroed(std::size_t bytes) {
  Buffer buffer(bytes);
  std::memset(buffer.data(), 0, bytes);
  return buffer;
}

Buffer Buffer::copy_of(std::span<const std::byte> bytes) {
  Buffer buffer(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer;
}

Slice Buffer::freeze() && {
  Slice slice;
  slice.slab_ = std::exchange(slab_, nullptr);
  slice.data_ = std::exchange(data_, nullptr);
  slice.size_ = std::exchange(size_, 0);
  return slice;
}

Slice zeros(std::size_t bytes) {
  constexpr std::size_t most = std::size_t{1} << 20;
  CHECK(bytes <= most);
  static thread_local const Slice shared = Buffer::zeroed(most).freeze();
  return shared.part(0, bytes);
}

}  // namespace tidemark::engine
