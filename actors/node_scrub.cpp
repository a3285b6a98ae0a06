// Scrub of the copy on this node: start, stop, status; and what a comparison asks about blocks that
// differ. The control plane asks every member's node.
#include "actors/admin_json.hpp"
#include "actors/node_shell.hpp"

namespace tidemark::actors {

using engine::Errc;

void NodeShell::local_scrub(const std::string& step, const std::string& text, AdminAnswer answer) {
  const auto body = parse_body(text, {"volume", "rate", "round"});
  if (!body) return answer(answer_error(body.error()));
  const auto id = text_field(*body, "volume");
  if (!id) return answer(answer_error(id.error()));
  const auto rate = number_field(*body, "rate", engine::scrub_rate_default);
  if (!rate) return answer(answer_error(rate.error()));
  const auto round = number_field(*body, "round", 0);
  if (!round) return answer(answer_error(round.error()));
  if (step != "start" && step != "stop" && step != "status")
    return answer(answer_error({Errc::not_found, "there is no scrub step " + step}));
  const auto volume = engine::parse_uuid(*id);
  auto* s = volume ? find(*volume) : nullptr;
  if (s == nullptr || !s->role.local())
    return answer(answer_error({Errc::not_found, fmt::format("there is no volume {} here", *id)}));
  if (!s->store || !s->facts) return answer(answer_error({Errc::unavailable, s->role.problem()}));
  const auto gone = [answer](const caf::error&) { answer(unavailable("the store is gone")); };
  const auto tell = [this, answer, gone, store = *s->store] {
    self_->request(store, caf::infinite, AskStoreStatus{})
        .then([answer](const engine::StoreStatus& m) { answer(answer_json(200, to_json(m))); },
              gone);
  };
  if (step == "stop") self_->send(*s->store, StopScrub{});
  if (step != "start") return tell();
  self_->request(*s->store, caf::infinite, StartScrub{*rate, *round})
      .then(
          [answer, tell](const StoreDone& done) {
            if (!done.status) return answer(answer_error(done.status.error()));
            tell();
          },
          gone);
}

/// What the own log says of blocks that differ between copies, and that it says otherwise than this one.
void NodeShell::local_proof(const std::string& step, const json::object& body, const Store& store,
                            AdminAnswer answer) {
  const auto gone = [answer](const caf::error&) { answer(unavailable("the store is gone")); };
  const auto at = number_field(body, "at");
  if (!at) return answer(answer_error(at.error()));
  if (step == "written") {
    FindWritten ask{{}, engine::Lsn(*at)};
    for (const auto block : numbers_in(body, "blocks")) ask.blocks.emplace_back(block);
    self_->request(store, caf::infinite, std::move(ask))
        .then(
            [answer](const WrittenFound& m) {
              if (!m.found) return answer(answer_error(m.found.error()));
              json::array written;
              for (const auto& last : *m.found) {
                written.emplace_back(json::object{
                    {"block", last.block.value}, {"lsn", last.lsn.value}, {"sum", last.sum}});
              }
              answer(answer_json(200, json::object{{"written", std::move(written)}}));
            },
            gone);
    return;
  }
  const auto block = number_field(body, "block");
  const auto lsn = number_field(body, "lsn");
  const auto sum = number_field(body, "sum");
  for (const auto* field : {&block, &lsn, &sum}) {
    if (!*field) return answer(answer_error(field->error()));
  }
  const engine::LastWritten proof{engine::BlockIndex(*block), engine::Lsn(*lsn), *sum};
  self_->request(store, caf::infinite, DisproveBlock{proof, engine::Lsn(*at)})
      .then(
          [answer](const StoreDone& done) {
            if (!done.status) return answer(answer_error(done.status.error()));
            answer(answer_json(200, json::object{}));
          },
          gone);
}

}  // namespace tidemark::actors
