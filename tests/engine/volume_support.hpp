// A volume machine of three copies with verbs for its world. Time stands unless a test moves it.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/volume.hpp"

namespace tidemark::engine {

inline constexpr std::uint64_t test_blocks = 64;

inline Assignment volume_assignment() {
  Assignment a;
  a.spec.id = make_uuid(1, 2);
  a.spec.name = "vol";
  a.spec.size_bytes = test_blocks * block_bytes;
  a.epoch = Epoch(5);
  a.nonce = 77;
  a.version = Version(7);
  a.self = a.primary = ReplicaId(1);
  a.primary_incarnation = Incarnation(10);
  a.role = Role::primary;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    Member member;
    member.replica = ReplicaId(id);
    member.node.name = fmt::format("node{}", id);
    a.members.push_back(member);
    a.in_sync.push_back({ReplicaId(id), Incarnation(10 * id)});
  }
  return a;
}

inline OpenedLog opened_log() {
  OpenedLog log;
  log.chunk_bytes_max = chunk_bytes_max(segment_bytes_min);
  log.wal_free_bytes = 1u << 30;
  return log;
}

/// `bytes` at `offset`, all `fill`, in a buffer of whole blocks whose rest is rubbish.
inline FrontRequest write_request(std::uint64_t cookie, std::uint64_t offset, std::uint64_t length,
                                  char fill = 'w', bool fua = false) {
  FrontRequest r;
  r.cookie = cookie;
  r.op = FrontOp::write;
  r.offset = offset;
  r.length = length;
  r.fua = fua;
  const auto first = offset / block_bytes * block_bytes;
  const auto end = (offset + length + block_bytes - 1) / block_bytes * block_bytes;
  r.data = Buffer(end - first);
  std::memset(r.data.data(), 0xEE, r.data.size());
  std::memset(r.data.data() + (offset - first), fill, length);
  return r;
}

inline FrontRequest request(std::uint64_t cookie, FrontOp op, std::uint64_t offset = 0,
                            std::uint64_t length = 0) {
  FrontRequest r;
  r.cookie = cookie;
  r.op = op;
  r.offset = offset;
  r.length = length;
  return r;
}

inline FrontReply::Piece piece_of(char fill, std::size_t bytes = block_bytes) {
  auto buffer = Buffer(bytes);
  std::memset(buffer.data(), fill, bytes);
  FrontReply::Piece piece;
  piece.data = std::move(buffer).freeze();
  return piece;
}

/// `render` without the log lines, which have tests of their own.
inline std::string quiet(const VolumeEffects& effects) {
  std::string text;
  for (const auto& effect : effects) {
    if (!std::holds_alternative<Log>(effect)) text += render(effect) + "\n";
  }
  return text;
}

struct VolumeStory {
  explicit VolumeStory(Assignment a = volume_assignment(), OpenedLog log = opened_log(),
                       VolumeLimits limits = {})
      : volume(limits), assignment(std::move(a)) {
    opened = volume.on(RoleOpened{assignment, std::move(log), {42, Incarnation(10)}, at});
  }

  /// The epoch record is everywhere: the volume serves.
  VolumeStory& serve() {
    const auto end = volume.head().value;
    peer(2, end, end);
    peer(3, end, end);
    disk(end);
    return *this;
  }

  std::string ask(FrontRequest r, std::uint64_t client = 1) {
    std::vector<FrontRequest> requests;
    requests.push_back(std::move(r));
    return quiet(volume.on(Requested{ClientKey(client), std::move(requests), at}));
  }
  std::string disk(std::uint64_t durable, std::uint64_t free = 1u << 30) {
    return quiet(volume.on(StoreAdvanced{Lsn(durable), free, at}));
  }
  std::string peer(std::uint64_t replica, std::uint64_t received, std::uint64_t durable,
                   std::uint64_t incarnation = 0) {
    PeerSeen seen;
    seen.replica = ReplicaId(replica);
    seen.incarnation = Incarnation(incarnation == 0 ? 10 * replica : incarnation);
    seen.state = PeerState::streaming;
    seen.proved = true;
    seen.received = Lsn(received);
    seen.durable = Lsn(durable);
    seen.wal_free_bytes = 1u << 30;
    return quiet(volume.on(PeerReported{seen, at}));
  }
  std::string closes(std::uint64_t replica) {
    PeerSeen seen;
    seen.replica = ReplicaId(replica);
    seen.incarnation = Incarnation(10 * replica);
    seen.wal_free_bytes = 1u << 30;
    return quiet(volume.on(PeerReported{seen, at}));
  }
  std::string arrives(std::uint64_t id, std::vector<FrontReply::Piece> pieces) {
    return quiet(volume.on(BlocksArrived{ReadId(id), std::move(pieces), at}));
  }
  std::string arrives(std::uint64_t id, char fill, std::size_t bytes = block_bytes) {
    std::vector<FrontReply::Piece> pieces;
    pieces.push_back(piece_of(fill, bytes));
    return arrives(id, std::move(pieces));
  }
  std::string tick(std::uint64_t milliseconds) {
    at.now = at.now + milliseconds * millisecond;
    at.wall = at.wall + milliseconds * millisecond;
    return quiet(volume.on(Ticked{at}));
  }
  std::string decide(std::uint64_t version, std::initializer_list<std::uint64_t> set) {
    SetDecided d;
    d.volume = assignment.spec.id;
    d.accepted = true;
    d.epoch = assignment.epoch;
    d.version = Version(version);
    for (const auto id : set) d.in_sync.push_back({ReplicaId(id), Incarnation(10 * id)});
    return quiet(volume.on(SetAnswerArrived{d, at}));
  }
  VolumeStatus status() { return volume.status({}, at.now); }

  Moment at{MonoTime(1000 * millisecond), WallTime(1'700'000'000 * second)};
  VolumeMachine volume;
  Assignment assignment;
  VolumeEffects opened;
};

}  // namespace tidemark::engine
