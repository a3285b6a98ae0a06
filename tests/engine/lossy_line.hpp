// A sender and a receiver machine talk over a lossy line: cuts at random moments, records numbered
// meanwhile, the replica's memory lost in a crash, the primary's log diverging under a new reign, a
// log that is pruned away. Long because it is one world with two nodes and a line.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/receiver.hpp"
#include "engine/sender.hpp"
#include "tests/engine/lossy_disk.hpp"
#include "tests/engine/replication_support.hpp"

namespace tidemark::engine::lossy {

using replication::assignment;
using replication::node;
using replication::TestLog;
using replication::volume;

/// How often the seeds went through what this test is about.
struct Seen {
  std::uint64_t truncations = 0, resets = 0, deltas = 0, rests = 0, rebuilds = 0,
                skipped_base_blocks = 0, kept_blocks = 0, cuts = 0, reigns = 0, forced = 0,
                forked_deltas = 0, forked_resets = 0, comparisons = 0, unequal = 0;
};

class World {
 public:
  World(std::uint64_t seed, Seen& seen) : seen_(seen), random_(seed) {
    log_.epoch(1, nonce_);
    log_.grow_to(1 + random_.below(30));
    start_sender();
    start_receiver();
  }

  void run(std::uint64_t steps, bool faults) {
    for (std::uint64_t i = 0; i < steps; ++i) {
      if (faults && random_.below(200) == 0) fault();
      if (faults && random_.below(50) == 0) number();
      step();
    }
  }
  /// Without faults and without new records: everything that is in flight arrives.
  bool settle() {
    for (int i = 0; i < 20'000; ++i) {
      if (in_line() && to_sender_.empty() && to_receiver_.empty()) return true;
      step();
    }
    return false;
  }

  bool in_line() const {
    return sender_->state() == PeerState::streaming && disk_.end() == log_.end() &&
           disk_.durable == log_.end();
  }
  const TestLog& log() const { return log_; }
  const ReplicaDisk& disk() const { return disk_; }
  std::string trouble() const { return trouble_; }
  std::string status() const {
    const auto s = sender_->status(now_);
    return fmt::format("sender {} ({}), outcome {}, receiver {} ({}), head {} replica {}/{}",
                       to_string(s.state), s.reason, s.outcome,
                       inflow::to_string(receiver_->state()), receiver_->reason(), log_.end(),
                       disk_.end(), disk_.durable);
  }
  /// The primary's content of a block.
  Lsn content(std::uint64_t b) const {
    Lsn lsn;
    for (Lsn l(1); l <= log_.end(); l = l.next()) {
      const auto& h = log_.at(l)->header();
      if (h.kind == RecordKind::write && h.range.contains(BlockIndex(b))) lsn = l;
    }
    return lsn;
  }

 private:
  struct Letter {
    Lane lane;
    Message message;
  };

  // --- the primary's node ---
  void start_sender() {
    outflow::SenderConfig config;
    config.node = node(1);
    config.incarnation = Incarnation(1);
    config.assignment = assignment(epoch_);
    config.peer = ReplicaId(2);
    config.head = log_.end();
    config.committed = committed_;
    config.history = log_.history();
    config.credit_bytes = 4096 * (1 + random_.below(20));
    config.paced = true;
    sender_.emplace(std::move(config));
    tell(outflow::Started{});
  }

  template <class Event>
  void tell(const Event& event) {
    auto effects = sender_->on(event, {now_, random_.next()});
    for (auto& effect : effects) {
      std::visit([&](auto& e) { this->perform(e); }, effect);
    }
  }
  /// Answers of the store come later, in their order.
  template <class Event>
  void later(Event event) {
    primary_store_.push_back([this, event] { tell(event); });
  }

