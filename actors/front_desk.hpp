// Where front ends find the volumes that this node serves. The node actor adds and removes; the NBD
// server (or a simulated client) opens. Lives on the loop.
//
//   front end ──open──► FrontPort ──Submit──► Volume
//       ▲                  │ owns
//       └── on_replies ── line ◄── the volume holds it weakly: a dropped port is a forgotten client
#pragma once

#include <functional>
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

  // A name may be given to a new volume while the old one is still being deleted: each call is
  // about the volume `id`, and what stands there for another of that name is left alone.

  /// This node serves `info.name` from now on. Clients of an earlier volume of that name are cut.
  void add(engine::ExportInfo info, const engine::VolumeId& id, Volume volume);
  /// It ends elsewhere now: told to who opens it from here on, and to who asks again.
  void resize(const std::string& name, const engine::VolumeId& id, std::uint64_t size_bytes);
  /// It does no longer: its clients are cut with `reason`, those that asked nothing yet included.
  void remove(const std::string& name, const engine::VolumeId& id,
              const std::string& reason = "no longer served here");
  /// Another node serves it, or nobody does: what open() then says. Its clients here are cut.
  void elsewhere(const std::string& name, const engine::VolumeId& id, std::string text);

  /// The node knows its volumes: until then a name that is not here may only not be known yet.
  void ready();
  /// Runs `then` when it is; the desk's door is opened then.
  void when_ready(std::function<void()> then);

  std::vector<engine::ExportInfo> list() const override;
  engine::Result<std::unique_ptr<engine::FrontPort>> open(
      const std::string& name, std::weak_ptr<engine::FrontClient> client) override;

 private:
  class Line;
  class Port;
  struct Served;

  struct Elsewhere {
    engine::VolumeId id;
    std::string text;
  };

  void cut(const std::string& name, const std::string& reason);
  void forget_elsewhere(const std::string& name, const engine::VolumeId& id);
  bool serves(const std::string& name, const engine::VolumeId& id) const;

  std::map<std::string, std::unique_ptr<Served>> served_;
  /// The latest word last. At most one per volume of the name.
  std::map<std::string, std::vector<Elsewhere>> elsewhere_;
  bool ready_ = false;
  std::function<void()> when_ready_;
};

}  // namespace tidemark::actors
