// Volumes in memory behind the front end's contract, for its tests and for trying real
// clients: they keep the rules that a real volume keeps (whole blocks, order, holes) and
// answer when the test wants it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/check.hpp"
#include "engine/front.hpp"

namespace tidemark::nbd::testing {

using engine::block_bytes;

/// One volume's bytes: a block that was never written, or was trimmed, is a hole.
class MemoryVolume {
 public:
  explicit MemoryVolume(engine::ExportInfo info) : info_(std::move(info)) {
    blocks_.resize((info_.size_bytes + block_bytes - 1) / block_bytes);
  }

  const engine::ExportInfo& info() const { return info_; }
  std::uint64_t flushes = 0;
  /// When set, every request is answered with it.
  std::optional<engine::Error> failing;

  engine::FrontReply answer(engine::FrontRequest r) {
    CHECK(r.offset <= info_.size_bytes);
    CHECK(r.length <= info_.size_bytes - r.offset);
    engine::FrontReply reply;
    reply.cookie = r.cookie;
    reply.error = failing;
    if (failing) return reply;
    switch (r.op) {
      case engine::FrontOp::read:
        read(r, reply);
        break;
      case engine::FrontOp::write:
        write(r.offset, std::move(r));
        break;
      case engine::FrontOp::flush:
        ++flushes;
        break;
      case engine::FrontOp::trim:
      case engine::FrontOp::write_zeroes:
        zero(r);
        break;
      case engine::FrontOp::block_status:
        status(r, reply);
        break;
      case engine::FrontOp::cache:
        break;
    }
    return reply;
  }

 private:
  template <class F>
  void each_part(const engine::FrontRequest& r, F&& f) {
    for (auto at = r.offset; at < r.offset + r.length;) {
      const auto within = at % block_bytes;
      const auto bytes = std::min(block_bytes - within, r.offset + r.length - at);
      f(blocks_[at / block_bytes], within, bytes, at - r.offset);
      at += bytes;
    }
  }

  void read(const engine::FrontRequest& r, engine::FrontReply& reply) {
    each_part(r, [&](const engine::Slice& block, auto within, auto bytes, auto) {
      if (block.empty()) {
        reply.pieces.push_back({{}, bytes});
      } else {
        reply.pieces.push_back({block.part(within, bytes), 0});
      }
    });
  }

  /// Whole blocks share the client's memory; edges are merged, as C22 demands.
  void write(std::uint64_t offset, engine::FrontRequest r) {
    const auto lead = offset % block_bytes;
    CHECK(r.data.size() % block_bytes == 0);
    CHECK(r.data.size() >= lead + r.length);
    CHECK(r.data.size() < lead + r.length + block_bytes);
    const auto data = std::move(r.data).freeze();
    each_part(r, [&](engine::Slice& block, auto within, auto bytes, auto done) {
      if (bytes == block_bytes) {
        block = data.part(lead + done, bytes);
      } else {
        merge(block, within, data.bytes().subspan(lead + done, bytes));
      }
    });
  }

  void zero(const engine::FrontRequest& r) {
    static const std::vector<std::byte> nothing(block_bytes);
    each_part(r, [&](engine::Slice& block, auto within, auto bytes, auto) {
      if (bytes == block_bytes && !r.no_hole) {
        block = {};
      } else if (!block.empty() || r.no_hole) {
        merge(block, within, std::span(nothing).first(bytes));
      }
    });
  }

  void merge(engine::Slice& block, std::uint64_t within, std::span<const std::byte> bytes) {
    auto fresh = block.empty() ? engine::Buffer::zeroed(block_bytes)
                               : engine::Buffer::copy_of(block.bytes());
    std::memcpy(fresh.data() + within, bytes.data(), bytes.size());
    block = std::move(fresh).freeze();
  }

  void status(const engine::FrontRequest& r, engine::FrontReply& reply) {
    each_part(r, [&](const engine::Slice& block, auto, auto bytes, auto) {
      reply.allocations.push_back({bytes, block.empty(), block.empty()});
    });
  }

