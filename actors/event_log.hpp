// The recovery log: the last events of each volume with their moments,
// in front of the sink they go to anyway.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "actors/environment.hpp"
#include "engine/event.hpp"
#include "engine/event_page.hpp"
#include "engine/status.hpp"
#include "engine/timer.hpp"

namespace tidemark::actors {

class EventLog final : public engine::EventSink {
 public:
  EventLog(engine::EventSink& next, const engine::Clock& clock) : next_(next), clock_(clock) {}

  /// Keeps what names a volume (field "volume"), at most recovery_log_max each;
  /// passes everything on.
  void event(const engine::Event& event) override;
  /// Null: nothing was told of it.
  const engine::RecoveryLog* of(const std::string& volume) const;

 private:
  engine::EventSink& next_;
  const engine::Clock& clock_;
  std::map<std::string, engine::RecoveryLog> logs_;
};

/// Names the volume in what its store, role and senders tell,
/// so that the recovery log has all of it.
class VolumeSink final : public engine::EventSink {
 public:
  VolumeSink(engine::EventSink& next, std::string volume)
      : next_(next), volume_(std::move(volume)) {}
  void event(const engine::Event& event) override;

 private:
  engine::EventSink& next_;
  std::string volume_;
};

/// The same world with another sink. The sink, and the world below it, live as long as what is
/// returned: actors may outlast the node actor that spawned them.
EnvironmentPtr with_sink(EnvironmentPtr below, std::unique_ptr<engine::EventSink> sink);

}  // namespace tidemark::actors
