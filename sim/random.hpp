// The one source of chance of a run. Own generator: std distributions differ between standard
// libraries and would tie a seed to one of them; no floating point, for the same reason.
#pragma once

#include <cstdint>

#include "engine/timer.hpp"

namespace tidemark::sim {

/// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
/// `at` makes a source out of a key instead of out of what was drawn before, as counter-based generators do (Salmon et
/// al., SC 2011): what one item of a plan draws is the same whichever others there are.
class Random final : public engine::Rng {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() override {
    auto z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, n) by multiply-shift; n < 2^32, and 0 for n == 0.
  std::uint64_t below(std::uint64_t n) { return ((next() >> 32) * n) >> 32; }
  /// Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    const auto span = high - low + 1;
    return span > 0xffffffffULL ? low + next() % span : low + below(span);
  }
  /// True in `n` of `of` cases.
  bool chance(std::uint64_t n, std::uint64_t of) { return below(of) < n; }
  /// The source of one item: of a seed, a kind of item, and its number.
  static Random at(std::uint64_t seed, std::uint64_t kind, std::uint64_t number) {
    Random a(seed);
    Random b(a.next() ^ kind);
    Random c(b.next() ^ number);
    return c.fork();
  }
  /// A generator of its own, so that a node's draws do not shift another's.
  Random fork() { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace tidemark::sim
