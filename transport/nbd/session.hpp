// One connection: the handshake, then requests in and replies out,
// on one loop and without a thread.
//
//   socket --read--> Input --parse--> one batch --submit--> FrontPort
//   socket <-sendmsg-- ReplyQueue <-------- on_replies ---- FrontPort
//
// Back-pressure is not to read: while 256 requests or 33 MiB are in flight or unsent, further
// requests stay in the client's socket. A request that the volume cannot answer because it is not
// served here any more is not answered with an error: the connection ends, and the client replays.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/front.hpp"
#include "transport/nbd/handshake.hpp"
#include "transport/nbd/in_flight.hpp"
#include "transport/nbd/input.hpp"
#include "transport/nbd/replies.hpp"

namespace tidemark::nbd {

/// What the sessions of a server count, for metrics.
struct Counters {
  std::uint64_t connections = 0;           ///< Open now.
  std::uint64_t connections_accepted = 0;  ///< Since start.
  std::uint64_t connections_refused = 0;   ///< Closed at once, for want of a place.
  std::uint64_t negotiations_failed = 0;   ///< Ended before transmission.
  std::uint64_t requests = 0;              ///< Forwarded to volumes.
  std::uint64_t batches = 0;               ///< In which they were forwarded.
  std::uint64_t requests_refused = 0;      ///< Answered with an error by the front end itself.
  std::uint64_t bytes_read = 0;            ///< Payload of answered READs.
  std::uint64_t bytes_written = 0;         ///< Payload of received WRITEs.
  std::uint64_t socket_reads = 0;          ///< Reads that brought something.
  std::uint64_t socket_writes = 0;         ///< Calls of sendmsg.
};

/// How long things may take.
struct SessionTimes {
  /// From the connection to transmission. A real client needs some round trips;
  /// qemu grants the same 10 s.
  std::chrono::milliseconds negotiation{10'000};
  /// From DISC until what is in flight was answered;
  /// a volume that blocks would else hold the place for ever.
  std::chrono::milliseconds farewell{30'000};
  /// How long a client may leave replies in its socket without taking a byte; what they hold would
  /// be held for ever.
  std::chrono::milliseconds stalled{60'000};
};

class Session final : public engine::FrontClient,
                      private Door,
                      public std::enable_shared_from_this<Session> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  /// Told once, when the session is over; not called after stop().
  using Ended = std::function<void(const Session&, const std::string& why)>;

  Session(Socket socket, std::string peer, engine::Exports& exports, SessionTimes times,
          Counters& counters, Ended ended);

  void start();
  /// Reads no more; closes once what is in flight is answered and sent. What the client sent and
  /// the volume has not seen is dropped unanswered: a client that comes again asks again.
  void drain();
  /// Closes now; what is in flight is not answered.
  void stop();

  const std::string& peer() const { return peer_; }
  /// Empty before transmission.
  const std::string& export_name() const { return handshake_.export_name(); }
  bool negotiating() const { return phase_ == Phase::negotiating; }

  void on_replies(std::vector<engine::FrontReply> replies) override;
  void on_cut(const std::string& reason) override;

 private:
  enum class Phase : std::uint8_t {
    negotiating,
    transmitting,
    leaving,  ///< Reads no more; closes when all is answered and sent.
    closed,
  };

  // Door: what the handshake may know of the exports.
  std::vector<engine::ExportInfo> list() override;
  engine::Result<engine::ExportInfo> describe(const std::string& name) override;
  engine::Result<engine::ExportInfo> open(const std::string& name) override;

  void turn();
  void read();
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  void handle_input();
  void negotiate();
  void begin_transmission();

  void parse();
  bool take_request(std::vector<engine::FrontRequest>& batch);
  bool continue_payload(std::vector<engine::FrontRequest>& batch);
  void forward(const RequestHeader& request, std::vector<engine::FrontRequest>& batch);
  void submit(std::vector<engine::FrontRequest> batch);
  bool has_room(std::uint64_t bytes) const;
  std::uint32_t owed() const;

  void add_reply(const RequestHeader& request, engine::FrontReply reply);
  void settle();
  void flush();
  void wait_writable();
  void end(const std::string& why);
  void leave(std::string why);
  void arm(std::chrono::milliseconds limit, std::string why);
  void close(const std::string& why);
  void discard_unread();
  void drop_port();

  Socket socket_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer stall_;  ///< Runs while the socket is full.
  std::string peer_;
  engine::Exports& exports_;
  SessionTimes times_;
  Counters& counters_;
  Ended ended_;

  Phase phase_ = Phase::negotiating;
  Handshake handshake_;
  std::unique_ptr<engine::FrontPort> port_;
  Input input_;
  ReplyQueue replies_;
  InFlight in_flight_;
  Bytes handshake_out_;  ///< Reused from option to option.
  std::string leave_why_;

  engine::FrontRequest write_;    ///< The write whose payload is arriving.
  std::uint32_t skip_bytes_ = 0;  ///< Payload of a refused write, still to come.

  std::size_t last_batch_ = 1;  ///< Requests of the last batch: the best guess for the next.

  bool reading_ = false;        ///< A read is with the loop.
  bool waiting_write_ = false;  ///< The socket is full; a wait is with the loop.
  bool stalled_ = false;        ///< A complete request waits in the input for room.
  bool busy_ = false;           ///< Inside handle_input: replies gather until its end.
  bool turn_posted_ = false;
  int port_calls_ = 0;  ///< Calls from or into the port under way: it must not be destroyed now.
};

}  // namespace tidemark::nbd
