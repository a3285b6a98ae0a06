#include "transport/replication/intake.hpp"

#include <fmt/format.h>

#include <utility>

#include "transport/replication/codec.hpp"

namespace tidemark::transport {

using engine::Errc;
using engine::RefusalCode;

void Terms::learn(const engine::Message& message) {
  if (std::holds_alternative<engine::HelloOk>(message)) phase = Phase::open;
  const auto* hello = std::get_if<engine::Hello>(&message);
  if (hello == nullptr) return;
  phase = Phase::answering;
  purpose = hello->purpose;
  if (hello->volume) volume.emplace(hello->volume);
}

Intake::Next Intake::next(const Terms& terms) {
  const auto header = reader_.header();
  if (!header) return Breach{RefusalCode::protocol, header.error().text};
  if (*header == nullptr) return std::monostate{};
  const auto type = (*header)->type;
  if (!header_judged_ && !allowed(terms.purpose, from_, terms.phase, type)) {
    return Breach{RefusalCode::protocol,
                  fmt::format("{} may not come here now", rule_of(type).name)};
  }
  header_judged_ = true;
  auto frame = reader_.take();
  if (!frame) return std::monostate{};
  header_judged_ = false;
  auto message = decode(frame->header, frame->head, std::move(frame->body), terms.volume);
  if (message) return std::move(message).value();
  const bool damaged = message.error().code != Errc::invalid;
  return Breach{damaged ? RefusalCode::bad_data : RefusalCode::protocol, message.error().text};
}

}  // namespace tidemark::transport
