#include "sim/coverage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/sometimes.hpp"
#include "engine/walked.hpp"

namespace tidemark::sim {
namespace {

struct Kind {
  std::string_view word;  ///< Of one.
  std::string_view plural;
  Coverage::Times Coverage::*times;
};
constexpr std::array<Kind, 3> kinds{{{"mark", "marks", &Coverage::marks},
                                     {"edge", "edges", &Coverage::edges},
                                     {"crash_point", "crash_points", &Coverage::crash_points}}};

std::size_t hit(const Coverage::Times& times) {
  return static_cast<std::size_t>(
      std::count_if(times.begin(), times.end(), [](const auto& t) { return t.second > 0; }));
}

std::string meaning_of(const std::string& mark) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(engine::Mark::count_); ++i) {
    const auto each = static_cast<engine::Mark>(i);
    if (to_string(each) == mark) return fmt::format("  {}", meaning(each));
  }
  return {};
}

}  // namespace

void Coverage::add(const Coverage& other) {
  for (const auto& kind : kinds) {
    for (const auto& [name, times] : other.*kind.times) (this->*kind.times)[name] += times;
  }
}

bool Coverage::take(std::string_view word) {
  const auto colon = word.find(':');
  const auto equals = word.rfind('=');
  if (colon == std::string_view::npos || equals == std::string_view::npos) return false;
  const auto kind = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const Kind& k) { return k.word == word.substr(0, colon); });
  if (kind == kinds.end()) return false;
  std::uint64_t times = 0;
  std::from_chars(word.data() + equals + 1, word.data() + word.size(), times);
  (this->*kind->times)[std::string(word.substr(colon + 1, equals - colon - 1))] += times;
  return true;
}

Coverage nothing_reached() {
  auto all = reached(CrashPoints());
  for (const auto& kind : kinds) {
    for (auto& [name, times] : all.*kind.times) times = 0;
  }
  return all;
}

Coverage reached(const CrashPoints& points) {
  Coverage all;
  const auto& marks = engine::marks_reached();
  for (std::size_t i = 0; i < marks.size(); ++i) {
    all.marks[std::string(to_string(static_cast<engine::Mark>(i)))] = marks[i];
  }
  for (const auto& edge : engine::edges()) all.edges[edge.name] = edge.times;
  for (CrashPoint point = 0; point < crash_points(); ++point) {
    all.crash_points[crash_point_name(point)] = points.hits()[point];
  }
  return all;
}

void forget_reached() {
  engine::forget_marks();
  engine::forget_edges();
}

std::string words(const Coverage& coverage) {
  std::string line;
  for (const auto& kind : kinds) {
    for (const auto& [name, times] : coverage.*kind.times) {
      if (times > 0) line += fmt::format(" {}:{}={}", kind.word, name, times);
    }
  }
  return line;
}

std::string summary(const Coverage& coverage) {
  std::string text;
  for (const auto& kind : kinds) {
    const auto& times = coverage.*kind.times;
    text +=
        fmt::format("{}{}={}/{}", text.empty() ? "" : " ", kind.plural, hit(times), times.size());
  }
  return text;
}

boost::json::object json_of(const Coverage& coverage, bool names) {
  boost::json::object object;
  for (const auto& kind : kinds) {
    const auto& times = coverage.*kind.times;
    boost::json::object of_kind{{"hit", hit(times)}, {"total", times.size()}};
    if (names) {
      boost::json::object each;
      for (const auto& [name, n] : times) each[name] = n;
      of_kind["times"] = std::move(each);
    }
    object[kind.plural] = std::move(of_kind);
  }
  return object;
}

std::string listing(const Coverage& coverage) {
  std::string never;
  std::string often;
  for (const auto& kind : kinds) {
    for (const auto& [name, times] : coverage.*kind.times) {
      const auto meaning = kind.word == "mark" ? meaning_of(name) : std::string();
      if (times == 0) {
        never += fmt::format("never {} {}{}\n", kind.word, name, meaning);
      } else {
        often += fmt::format("{:>5} {} {}\n", times, kind.word, name);
      }
    }
  }
  return never + often;
}

}  // namespace tidemark::sim
