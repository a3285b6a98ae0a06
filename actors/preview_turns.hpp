// A preview's questions, put to the primary's store one after the other. Outside the sender's
// machine on purpose: a preview that is under way can't be seen by what it speaks of.
#pragma once

#include <memory>
#include <utility>
#include <variant>

#include "actors/interfaces.hpp"
#include "engine/preview.hpp"

namespace tidemark::actors {

template <class Self>
class PreviewTurns : public std::enable_shared_from_this<PreviewTurns<Self>> {
 public:
  PreviewTurns(Self self, Store store, engine::Preview preview)
      : self_(self),
        store_(std::move(store)),
        preview_(std::move(preview)),
        promise_(self->template make_response_promise<PreviewIs>()) {}

  caf::typed_response_promise<PreviewIs> start() {
    next();
    return promise_;
  }

 private:
  void next() {
    if (!preview_.question()) {
      promise_.deliver(PreviewIs{preview_.result()});
      return;
    }
    const auto question = *preview_.question();
    std::visit([this](const auto& q) { this->ask(q); }, question);
  }
  void ask(const engine::Preview::AskOwn&) {
    put<engine::StoreStatus>(AskStoreStatus{}, [](auto& preview, const engine::StoreStatus& s) {
      preview.own(s.retained, s.checkpoint);
    });
  }
  void ask(const engine::Preview::AskTouched& q) {
    put<TouchedFound>(FindTouched{q.at}, [](auto& preview, const TouchedFound& t) {
      preview.touched(t.lsn, t.digest);
    });
  }
  void ask(const engine::Preview::AskDigest& q) {
    put<LogDigestIs>(AskLogDigest{q.lsn},
                     [](auto& preview, const LogDigestIs& d) { preview.digest(d.digest); });
  }
  void ask(const engine::MoveQuestion& q) {
    self_->request(store_, caf::infinite, AskMoveCost{q})
        .then(
            [turns = this->shared_from_this()](const MoveCostIs& m) {
              if (m.cost) {
                turns->preview_.cost(*m.cost);
              } else {
                turns->preview_.cost_unknown(m.cost.error().text);
              }
              turns->next();
            },
            gone());
  }
  template <class Answer, class Question, class Take>
  void put(Question question, Take take) {
    self_->request(store_, caf::infinite, std::move(question))
        .then(
            [turns = this->shared_from_this(), take](const Answer& answer) {
              take(turns->preview_, answer);
              turns->next();
            },
            gone());
  }
  auto gone() {
    return [turns = this->shared_from_this()](const caf::error&) {
      turns->promise_.deliver(PreviewIs{
          engine::Error{engine::Errc::unavailable, "the primary's store does not answer"}});
    };
  }

  Self self_;
  Store store_;
  engine::Preview preview_;
  caf::typed_response_promise<PreviewIs> promise_;
};

/// Answers the message being handled, once the store answered.
template <class Self>
caf::result<PreviewIs> preview_with(Self self, Store store, engine::Preview preview) {
  return std::make_shared<PreviewTurns<Self>>(self, std::move(store), std::move(preview))->start();
}

}  // namespace tidemark::actors
