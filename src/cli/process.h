// What the command line needs of its own process beside io/: variables, the standard streams, files
// that are read before anything runs, a temporary folder. Blocking; never used by a node that
// serves, but for its line on stdout.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ottla::cli {

inline constexpr std::size_t kTextFileBytesMax = 1 << 20;

// Variables whose name begins with OTTLA_, sorted.
std::vector<std::pair<std::string, std::string>> own_variables();

// The error is the system's reason, for people.
std::expected<std::string, std::string> read_text_file(const std::string& path);

// To stdout, buffered until flush() or the end. After the reader has gone (`| head`), nothing more
// is written and is_output_open() is false.
void print(std::string_view text);
void flush();
bool is_output_open();
// To stderr, with a line end.
void print_error(std::string_view line);

// A new empty folder for temporary data; empty with the reason printed if there can't be one.
std::string make_temporary_folder();
void remove_folder(const std::string& path);

// Lines of a file or of stdin, as they come.
class LineReader {
 public:
  // "-": stdin. nullopt if it can't be opened; the reason is printed.
  static std::optional<LineReader> open(const std::string& path);
  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&&) = delete;
  ~LineReader();

  // The next line without its end; nullopt at the end. Waits for it.
  std::optional<std::string> next();
  // Whether next() would not have to wait, as far as the system tells.
  bool is_ready();
  // Everything up to the end.
  std::string rest();

 private:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}
  bool fill();

  int descriptor_;
  std::string buffer_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

}  // namespace ottla::cli
