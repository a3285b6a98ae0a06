// Aligned columns for people; with --json the reply is printed as it came instead.
#pragma once

#include <string>
#include <vector>

namespace tidemark::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> titles) : rows_{std::move(titles)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() == 1; }
  /// Two spaces between columns, none at the end of a line.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tidemark::cli
