// Stories of the replication machines as text:
// builders with sane defaults, and effects one per line.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/receiver.hpp"
#include "engine/sender.hpp"

namespace tidemark::engine::replication {

inline VolumeId volume() { return make_uuid(0x10, 0x20); }
inline NodeId node(std::uint64_t n) { return {fmt::format("node{}", n), make_uuid(0, n)}; }

/// The log of one primary: an epoch record, then writes of one block each.
class TestLog {
 public:
  explicit TestLog(Lsn end = {}, Digest digest = {}) : builder_(VolumeKey(volume()), end, digest) {}

  RecordPtr epoch(std::uint64_t epoch, std::uint64_t nonce, Mode mode = Mode::sync_all,
                  std::uint8_t marks = 0) {
    epoch_ = Epoch(epoch);
    EpochBody body;
    body.nonce = nonce;
    body.primary = ReplicaId(1);
    body.incarnation = Incarnation(1);
    body.mode = mode;
    body.marks = marks;
    body.members = {ReplicaId(1), ReplicaId(2)};
    return keep(builder_.epoch(epoch_, body, {}));
  }
  RecordPtr write(std::uint64_t block, std::uint8_t fill) {
    Buffer content(block_bytes);
    std::memset(content.data(), fill, content.size());
    return keep(builder_.write(epoch_, {BlockIndex(block), 1}, std::move(content).freeze(), {}));
  }
  RecordPtr configure(const Configuration& next, BlockRange cut) {
    return keep(builder_.configure(epoch_, next, cut, {}));
  }
  /// Writes until the log ends at `end`.
  void grow_to(std::uint64_t end) {
    while (builder_.end() < Lsn(end)) {
      const auto lsn = builder_.end().next().value;
      write(lsn % 8, static_cast<std::uint8_t>(lsn));  // Equal LSNs, equal content.
    }
  }
  void truncate(Lsn end) {
    while (!records_.empty() && records_.back()->lsn() > end) records_.pop_back();
    history_.truncate(end);
    builder_ = RecordBuilder(VolumeKey(volume()), end, digest(end));
  }

  Lsn end() const { return builder_.end(); }
  Digest digest(Lsn lsn) const { return lsn ? at(lsn)->header().digest : Digest{}; }
  const RecordPtr& at(Lsn lsn) const { return records_.at(lsn.value - 1); }
  const EpochHistory& history() const { return history_; }
  /// [from, to], both included.
  RecordBatch batch(std::uint64_t from, std::uint64_t to) const {
    auto records = std::make_shared<std::vector<RecordPtr>>();
    for (auto lsn = from; lsn <= to; ++lsn) records->push_back(at(Lsn(lsn)));
    return records;
  }

 private:
  RecordPtr keep(RecordPtr record) {
    records_.push_back(record);
    if (record->header().kind == RecordKind::epoch) {
      const auto body = decode_epoch(record->inline_body());
      history_.begin({record->header().epoch, body->nonce, record->lsn(), body->marks, body->mode});
    }
    return record;
  }

