#include "engine/event.hpp"

#include <algorithm>

namespace tidemark::engine {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

// What may stand without quotes: printable, and nothing that a reader
// of key=value would stumble over.
bool is_plain(char c) { return is_printable(c) && c != ' ' && c != '"' && c != '\\' && c != '='; }

// Names and keys come from the code; should a peer's text ever become one, it stays one word.
void append_word(std::string& line, std::string_view word) {
  for (const char c : word) line.push_back(is_word(c) ? c : '_');
}

void append_escaped(std::string& line, char c) {
  if (c == '"' || c == '\\') {
    line.push_back('\\');
    line.push_back(c);
  } else if (c == '\n') {
    line += "\\n";
  } else if (c == '\t') {
    line += "\\t";
  } else if (is_printable(c)) {
    line.push_back(c);
  } else {
    fmt::format_to(std::back_inserter(line), "\\x{:02x}", static_cast<unsigned char>(c));
  }
}

void append_value(std::string& line, std::string_view value) {
  if (!value.empty() && std::all_of(value.begin(), value.end(), is_plain)) {
    line += value;
    return;
  }
  line.push_back('"');
  for (const char c : value) append_escaped(line, c);
  line.push_back('"');
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "unknown";
}

std::string render(const Event& event) {
  std::string line;
  append_word(line, event.name);
  for (const auto& [key, value] : event.fields) {
    line.push_back(' ');
    append_word(line, key);
    line.push_back('=');
    append_value(line, value);
  }
  return line;
}

}  // namespace tidemark::engine
