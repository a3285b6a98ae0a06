// The admin door: requests reach the port as they were sent, answers come back,
// and nothing else gets in.
#define BOOST_TEST_DYN_LINK
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>

#include "transport/http/client.hpp"
#include "transport/http/server.hpp"

namespace tidemark::http {
namespace {

using namespace std::chrono_literals;
using boost::asio::local::stream_protocol;
using engine::AdminAsk;
using engine::AdminReply;
using engine::Errc;

constexpr auto hung = 20s;

/// Answers at once with what it was asked, or keeps the question.
class FakePort final : public engine::AdminPort {
 public:
  void ask(AdminAsk ask, std::function<void(AdminReply)> done) override {
    asks.push_back(ask);
    if (keeps) return kept.push_back(std::move(done));
    done({ask.id, status, body});
  }
  bool keeps = false;
  std::uint16_t status = 200;
  std::string body = R"({"ok":true})";
  std::vector<AdminAsk> asks;
  std::vector<std::function<void(AdminReply)>> kept;
};

std::string fresh_directory() {
  std::string name = (std::filesystem::temp_directory_path() / "tidemark-http-XXXXXX").string();
  BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
  return name;
}

struct Door {
  explicit Door(ServerOptions options = {}) {
    options.socket_path = path;
    server = std::make_unique<Server>(io, port, options);
    BOOST_REQUIRE(server->listen());
  }
  ~Door() {
    server.reset();
    std::filesystem::remove_all(directory);
  }
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      if (io.stopped()) io.restart();
      BOOST_REQUIRE_MESSAGE(io.run_one_for(hung) == 1, "nothing more happens");
    }
  }
  /// The blocking client, in a thread of its own, while the loop runs here.
  engine::Result<Reply> ask(const std::string& method, const std::string& target,
                            const std::string& body = "", std::chrono::milliseconds timeout = 10s) {
    bool done = false;
    auto reply = std::async(std::launch::async, [&] {
      auto result = request(path, method, target, body, timeout);
      boost::asio::post(io, [&] { done = true; });
      return result;
    });
    run_until([&] { return done; });
    return reply.get();
  }

  std::string directory = fresh_directory();
  std::string path = directory + "/admin.sock";
  boost::asio::io_context io{1};
  FakePort port;
  std::unique_ptr<Server> server;
};

/// A client that may write anything.
class RawClient {
 public:
  explicit RawClient(Door& door) : socket_(door.io), door_(door) {
    socket_.connect(stream_protocol::endpoint(door.path));
    socket_.non_blocking(true);
  }
  void write(std::string text) {
    bool done = false;
    boost::asio::async_write(socket_, boost::asio::buffer(text), [&](auto, auto) { done = true; });
    door_.run_until([&] { return done; });
  }
  /// All that comes until the server closes, or until `enough` is in it.
  std::string read(const std::string& enough = {}) {
    std::string all;
    while (enough.empty() || all.find(enough) == std::string::npos) {
      std::optional<std::size_t> bytes;
      std::array<char, 4096> part;
      socket_.async_read_some(boost::asio::buffer(part),
                              [&](auto error, auto n) { bytes = error ? 0 : n; });
      door_.run_until([&] { return bytes.has_value(); });
      if (*bytes == 0) break;
      all.append(part.data(), *bytes);
    }
    return all;
  }

 private:
  stream_protocol::socket socket_;
  Door& door_;
};

BOOST_AUTO_TEST_SUITE(http)

BOOST_AUTO_TEST_CASE(a_request_reaches_the_port_as_it_was_sent) {
  Door door;
  const auto reply = door.ask("POST", "/v1/volumes?dry=1", R"({"name":"v"})");
  BOOST_REQUIRE(reply);
  BOOST_TEST(reply->status == 200u);
  BOOST_TEST(reply->body == R"({"ok":true})");
  BOOST_TEST(reply->content_type == "application/json");
  BOOST_REQUIRE(door.port.asks.size() == 1u);
  BOOST_TEST(door.port.asks[0].method == "POST");
  BOOST_TEST(door.port.asks[0].path == "/v1/volumes?dry=1");
  BOOST_TEST(door.port.asks[0].body == R"({"name":"v"})");
}

BOOST_AUTO_TEST_CASE(every_status_of_the_node_is_passed_on) {
  Door door;
  for (const std::uint16_t status :
       {std::uint16_t{200}, std::uint16_t{404}, std::uint16_t{409}, std::uint16_t{503}}) {
    door.port.status = status;
    door.port.body = R"({"error":"because"})";
    const auto reply = door.ask("DELETE", "/v1/volumes/v");
    BOOST_REQUIRE(reply);
    BOOST_TEST(reply->status == status);
    BOOST_TEST(reply->body == door.port.body);
  }
}