  // Nothing is damaged in this world.
  void perform(outflow::ReadCopy&) {}
  void perform(outflow::AnswerBlock&) {}
  void perform(inflow::ReadCopy&) {}
  void perform(inflow::RepairBlock&) {}
  void perform(inflow::GiveUpBlock&) {}
  void perform(outflow::Connect& e) {
    wanted_[static_cast<int>(e.lane)] = e.link;
    connecting_.push_back(e);
  }
  void perform(outflow::CloseLink& e) {
    if (wanted_[static_cast<int>(e.lane)] == e.link) wanted_[static_cast<int>(e.lane)] = 0;
    cut(e.lane, e.link, false, true);
  }
  void perform(outflow::SendMessage& e) {
    const auto link = wanted_[static_cast<int>(e.lane)];
    if (lines_.count({e.lane, link}) != 0)
      to_receiver_.push_back({{e.lane, link}, std::move(e.message)});
  }
  void perform(outflow::ReadOwnFacts& e) {
    later(outflow::OwnFactsRead{e.session, retained_, checkpoint_});
  }
  void perform(outflow::ReadOwnDigest& e) {
    later(outflow::OwnDigestRead{e.session, e.lsn, log_.digest(e.lsn)});
  }
  void perform(outflow::ReadOwnDigests& e) {
    outflow::OwnDigestsRead read{e.session, {}, {}};
    for (const auto lsn : e.lsns) read.points.push_back({lsn, log_.digest(lsn)});
    if (random_.below(4) == 0) read.touched_from = log_.end();  // What came before is forgotten.
    later(std::move(read));
  }
  void perform(outflow::Pin& e) {
    ++pins_[e.session.value];
    const bool gone = e.from < retained_;
    later(outflow::LogPinned{e.session,
                             gone ? Status(Error{Errc::out_of_window, "pruned"}) : Status(Done{})});
  }
  void perform(outflow::Unpin& e) {
    if (pins_.erase(e.session.value) == 0) trouble_ += "unpinned twice; ";
  }
  void perform(outflow::ReadRecords& e) {
    if (e.from < retained_)
      return later(outflow::LogRecordsRead{e.session, e.from, Error{Errc::out_of_window, ""}});
    const auto to = std::min(e.to.value, e.from.value + random_.below(6));
    later(outflow::LogRecordsRead{e.session, e.from, log_.batch(e.from.value, to)});
  }
  void perform(outflow::ReadBaseRun& e) {
    // One block of the primary's extents, flushed up to where committed stands now.
    checkpoint_ = std::max(checkpoint_, committed_);
    const auto first = e.range.first;
    BasePiece piece{{first, 1}, {}, {}, Lsn{}};
    for (Lsn l(1); l <= checkpoint_; l = l.next()) {
      const auto& r = log_.at(l);
      if (r->header().kind != RecordKind::write || !r->header().range.contains(first)) continue;
      piece.sums = {l.value};  // Stands for the content: which record it is of.
      piece.data = r->payload();
      piece.flush_lsn = l;
    }
    later(outflow::BaseRunRead{e.session, e.range, piece});
  }
  /// The newest record of block `b` up to `end`.
  Lsn newest_at(std::uint64_t b, Lsn end) const {
    Lsn newest;
    for (Lsn l(1); l <= end; l = l.next()) {
      const auto& r = log_.at(l);
      if (r->header().kind == RecordKind::write && r->header().range.contains(BlockIndex(b)))
        newest = l;
    }
    return newest;
  }
  // Sums of one group stand for the blocks themselves: a sum over them, at where the extents stand.
  void perform(outflow::ReadGroupSums& e) {
    if (e.question.at > committed_) {
      return later(outflow::GroupSumsRead{e.session, Error{Errc::unavailable, "not committed"}});
    }
    checkpoint_ = std::max(checkpoint_, e.question.at);
    std::uint64_t sum = 0;
    for (std::uint64_t b = 0; b < 8; ++b) sum += lossy::sum_of(b, newest_at(b, checkpoint_));
    later(outflow::GroupSumsRead{e.session, GroupSums{checkpoint_, {sum}}});
  }
  void perform(outflow::AskPace& e) {
    if (random_.below(3) == 0) later(outflow::PaceTold{e.session, 0, {}});
    later(outflow::PaceTold{e.session, e.bytes, {}});
  }
  void perform(outflow::TellPaceUsed&) {}
  void perform(outflow::LeavePace&) {}
  void perform(outflow::FindTouched& e) {
    if (random_.below(4) == 0) return later(outflow::TouchedFound{e.session, std::nullopt, {}});
    const auto lsn = Lsn(e.at.value - std::min(e.at.value, random_.below(3)));
    later(outflow::TouchedFound{e.session, lsn, log_.digest(lsn)});
  }
  void perform(outflow::ReadTouched& e) {
    std::vector<BlockRange> ranges;
    for (auto b = e.from.value; b < 8; ++b) {
      bool touched = false;
      for (auto l = e.behind.next(); l <= checkpoint_; l = l.next()) {
        const auto& h = log_.at(l)->header();
        touched = touched || (h.kind == RecordKind::write && h.range.contains(BlockIndex(b)));
      }
      if (touched) ranges.push_back({BlockIndex(b), 1});
    }
    later(outflow::TouchedRead{e.session, std::move(ranges)});
  }
  void perform(outflow::ReportPeer& e) {
    if (!e.proved) return;
    // What the commit rule would count must be on the replica's disk now or have been,
    // and be the primary's.
    if (e.durable > disk_.durable)
      trouble_ += fmt::format("reported durable {} of {}; ", e.durable, disk_.durable);
    committed_ = std::max(committed_, std::min(e.durable, log_.end()));
    tell(outflow::RecordsAdded{nullptr, committed_});
  }
  void perform(outflow::Log&) {}

