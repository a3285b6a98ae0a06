// One operator's request at the control plane. Private to control_*.cpp.
// Copyable: what must wait for nodes keeps a copy.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/control_shell.hpp"

namespace tidemark::actors {

/// The last event that a reader saw of one source's log.
struct EventPlace {
  std::uint64_t incarnation = 0;  ///< Of the log; 0: whichever there is.
  std::uint64_t sequence = 0;
};
using EventPlaces = std::map<std::string, EventPlace>;  ///< By source.

struct ControlAdmin {
  ControlAdmin(ControlShell& control, engine::AdminAsk asked, AdminAnswer done);
  /// Finds the path's function; an unknown one is a 404 that names it.
  void route();

  void status();
  void nodes();
  void volumes();
  void volume();
  void events();
  void events_since();
  void gather_events(const EventPlaces& since, engine::MonoTime deadline);
  void preview();
  void create();
  void remove();
  void promote();
  void replicas();
  void resize();
  void configure();
  void readmit();
  void compare();
  void scrub();

  void when_settled(const engine::VolumeId& id, std::uint16_t status);
  void when_serving(const engine::VolumeId& id, std::uint16_t status, engine::MonoTime deadline);
  /// The volume with what its nodes say of it.
  void status_of(const engine::VolumeId& id, std::uint16_t status);

  ControlShell& shell;
  engine::AdminAsk ask;
  std::vector<std::string> parts;
  AdminAnswer answer;
};

}  // namespace tidemark::actors
