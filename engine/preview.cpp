#include "engine/preview.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"

namespace tidemark::engine {
namespace {

// What a touched range takes in its frame (docs/PROTOCOL.md).
constexpr std::uint64_t touched_range_bytes = 16;

std::string source_of(const Plan& plan) {
  const auto log = fmt::format("log ({},{}]", plan.common_point, plan.target);
  if (plan.kind == SessionKind::catch_up) return log;
  if (plan.scope == BaseScope::rest) return "missing blocks of the extents, and " + log;
  return fmt::format("extents at the checkpoint {}, and {}", plan.common_point, log);
}

std::string seconds_text(std::uint64_t milliseconds) {
  return fmt::format("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100);
}

}  // namespace

std::string_view to_string(PreviewBasis basis) {
  switch (basis) {
    case PreviewBasis::in_line:
      return "in_line";
    case PreviewBasis::session:
      return "session";
    case PreviewBasis::known_facts:
      return "known_facts";
    case PreviewBasis::no_facts:
      return "no_facts";
  }
  return "unknown";
}

MoveQuestion question_for(const Plan& plan, Lsn from) {
  MoveQuestion q;
  q.log_after = std::max(plan.common_point, from);
  q.log_to = std::max(plan.target, q.log_after);
  if (plan.kind != SessionKind::rebuild) return q;
  if (plan.scope == BaseScope::touched) q.touched_behind = plan.touched_from;
  q.extents = plan.scope == BaseScope::all;
  return q;
}

MoveEstimate estimate(const Plan& plan, const MoveCost& cost, std::uint64_t missing) {
  MoveEstimate e;
  e.log_records = plan.target - plan.common_point;
  e.log_bytes = cost.log_bytes;
  if (plan.kind != SessionKind::rebuild) return e;
  switch (plan.scope) {
    case BaseScope::all:
      e.base_blocks = cost.extent_blocks;
      if (cost.extents_at_most) e.remark = "at most: not all extents were counted block by block";
      break;
    case BaseScope::touched:
      e.base_blocks = cost.touched_blocks;
      e.index_bytes = cost.touched_ranges * touched_range_bytes;
      e.remark = "without blocks that the replica alone touched or lacks: it alone knows them";
      break;
    case BaseScope::rest:
      e.base_blocks = missing;
      e.remark = "at most: missing blocks that are holes or newer in the log are not copied";
      break;
  }
  e.base_bytes = e.base_blocks * block_bytes;
  return e;
}

Preview::Preview(PeerView view, MonoTime now) : view_(std::move(view)) {
  auto& r = result_;
  r.replica = view_.replica;
  r.node = view_.node;
  r.state = view_.state;
  r.reason = view_.reason;
  r.epoch = view_.epoch;
  r.pins = view_.pins;
  r.ours = {view_.head, {}, {}, view_.committed};
  if (view_.known) {
    r.theirs = view_.known->facts;
    r.theirs_age_milliseconds = (now - view_.known->at) / millisecond;
    r.theirs_from_acks = view_.known->from_acks;
  }
  const bool runs = view_.phase && *view_.phase != SessionPhase::ended;
  if (runs) {
    r.session = view_.session;
    r.phase = view_.phase;
    r.done = view_.work;
    r.done_milliseconds =
        ((view_.work.over ? view_.work.over : now) - view_.work.began) / millisecond;
  }
  if (runs && *view_.phase == SessionPhase::done) {
    r.basis = PreviewBasis::in_line;
    r.outcome = view_.outcome;
    r.says = fmt::format("nothing to do: it is in line since session {}", view_.session);
    return;
  }
  if (runs && view_.plan) {
    say_running();
    return;
  }
  if (!view_.known) {
    r.says = "no facts yet: it answered no handshake in this reign";
    return;
  }
  r.basis = PreviewBasis::known_facts;
  const auto age = seconds_text(r.theirs_age_milliseconds);
  r.says = runs ? fmt::format("a handshake is under way; as of {} ago", age)
                : fmt::format("as of {} ago; its log may have changed since", age);
  question_ = AskOwn{};
}

void Preview::say_running() {
  auto& r = result_;
  r.basis = PreviewBasis::session;
  r.outcome = view_.outcome;
  r.plan = view_.plan;
  r.common_point = r.plan->common_point;
  r.compared = r.plan->scope == BaseScope::touched && r.plan->kind == SessionKind::rebuild
                   ? r.plan->touched_from
                   : r.plan->common_point;
  r.source = source_of(*r.plan);
  r.says = fmt::format("session {} is at it, in phase {}", view_.session, to_string(*view_.phase));
  question_ = question_for(*r.plan, view_.durable);
}

void Preview::own(Lsn retained, Lsn checkpoint) {
  CHECK(question_ && std::holds_alternative<AskOwn>(*question_));
  auto& r = result_;
  const auto& theirs = view_.known->facts;
  r.ours.retained = retained;
  r.ours.checkpoint = checkpoint;
  r.common_point = common_point(view_.history, view_.head, theirs.history, theirs.received);
  r.compared = r.common_point;
  if (retained <= r.common_point.next()) return ask_digests();
  question_ = AskTouched{r.common_point};
}

void Preview::touched(std::optional<Lsn> lsn, Digest digest) {
  CHECK(question_ && std::holds_alternative<AskTouched>(*question_));
  if (lsn && *lsn <= result_.common_point) {
    result_.compared = *lsn;
    touched_known_ = true;
    our_digest_ = digest;
  }
  ask_digests();
}

void Preview::ask_digests() {
  if (!our_digest_) {
    question_ = AskDigest{result_.compared};
  } else if (!base_digest_ && result_.ours.checkpoint != result_.compared) {
    question_ = AskDigest{result_.ours.checkpoint};
  } else {
    decide_now();
  }
}

void Preview::digest(std::optional<Digest> digest) {
  CHECK(question_ && std::holds_alternative<AskDigest>(*question_));
  if (!our_digest_) {
    our_digest_ = digest;
  } else {
    base_digest_ = digest;
  }
  ask_digests();
}

void Preview::decide_now() {
  auto& r = result_;
  const auto& known = *view_.known;
  question_.reset();
  OutcomeFacts f;
  f.epoch = view_.epoch;
  f.history = view_.history;
  f.head = view_.head;
  f.retained = r.ours.retained;
  f.common_point = r.common_point;
  f.compared = r.compared;
  f.touched_known = touched_known_;
  f.our_digest = *our_digest_;
  f.witnessed = view_.witnessed;
  f.replica = known.facts;
  if (known.asked && known.compared == r.compared) {
    f.their_digest = known.digest;
  } else {
    // Logs that are equal somewhere are equal below. What was never compared is said.
    f.their_digest = f.our_digest;
    if (!(known.equal && r.compared <= known.compared))
      r.assumed =
          fmt::format("that the digests at {} are equal, which the handshake compares", r.compared);
  }
  r.outcome = decide(f);
  const PlanSource source{view_.history,
                          view_.head,
                          r.ours.checkpoint,
                          {},  // Nobody asks a preview for the time.
                          base_digest_ ? *base_digest_ : *our_digest_,
                          r.compared,
                          *our_digest_,
                          {}};
  auto plan = make_plan(*r.outcome, source, view_.budget);
  if (!plan) {
    r.problem = plan.error().text;
    return;
  }
  r.plan = std::move(*plan);
  r.source = source_of(*r.plan);
  question_ = question_for(*r.plan, Lsn{});
}

void Preview::cost(const MoveCost& cost) {
  CHECK(question_ && std::holds_alternative<MoveQuestion>(*question_));
  auto& r = result_;
  question_.reset();
  const auto missing = r.theirs && r.theirs->rebuild ? r.theirs->rebuild->missing_blocks : 0;
  r.move = estimate(*r.plan, cost, missing);
  if (r.basis == PreviewBasis::known_facts && wants_search(r.outcome->row)) {
    r.move.remark =
        "at most: the handshake searches for where the logs part; found, only what was touched is "
        "copied";
  }
  if (r.basis != PreviewBasis::session) return;
  // What is left: the log from what was proved on, the base without what was sent.
  const auto after = std::max(r.plan->common_point, view_.durable);
  r.move.log_records = r.plan->target > after ? r.plan->target - after : 0;
  if (r.plan->kind != SessionKind::rebuild) return;
  const auto& done = r.done;
  if (done.base_blocks_all != 0) {
    r.move.base_blocks = done.base_blocks_all;
    r.move.index_bytes = 0;  // Both sides named what they know: the replica counted it.
    r.move.remark = "at most: blocks that are holes travel as ranges";
  }
  r.move.base_blocks -= std::min(r.move.base_blocks, done.base_blocks);
  r.move.base_bytes = r.move.base_blocks * block_bytes;
}

void Preview::cost_unknown(const std::string& why) {
  CHECK(question_ && std::holds_alternative<MoveQuestion>(*question_));
  question_.reset();
  result_.uncounted = why;
}

}  // namespace tidemark::engine
