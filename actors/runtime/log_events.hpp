// Events as lines of a log: one line each, `name key=value ...`, escaped by engine::render, and no
// more than a burst per second and name, so that a site gone wild cannot fill a disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/event.hpp"
#include "engine/timer.hpp"

namespace spdlog {
class logger;
}

namespace tidemark::actors {

/// Writes through spdlog. Debug events are passed on as spdlog's debug level.
class LogEvents final : public engine::EventSink {
 public:
  /// Lines per second and event name. What comes above is counted, and the count is logged with the
  /// next line of that name.
  static constexpr std::uint32_t lines_per_second_max = 20;
  /// Names that are told apart; those beyond share one budget.
  static constexpr std::size_t names_max = 512;

  LogEvents(std::shared_ptr<spdlog::logger> logger, const engine::Clock& clock);
  void event(const engine::Event& event) override;

 private:
  struct Site {
    engine::MonoTime window;  ///< When the current second began.
    std::uint32_t lines = 0;
    std::uint64_t suppressed = 0;
  };

  Site& site(const std::string& name);

  std::shared_ptr<spdlog::logger> logger_;
  const engine::Clock& clock_;
  std::map<std::string, Site> sites_;
};

}  // namespace tidemark::actors
