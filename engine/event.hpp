// What happened, for people: named events with key=value fields, the same in a daemon's log, in the
// bounded recovery log of a volume and in the simulator's trace.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace tidemark::engine {

enum class Level : std::uint8_t { debug, info, warning, error };
std::string_view to_string(Level level);

struct Event {
  Level level = Level::info;
  std::string name;  ///< snake_case past participle: `session_started`, `replica_left`.
  std::vector<std::pair<std::string, std::string>> fields;

  Event() = default;
  Event(Level l, std::string n) : level(l), name(std::move(n)) {}
  /// Adds key=value; any value that fmt can print.
  template <class T>
  Event&& with(std::string key, const T& value) && {
    fields.emplace_back(std::move(key), fmt::format("{}", value));
    return std::move(*this);
  }
};
/// `name key=value key="value with spaces"`; control characters and quotes are escaped, so that a
/// peer's text can never forge a line.
std::string render(const Event& event);

/// Where events go. Implementations rate-limit per name.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void event(const Event& event) = 0;
};

}  // namespace tidemark::engine
