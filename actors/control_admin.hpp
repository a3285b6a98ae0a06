// One operator's request at the control plane. Private to control_*.cpp.
// Copyable: what must wait for nodes keeps a copy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "actors/control_shell.hpp"

namespace tidemark::actors {

struct ControlAdmin {
  ControlAdmin(ControlShell& control, engine::AdminAsk asked, AdminAnswer done);
  /// Finds the path's function; an unknown one is a 404 that names it.
  void route();

  void status();
  void nodes();
  void volumes();
  void volume();
  void events();
  void create();
  void remove();
  void promote();
  void replicas();
  void resize();
  void readmit();
  void compare();

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