  engine::ExportInfo info_;
  std::vector<engine::Slice> blocks_;
};

/// When a submitted batch is answered.
enum class Answers {
  at_once,    ///< Within submit().
  next_turn,  ///< Posted, as a volume on the same loop does.
  held,       ///< When the test calls release().
};

class MemoryExports;

class MemoryPort final : public engine::FrontPort {
 public:
  MemoryPort(MemoryExports& owner, MemoryVolume& volume, std::weak_ptr<engine::FrontClient> client)
      : owner_(owner), volume_(volume), client_(std::move(client)) {}
  ~MemoryPort() override;

  const engine::ExportInfo& info() const override { return volume_.info(); }
  void submit(std::vector<engine::FrontRequest> requests) override;
  void answer(std::vector<engine::FrontRequest> requests);
  void release();
  void cut(const std::string& why) {
    if (const auto client = client_.lock()) client->on_cut(why);
  }
  const std::vector<engine::FrontRequest>& held() const { return held_; }

 private:
  MemoryExports& owner_;
  MemoryVolume& volume_;
  std::weak_ptr<engine::FrontClient> client_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<engine::FrontRequest> held_;
};

class MemoryExports final : public engine::Exports {
 public:
  explicit MemoryExports(boost::asio::io_context& loop, Answers when = Answers::next_turn)
      : answers(when), loop_(loop) {}

  MemoryVolume& add(engine::ExportInfo info) {
    const auto name = info.name;
    return volumes_.try_emplace(name, std::move(info)).first->second;
  }
  /// An export that another node serves.
  void add_elsewhere(const std::string& name, engine::Error why) { elsewhere_[name] = why; }

  std::vector<engine::ExportInfo> list() const override {
    std::vector<engine::ExportInfo> infos;
    for (const auto& [name, volume] : volumes_) infos.push_back(volume.info());
    return infos;
  }

  engine::Result<std::unique_ptr<engine::FrontPort>> open(
      const std::string& name, std::weak_ptr<engine::FrontClient> client) override {
    if (const auto found = elsewhere_.find(name); found != elsewhere_.end()) return found->second;
    const auto found = volumes_.find(name);
    if (found == volumes_.end()) {
      return engine::Error{engine::Errc::not_found, "no volume named " + name};
    }
    auto port = std::make_unique<MemoryPort>(*this, found->second, std::move(client));
    ++opened;
    ports.insert(port.get());
    return std::unique_ptr<engine::FrontPort>(std::move(port));
  }

  MemoryPort& only_port() {
    CHECK(ports.size() == 1);
    return **ports.begin();
  }

  Answers answers;
  std::set<MemoryPort*> ports;  ///< Open now.
  int opened = 0;
  std::vector<std::size_t> batches;  ///< Size of each submitted batch.

 private:
  friend class MemoryPort;

  boost::asio::io_context& loop_;
  std::map<std::string, MemoryVolume> volumes_;
  std::map<std::string, engine::Error> elsewhere_;
};

inline MemoryPort::~MemoryPort() { owner_.ports.erase(this); }

inline void MemoryPort::submit(std::vector<engine::FrontRequest> requests) {
  owner_.batches.push_back(requests.size());
  if (owner_.answers == Answers::at_once) return answer(std::move(requests));
  const bool first = held_.empty();
  std::move(requests.begin(), requests.end(), std::back_inserter(held_));
  if (owner_.answers == Answers::held || !first) return;
  boost::asio::post(owner_.loop_, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) release();
  });
}

inline void MemoryPort::release() { answer(std::exchange(held_, {})); }

inline void MemoryPort::answer(std::vector<engine::FrontRequest> requests) {
  std::vector<engine::FrontReply> replies;
  for (auto& request : requests) replies.push_back(volume_.answer(std::move(request)));
  if (const auto client = client_.lock()) client->on_replies(std::move(replies));
}

}  // namespace tidemark::nbd::testing
