// What a front end (the NBD server, the simulator's clients) asks of a volume, and how it is
// answered. Requests of one loop turn travel as one batch; so do their answers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/messages.hpp"
#include "engine/result.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

enum class FrontOp : std::uint8_t { read, write, flush, trim, write_zeroes, cache, block_status };

/// One request. Offsets and lengths are bytes; the volume checks them against its size as it is then.
struct FrontRequest {
  std::uint64_t cookie = 0;  ///< Given back in the answer; the front end keeps them apart.
  FrontOp op = FrontOp::read;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool fua = false;      ///< Answer only when committed.
  bool no_hole = false;  ///< write_zeroes: keep the space.
  /// write: the blocks that the request touches, whole; the caller's bytes stand at offset % 4096.
  /// What lies outside [offset, offset + length) is undefined and filled in by the volume (C22).
  Buffer data;

  bool within(std::uint64_t size_bytes) const {
    return length <= size_bytes && offset <= size_bytes - length;
  }
};

/// A run of equal allocation, for NBD's base:allocation.
struct Allocation {
  std::uint64_t length = 0;  ///< Bytes.
  bool hole = false;
  bool zero = false;
};

struct FrontReply {
  std::uint64_t cookie = 0;
  std::optional<Error> error;
  /// read: exactly the bytes asked for, in order; a `zero` piece has no memory behind it.
  struct Piece {
    Slice data;  ///< Empty for zeros.
    std::uint64_t zero_bytes = 0;
  };
  std::vector<Piece> pieces;
  std::vector<Allocation>
      allocations;  ///< block_status; covers a prefix of the range, at least one.
};

/// The side that asked. Called on the loop.
class FrontClient {
 public:
  virtual ~FrontClient() = default;
  virtual void on_replies(std::vector<FrontReply> replies) = 0;
  /// The volume is no longer served here; nothing more will be answered. Close the connection: an
  /// answered write that was not flushed may be gone (C4).
  virtual void on_cut(const std::string& reason) = 0;
};

struct ExportInfo {
  std::string name;
  std::uint64_t size_bytes = 0;
  bool read_only = false;
};

/// An open export. Dropping it forgets the client: what it still waits for is not answered.
class FrontPort {
 public:
  virtual ~FrontPort() = default;
  /// Its size may have changed since the last call.
  virtual const ExportInfo& info() const = 0;
  /// Takes requests in order; overlapping changes take effect in this order. A read may not see a
  /// change that was submitted before it and is not answered yet.
  virtual void submit(std::vector<FrontRequest> requests) = 0;
};

/// The volumes that this node serves now.
class Exports {
 public:
  virtual ~Exports() = default;
  virtual std::vector<ExportInfo> list() const = 0;
  /// Errc::not_found for an unknown name; Errc::unavailable where another node is primary (the text
  /// names it and its NBD address) or nobody is.
  virtual Result<std::unique_ptr<FrontPort>> open(const std::string& name,
                                                  std::weak_ptr<FrontClient> client) = 0;
};

/// Operators' requests (the HTTP server asks, the node answers).
class AdminPort {
 public:
  virtual ~AdminPort() = default;
  /// `done` runs once, on the loop.
  virtual void ask(AdminAsk ask, std::function<void(AdminReply)> done) = 0;
};

}  // namespace tidemark::engine