BOOST_AUTO_TEST_CASE(metrics_are_text_and_their_errors_json) {
  Door door;
  door.port.body = "tidemark_up 1\n";
  auto reply = door.ask("GET", "/metrics");
  BOOST_REQUIRE(reply);
  BOOST_TEST(reply->content_type.starts_with("text/plain"));
  BOOST_TEST(reply->body == "tidemark_up 1\n");
  door.port.status = 503;
  reply = door.ask("GET", "/metrics");
  BOOST_TEST(reply->content_type == "application/json");
  BOOST_TEST(door.ask("GET", "/metricsandmore")->content_type == "application/json");
}

BOOST_AUTO_TEST_CASE(the_socket_is_its_owners_alone) {
  Door door;
  struct stat found {};
  BOOST_REQUIRE(::stat(door.path.c_str(), &found) == 0);
  BOOST_TEST((found.st_mode & 0777) == 0600u);
  door.server.reset();
  BOOST_TEST(!std::filesystem::exists(door.path));
}

BOOST_AUTO_TEST_CASE(a_dead_owners_socket_is_replaced_and_a_live_ones_is_not) {
  Door door;
  Server second(door.io, door.port, {.socket_path = door.path});
  const auto busy = second.listen();
  BOOST_REQUIRE(!busy);
  BOOST_TEST((busy.error().code == Errc::busy));
  BOOST_TEST(busy.error().text.find(door.path) != std::string::npos);
  BOOST_TEST(door.ask("GET", "/").has_value());

  const auto stale = door.directory + "/stale.sock";
  { stream_protocol::acceptor dead(door.io, stream_protocol::endpoint(stale)); }
  BOOST_REQUIRE(std::filesystem::exists(stale));
  Server heir(door.io, door.port, {.socket_path = stale});
  BOOST_TEST(heir.listen().has_value());
}

BOOST_AUTO_TEST_CASE(what_is_no_socket_is_never_removed) {
  Door door;
  const auto file = door.directory + "/file";
  std::ofstream(file) << "precious";
  Server server(door.io, door.port, {.socket_path = file});
  BOOST_TEST((server.listen().error().code == Errc::already_exists));
  BOOST_TEST(std::filesystem::file_size(file) == 8u);
  Server missing(door.io, door.port, {.socket_path = door.directory + "/none/admin.sock"});
  BOOST_TEST((missing.listen().error().code == Errc::io_failed));
  Server longer(door.io, door.port, {.socket_path = "/" + std::string(107, 'x')});
  BOOST_TEST((longer.listen().error().code == Errc::invalid));
}

BOOST_AUTO_TEST_CASE(a_connection_serves_many_requests_in_order) {
  Door door;
  RawClient client(door);
  client.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  client.write("GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto all = client.read();
  BOOST_TEST(door.port.asks.size() == 3u);
  BOOST_TEST(door.port.asks[2].path == "/c");
  std::size_t answers = 0;
  for (auto at = all.find("HTTP/1.1 200"); at != std::string::npos;
       at = all.find("HTTP/1.1 200", at + 1))
    ++answers;
  BOOST_TEST(answers == 3u);
}

BOOST_AUTO_TEST_CASE(bad_requests_get_json_and_reach_nobody) {
  const std::string crlf = "\r\n";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"nonsense\r\n\r\n", " 400 "},
      {"GET / HTTP/9.9\r\n\r\n", " 400 "},
      {"GET  HTTP/1.1\r\n\r\n", " 400 "},
      {"GET relative HTTP/1.1\r\nHost: x\r\n\r\n", " 400 "},
      {"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n", " 405 "},
      {"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", " 405 "},
      {"GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n", " 431 "},
      {"GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n", " 431 "},
      {"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", " 413 "},
      {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", " 400 "},
      {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", " 400 "},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", " 400 "},
      {std::string(64, '\0'), " 400 "},
      {"\x16\x03\x01\x02\x01" + std::string(60, 'x') + crlf, " 400 "},
  };
  Door door;
  for (const auto& [sent, status] : cases) {
    BOOST_TEST_CONTEXT(sent.substr(0, 60)) {
      RawClient client(door);
      client.write(sent);
      const auto answer = client.read();
      BOOST_TEST(answer.substr(0, 20).find(status) != std::string::npos, answer);
      BOOST_TEST(answer.find("Content-Type: application/json") != std::string::npos);
      BOOST_TEST(answer.find("{\"error\":\"") != std::string::npos);
    }
  }
  BOOST_TEST(door.port.asks.empty());
  BOOST_TEST(door.ask("GET", "/").has_value());
}

