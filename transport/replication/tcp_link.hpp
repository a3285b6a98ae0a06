// The owner's handle on a TCP connection. Dropping it ends the connection, at once or, after
// close(), when what was queued is sent (a second at most).
#pragma once

#include <memory>
#include <utility>

#include "transport/link.hpp"
#include "transport/replication/tcp_connection.hpp"

namespace tidemark::transport {

class TcpLink final : public Link {
 public:
  explicit TcpLink(std::shared_ptr<TcpConnection> connection)
      : connection_(std::move(connection)) {}
  ~TcpLink() override { connection_->release(); }
  TcpLink(const TcpLink&) = delete;
  TcpLink& operator=(const TcpLink&) = delete;

  void send(engine::Message message) override { connection_->send(message); }
  std::size_t queued_bytes() const override { return connection_->queued_bytes(); }
  void close() override { connection_->close(); }
  void attach(std::weak_ptr<LinkEvents> events) override { connection_->attach(std::move(events)); }
  const std::string& peer() const override { return connection_->peer(); }

 private:
  std::shared_ptr<TcpConnection> connection_;
};

}  // namespace tidemark::transport