  // --- the replica's node ---
  void start_receiver() {
    inflow::ReceiverConfig config;
    config.assignment = assignment(epoch_, 1, 2);
    config.incarnation = Incarnation(++replica_incarnation_);
    config.promised = Epoch(epoch_);
    auto& n = config.numbers;
    n.received = n.durable = disk_.end();
    n.digest = n.durable_digest = disk_.digest(disk_.end());
    n.checkpoint = disk_.checkpoint;
    n.retained = disk_.base_lsn.next();
    n.committed = disk_.committed;
    n.history = disk_.history();
    n.base = disk_.base;
    if (disk_.base == BaseState::incomplete) n.rebuild = disk_.progress;
    n.wal_free_bytes = 1ull << 30;
    receiver_.emplace(std::move(config));
  }
  template <class Event>
  void tell_receiver(Event event) {
    auto effects = receiver_->on(std::move(event));
    for (auto& effect : effects) {
      std::visit([&](auto& e) { this->perform(e); }, effect);
    }
  }
  template <class Event>
  void store_later(Event event, std::function<void()> work) {
    replica_store_.push_back([this, event, work] {
      work();
      tell_receiver(event);
    });
  }

  void perform(inflow::AcceptLink& e) {
    const auto line = incoming_.at(e.link);
    lines_.insert({line, e.link});
    opened_.push_back(line);
  }
  void perform(inflow::RefuseLink& e) {
    for (const auto& [line, number] : lines_) {
      if (number == e.link) return cut(line.first, line.second, true, false);
    }
    if (const auto found = incoming_.find(e.link); found != incoming_.end()) {
      failed_.push_back(found->second);
    }
  }
  void perform(inflow::Answer& e) {
    for (const auto& [line, number] : lines_) {
      if (number == e.link) return to_sender_.push_back({line, std::move(e.message)});
    }
  }
  void perform(inflow::AppendToLog& e) {
    for (const auto& r : *e.batch) {
      if (r->lsn() != disk_.end().next())
        trouble_ += fmt::format("append {} behind {}; ", r->lsn(), disk_.end());
      disk_.log.push_back(r);
    }
    disk_.committed = std::max(disk_.committed, e.committed);
  }
  void perform(inflow::TellCommitted& e) {
    disk_.committed = std::max(disk_.committed, e.committed);
  }
  void perform(inflow::ReadDigest& e) {
    const auto digest = disk_.known_digest(e.lsn);
    store_later(inflow::DigestRead{e.link, e.session, e.lsn, digest}, [] {});
  }
  void perform(inflow::ReadDigests& e) {
    inflow::DigestsRead read{e.link, e.session, disk_.base_lsn, {}};
    for (const auto lsn : e.lsns) {
      if (const auto digest = disk_.known_digest(lsn)) read.points.push_back({lsn, *digest});
    }
    store_later(std::move(read), [] {});
  }
  void perform(inflow::TruncateTo& e) {
    ++seen_.truncations;
    if (e.to < disk_.committed) trouble_ += "committed records cut; ";
    for (std::uint64_t b = 0; b < 8; ++b) {
      // What was copied may be of any moment up to the barrier.
      const bool flushed = disk_.base == BaseState::complete && disk_.extents[b] > e.to;
      if (flushed) trouble_ += "flushed records cut; ";
    }
    store_later(inflow::StoreStepEnded{Done{}}, [this, to = e.to] {
      disk_.log.resize(to - disk_.base_lsn);
      disk_.durable = to;
    });
  }
  void perform(inflow::NoteTouched& e) {
    if (e.first) noted_.assign(8, false);
    for (const auto& range : e.ranges) noted_[range.first.value] = true;
  }
  void perform(inflow::BeginBase& e) {
    if (e.scope == BaseScope::rest) ++seen_.rests;
    if (e.scope == BaseScope::touched) ++seen_.deltas;
    if (e.scope == BaseScope::all) ++seen_.resets;
    if (e.log.own_past) ++(e.scope == BaseScope::all ? seen_.forked_resets : seen_.forked_deltas);
    replica_store_.push_back([this, begin = e] {
      seen_.kept_blocks += disk_.begin_base(begin, noted_);
      tell_receiver(inflow::BaseBegun{disk_.progress});
    });
  }
  void perform(inflow::FindMissing& e) {
    replica_store_.push_back([this, e] {
      tell_receiver(inflow::MissingFound{e.session, disk_.find_missing(e.from), {}});
    });
  }
  void perform(inflow::PrepareComparison& e) {
    replica_store_.push_back([this, session = e.session] {
      const auto at = std::max({disk_.checkpoint, disk_.committed, disk_.progress.flush_lsn});
      tell_receiver(inflow::ComparisonPrepared{session, BaseQuestion{at, 1024, {0}}});
    });
  }
  void perform(inflow::CompareBase& e) {
    replica_store_.push_back([this, e] {
      std::vector<BlockRange> unequal;
      std::uint64_t sum = 0;
      // It has not heard of all that yet; or, as nobody holds this world's flusher, it went on.
      if (disk_.end() < e.lsn || disk_.checkpoint > e.lsn) {
        const Error again{Errc::refused, "the extents are of another moment"};
        return tell_receiver(inflow::BaseCompared{e.session, again});
      }
      for (std::uint64_t b = 0; b < 8; ++b) {
        sum += lossy::sum_of(b, disk_.flushed_up_to(b, e.lsn));
      }
      ++seen_.comparisons;
      if (sum != e.sums.at(0)) {
        ++seen_.unequal;
        trouble_ += fmt::format("unequal at {}; ", e.lsn);
        unequal.push_back({BlockIndex(), 8});
        disk_.missing.assign(8, true);
      }
      tell_receiver(inflow::BaseCompared{e.session, std::move(unequal)});
    });
  }
  void perform(inflow::ReleaseComparison&) {}
  void perform(inflow::WriteBaseRun& e) {
    store_later(inflow::BaseRunWritten{Done{}},
                [this, run = e] { seen_.skipped_base_blocks += disk_.copy(run); });
  }
  void perform(inflow::FinishBase& e) {
    if (disk_.durable < e.at) trouble_ += "rebuild finished before its barrier was durable; ";
    store_later(inflow::StoreStepEnded{Done{}}, [this] {
      if (!disk_.find_missing({}).empty()) trouble_ += "finished with blocks missing; ";
      disk_.base = BaseState::complete;
      disk_.progress = {};
      disk_.missing.assign(8, false);
      disk_.unsaved.assign(8, false);
      ++seen_.rebuilds;
    });
  }
  void perform(inflow::AnswerFence&) {}
  void perform(inflow::AnswerStop&) {}
  void perform(inflow::EndRole&) { trouble_ += "the role ended; "; }
  void perform(inflow::Log&) {}

