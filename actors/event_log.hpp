// The recovery log: the last events of each volume with their moments, in front of the sink they go
// to anyway.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "engine/event.hpp"
#include "engine/status.hpp"
#include "engine/timer.hpp"

namespace tidemark::actors {

class EventLog final : public engine::EventSink {
 public:
  EventLog(engine::EventSink& next, const engine::Clock& clock) : next_(next), clock_(clock) {}

  /// Keeps what names a volume (field "volume"), at most recovery_log_max each; passes everything
  /// on.
  void event(const engine::Event& event) override;
  const std::deque<engine::LoggedEvent>* of(const std::string& volume) const;

 private:
  engine::EventSink& next_;
  const engine::Clock& clock_;
  std::map<std::string, std::deque<engine::LoggedEvent>> logs_;
};

}  // namespace tidemark::actors
