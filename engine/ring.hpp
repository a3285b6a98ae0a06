// A queue in one growing block of memory: what waits for an LSN on the path of a write. std::deque
// allocates and frees as it moves along; this one, grown once, never again.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "engine/check.hpp"

namespace tidemark::engine {

/// `T` is default constructible and movable. A popped place keeps a moved-from value until reused.
template <class T>
class Ring {
 public:
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

  /// The i-th from the front; CHECKs i < size().
  T& operator[](std::size_t i) {
    CHECK(i < count_);
    return slots_[(first_ + i) & (slots_.size() - 1)];
  }
  const T& operator[](std::size_t i) const {
    CHECK(i < count_);
    return slots_[(first_ + i) & (slots_.size() - 1)];
  }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  const T& back() const { return (*this)[count_ - 1]; }

  void push_back(T value) {
    if (count_ == slots_.size()) grow();
    ++count_;
    (*this)[count_ - 1] = std::move(value);
  }
  T pop_front() {
    T value = std::move(front());
    first_ = (first_ + 1) & (slots_.size() - 1);
    --count_;
    return value;
  }
  void clear() {
    slots_.clear();
    first_ = count_ = 0;
  }

 private:
  void grow() {
    std::vector<T> wider(slots_.empty() ? 64 : 2 * slots_.size());
    for (std::size_t i = 0; i < count_; ++i) wider[i] = std::move((*this)[i]);
    slots_ = std::move(wider);
    first_ = 0;
  }

  std::vector<T> slots_;  ///< Its size is zero or a power of two.
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace tidemark::engine
