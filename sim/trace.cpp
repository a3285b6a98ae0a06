#include "sim/trace.hpp"

#include <cxxabi.h>
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "engine/record/xxh3.hpp"

namespace tidemark::sim {

std::uint64_t content_hash(std::span<const std::byte> bytes) { return engine::xxh3(bytes); }

std::string readable(const char* type_name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(type_name, nullptr, nullptr, &status), &std::free);
  std::string out = status == 0 ? text.get() : type_name;
  for (const std::string_view noise : {"tidemark::", "actors::", "(anonymous namespace)::"}) {
    for (auto at = out.find(noise); at != std::string::npos; at = out.find(noise)) {
      out.erase(at, noise.size());
    }
  }
  return out;
}

void Trace::mix(std::string_view text) { mix(XXH3_64bits(text.data(), text.size())); }

void Trace::mix(std::span<const std::byte> bytes) { mix(content_hash(bytes)); }

Trace::Line& Trace::slot() {
  ++events_;
  if (kept_.size() < kept_max) return kept_.emplace_back();
  auto& line = kept_[next_];
  next_ = (next_ + 1) % kept_max;
  return line;
}

void Trace::note(engine::MonoTime at, std::string line) {
  auto& s = slot();
  s.at = at;
  s.type = nullptr;
  s.text = std::move(line);
  if (verbose) fmt::print("{}\n", render(s));
}

void Trace::handled(engine::MonoTime at, std::uint64_t receiver, const char* name,
                    std::uint64_t sender, const char* type) {
  auto& s = slot();
  s.at = at;
  s.receiver = receiver;
  s.name = name;
  s.sender = sender;
  s.type = type;
  if (verbose) fmt::print("{}\n", render(s));
}

std::string Trace::render(const Line& line) {
  const auto head = fmt::format("{:12.6f} ", static_cast<double>(line.at.value) / 1e9);
  if (line.type == nullptr) return head + line.text;
  return head + fmt::format("  {}#{} <- {} {}", line.name, line.receiver, line.sender,
                            readable(line.type));
}

std::vector<std::string> Trace::last(std::size_t count) const {
  std::vector<std::string> out;
  const auto n = std::min(count, kept_.size());
  for (std::size_t i = kept_.size() - n; i < kept_.size(); ++i) {
    out.push_back(render(kept_[(next_ + i) % kept_.size()]));
  }
  return out;
}

}  // namespace tidemark::sim
