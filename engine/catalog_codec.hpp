// How a node's and the control plane's records stand in the catalog: (kind, version,
// fields), little-endian, strings and lists with their length in front
// (docs/DATA_FORMAT.md, "Catalog values").
//
// Decoding is total: any bytes give a value or nothing, never a half-filled value, never an
// allocation that the bytes did not pay for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/check.hpp"
#include "engine/result.hpp"
#include "engine/told_set.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// First byte of every value, so that a value under a wrong key is noticed.
enum class CatalogKind : std::uint8_t {
  local_volume = 1,
  promise = 2,
  control_node = 3,
  control_volume = 4,
  control_counters = 5,
};
inline constexpr std::uint8_t catalog_version = 4;
inline constexpr std::size_t catalog_string_bytes_max = 4096;
inline constexpr std::size_t catalog_list_max = 64;

/// Errc::invalid: the value is whole but of another build's format. Anything else is for the decoder.
Status check_catalog_format(std::string_view key, std::string_view value);

class CatalogWriter {
 public:
  explicit CatalogWriter(CatalogKind kind);

  void number(std::uint64_t value);
  void byte(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  /// CHECKs catalog_string_bytes_max.
  void text(std::string_view value);
  void uuid(const Uuid& value);
  void node(const NodeId& value);
  void spec(const VolumeSpec& value);
  void wanted(const std::optional<Configuration>& value);
  void set(const std::vector<SetMember>& value);
  void reigns(const std::vector<Reign>& value);
  void assignment(const Assignment& value);
  template <class List, class Put>
  void list(const List& values, Put put) {
    CHECK(values.size() <= catalog_list_max);  // Or it could never be read again.
    number(values.size());
    for (const auto& value : values) put(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// After the first flaw every further field reads as its default and done() says no.
class CatalogReader {
 public:
  CatalogReader(std::string_view bytes, CatalogKind kind);

  std::uint64_t number();
  std::uint8_t byte();
  bool flag();
  std::string text();
  Uuid uuid();
  NodeId node();
  VolumeSpec spec();
  std::optional<Configuration> wanted();
  std::vector<SetMember> set();
  std::vector<Reign> reigns();
  Assignment assignment();
  /// A value of an enumeration [1, last].
  template <class E>
  E choice(E last) {
    const auto raw = byte();
    if (raw == 0 || raw > static_cast<std::uint8_t>(last)) return fail(), E{1};
    return static_cast<E>(raw);
  }
  template <class Get>
  auto list(Get get) -> std::vector<decltype(get())> {
    std::vector<decltype(get())> values;
    const auto count = number();
    if (count > catalog_list_max) return fail(), values;
    for (std::uint64_t i = 0; i < count && !failed_; ++i) values.push_back(get());
    return values;
  }
  void fail() { failed_ = true; }
  /// Everything was read, and nothing is left over.
  bool done() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view take(std::size_t bytes);
  std::string_view rest_;
  bool failed_ = false;
};

/// What a node's catalog says of its replica of one volume: `volume/<uuid>`.
struct LocalVolume {
  ReplicaId replica;
  std::string directory;    ///< Below the node's data directory.
  bool created = false;     ///< The directory was made; from then on it is never made again.
  bool incomplete = false;  ///< It was made for a replica that needs a rebuild before it counts.
  std::string damage;       ///< Not empty: the vote is withdrawn, for good (C13).
  Assignment assignment;    ///< The last one accepted.
  ToldSet told;  ///< Not below that: the primary's node hears of a set before its assignment.
  /// The last reign that began without knowing of a set that was told here (forgets()); 0: none, or an operator has
  /// forced one since. It cuts nothing that was written before it (C18).
  Epoch forgotten;
  auto operator<=>(const LocalVolume&) const = default;
};
std::string encode(const LocalVolume& value);
std::optional<LocalVolume> decode_local_volume(std::string_view bytes);

/// `promise/<uuid>`: the highest epoch this node promised for the volume.
std::string encode_promise(Epoch promised);
std::optional<Epoch> decode_promise(std::string_view bytes);

}  // namespace tidemark::engine
