#include "engine/volume_events.hpp"

#include "engine/in_sync.hpp"

namespace tidemark::engine {
namespace {

std::string text(const Append& e) {
  std::string out = "append";
  for (const auto& record : *e.batch) {
    const auto& h = record->header();
    out += fmt::format(" {}:{}", h.lsn, to_string(h.kind));
    if (!h.range.empty()) out += fmt::format("{}", h.range);
  }
  return out;
}
std::string text(const ReadFromStore& e) { return fmt::format("read #{} {}", e.id, e.range); }
std::string text(const AskStoreAllocation& e) {
  return fmt::format("ask allocation #{} {}", e.id, e.range);
}
std::string text(const Reply& e) {
  auto out = fmt::format("reply client {} cookie {}", e.client, e.reply.cookie);
  if (e.reply.error) out += fmt::format(" {}", to_string(e.reply.error->code));
  std::uint64_t bytes = 0;
  for (const auto& piece : e.reply.pieces) bytes += piece.data.size() + piece.zero_bytes;
  if (bytes != 0) out += fmt::format(" {} bytes", bytes);
  return out;
}
std::string text(const MoveCommitted& e) { return fmt::format("committed {}", e.committed); }
std::string text(const Propose& e) {
  return fmt::format("propose {} on version {}: {}", set_text(e.proposal.in_sync),
                     e.proposal.version, e.proposal.reason);
}
std::string text(const ChangeSender& e) {
  return fmt::format("{} sender {}", to_string(e.change.kind), e.change.replica);
}
std::string text(const TellConfigured& e) {
  return fmt::format("tell that {} bytes are in force since {}",
                     e.configured.configuration.size_bytes, e.configured.lsn);
}
std::string text(const CutClients& e) { return "cut clients: " + e.reason; }
std::string text(const EndRole& e) { return "end role: " + e.reason; }
std::string text(const Log& e) { return "log " + render(e.event); }

}  // namespace

std::string render(const VolumeEffect& effect) {
  return std::visit([](const auto& e) { return text(e); }, effect);
}

std::string render(const VolumeEffects& effects) {
  std::string out;
  for (const auto& effect : effects) out += render(effect) + "\n";
  return out;
}

}  // namespace tidemark::engine
