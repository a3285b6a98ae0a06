// The control plane with three nodes and a volume that all have taken.
#pragma once

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "tests/actors/control_world.hpp"

namespace tidemark::actors {

inline const std::string wish = R"({"name":"v","size_bytes":1048576})";

/// What a node says of a volume that it serves.
inline std::string serving(const engine::VolumeId& id) {
  return fmt::format(R"({{"volumes":[{{"id":"{}","status":{{"serving":true}}}}]}})",
                     engine::to_string(id));
}

/// Three nodes and a volume that all have taken.
struct WithVolume : ControlWorld {
  WithVolume() : links(three_nodes()) {
    const auto made = ask(control, "POST", "/v1/volumes", wish);
    sync();
    for (const auto& link : links) take(link);
    id = links[0]->last<engine::Assign>()->assignment.spec.id;
    for (const auto& link : links) reply(link, 200, serving(id));
    BOOST_REQUIRE(made->has_value());
    BOOST_TEST((*made)->status == 201);
    for (const auto& link : links) link->heard();
  }
  std::vector<ManualLinkPtr> links;
  engine::VolumeId id;
};

}  // namespace tidemark::actors
