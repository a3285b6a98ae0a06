// What Prometheus scrapes: the node's numbers in the text exposition format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Names end in their unit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actors/interfaces.hpp"
#include "engine/catalog_codec.hpp"
#include "engine/status.hpp"

namespace tidemark::actors {

/// One volume as its node knows it, with what its actors said.
struct LocalView {
  engine::LocalVolume local;
  bool serving = false;
  engine::Epoch promised;
  std::string problem;
  std::optional<engine::StoreStatus> store;
  std::optional<engine::VolumeStatus> volume;
  std::optional<ReceiverStatus> receiver;
};

std::string metrics_text(const engine::NodeId& node, engine::Incarnation incarnation,
                         bool registered, const std::vector<LocalView>& volumes);

}  // namespace tidemark::actors
