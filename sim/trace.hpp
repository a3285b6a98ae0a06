// What happened, twice: a rolling hash over everything that must repeat for equal seeds, and
// the last few hundred events for people. Nothing that depends on addresses, hash order,
// compiler or optimisation may enter: numbers that the simulation itself gave out, names from
// the source, and bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.hpp"

namespace tidemark::sim {

class Trace {
 public:
  /// Events kept for the report of a failing seed.
  static constexpr std::size_t kept_max = 240;

  void mix(std::uint64_t x) {
    hash_ = (hash_ ^ x) * 0x100000001b3ULL;
    hash_ ^= hash_ >> 29;
  }
  void mix(std::string_view text);
  void mix(std::span<const std::byte> bytes);

  std::uint64_t hash() const { return hash_; }
  std::uint64_t events() const { return events_; }

  /// Remembers a line for people; it is also printed at once when `verbose`.
  void note(engine::MonoTime at, std::string line);
  /// A message handled; rendered only when somebody looks.
  void handled(engine::MonoTime at, std::uint64_t receiver, const char* name, std::uint64_t sender,
               const char* type);
  /// The last lines, oldest first.
  std::vector<std::string> last(std::size_t count) const;

  bool verbose = false;

 private:
  struct Line {
    engine::MonoTime at;
    std::uint64_t receiver = 0;
    std::uint64_t sender = 0;
    const char* name = nullptr;
    const char* type = nullptr;
    std::string text;
  };

  Line& slot();
  static std::string render(const Line& line);

  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::uint64_t events_ = 0;
  std::vector<Line> kept_;
  std::size_t next_ = 0;
};

/// A hash of bytes that is the same everywhere.
std::uint64_t content_hash(std::span<const std::byte> bytes);
/// The readable form of a typeid name.
std::string readable(const char* type_name);

}  // namespace tidemark::sim
