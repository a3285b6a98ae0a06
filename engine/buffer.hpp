// Block-aligned bytes that are written once and then shared: from the socket to the log, to every
// sender and to the extents the same memory is counted, never copied.
//
// A Buffer is filled by its only owner, then frozen into Slices. Memory comes from a per-thread
// pool of size classes, so the path of a write does not allocate.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace tidemark::engine {

namespace detail {
struct Slab;  // header of one pooled allocation; defined in buffer.cpp
void retain(Slab* slab) noexcept;
void release(Slab* slab) noexcept;
}  // namespace detail

/// An immutable, shared view of block-aligned memory. Copying counts a reference.
class Slice {
 public:
  Slice() = default;
  Slice(const Slice& o) noexcept : slab_(o.slab_), data_(o.data_), size_(o.size_) {
    if (slab_ != nullptr) detail::retain(slab_);
  }
  Slice(Slice&& o) noexcept
      : slab_(std::exchange(o.slab_, nullptr)),
        data_(std::exchange(o.data_, nullptr)),
        size_(std::exchange(o.size_, 0)) {}
  Slice& operator=(Slice o) noexcept {
    std::swap(slab_, o.slab_);
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Slice() {
    if (slab_ != nullptr) detail::release(slab_);
  }

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// A part of this slice; CHECKs that it lies within.
  Slice part(std::size_t offset, std::size_t bytes) const;
  /// What this slice keeps from being reused: the whole allocation that it is a part of.
  std::size_t memory_bytes() const;

 private:
  friend class Buffer;
  detail::Slab* slab_ = nullptr;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Writable, block-aligned memory with one owner. Its content is undefined until written.
class Buffer {
 public:
  Buffer() = default;
  /// `bytes` of memory aligned to 4096, from the calling thread's pool.
  explicit Buffer(std::size_t bytes);
  static Buffer zeroed(std::size_t bytes);
  static Buffer copy_of(std::span<const std::byte> bytes);
  Buffer(Buffer&& o) noexcept
      : slab_(std::exchange(o.slab_, nullptr)),
        data_(std::exchange(o.data_, nullptr)),
        size_(std::exchange(o.size_, 0)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(slab_, o.slab_);
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (slab_ != nullptr) detail::release(slab_);
  }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::span<std::byte> bytes() { return {data_, size_}; }
  /// Gives up the right to write and shares what was written.
  Slice freeze() &&;

 private:
  detail::Slab* slab_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A shared run of zeros, at most 1 MiB: what a hole reads as.
Slice zeros(std::size_t bytes);

}  // namespace tidemark::engine
