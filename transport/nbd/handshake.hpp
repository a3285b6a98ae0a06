// The server's side of fixed newstyle negotiation, without a socket: bytes in, bytes out.
//
//   client_flags --> haggling --> transmission (GO, EXPORT_NAME)
//                       |
//                       +------> close        (ABORT, a breach, a limit)
//
// A client has cost nothing but this object until it named an export that is served here. Bounds
// are those of the protocol where it sets some, else small: a stranger has 512 KiB and 4096 options
// to say what it wants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/front.hpp"
#include "transport/nbd/requests.hpp"
#include "transport/nbd/wire.hpp"

namespace tidemark::nbd {

/// Longest option that is looked into: a name of 4096 bytes, its length, and 2000 information
/// requests or a page of context queries. Longer ones are drained and refused.
inline constexpr std::size_t option_bytes_max = 8192;
/// What a client may send in all before transmission, in bytes.
inline constexpr std::size_t negotiation_bytes_max = std::size_t{512} << 10;
/// A mount needs up to 8 options; `qemu-nbd --list` sends some for each of up to 1024 volumes, of
/// some 100 bytes each.
inline constexpr std::uint32_t options_max = 4096;
/// A LIST that grew past this ends in an error instead of more names, in bytes.
inline constexpr std::size_t list_bytes_max = std::size_t{1} << 20;

/// The exports, as far as the handshake is concerned.
class Door {
 public:
  virtual ~Door() = default;
  virtual std::vector<engine::ExportInfo> list() = 0;
  /// What open() would serve, without opening.
  virtual engine::Result<engine::ExportInfo> describe(const std::string& name) = 0;
  /// Opens for transmission; called once at most with success.
  virtual engine::Result<engine::ExportInfo> open(const std::string& name) = 0;
};

class Handshake {
 public:
  enum class Next : std::uint8_t {
    read_on,       ///< Come again with more input.
    transmission,  ///< Agreed: what follows are requests.
    close,         ///< Send what there is, then close; why() says the reason.
  };
  struct Step {
    std::size_t consumed = 0;  ///< Bytes of the input that are done with.
    Next next = Next::read_on;
  };

  explicit Handshake(Door& door) : door_(door) {}

  /// What a server says first.
  static void greet(Bytes& out);

  /// Handles at most one message at the front of `input` and appends the replies to `out`.
  /// Consuming nothing with `read_on` means that the message is incomplete; it is complete
  /// within option_header_bytes + option_bytes_max. Send the replies before the next call, so
  /// that they do not pile up.
  Step step(ByteView input, Bytes& out);

  /// Valid once `transmission` was reached.
  const Agreement& agreed() const { return agreed_; }
  const std::string& export_name() const { return export_name_; }
  const std::string& why() const { return why_; }

 private:
  enum class State : std::uint8_t { client_flags, haggling, draining };

  /// One option's payload to answer; appends replies.
  struct Request {
    Option option = Option::abort;
    ByteView data;
  };

  Step take_client_flags(ByteView input);
  Step take_option(ByteView input, Bytes& out);
  Step drain(ByteView input, Bytes& out);
  Step refuse_long_option(std::uint32_t length);
  Step close(std::size_t consumed, std::string_view why);

  Next answer(const Request& request, Bytes& out);
  Next export_name(const Request& request, Bytes& out);
  Next info_or_go(const Request& request, Bytes& out);
  void list(const Request& request, Bytes& out);
  void structured_reply(const Request& request, Bytes& out);
  void meta_context(const Request& request, Bytes& out);
  void enter(const engine::ExportInfo& info);
  /// The empty name stands for the only export when there is exactly one; of several, the error
  /// names some.
  engine::Result<std::string> resolve(std::string_view name);
  engine::Result<engine::ExportInfo> describe(std::string_view name);
  engine::Result<engine::ExportInfo> open(std::string_view name);

  Door& door_;
  State state_ = State::client_flags;
  bool fixed_newstyle_ = false;
  bool no_zeroes_ = false;
  bool structured_ = false;
  std::optional<std::string> context_export_;  ///< For which base:allocation was selected.
  std::uint32_t options_ = 0;
  std::size_t received_ = 0;    ///< Bytes consumed and announced so far.
  std::size_t drain_left_ = 0;  ///< Of a refused option, still to come.
  Option drained_ = Option::abort;
  Agreement agreed_;
  std::string export_name_;
  std::string why_;
};

}  // namespace tidemark::nbd