  // --- the line between them ---
  using Line = std::pair<Lane, LinkNumber>;

  /// The line is gone; each side that did not end it itself hears of it later,
  /// if at all in this run's order.
  void cut(Lane lane, LinkNumber link, bool tell_primary, bool tell_replica) {
    const auto found = lines_.find({lane, link});
    if (found == lines_.end()) return;
    const auto number = found->second;
    lines_.erase(found);
    const auto on_line = [&](const auto& letter) { return letter.first == Line{lane, link}; };
    to_receiver_.erase(std::remove_if(to_receiver_.begin(), to_receiver_.end(), on_line),
                       to_receiver_.end());
    to_sender_.erase(std::remove_if(to_sender_.begin(), to_sender_.end(), on_line),
                     to_sender_.end());
    std::erase(opened_, Line{lane, link});
    if (tell_primary)
      downs_.push_back([this, lane, link] { tell(outflow::LinkClosed{lane, link, "cut"}); });
    if (tell_replica)
      downs_.push_back([this, number] { tell_receiver(inflow::PeerGone{number, "cut"}); });
  }
  void cut_all() {
    ++seen_.cuts;
    while (!lines_.empty()) {
      const auto line = lines_.begin()->first;
      cut(line.first, line.second, true, true);
    }
  }

  void number() {
    const auto from = log_.end().value + 1;
    for (auto n = 1 + random_.below(5); n > 0; --n) {
      log_.write(random_.below(8), static_cast<std::uint8_t>(random_.next()));
    }
    const bool receipt_wanted = random_.below(2) == 0;
    tell(outflow::RecordsAdded{log_.batch(from, log_.end().value), committed_, receipt_wanted});
  }

