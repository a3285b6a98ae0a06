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
  Port(engine::ExportInfo info, Volume volume, std::shared_ptr<Line> line)
      : info_(std::move(info)), volume_(std::move(volume)), line_(std::move(line)) {
    // The volume knows its client before it asks anything, so that it can be cut.
    submit({});
  }
  const engine::ExportInfo& info() const override { return info_; }
  void submit(std::vector<engine::FrontRequest> requests) override {
    if (line_->is_cut()) return;
    auto batch = std::make_shared<FrontBatch>();
    batch->client = line_;
    batch->requests = std::move(requests);
    caf::anon_send(volume_, Submit{std::move(batch)});
  }

 private:
  engine::ExportInfo info_;
  Volume volume_;
  std::shared_ptr<Line> line_;
};

struct FrontDesk::Served {
  engine::ExportInfo info;
  Volume volume;
  std::vector<std::weak_ptr<Line>> lines;  ///< In order of opening; swept at each open.
};

FrontDesk::FrontDesk() = default;
FrontDesk::~FrontDesk() = default;

void FrontDesk::add(engine::ExportInfo info, Volume volume) {
  const auto name = info.name;
  cut(name, "served anew");
  elsewhere_.erase(name);
  served_[name] = std::make_unique<Served>(Served{std::move(info), std::move(volume), {}});
}

void FrontDesk::remove(const std::string& name, const std::string& reason) {
  cut(name, reason);
  elsewhere_.erase(name);
}

void FrontDesk::elsewhere(const std::string& name, std::string text) {
  cut(name, text);
  elsewhere_[name] = std::move(text);
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
  for (const auto& [name, served] : served_) infos.push_back(served->info);
  return infos;
}

engine::Result<std::unique_ptr<engine::FrontPort>> FrontDesk::open(
    const std::string& name, std::weak_ptr<engine::FrontClient> client) {
  if (const auto other = elsewhere_.find(name); other != elsewhere_.end()) {
    return engine::Error{engine::Errc::unavailable,
                         fmt::format("export {}: {}", name, other->second)};
  }
  const auto at = served_.find(name);
  if (at == served_.end()) {
    return engine::Error{engine::Errc::not_found,
                         fmt::format("export {}: no volume of that name is known here", name)};
  }
  auto& served = *at->second;
  std::erase_if(served.lines, [](const auto& weak) { return weak.expired(); });
  auto line = std::make_shared<Line>(std::move(client));
  served.lines.push_back(line);
  return std::unique_ptr<engine::FrontPort>(
      std::make_unique<Port>(served.info, served.volume, std::move(line)));
}

}  // namespace tidemark::actors
