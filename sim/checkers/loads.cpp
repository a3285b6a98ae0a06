#include "sim/checkers/loads.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "engine/cursor.hpp"
#include "engine/escalation.hpp"
#include "sim/checkers/known.hpp"
#include "sim/checkers/said.hpp"

namespace tidemark::sim {
namespace {

using engine::Lsn;

constexpr std::uint64_t knocks_window = 1 * engine::second;

/// Why a session may end without its way having been wrong.
constexpr std::string_view says_nothing[] = {
    "link_down",        "promised_higher",     "outcome_refused", "outcome_not_yet",
    "reassigned_epoch", "reassigned_endpoint", "removed",         "stopped"};

const char* by_purpose(engine::Purpose purpose, const char* records, const char* bulk,
                       const char* control) {
  if (purpose == engine::Purpose::control) return control;
  return purpose == engine::Purpose::bulk ? bulk : records;
}

std::string field_of(const engine::Event& event, std::string_view key) {
  for (const auto& [name, value] : event.fields) {
    if (name == key) return value;
  }
  return {};
}

}  // namespace

Loads::Caps Loads::caps_of(const actors::Settings& s, std::uint64_t requests,
                           std::uint64_t request_bytes) {
  Caps caps;
  // What all clients have under way, and as much again that the machines tell each other of it.
  caps.mailbox = 2 * requests;
  // Of a process that stands still its receivers find all that their senders had credit for.
  caps.receiver_mailbox = caps.mailbox + s.sender_credit_bytes / engine::record_header_bytes;
  // One record more than the credit where nothing else is in flight, and what is said beside records.
  caps.link_bytes =
      s.sender_credit_bytes + engine::record_blocks_max * engine::block_bytes + (64u << 10);
  // One request passes whatever is uncommitted.
  caps.uncommitted = s.uncommitted_bytes_max + request_bytes;
  caps.memory_tail = s.memory_tail_bytes;
  // A session takes no more than that, and none begins where as much is left of those before; and the heads.
  caps.undurable = 2 * engine::unacknowledged_bytes_max + (4u << 20);
  // Twice of it while a session reads it, and the segment that is being begun.
  caps.log_bytes = 2 * s.wal_retention_bytes + s.segment_bytes;
  caps.segment = s.segment_bytes;
  // The back-off from 10 ms on allows 8 in its first second; each reign and each session that was begun starts it anew.
  caps.connections = 32;
  return caps;
}

void Loads::note(const char* what, std::uint64_t value, std::uint64_t cap, const char* cls,
                 std::string_view whose) {
  auto& highest = highest_[what];
  if (value <= highest) return;
  highest = value;
  if (value > cap) fail_(cls, fmt::format("{} of {}: {}, at most {}", what, whose, value, cap));
}

std::map<std::string, std::uint64_t> Loads::highest() const {
  std::map<std::string, std::uint64_t> all;
  for (const auto& [what, value] : highest_) all.emplace(what, value);
  return all;
}

void Loads::observe(const Step& step) {
  const bool receives = step.actor == std::string_view("receiver");
  note(step.actor, step.waiting, receives ? caps_.receiver_mailbox : caps_.mailbox, "mailbox_full",
       step.life ? std::string_view(step.life->name) : "the world");
  if (!step.life) return;
  if (const auto* records = said<actors::RecordsNumbered>(step)) {
    numbered(step.sender, *records);
  } else if (const auto* append = said<actors::AppendRecords>(step)) {
    appended(step, *append);
  } else if (const auto* progress = said<actors::StoreProgressed>(step)) {
    durable(step.receiver, progress->durable);
  } else if (const auto* status = said<engine::StoreStatus>(step)) {
    judge_store(step, *status);
  }
}

void Loads::Kept::add(Lsn lsn, std::uint64_t size) {
  sizes.emplace(lsn, size);
  bytes += size;
}

void Loads::Kept::forget_up_to(Lsn lsn) { forget(sizes.begin(), sizes.upper_bound(lsn)); }

void Loads::Kept::forget_from(Lsn lsn) { forget(sizes.lower_bound(lsn), sizes.end()); }

void Loads::Kept::forget(std::map<Lsn, std::uint64_t>::iterator first,
                         std::map<Lsn, std::uint64_t>::iterator behind) {
  for (auto at = first; at != behind; ++at) bytes -= at->second;
  sizes.erase(first, behind);
}

// Each of its senders is told; the first that hears it counts.
void Loads::numbered(caf::actor_id id, const actors::RecordsNumbered& numbered) {
  auto& volume = volumes_[id];
  volume.committed = std::max(volume.committed, numbered.committed);
  volume.kept.forget_up_to(std::min(volume.committed, volume.durable));
  if (!numbered.batch || numbered.batch->back()->lsn() <= volume.last) return;
  volume.last = numbered.batch->back()->lsn();
  for (const auto& record : *numbered.batch)
    volume.kept.add(record->lsn(), record->payload().size());
  note("uncommitted bytes", volume.kept.bytes, caps_.uncommitted, "uncommitted_too_much",
       "a volume");
}

// A log that is cut goes on below.
void Loads::appended(const Step& step, const actors::AppendRecords& append) {
  auto& store = stores_[step.receiver];
  store_of_[step.sender] = step.receiver;
  auto& reigns = reigns_[step.life->node].records;
  for (const auto& record : *append.batch) {
    store.forget_from(record->lsn());
    store.add(record->lsn(), record->bytes());
    if (record->header().kind == engine::RecordKind::epoch) reigns.insert(record->lsn());
  }
  note("undurable bytes", store.bytes, caps_.undurable, "memory_too_much", step.life->name);
}

// A store tells it without its name: who appends to it listens.
void Loads::durable(caf::actor_id listener, Lsn durable) {
  if (const auto* store = known(store_of_, listener)) stores_[*store].forget_up_to(durable);
  if (auto* volume = known(volumes_, listener))
    volume->durable = std::max(volume->durable, durable);
}

// Each reign begins a segment, and leaves the one before as short as it is; what nothing is committed of cannot be pruned.
void Loads::judge_store(const Step& step, const engine::StoreStatus& status) {
  judge_memory(step, status);
  auto& reigns = reigns_[step.life->node];
  const auto from = std::min(reigns.retained, status.retained);
  reigns.records.erase(reigns.records.begin(), reigns.records.lower_bound(from));
  reigns.retained = status.retained;
  const auto short_ones = reigns.records.size() * caps_.segment;
  const auto beyond = status.wal_bytes - std::min(status.wal_bytes, short_ones);
  note("bytes of a log", beyond, caps_.log_bytes, "log_too_long", step.life->name);
}

// Where the log was cut since it was asked nobody can tell what there was.
void Loads::judge_memory(const Step& step, const engine::StoreStatus& status) {
  std::uint64_t undurable = 0;
  std::uint64_t records = 0;
  for (const auto& [lsn, bytes] : stores_[step.sender].sizes) {
    if (lsn <= status.durable || lsn > status.end) continue;
    undurable += bytes;
    ++records;
  }
  if (records != status.end - status.durable) return;
  note("durable record bytes in memory",
       status.memory_bytes - std::min(status.memory_bytes, undurable), caps_.memory_tail,
       "memory_too_much", step.life->name);
}

void Loads::sent(const Life& by, engine::Purpose purpose, const engine::Message& message,
                 std::size_t unsent_bytes) {
  note(by_purpose(purpose, "unsent records", "unsent base", "unsent control"), unsent_bytes,
       caps_.link_bytes, "link_full", by.name);
  if (const auto* records = std::get_if<engine::Records>(&message)) {
    if (records->records.empty()) return;
    auto& session = sessions_[{records->epoch, records->session}];
    const auto first = records->records.front()->lsn();
    if (first < session.next) {
      fail_("sent_again",
            fmt::format("{} sends lsn {} in session {}, which had everything before {}", by.name,
                        first, records->session, session.next));
    }
    session.next = records->records.back()->lsn().next();
  } else if (const auto* ready = std::get_if<engine::SessionReady>(&message)) {
    sessions_[{ready->epoch, ready->session}].missing_blocks = ready->missing_blocks;
  } else if (const auto* blocks = std::get_if<engine::BaseBlocks>(&message)) {
    sent_base(by, {blocks->epoch, blocks->session}, blocks->range.count);
  } else if (const auto* zeroes = std::get_if<engine::BaseZeroes>(&message)) {
    sent_base(by, {zeroes->epoch, zeroes->session}, zeroes->range.count);
  }
}

// What is missing can only become less, but for what a comparison finds to be wrong.
void Loads::sent_base(const Life& by, const Session& id, std::uint64_t blocks) {
  auto& session = sessions_[id];
  session.base_blocks += blocks;
  if (!session.missing_blocks || session.base_blocks <= *session.missing_blocks + blocks_again_)
    return;
  fail_("base_again",
        fmt::format("{} has sent {} blocks in session {}, whose copy misses {}", by.name,
                    session.base_blocks, id.second, *session.missing_blocks));
}

void Loads::connects(engine::MonoTime at, const Life& from, const engine::Endpoint& to,
                     engine::Purpose purpose) {
  auto& knocks = knocks_[{from.id, to, purpose}];
  knocks.push_back(at);
  while (at - knocks.front() >= knocks_window) knocks.pop_front();
  note(by_purpose(purpose, "connections for records", "connections for a base",
                  "connections to control"),
       knocks.size(), caps_.connections, "knocks_too_often", from.name);
}

void Loads::happened(const Life& by, const engine::Event& event) {
  const std::pair whose(by.id, field_of(event, "replica"));
  if (event.name == "session_started") {
    if (field_of(event, "kind") != "catch_up")
      failing_.erase(whose);
    else
      failing_[whose].session = field_of(event, "session");
  } else if (event.name == "session_completed") {
    failing_.erase(whose);
  } else if (event.name == "recovery_escalated") {
    failing_[whose].told = true;
  } else if (event.name == "session_ended") {
    ended(by, event);
  } else if (event.name == "base_unequal") {
    blocks_again_ += std::stoull("0" + field_of(event, "blocks_again"));
  }
}

void Loads::ended(const Life& by, const engine::Event& event) {
  auto* failing = known(failing_, {by.id, field_of(event, "replica")});
  if (failing == nullptr || failing->session != field_of(event, "session")) return;
  const auto cause = field_of(event, "cause");
  const bool tells =
      std::find(std::begin(says_nothing), std::end(says_nothing), cause) == std::end(says_nothing);
  failing->session.clear();
  if (field_of(event, "records") != "0") *failing = {};
  if (!tells || failing->told || ++failing->sessions <= engine::Escalation::sessions_max + 1)
    return;
  fail_("never_escalated",
        fmt::format("{}: {} catch-ups in a row got nowhere, and nobody is told; the last one: {}",
                    by.name, failing->sessions, render(event)));
}

}  // namespace tidemark::sim