  void fault() {
    switch (random_.below(6)) {
      case 0:
      case 1:
        return cut_all();
      case 2:
        return crash_replica();
      case 3:
        return new_reign();
      case 4: {
        // The replica was left out: others commit without it,
        // and the log is pruned unless a session pins it.
        checkpoint_ = committed_ = log_.end();
        if (pins_.empty()) retained_ = checkpoint_.next();
        return;
      }
      default:
        if (!connecting_.empty()) {
          tell(outflow::ConnectFailed{
              connecting_.front().lane, connecting_.front().link, {Errc::unavailable, ""}});
          connecting_.pop_front();
        }
    }
  }
  void crash_replica() {
    cut_all();
    downs_.clear();
    for (const auto link : {Lane::records, Lane::bulk}) {
      if (const auto number = wanted_[static_cast<int>(link)]; number != 0) {
        downs_.push_back([this, link, number] {
          tell(outflow::LinkClosed{link, number, "crashed"});
        });
      }
    }
    replica_store_.clear();
    disk_.crash();
    start_receiver();
  }
  /// By an operator's word a copy reigns that was behind.
  void lose_committed() {
    if (committed_ < Lsn(2)) return;
    ++seen_.forced;
    committed_ = Lsn(committed_.value - std::min(committed_.value - 1, random_.below(10)));
    log_.truncate(committed_);
    checkpoint_ = std::min(checkpoint_, committed_);
    retained_ = std::min(retained_, committed_.next());
  }
  /// The primary lost its uncommitted tail and reigns anew: the logs part there.
  void new_reign() {
    ++seen_.reigns;
    tell(outflow::StopRequested{});
    cut_all();
    downs_.clear();
    primary_store_.clear();
    connecting_.clear();
    pins_.clear();
    opened_.clear();
    failed_.clear();
    // The mark of a reign whose record was never committed goes on with the next one.
    const bool owed = forced_record_ && committed_ < *forced_record_;
    const bool loses = random_.chance(30);
    const bool forced = loses || owed;
    if (loses) lose_committed();
    const auto keep = committed_.value + random_.below(log_.end() - committed_ + 1);
    log_.truncate(std::max(Lsn(keep), retained_.previous()));
    log_.epoch(++epoch_, ++nonce_, Mode::sync_all, forced ? EpochBody::forced : 0);
    if (forced) forced_record_ = log_.end();
    start_sender();
    // Either it was fenced first, which makes all it received durable, or it crashed as well.
    if (random_.chance(50)) disk_.durable = disk_.end();
    crash_replica();
  }