  RecordBuilder builder_;
  Epoch epoch_;
  EpochHistory history_;
  std::vector<RecordPtr> records_;
};

/// Replica 1 on node 1 is primary, replica 2 on node 2 is not.
inline Assignment assignment(std::uint64_t epoch = 1, std::uint64_t version = 1,
                             std::uint64_t self = 1) {
  Assignment a;
  a.spec.id = volume();
  a.spec.name = "v";
  a.spec.size_bytes = 8 * block_bytes;
  a.epoch = Epoch(epoch);
  a.nonce = epoch * 11;
  a.version = Version(version);
  a.self = ReplicaId(self);
  a.role = self == 1 ? Role::primary : Role::replica;
  a.primary = ReplicaId(1);
  a.primary_incarnation = Incarnation(1);
  for (std::uint64_t n = 1; n <= 2; ++n) {
    a.members.push_back({ReplicaId(n), node(n), fmt::format("host{}:1", n), ""});
    a.in_sync.push_back({ReplicaId(n), Incarnation(1)});
  }
  return a;
}

// --- rendering -----------------------------------------------------------------------------------

inline std::string ranges(const std::vector<BlockRange>& list) {
  std::string text;
  for (const auto& range : list) text += (text.empty() ? "" : " ") + fmt::format("{}", range);
  return text;
}

struct MessageText {
  std::string operator()(const Probe&) const { return "probe"; }
  std::string operator()(const Facts& m) const {
    return fmt::format(
        "facts received={} durable={} checkpoint={} committed={} promised={} base={}", m.received,
        m.durable, m.checkpoint, m.committed, m.promised, to_string(m.base));
  }
  std::string operator()(const AskDigest& m) const { return fmt::format("ask_digest {}", m.lsn); }
  std::string operator()(const DigestIs& m) const {
    return fmt::format("digest_is {} {}", m.lsn, m.digest ? "known" : "unknown");
  }
  std::string operator()(const AskDigests& m) const { return "ask_digests " + lsns(m.lsns); }
  std::string operator()(const Digests& m) const {
    std::vector<Lsn> at;
    for (const auto& point : m.points) at.push_back(point.lsn);
    return fmt::format("digests {} touched_from={}", lsns(at), m.touched_from);
  }
  static std::string lsns(const std::vector<Lsn>& list) {
    return fmt::format("{}..{} ({})", list.empty() ? Lsn() : list.front(),
                       list.empty() ? Lsn() : list.back(), list.size());
  }
  std::string operator()(const StartSession& m) const {
    const bool rebuild = m.kind == SessionKind::rebuild;
    return fmt::format("start_session {}{} from={} target={}{}", to_string(m.kind),
                       rebuild ? fmt::format(" {}", to_string(m.scope)) : "", m.common_point,
                       m.target, m.parts_at ? fmt::format(" parts_at={}", *m.parts_at) : "");
  }
  std::string operator()(const Touched& m) const {
    return fmt::format("touched {}{}", ranges(m.ranges), m.last ? " last" : "");
  }
  std::string operator()(const SessionReady& m) const {
    return fmt::format("session_ready {}{}", m.next,
                       m.missing_blocks ? fmt::format(" missing={}", m.missing_blocks) : "");
  }
  std::string operator()(const Records& m) const {
    return fmt::format("records {}..{} committed={}{}", m.records.front()->lsn(),
                       m.records.back()->lsn(), m.committed, m.receipt_wanted ? "" : " no_receipt");
  }
  std::string operator()(const Progress& m) const {
    return fmt::format("progress committed={}", m.committed);
  }
  std::string operator()(const Ack& m) const {
    return fmt::format("ack received={} durable={}{}", m.received, m.durable,
                       m.wal_free_bytes == 0 ? " full" : "");
  }
  std::string operator()(const Barrier& m) const { return fmt::format("barrier {}", m.lsn); }
  std::string operator()(const BarrierReached& m) const {
    return fmt::format("barrier_reached {}", m.lsn);
  }
  std::string operator()(const AskBlock& m) const {
    return fmt::format("ask_block {} at={}", m.block, m.at);
  }
  std::string operator()(const BlockIs& m) const {
    return fmt::format("block_is {} {} checkpoint={} flush={}", m.copy.block,
                       to_string(m.copy.state), m.copy.checkpoint, m.copy.flush_lsn);
  }
  std::string operator()(const BaseBlocks& m) const {
    return fmt::format("base_blocks {}", m.range);
  }
  std::string operator()(const BaseZeroes& m) const {
    return fmt::format("base_zeroes {}", m.range);
  }
  std::string operator()(const AskBase& m) const {
    return fmt::format("ask_base {}", ranges(m.ranges));
  }
  std::string operator()(const BaseWhole& m) const {
    return fmt::format("base_whole flush={}", m.flush_lsn);
  }
  std::string operator()(const AskBaseSums& m) const {
    return fmt::format("ask_base_sums at={} of {} groups of {}", m.at, m.groups.size(),
                       m.group_blocks);
  }
  std::string operator()(const BaseSums& m) const {
    return fmt::format("base_sums at={} of {} groups{}", m.lsn, m.sums.size(),
                       m.problem.empty() ? "" : ": " + m.problem);
  }
  std::string operator()(const Refused& m) const {
    return fmt::format("refused {}: {}", to_string(m.code), m.text);
  }
  template <class Other>
  std::string operator()(const Other& m) const {
    return std::string(name(Message(m)));
  }
};

inline std::string render(const Message& message) { return std::visit(MessageText{}, message); }

/// One line per effect; events of level debug and those that only number things are left out.
inline std::string render(const outflow::SenderEffects& effects) {
  namespace of = outflow;
  std::string text;
  struct Visitor {
    std::string operator()(const of::Connect& e) const {
      return fmt::format("connect {} #{} {} epoch={}", to_string(e.lane), e.link, e.endpoint,
                         e.hello.epoch);
    }
    std::string operator()(const of::CloseLink& e) const {
      return fmt::format("close {} #{}", to_string(e.lane), e.link);
    }
    std::string operator()(const of::SendMessage& e) const {
      return fmt::format("send {}{}", e.lane == Lane::bulk ? "bulk " : "",
                         replication::render(e.message));
    }
    std::string operator()(const of::ReadOwnFacts&) const { return "read_own_facts"; }
    std::string operator()(const of::ReadOwnDigest& e) const {
      return fmt::format("read_own_digest {}", e.lsn);
    }
    std::string operator()(const of::ReadOwnDigests& e) const {
      return "read_own_digests " + MessageText::lsns(e.lsns);
    }
    std::string operator()(const of::FindTouched& e) const {
      return fmt::format("find_touched {}", e.at);
    }
    std::string operator()(const of::ReadTouched& e) const {
      return fmt::format("read_touched {} from {}", e.behind, e.from);
    }
    std::string operator()(const of::Pin& e) const { return fmt::format("pin {}", e.from); }
    std::string operator()(const of::Unpin&) const { return "unpin"; }
    std::string operator()(const of::ReadRecords& e) const {
      return fmt::format("read_records {}..{}", e.from, e.to);
    }
    std::string operator()(const of::ReadBaseRun& e) const {
      const bool part = e.blocks_max < std::min<std::uint64_t>(e.range.count, base_blocks_max);
      return fmt::format("read_base {}{}", e.range,
                         part ? fmt::format(" at most {}", e.blocks_max) : "");
    }
    std::string operator()(const of::ReadGroupSums& e) const {
      return fmt::format("read_group_sums at={} of {} groups", e.question.at,
                         e.question.groups.size());
    }
    std::string operator()(const of::AskPace& e) const {
      return fmt::format("ask_pace {}", e.bytes);
    }
    std::string operator()(const of::TellPaceUsed& e) const {
      return fmt::format("pace_used {} of {}", e.used, e.granted);
    }
    std::string operator()(const of::LeavePace&) const { return "leave_pace"; }
    std::string operator()(const of::ReadCopy& e) const {
      return fmt::format("read_copy {} at={}", e.block, e.at);
    }
    std::string operator()(const of::AnswerBlock& e) const {
      if (!e.copy) return fmt::format("answer_block: {}", e.copy.error().text);
      return fmt::format("answer_block {} {}", e.copy->block, to_string(e.copy->state));
    }
    std::string operator()(const of::ReportPeer& e) const {
      return fmt::format("report {} proved={} received={} durable={}{}", to_string(e.state),
                         e.proved, e.received, e.durable,
                         e.promised ? fmt::format(" promised={}", e.promised) : "");
    }
    std::string operator()(const of::Log& e) const {
      if (e.event.name == "peer_state_changed") {
        return fmt::format("state {} -> {}", e.event.fields.at(1).second,
                           e.event.fields.at(2).second);
      }
      if (e.event.name == "session_ended") return "session_ended " + e.event.fields.at(2).second;
      return e.event.level == Level::debug ? "" : e.event.name;
    }
  };
  for (const auto& effect : effects) {
    const auto line = std::visit(Visitor{}, effect);
    if (!line.empty()) text += line + "\n";
  }
  return text;
}

inline std::string render(const inflow::ReceiverEffects& effects) {
  namespace in = inflow;
  std::string text;
  struct Visitor {
    std::string operator()(const in::AcceptLink& e) const {
      return fmt::format("accept #{}", e.link);
    }
    std::string operator()(const in::RefuseLink& e) const {
      return fmt::format(
          "refuse #{} {}: {}{}", e.link, to_string(e.refused.code), e.refused.text,
          e.refused.promised ? fmt::format(" (promised {})", e.refused.promised) : "");
    }
    std::string operator()(const in::Answer& e) const {
      return fmt::format("answer #{} {}", e.link, replication::render(e.message));
    }
    std::string operator()(const in::AppendToLog& e) const {
      return fmt::format("append {}..{} committed={}", e.batch->front()->lsn(),
                         e.batch->back()->lsn(), e.committed);
    }
    std::string operator()(const in::TellCommitted& e) const {
      return fmt::format("committed {}", e.committed);
    }
    std::string operator()(const in::ReadDigest& e) const {
      return fmt::format("read_digest {}", e.lsn);
    }
    std::string operator()(const in::ReadDigests& e) const {
      return "read_digests " + MessageText::lsns(e.lsns);
    }
    std::string operator()(const in::TruncateTo& e) const {
      return fmt::format("truncate {}", e.to);
    }
    std::string operator()(const in::NoteTouched& e) const {
      return fmt::format("note_touched {}{}", ranges(e.ranges), e.first ? " first" : "");
    }
    std::string operator()(const in::BeginBase& e) const {
      return fmt::format(
          "begin_base {} {}{}", to_string(e.scope), e.log.base,
          e.log.own_past ? fmt::format(" parts_at={}", e.log.own_past->parts_at) : "");
    }
    std::string operator()(const in::PrepareComparison&) const { return "prepare_comparison"; }
    std::string operator()(const in::CompareBase& e) const {
      return fmt::format("compare_base at={} of {} sums", e.lsn, e.sums.size());
    }
    std::string operator()(const in::ReleaseComparison&) const { return "release_comparison"; }
    std::string operator()(const in::FindMissing& e) const {
      return fmt::format("find_missing {} max={}", e.from, e.blocks_max);
    }
    std::string operator()(const in::WriteBaseRun& e) const {
      return fmt::format("write_base {}{}", e.range, e.sums.empty() ? " zeros" : "");
    }
    std::string operator()(const in::FinishBase& e) const {
      return fmt::format("finish_base {}", e.at);
    }
    std::string operator()(const in::ReadCopy& e) const {
      return fmt::format("read_copy {} at={}", e.block, e.at);
    }
    std::string operator()(const in::RepairBlock& e) const {
      return fmt::format("repair {} at={}", e.copy.block, e.at);
    }
    std::string operator()(const in::GiveUpBlock& e) const {
      return fmt::format("give_up {}", e.block);
    }
    std::string operator()(const in::AnswerFence& e) const {
      return e.status ? "answer_fence" : "answer_fence " + e.status.error().text;
    }
    std::string operator()(const in::AnswerStop& e) const {
      return fmt::format("answer_stop {}", e.committed);
    }
    std::string operator()(const in::EndRole& e) const { return "end_role " + e.reason; }
    std::string operator()(const in::Log&) const { return ""; }
  };
  for (const auto& effect : effects) {
    const auto line = std::visit(Visitor{}, effect);
    if (!line.empty()) text += line + "\n";
  }
  return text;
}

}  // namespace tidemark::engine::replication
