// Where front ends find the volumes that this node serves. The node actor adds and removes; the NBD
// server (or a simulated client) opens. Lives on the loop.
//
//   front end ──open──► FrontPort ──Submit──► Volume
//       ▲                  │ owns
//       └── on_replies ── line ◄── the volume holds it weakly: a dropped port is a forgotten client
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/interfaces.hpp"
#include "engine/front.hpp"

namespace tidemark::actors {

class FrontDesk final : public engine::Exports {
 public:
  FrontDesk();
  ~FrontDesk() override;
  FrontDesk(const FrontDesk&) = delete;
  FrontDesk& operator=(const FrontDesk&) = delete;

  /// This node serves `info.name` from now on. Clients of an earlier volume of that name are cut.
  void add(engine::ExportInfo info, Volume volume);
  /// It does no longer: its clients are cut with `reason`, those that asked nothing yet included.
  void remove(const std::string& name, const std::string& reason = "no longer served here");
  /// Another node serves `name`, or nobody does: what open() then says.
  /// Clients of a volume here are cut.
  void elsewhere(const std::string& name, std::string text);

  std::vector<engine::ExportInfo> list() const override;
  engine::Result<std::unique_ptr<engine::FrontPort>> open(
      const std::string& name, std::weak_ptr<engine::FrontClient> client) override;

 private:
  class Line;
  class Port;
  struct Served;

  void cut(const std::string& name, const std::string& reason);

  std::map<std::string, std::unique_ptr<Served>> served_;
  std::map<std::string, std::string> elsewhere_;
};

}  // namespace tidemark::actors