  void step() {
    now_ = now_ + millisecond;
    disk_.flush();
    switch (random_.below(8)) {
      case 0:
        return pop(to_receiver_, [this](auto& letter) {
          if (const auto found = lines_.find(letter.first); found != lines_.end()) {
            tell_receiver(inflow::PeerSaid{found->second, std::move(letter.second)});
          }
        });
      case 1:
        return pop(to_sender_, [this](auto& letter) {
          tell(outflow::MessageArrived{letter.first.first, letter.first.second,
                                       std::move(letter.second)});
        });
      case 2:
        return pop(primary_store_, [](auto& work) { work(); });
      case 3:
        return pop(replica_store_, [](auto& work) { work(); });
      case 4:
        return pop(downs_, [](auto& down) { down(); });
      case 5:
        return connect();
      case 6:
        if (disk_.durable < disk_.end() && replica_store_.empty()) {
          disk_.durable = disk_.durable + (1 + random_.below(disk_.end() - disk_.durable));
        }
        return tell_receiver(inflow::StoreMoved{disk_.durable, disk_.digest(disk_.durable),
                                                disk_.checkpoint, disk_.base_lsn.next(),
                                                1ull << 30});
      default:
        if (receiver_->wants_turn_end()) tell_receiver(inflow::TurnEnded{});
        if (sender_->wants_turn_end()) tell(outflow::TurnEnded{});
        if (const auto wake = sender_->wake_at(); wake && *wake <= now_) tell(outflow::Ticked{});
    }
  }
  void connect() {
    if (!opened_.empty()) {
      const auto line = opened_.front();
      opened_.pop_front();
      return tell(
          outflow::LinkOpened{line.first, line.second, node(2), Incarnation(replica_incarnation_)});
    }
    if (!failed_.empty()) {
      const auto line = failed_.front();
      failed_.pop_front();
      return tell(outflow::ConnectFailed{line.first, line.second, {Errc::refused, "refused"}});
    }
    if (connecting_.empty()) return;
    const auto e = connecting_.front();
    connecting_.pop_front();
    incoming_[++links_numbered_] = {e.lane, e.link};
    tell_receiver(inflow::PeerArrived{links_numbered_, e.hello});
  }
  template <class Queue, class Take>
  void pop(Queue& queue, Take take) {
    if (queue.empty()) return;
    auto front = std::move(queue.front());
    queue.pop_front();
    take(front);
  }

  Seen& seen_;
  Random random_;
  MonoTime now_{1000 * second};
  std::uint64_t epoch_ = 1;
  std::uint64_t nonce_ = 100;
  TestLog log_;
  Lsn committed_;
  std::optional<Lsn> forced_record_;  ///< Of the last reign with the mark.
  Lsn checkpoint_;
  Lsn retained_{1};
  std::map<std::uint64_t, int> pins_;
  std::optional<Sender> sender_;
  std::optional<Receiver> receiver_;
  ReplicaDisk disk_;
  std::vector<bool> noted_ = std::vector<bool>(8, false);
  std::uint64_t replica_incarnation_ = 0;
  LinkNumber wanted_[2] = {0, 0};
  LinkNumber links_numbered_ = 0;
  std::map<LinkNumber, Line> incoming_;  ///< The replica's number of a link -> the primary's.
  std::map<Line, LinkNumber> lines_;     ///< Open.
  std::deque<Line> opened_, failed_;
  std::deque<outflow::Connect> connecting_;
  std::deque<std::pair<Line, Message>> to_receiver_, to_sender_;
  std::deque<std::function<void()>> primary_store_, replica_store_, downs_;
  std::string trouble_;
};

}  // namespace tidemark::engine::lossy
