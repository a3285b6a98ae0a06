// A server over volumes in memory, on one loop.
#pragma once

#include <boost/asio/io_context.hpp>

#include <string>
#include <vector>

#include "tests/nbd/client.hpp"
#include "tests/nbd/memory_exports.hpp"
#include "transport/nbd/server.hpp"

namespace tidemark::nbd::testing {

struct World {
  static constexpr std::uint64_t volume_bytes = std::uint64_t{64} << 20;

  boost::asio::io_context loop{1};
  MemoryExports exports;
  MemoryVolume& volume;
  std::vector<ConnectionEvent> events;
  Server server;

  explicit World(Answers answers = Answers::next_turn, ServerOptions options = {})
      : exports(loop, answers),
        volume(exports.add({"vol", volume_bytes, false})),
        server(loop, exports, prepared(std::move(options))) {
    exports.add({"past", 1 << 20, true});
    exports.add_elsewhere("far", {engine::Errc::unavailable, "volume far is served by node2"});
    CHECK(server.listen().has_value());
  }

  Client connect() { return Client(loop, server.address()); }
  Client client(bool structured = true) {
    auto c = connect();
    c.go("vol", structured);
    return c;
  }

  /// Runs the loop until `done`; a test that never gets there hangs, and the runner says which.
  template <class F>
  void until(F&& done) {
    while (!done()) {
      if (loop.stopped()) loop.restart();
      loop.run_one();
    }
  }
  void until_nobody_is_connected() {
    until([this] { return server.counters().connections == 0; });
  }
  /// Lets everything happen that can happen now.
  void settle() {
    while (loop.poll() != 0) {
    }
  }

 private:
  ServerOptions prepared(ServerOptions options) {
    if (options.listen == ServerOptions{}.listen) options.listen = "127.0.0.1:0";
    options.observe = [this](const ConnectionEvent& event) { events.push_back(event); };
    return options;
  }
};

inline Bytes pattern(std::size_t bytes, unsigned seed) {
  Bytes out(bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    out[i] = static_cast<std::byte>((i * 31 + i / 4096 + seed * 17) & 0xff);
  }
  return out;
}

}  // namespace tidemark::nbd::testing
