#include "actors/runtime/log_events.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace tidemark::actors {
namespace {

spdlog::level::level_enum level_of(engine::Level level) {
  switch (level) {
    case engine::Level::debug:
      return spdlog::level::debug;
    case engine::Level::info:
      return spdlog::level::info;
    case engine::Level::warning:
      return spdlog::level::warn;
    case engine::Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

LogEvents::LogEvents(std::shared_ptr<spdlog::logger> logger, const engine::Clock& clock)
    : logger_(std::move(logger)), clock_(clock) {}

LogEvents::Site& LogEvents::site(const std::string& name) {
  if (sites_.size() >= names_max && !sites_.contains(name)) return sites_["other"];
  return sites_[name];
}

void LogEvents::event(const engine::Event& event) {
  auto& s = site(event.name);
  const auto now = clock_.now();
  if (s.lines == 0 || now - s.window >= engine::second) {
    s.window = now;
    s.lines = 0;
  }
  if (s.lines >= lines_per_second_max) {
    ++s.suppressed;
    return;
  }
  ++s.lines;
  auto line = engine::render(event);
  if (const auto lost = std::exchange(s.suppressed, 0); lost != 0) {
    line += fmt::format(" suppressed={}", lost);
  }
  // As an argument: a brace in a peer's text is text.
  logger_->log(level_of(event.level), "{}", line);
}

}  // namespace tidemark::actors
