// The messages that carry blocks: the heads of two have a part whose size depends on what they
// carry, and their bodies are verified block by block. Private to the codec.
#pragma once

#include <type_traits>

#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "transport/replication/codec.hpp"

namespace tidemark::transport {

/// `<name>: <flaw>` as Errc::invalid.
engine::Error malformed(std::string_view name, std::string_view flaw);

void put_bulk(const engine::Records& records, Frame& frame);
void put_bulk(const engine::BaseBlocks& blocks, Frame& frame);
void put_bulk(const engine::BlockIs& block, Frame& frame);

engine::Result<engine::Message> get_bulk(std::type_identity<engine::Records>,
                                         std::span<const std::byte> head, engine::Slice body,
                                         std::optional<engine::VolumeKey> volume);
engine::Result<engine::Message> get_bulk(std::type_identity<engine::BaseBlocks>,
                                         std::span<const std::byte> head, engine::Slice body,
                                         std::optional<engine::VolumeKey> volume);
engine::Result<engine::Message> get_bulk(std::type_identity<engine::BlockIs>,
                                         std::span<const std::byte> head, engine::Slice body,
                                         std::optional<engine::VolumeKey> volume);

}  // namespace tidemark::transport