BOOST_AUTO_TEST_CASE(a_body_of_the_largest_size_is_taken_and_one_more_is_not) {
  Door door;
  const std::string largest(std::size_t{1} << 20, 'x');
  BOOST_TEST(door.ask("POST", "/", largest)->status == 200u);
  BOOST_TEST((door.port.asks.back().body == largest));
  BOOST_TEST(door.ask("POST", "/", largest + "x")->status == 413u);
  BOOST_TEST(door.port.asks.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_client_that_waits_for_100_continue_gets_it) {
  Door door;
  RawClient client(door);
  client.write(
      "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: "
      "close\r\n\r\n");
  BOOST_TEST(client.read("\r\n\r\n").starts_with("HTTP/1.1 100 "));
  client.write("{}");
  BOOST_TEST(client.read().starts_with("HTTP/1.1 200 "));
  BOOST_TEST(door.port.asks[0].body == "{}");
}

BOOST_AUTO_TEST_CASE(more_connections_than_fit_are_told_so) {
  Door door({.connections_max = 3, .refused_max = 2});
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 3; ++i) idle.push_back(std::make_unique<RawClient>(door));
  const auto refused = door.ask("GET", "/");
  BOOST_REQUIRE(refused);
  BOOST_TEST(refused->status == 503u);
  BOOST_TEST(refused->body.find("3 connections") != std::string::npos);
  for (int i = 0; i < 2; ++i) idle.push_back(std::make_unique<RawClient>(door));
  BOOST_TEST(!door.ask("GET", "/").has_value());
  idle.clear();
  BOOST_TEST(door.ask("GET", "/")->status == 200u);
}

BOOST_AUTO_TEST_CASE(an_idle_connection_is_closed) {
  Door door({.idle = 30ms});
  RawClient silent(door);
  BOOST_TEST(silent.read().empty());
  RawClient slow(door);
  slow.write("GET / HT");
  BOOST_TEST(slow.read().empty());
}

BOOST_AUTO_TEST_CASE(a_node_that_does_not_answer_is_504_and_its_late_answer_is_dropped) {
  Door door({.answer_wait = 30ms});
  door.port.keeps = true;
  const auto reply = door.ask("GET", "/slow");
  BOOST_REQUIRE(reply);
  BOOST_TEST(reply->status == 504u);
  door.port.kept[0]({door.port.asks[0].id, 200, "late"});
  door.port.keeps = false;
  BOOST_TEST(door.ask("GET", "/")->body == R"({"ok":true})");
}

BOOST_AUTO_TEST_CASE(the_server_may_go_while_the_node_thinks) {
  Door door;
  door.port.keeps = true;
  RawClient client(door);
  client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  door.run_until([&] { return !door.port.kept.empty(); });
  door.server.reset();
  door.port.kept[0]({1, 200, "late"});
  BOOST_TEST(client.read().empty());
}

BOOST_AUTO_TEST_CASE(the_client_says_what_it_tried_and_what_happened) {
  const auto directory = fresh_directory();
  const auto nobody = request(directory + "/admin.sock", "GET", "/v1/status", "", 1s);
  BOOST_REQUIRE(!nobody);
  BOOST_TEST((nobody.error().code == Errc::unavailable));
  BOOST_TEST(nobody.error().text.find("GET /v1/status at " + directory) != std::string::npos);
  BOOST_TEST(nobody.error().text.find("is tidemarkd running there?") != std::string::npos);
  std::filesystem::remove_all(directory);

  Door door;
  door.port.keeps = true;
  const auto late = door.ask("GET", "/", "", 30ms);
  BOOST_REQUIRE(!late);
  BOOST_TEST((late.error().code == Errc::cancelled));
  BOOST_TEST((door.ask("FROB", "/").error().code == Errc::invalid));
  BOOST_TEST((door.ask("GET", "/a b").error().code == Errc::invalid));
  BOOST_TEST((door.ask("GET", "/a\r\nX: y").error().code == Errc::invalid));
  BOOST_TEST(
      (request("/" + std::string(200, 'x'), "GET", "/", "", 1s).error().code == Errc::invalid));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::http
