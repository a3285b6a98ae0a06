// How fields become bytes: little-endian, no padding, one way to write each value. A
// message's layout is a list of its members (layouts.hpp); sizes, encoder and decoder all
// follow from that list.
//
//   template <>
//   struct Wire<Probe> : Fields<Probe, F<&Probe::volume>, F<&Probe::epoch>, F<&Probe::session>> {};
//
// Wire<T>::min and ::max bound the bytes of a T; put appends them; get takes them, or marks the
// reader as failed and leaves a default. Private to the codec.
#pragma once

#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/check.hpp"
#include "engine/epoch_history.hpp"
#include "engine/text.hpp"
#include "engine/types.hpp"

namespace tidemark::transport::wire {

static_assert(std::endian::native == std::endian::little,
              "numbers are stored as the machine holds them");

using Writer = std::vector<std::byte>;

/// Takes fields from the front of a span.
/// After the first flaw every further field reads as its default.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  /// The next `count` bytes, or nothing when there are fewer.
  std::span<const std::byte> take(std::size_t count) {
    if (count > rest_.size()) fail("ends inside a field");
    if (flaw_ != nullptr) return {};
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  void fail(const char* flaw) {
    if (flaw_ == nullptr) flaw_ = flaw;
  }
  bool failed() const { return flaw_ != nullptr; }
  /// What was wrong, trailing bytes included; nullptr when all was read and right.
  const char* flaw() const {
    if (flaw_ != nullptr) return flaw_;
    return rest_.empty() ? nullptr : "has bytes behind its last field";
  }

 private:
  std::span<const std::byte> rest_;
  const char* flaw_ = nullptr;
};

template <class T>
struct Wire;

// --- numbers -------------------------------------------------------------------------------------

template <class T>
struct Number {
  static constexpr std::size_t min = sizeof(T);
  static constexpr std::size_t max = sizeof(T);
  static void put(Writer& to, T value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    to.insert(to.end(), bytes, bytes + sizeof value);
  }
  static void get(Reader& from, T& value) {
    const auto bytes = from.take(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
  }
};
template <>
struct Wire<std::uint8_t> : Number<std::uint8_t> {};
template <>
struct Wire<std::uint16_t> : Number<std::uint16_t> {};
template <>
struct Wire<std::uint32_t> : Number<std::uint32_t> {};
template <>
struct Wire<std::uint64_t> : Number<std::uint64_t> {};

template <>
struct Wire<bool> {
  static constexpr std::size_t min = 1;
  static constexpr std::size_t max = 1;
  static void put(Writer& to, bool value) { to.push_back(std::byte{value}); }
  static void get(Reader& from, bool& value) {
    std::uint8_t raw = 0;
    Wire<std::uint8_t>::get(from, raw);
    if (raw > 1) return from.fail("has a truth value other than 0 and 1");
    value = raw == 1;
  }
};

/// Id and Position: their number.
template <class T>
struct Counted {
  static constexpr std::size_t min = sizeof(std::uint64_t);
  static constexpr std::size_t max = sizeof(std::uint64_t);
  static void put(Writer& to, T value) { Wire<std::uint64_t>::put(to, value.value); }
  static void get(Reader& from, T& value) { Wire<std::uint64_t>::get(from, value.value); }
};
template <class Tag>
struct Wire<engine::Id<Tag>> : Counted<engine::Id<Tag>> {};
template <class Tag>
struct Wire<engine::Position<Tag>> : Counted<engine::Position<Tag>> {};

/// An enumeration of one byte whose values are First to Last without a gap.
template <class E, E First, E Last>
struct Choice {
  static constexpr std::size_t min = 1;
  static constexpr std::size_t max = 1;
  static void put(Writer& to, E value) {
    CHECK(First <= value && value <= Last);
    to.push_back(static_cast<std::byte>(value));
  }
  static void get(Reader& from, E& value) {
    std::uint8_t raw = 0;
    Wire<std::uint8_t>::get(from, raw);
    if (from.failed()) return;
    if (raw < static_cast<std::uint8_t>(First) || raw > static_cast<std::uint8_t>(Last)) {
      return from.fail("has an unknown choice");
    }
    value = static_cast<E>(raw);
  }
};

template <>
struct Wire<engine::Uuid> {
  static constexpr std::size_t min = 16;
  static constexpr std::size_t max = 16;
  static void put(Writer& to, const engine::Uuid& id) {
    const auto bytes = std::as_bytes(std::span(id.bytes));
    to.insert(to.end(), bytes.begin(), bytes.end());
  }
  static void get(Reader& from, engine::Uuid& id) {
    const auto bytes = from.take(min);
    if (!bytes.empty()) std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  }
};

// --- strings and lists ---------------------------------------------------------------------------

/// Length, then bytes. What is longer than Max is our own mistake;
/// a longer one that arrives is refused.
template <std::size_t Max>
struct Name {
  using Length = std::conditional_t<(Max > 0xffff), std::uint32_t, std::uint16_t>;
  static constexpr std::size_t min = sizeof(Length);
  static constexpr std::size_t max = sizeof(Length) + Max;
  static void put(Writer& to, std::string_view text) {
    CHECK(text.size() <= Max);
    Wire<Length>::put(to, static_cast<Length>(text.size()));
    const auto bytes = std::as_bytes(std::span(text));
    to.insert(to.end(), bytes.begin(), bytes.end());
  }
  static void get(Reader& from, std::string& text) {
    Length length = 0;
    Wire<Length>::get(from, length);
    if (length > Max) return from.fail("has a text that is too long");
    const auto bytes = from.take(length);
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
};

/// As Name, but for people: what is too long is cut at a character's border.
template <std::size_t Max>
struct Text : Name<Max> {
  static void put(Writer& to, std::string_view text) {
    Name<Max>::put(to, engine::front_of(text, Max));
  }
};

/// Count (one or two bytes), then the elements.
template <class T, std::size_t Max>
struct List {
  using Count = std::conditional_t<(Max > 0xff), std::uint16_t, std::uint8_t>;
  static constexpr std::size_t min = sizeof(Count);
  static constexpr std::size_t max = sizeof(Count) + Max * Wire<T>::max;
  static void put(Writer& to, const std::vector<T>& list) {
    CHECK(list.size() <= Max);
    Wire<Count>::put(to, static_cast<Count>(list.size()));
    for (const auto& element : list) Wire<T>::put(to, element);
  }
  static void get(Reader& from, std::vector<T>& list) {
    Count count = 0;
    Wire<Count>::get(from, count);
    if (count > Max) return from.fail("has a list that is too long");
    for (Count i = 0; i < count && !from.failed(); ++i) Wire<T>::get(from, list.emplace_back());
  }
};

/// One byte that says whether the value follows.
template <class T>
struct Wire<std::optional<T>> {
  static constexpr std::size_t min = 1;
  static constexpr std::size_t max = 1 + Wire<T>::max;
  static void put(Writer& to, const std::optional<T>& value) {
    Wire<bool>::put(to, value.has_value());
    if (value) Wire<T>::put(to, *value);
  }
  static void get(Reader& from, std::optional<T>& value) {
    bool present = false;
    Wire<bool>::get(from, present);
    if (present) Wire<T>::get(from, value.emplace());
  }
};

// --- structs -------------------------------------------------------------------------------------

template <class M>
struct MemberOf;
template <class C, class T>
struct MemberOf<T C::*> {
  using Class = C;
  using Type = T;
};

/// One member and how it is written (by its type, unless said otherwise).
template <auto Pointer, class How = Wire<typename MemberOf<decltype(Pointer)>::Type>>
struct F {
  using Class = typename MemberOf<decltype(Pointer)>::Class;
  static constexpr std::size_t min = How::min;
  static constexpr std::size_t max = How::max;
  static void put(Writer& to, const Class& object) { How::put(to, object.*Pointer); }
  static void get(Reader& from, Class& object) { How::get(from, object.*Pointer); }
};

/// The members of T in the order in which they travel.
template <class T, class... Members>
struct Fields {
  static constexpr std::size_t count = sizeof...(Members);
  static constexpr std::size_t min = (std::size_t{0} + ... + Members::min);
  static constexpr std::size_t max = (std::size_t{0} + ... + Members::max);
  static void put(Writer& to, const T& object) { (Members::put(to, object), ...); }
  static void get(Reader& from, T& object) { (Members::get(from, object), ...); }
};

/// Takes `T`s that also have to satisfy `Valid`, a function that names the flaw or gives nullptr.
template <class T, auto Valid, class Layout>
struct Validated : Layout {
  static void get(Reader& from, T& object) {
    Layout::get(from, object);
    if (from.failed()) return;
    if (const char* flaw = Valid(object)) from.fail(flaw);
  }
};

}  // namespace tidemark::transport::wire
