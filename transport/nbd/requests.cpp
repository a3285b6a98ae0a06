#include "transport/nbd/requests.hpp"

#include "engine/check.hpp"
#include "engine/types.hpp"
#include "transport/nbd/replies.hpp"

namespace tidemark::nbd {

namespace {

/// The flags that a command documents. FUA is valid everywhere once SEND_FUA is offered: clients
/// are known to set it on reads.
std::uint16_t allowed_flags(Command command, const Agreement& agreed) {
  switch (command) {
    case Command::read:
      return command_flag::fua | (agreed.structured_replies ? command_flag::df : std::uint16_t{0});
    case Command::write_zeroes:
      return command_flag::fua | command_flag::no_hole | command_flag::fast_zero;
    case Command::block_status:
      return command_flag::fua | command_flag::req_one;
    default:
      return command_flag::fua;
  }
}

bool is_known(Command command) { return command <= Command::block_status; }

bool changes_data(Command command) {
  return command == Command::write || command == Command::trim || command == Command::write_zeroes;
}

/// The protocol asks for ENOSPC where a write would need more device, EINVAL elsewhere.
ErrorCode out_of_range(Command command) {
  const bool writes = command == Command::write || command == Command::write_zeroes;
  return writes ? ErrorCode::enospc : ErrorCode::einval;
}

bool within(const RequestHeader& r, std::uint64_t size) {
  return r.offset <= size && r.length <= size - r.offset;
}

Judgement refuse(ErrorCode error, std::string_view text) { return {Verdict::answer, error, text}; }

Judgement judge_range(const RequestHeader& r, const Agreement& agreed) {
  if (r.command == Command::flush) {
    if (r.offset == 0 && r.length == 0) return {};
    return refuse(ErrorCode::einval, "flush covers the whole export: offset and length must be 0");
  }
  if (!within(r, agreed.size_bytes)) {
    return refuse(out_of_range(r.command), "the range reaches beyond the end of the export");
  }
  if (r.command == Command::read && r.length > payload_bytes_max) {
    return refuse(ErrorCode::einval, "a read is at most 32 MiB");
  }
  if (r.length != 0) return {};
  if (r.command == Command::block_status) {
    return refuse(ErrorCode::einval, "block status of no bytes");
  }
  return {Verdict::answer, ErrorCode::none, {}};
}

engine::FrontOp to_op(Command command) {
  switch (command) {
    case Command::read:
      return engine::FrontOp::read;
    case Command::write:
      return engine::FrontOp::write;
    case Command::flush:
      return engine::FrontOp::flush;
    case Command::trim:
      return engine::FrontOp::trim;
    case Command::cache:
      return engine::FrontOp::cache;
    case Command::write_zeroes:
      return engine::FrontOp::write_zeroes;
    case Command::block_status:
      return engine::FrontOp::block_status;
    case Command::disc:
      break;
  }
  engine::check_failed("only commands with an answer reach the volume");
}

}  // namespace

std::uint16_t transmission_flags(bool read_only, bool structured_replies) {
  namespace t = transmission_flag;
  std::uint16_t flags = t::has_flags | t::send_flush | t::send_fua | t::send_trim |
                        t::send_write_zeroes | t::can_multi_conn | t::send_cache |
                        t::send_fast_zero;
  if (read_only) flags |= t::read_only;
  if (structured_replies) flags |= t::send_df;
  return flags;
}

std::optional<RequestHeader> decode_request(
    std::span<const std::byte, request_header_bytes> bytes) {
  const auto* at = bytes.data();
  if (load<std::uint32_t>(at) != request_magic) return std::nullopt;
  return RequestHeader{.flags = load<std::uint16_t>(at + 4),
                       .command = static_cast<Command>(load<std::uint16_t>(at + 6)),
                       .cookie = load<std::uint64_t>(at + 8),
                       .offset = load<std::uint64_t>(at + 16),
                       .length = load<std::uint32_t>(at + 24)};
}

Judgement judge(const RequestHeader& r, const Agreement& agreed) {
  if (r.command == Command::disc) return {Verdict::disconnect, ErrorCode::none, {}};
  if (r.payload_bytes() > payload_bytes_max) {
    return {Verdict::close, ErrorCode::none, "a write of more than 32 MiB"};
  }
  if (!is_known(r.command)) return refuse(ErrorCode::einval, "unknown command");
  if ((r.flags & ~allowed_flags(r.command, agreed)) != 0) {
    return refuse(ErrorCode::einval, "a flag that this command does not have");
  }
  if (changes_data(r.command) && agreed.read_only) {
    return refuse(ErrorCode::eperm, "the export is read-only");
  }
  if (r.command == Command::block_status && !agreed.base_allocation) {
    return refuse(ErrorCode::einval, "no metadata context was selected for this export");
  }
  return judge_range(r, agreed);
}

engine::FrontRequest to_front(const RequestHeader& r) {
  engine::FrontRequest request;
  request.op = to_op(r.command);
  request.offset = r.offset;
  request.length = r.length;
  request.fua = changes_data(r.command) && r.has(command_flag::fua);
  request.no_hole = r.has(command_flag::no_hole);
  return request;
}

std::uint64_t touched_bytes(std::uint64_t offset, std::uint32_t length) {
  constexpr std::uint64_t block = engine::block_bytes;
  const auto lead = offset % block;
  return (lead + length + block - 1) / block * block;
}

std::uint64_t memory_cost(const RequestHeader& r) {
  switch (r.command) {
    case Command::read:
    case Command::write:
      return touched_bytes(r.offset, r.length);
    case Command::block_status:
      // A volume whose blocks are written and holes in turn has a run for each of them.
      return touched_bytes(r.offset, r.length) / engine::block_bytes * sizeof(engine::Allocation);
    default:
      return 0;
  }
}

}  // namespace tidemark::nbd
