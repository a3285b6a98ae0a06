#include "engine/catalog_codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/check.hpp"

namespace tidemark::engine {

static_assert(std::endian::native == std::endian::little,
              "numbers are stored as the machine holds them");

Status check_catalog_format(std::string_view key, std::string_view value) {
  if (value.size() < 2) return Done{};
  const auto kind = static_cast<std::uint8_t>(value[0]);
  const auto version = static_cast<std::uint8_t>(value[1]);
  constexpr auto last = static_cast<std::uint8_t>(CatalogKind::control_counters);
  if (kind == 0 || kind > last || version == 0 || version == catalog_version) return Done{};
  return Error{Errc::invalid, fmt::format("the value of {} is of format {}, this build reads {}",
                                          key, version, catalog_version)};
}

CatalogWriter::CatalogWriter(CatalogKind kind) {
  byte(static_cast<std::uint8_t>(kind));
  byte(catalog_version);
}

void CatalogWriter::number(std::uint64_t value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes_.append(raw, sizeof raw);
}

void CatalogWriter::text(std::string_view value) {
  CHECK(value.size() <= catalog_string_bytes_max);
  number(value.size());
  bytes_.append(value);
}

void CatalogWriter::uuid(const Uuid& value) {
  for (const auto b : value.bytes) byte(b);
}

void CatalogWriter::node(const NodeId& value) {
  text(value.name);
  uuid(value.uuid);
}

void CatalogWriter::spec(const VolumeSpec& value) {
  uuid(value.id);
  text(value.name);
  number(value.size_bytes);
  byte(static_cast<std::uint8_t>(value.mode));
  byte(static_cast<std::uint8_t>(value.ack));
  number(value.copies);
  number(value.min_copies);
  byte(static_cast<std::uint8_t>(value.below_min));
}

void CatalogWriter::wanted(const std::optional<Configuration>& value) {
  byte(value.has_value());
  if (!value) return;
  number(value->size_bytes);
  byte(static_cast<std::uint8_t>(value->mode));
  number(value->min_copies);
}

void CatalogWriter::set(const std::vector<SetMember>& value) {
  list(value, [&](const SetMember& m) {
    number(m.replica.value);
    number(m.incarnation.value);
  });
}

void CatalogWriter::reigns(const std::vector<Reign>& value) {
  list(value, [&](const Reign& r) {
    number(r.epoch.value);
    number(r.version.value);
    byte(r.forced);
  });
}

void CatalogWriter::assignment(const Assignment& value) {
  spec(value.spec);
  number(value.epoch.value);
  number(value.nonce);
  number(value.version.value);
  number(value.self.value);
  byte(static_cast<std::uint8_t>(value.role));
  number(value.primary.value);
  number(value.primary_incarnation.value);
  byte(value.marks);
  list(value.members, [&](const Member& m) {
    number(m.replica.value);
    node(m.node);
    text(m.endpoint);
    text(m.nbd);
  });
  set(value.in_sync);
  wanted(value.wanted);
  reigns(value.reigns);
}

CatalogReader::CatalogReader(std::string_view bytes, CatalogKind kind) : rest_(bytes) {
  if (byte() != static_cast<std::uint8_t>(kind)) fail();
  if (byte() != catalog_version) fail();
}

std::string_view CatalogReader::take(std::size_t bytes) {
  if (failed_ || bytes > rest_.size()) return fail(), std::string_view();
  const auto taken = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return taken;
}

std::uint64_t CatalogReader::number() {
  std::uint64_t value = 0;
  const auto raw = take(sizeof value);
  if (!raw.empty()) std::memcpy(&value, raw.data(), sizeof value);
  return value;
}

std::uint8_t CatalogReader::byte() {
  const auto raw = take(1);
  return raw.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(raw.front());
}

bool CatalogReader::flag() {
  const auto raw = byte();
  if (raw > 1) fail();
  return raw == 1;
}

std::string CatalogReader::text() {
  const auto bytes = number();
  if (bytes > catalog_string_bytes_max) return fail(), std::string();
  return std::string(take(bytes));
}

Uuid CatalogReader::uuid() {
  Uuid value;
  const auto raw = take(value.bytes.size());
  if (!raw.empty()) std::memcpy(value.bytes.data(), raw.data(), raw.size());
  return value;
}

NodeId CatalogReader::node() {
  NodeId value;
  value.name = text();
  value.uuid = uuid();
  return value;
}

VolumeSpec CatalogReader::spec() {
  VolumeSpec value;
  value.id = uuid();
  value.name = text();
  value.size_bytes = number();
  value.mode = choice(Mode::best_effort);
  value.ack = choice(AckPolicy::durable);
  value.copies = static_cast<std::uint32_t>(number());
  value.min_copies = static_cast<std::uint32_t>(number());
  value.below_min = choice(BelowMin::fail);
  return value;
}

std::optional<Configuration> CatalogReader::wanted() {
  if (!flag()) return std::nullopt;
  Configuration value;
  value.size_bytes = number();
  value.mode = choice(Mode::best_effort);
  value.min_copies = static_cast<std::uint32_t>(number());
  return value;
}

std::vector<SetMember> CatalogReader::set() {
  return list([&] {
    SetMember m;
    m.replica = ReplicaId(number());
    m.incarnation = Incarnation(number());
    return m;
  });
}

std::vector<Reign> CatalogReader::reigns() {
  return list([&] {
    Reign r;
    r.epoch = Epoch(number());
    r.version = Version(number());
    r.forced = flag();
    return r;
  });
}

Assignment CatalogReader::assignment() {
  Assignment value;
  value.spec = spec();
  value.epoch = Epoch(number());
  value.nonce = number();
  value.version = Version(number());
  value.self = ReplicaId(number());
  value.role = choice(Role::primary);
  value.primary = ReplicaId(number());
  value.primary_incarnation = Incarnation(number());
  value.marks = byte();
  value.members = list([&] {
    Member m;
    m.replica = ReplicaId(number());
    m.node = node();
    m.endpoint = text();
    m.nbd = text();
    return m;
  });
  value.in_sync = set();
  value.wanted = wanted();
  value.reigns = reigns();
  return value;
}

std::string encode(const LocalVolume& value) {
  CatalogWriter to(CatalogKind::local_volume);
  to.number(value.replica.value);
  to.text(value.directory);
  to.byte(value.created);
  to.byte(value.incomplete);
  to.text(value.damage.substr(0, catalog_string_bytes_max));
  to.assignment(value.assignment);
  to.number(value.told.epoch.value);
  to.number(value.told.version.value);
  to.number(value.forgotten.value);
  return to.take();
}

std::optional<LocalVolume> decode_local_volume(std::string_view bytes) {
  CatalogReader from(bytes, CatalogKind::local_volume);
  LocalVolume value;
  value.replica = ReplicaId(from.number());
  value.directory = from.text();
  value.created = from.flag();
  value.incomplete = from.flag();
  value.damage = from.text();
  value.assignment = from.assignment();
  value.told.epoch = Epoch(from.number());
  value.told.version = Version(from.number());
  value.forgotten = Epoch(from.number());
  if (!from.done()) return std::nullopt;
  return value;
}

std::string encode_promise(Epoch promised) {
  CatalogWriter to(CatalogKind::promise);
  to.number(promised.value);
  return to.take();
}

std::optional<Epoch> decode_promise(std::string_view bytes) {
  CatalogReader from(bytes, CatalogKind::promise);
  const Epoch promised(from.number());
  if (!from.done()) return std::nullopt;
  return promised;
}

}  // namespace tidemark::engine
