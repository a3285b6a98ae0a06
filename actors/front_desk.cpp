#include "actors/front_desk.hpp"

#include <utility>

namespace tidemark::actors {

/// Stands between the volume and the client: is cut once, and ends with its port.
class FrontDesk::Line final : public engine::FrontClient {
 public:
  explicit Line(std::weak_ptr<engine::FrontClient> client) : client_(std::move(client)) {}

  void on_replies(std::vector<engine::FrontReply> replies) override {
    if (is_cut_) return;
    if (auto client = client_.lock()) client->on_replies(std::move(replies));
  }
  void on_cut(const std::string& reason) override {
    if (std::exchange(is_cut_, true)) return;
    if (auto client = client_.lock()) client->on_cut(reason);
  }
  bool is_cut() const { return is_cut_; }

 private:
  std::weak_ptr<engine::FrontClient> client_;
  bool is_cut_ = false;
};

class FrontDesk::Port final : public engine::FrontPort {
 public:
  Port(std::shared_ptr<const engine::ExportInfo> info, Volume volume, std::shared_ptr<Line> line)
      : info_(std::move(info)), volume_(std::move(volume)), line_(std::move(line)) {
    // The volume knows its client before it asks anything, so that it can be cut.
    submit({});
  }
  const engine::ExportInfo& info() const override { return *info_; }
  void submit(std::vector<engine::FrontRequest> requests) override {
    if (line_->is_cut()) return;
    auto batch = std::make_shared<FrontBatch>();
    batch->client = line_;
    batch->requests = std::move(requests);
    caf::anon_send(volume_, Submit{std::move(batch)});
  }

 private:
  std::shared_ptr<const engine::ExportInfo> info_;
  Volume volume_;
  std::shared_ptr<Line> line_;
};

struct FrontDesk::Served {
  std::shared_ptr<engine::ExportInfo> info;  ///< Shared with the ports: its size may change.
  engine::VolumeId id;
  Volume volume;
  std::vector<std::weak_ptr<Line>> lines;  ///< In order of opening; swept at each open.
};

FrontDesk::FrontDesk() = default;
FrontDesk::~FrontDesk() = default;

void FrontDesk::add(engine::ExportInfo info, const engine::VolumeId& id, Volume volume) {
  const auto name = info.name;
  cut(name, "served anew");
  forget_elsewhere(name, id);
  served_[name] = std::make_unique<Served>(
      Served{std::make_shared<engine::ExportInfo>(std::move(info)), id, std::move(volume), {}});
}

void FrontDesk::resize(const std::string& name, const engine::VolumeId& id,
                       std::uint64_t size_bytes) {
  if (serves(name, id)) served_.at(name)->info->size_bytes = size_bytes;
}

void FrontDesk::remove(const std::string& name, const engine::VolumeId& id,
                       const std::string& reason) {
  if (serves(name, id)) cut(name, reason);
  forget_elsewhere(name, id);
}

void FrontDesk::elsewhere(const std::string& name, const engine::VolumeId& id, std::string text) {
  if (serves(name, id)) cut(name, text);
  forget_elsewhere(name, id);
  elsewhere_[name].push_back({id, std::move(text)});
}

bool FrontDesk::serves(const std::string& name, const engine::VolumeId& id) const {
  const auto at = served_.find(name);
  return at != served_.end() && at->second->id == id;
}

void FrontDesk::forget_elsewhere(const std::string& name, const engine::VolumeId& id) {
  const auto at = elsewhere_.find(name);
  if (at == elsewhere_.end()) return;
  std::erase_if(at->second, [&](const Elsewhere& e) { return e.id == id; });
  if (at->second.empty()) elsewhere_.erase(at);
}

void FrontDesk::ready() {
  ready_ = true;
  if (when_ready_) std::exchange(when_ready_, nullptr)();
}

void FrontDesk::when_ready(std::function<void()> then) {
  if (ready_) return then();
  when_ready_ = std::move(then);
}

void FrontDesk::cut(const std::string& name, const std::string& reason) {
  const auto at = served_.find(name);
  if (at == served_.end()) return;
  // Off the list first: a client that opens again from within on_cut must not find it.
  const auto served = std::move(at->second);
  served_.erase(at);
  for (const auto& weak : served->lines) {
    if (auto line = weak.lock()) line->on_cut(reason);
  }
}

std::vector<engine::ExportInfo> FrontDesk::list() const {
  std::vector<engine::ExportInfo> infos;
  for (const auto& [name, served] : served_) infos.push_back(*served->info);
  return infos;
}

engine::Result<std::unique_ptr<engine::FrontPort>> FrontDesk::open(
    const std::string& name, std::weak_ptr<engine::FrontClient> client) {
  const auto at = served_.find(name);
  if (at == served_.end()) {
    const auto other = elsewhere_.find(name);
    if (other == elsewhere_.end()) {
      return engine::Error{engine::Errc::not_found,
                           fmt::format("export {}: no volume of that name is known here", name)};
    }
    return engine::Error{engine::Errc::unavailable,
                         fmt::format("export {}: {}", name, other->second.back().text)};
  }
  auto& served = *at->second;
  std::erase_if(served.lines, [](const auto& weak) { return weak.expired(); });
  auto line = std::make_shared<Line>(std::move(client));
  served.lines.push_back(line);
  return std::unique_ptr<engine::FrontPort>(
      std::make_unique<Port>(served.info, served.volume, std::move(line)));
}

}  // namespace tidemark::actors
