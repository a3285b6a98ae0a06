// The command line of the exhaustive tier.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>

#include "sim/exhaust.hpp"
#include "sim/exhaust_child.hpp"
#include "sim/exhaust_crash.hpp"

namespace tidemark::sim {
namespace {

constexpr std::string_view exhaust_usage =
    R"(Plays everything of a small scope: two copies and a control plane, a few requests, one crash, one cut.

  tidemark-sim exhaust [--requests N] [--departures N] [--part PART] [--jobs J] [--plant BUG] [--json]
  tidemark-sim exhaust --case ID [--plant BUG] [--verbose]     one case again

  --requests N    part crash: workloads of at most so many requests, at every step of a disk; default 2
    --workload W    part crash: this workload alone. Its letters: w and x write block 0 and 1, o half of each, u block 0
                  with FUA; f flushes, t trims block 0, r reads
  --departures N  part order: orders of two writes and a flush with so many departures from one of them (something
                  waits, one crash, one cut); default 2
  --part PART     crash or order alone
  --jobs J        processes; default 1. The results do not depend on it
  --plant BUG     with a planted bug; a part ends with its first failing case
  --json          print results as JSON
  --verbose       with --case: print every event

Exit status: 0 all cases hold and none within the bounds is left, 1 a case failed, 2 the command line is wrong, 3 it was
interrupted.
)";

struct ExhaustArguments {
  ExhaustOptions options;
  std::string one;  ///< The case to repeat.
  bool verbose = false;
  bool json = false;
  bool help = false;
};

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Takes one option and its value. Why it is wrong, or nothing.
std::optional<std::string> take_value(std::string_view word, std::string_view value,
                                      ExhaustArguments& out) {
  const auto number = whole_number(value);
  if (word == "--requests") {
    if (!number || *number < 1 || *number > 4) return "--requests wants a whole number from 1 to 4";
    out.options.requests = *number;
  } else if (word == "--workload") {
    if (!is_workload(value)) {
      return "--workload wants request letters, and none that another workload stands for";
    }
    out.options.workload = value;
  } else if (word == "--departures") {
    if (!number || *number > 4) return "--departures wants a whole number from 0 to 4";
    out.options.departures = *number;
  } else if (word == "--jobs") {
    if (!number || *number < 1 || *number > 256) return "--jobs wants a whole number from 1 to 256";
    out.options.jobs = static_cast<std::uint32_t>(*number);
  } else if (word == "--part") {
    if (value != "crash" && value != "order") return "--part wants crash or order";
    out.options.part = value;
  } else if (word == "--case") {
    if (value.empty()) return "--case wants what a failing case printed";
    out.one = value;
  } else if (word == "--plant") {
    const auto bug = engine::parse_bug(value);
    if (!bug) return "--plant wants one of the names that --list-bugs prints";
    out.options.bug = *bug;
    out.options.stop_at_failure = true;
  } else {
    return fmt::format("unknown argument {}", word);
  }
  return std::nullopt;
}

std::optional<std::string> parse_words(const std::vector<std::string_view>& words,
                                       ExhaustArguments& out) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--verbose") {
      out.verbose = true;
    } else if (words[i] == "--json") {
      out.json = true;
    } else if (words[i] == "--help" || words[i] == "-h") {
      out.help = true;
    } else {
      const auto value = i + 1 < words.size() ? words[i + 1] : std::string_view();
      if (auto wrong = take_value(words[i], value, out)) return wrong;
      ++i;
    }
  }
  if (out.verbose && out.one.empty()) return "--verbose goes with --case";
  return std::nullopt;
}

std::string in_quotes(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c < ' ' ? ' ' : c;
  }
  return out + "\"";
}

/// One line that is rewritten on a terminal; elsewhere a line now and then.
auto exhaust_progress() {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  return [=](std::string_view part, std::uint64_t done, std::uint64_t known, std::uint64_t failed) {
    if (terminal) {
      fmt::print(stderr, "\r{}: {} of {} known, {} failed \033[K", part, done, known, failed);
    } else if (done % 1000 == 0) {
      fmt::print(stderr, "{}: {} of {} known, {} failed\n", part, done, known, failed);
    }
  };
}

std::string counts_of(const PartResult& part, bool json) {
  std::string text;
  for (const auto& [name, n] : part.counts) {
    text += json ? fmt::format("\"{}\":{},", name, n) : fmt::format(" {}={}", name, n);
  }
  return text;
}

void print_json(const ExhaustResult& result, const ExhaustOptions& options, double seconds) {
  std::string parts;
  for (const auto& part : result.parts) {
    std::string failures;
    for (const auto& f : part.failures) {
      failures += fmt::format("{}{{\"case\":{},\"class\":{},\"text\":{},\"repeat\":{}}}",
                              failures.empty() ? "" : ",", in_quotes(f.id), in_quotes(f.cls),
                              in_quotes(f.text), in_quotes(command_of_case(f.id, options.bug)));
    }
    parts += fmt::format(
        "{}{{\"part\":\"{}\",\"bound\":{},\"complete\":{},\"why_not\":{},{}\"failures\":[{}]}}",
        parts.empty() ? "" : ",", part.name, in_quotes(part.bound), part.complete,
        in_quotes(part.why_not), counts_of(part, true), failures);
  }
  fmt::print("{{\"parts\":[{}],\"seconds\":{:.1f}}}\n", parts, seconds);
}

void print_text(const ExhaustResult& result, const ExhaustOptions& options, double seconds) {
  for (const auto& part : result.parts) {
    for (const auto& f : part.failures) {
      fmt::print("case={} class={} {}\n  {}\n", f.id, f.cls, f.text,
                 command_of_case(f.id, options.bug));
    }
    fmt::print("{}:{} failed={} {}: {}\n", part.name, counts_of(part, false), part.failures.size(),
               part.complete ? "complete within its bound" : "not complete, " + part.why_not,
               part.bound);
  }
  fmt::print("seconds={:.1f}\n", seconds);
}

int repeat_case(const ExhaustArguments& arguments) {
  const auto outcome = play_case(arguments.one, arguments.options.bug, arguments.verbose);
  if (!outcome) {
    fmt::print(stderr, "tidemark-sim: there is no case {}\n", arguments.one);
    return 2;
  }
  if (outcome->cls.empty()) {
    fmt::print("case={} ok\n", arguments.one);
  } else {
    fmt::print("case={} class={} {}\n", outcome->id, outcome->cls, outcome->text);
  }
  return outcome->cls.empty() ? 0 : 1;
}

}  // namespace

int exhaust_main(const std::vector<std::string_view>& words) {
  ExhaustArguments arguments;
  if (const auto wrong = parse_words(words, arguments)) {
    fmt::print(stderr, "tidemark-sim: {}\nSee tidemark-sim exhaust --help.\n", *wrong);
    return 2;
  }
  if (arguments.help) {
    fmt::print("{}", exhaust_usage);
    return 0;
  }
  if (!arguments.one.empty()) return repeat_case(arguments);
  auto& options = arguments.options;
  if (!arguments.json) options.progress = exhaust_progress();
  take_interrupts();
  const auto began = std::chrono::steady_clock::now();
  const auto result = run_exhaust(options);
  const auto seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (!arguments.json && ::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\n");
  arguments.json ? print_json(result, options, seconds) : print_text(result, options, seconds);
  if (result.failed()) return 1;
  return result.complete() ? 0 : 3;
}

}  // namespace tidemark::sim
