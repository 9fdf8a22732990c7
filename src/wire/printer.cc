#include "wire/printer.h"

#include <cctype>
#include <charconv>

#include "base/base64.h"

namespace ottla::wire {
namespace {

void append_escaped(std::string& text, std::string_view value) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      text.push_back('\\');
      text.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      text.append("\\u00").append({kHex[c >> 4], kHex[c & 15]});
    } else {
      text.push_back(c);
    }
  }
}

}  // namespace

void Printer::open(char bracket) { text_.push_back(bracket); }
void Printer::close(char bracket) { text_.push_back(bracket); }

void Printer::separate() {
  if (text_.back() != '{' && text_.back() != '[') text_.push_back(',');
}

void Printer::name(std::string_view kafka_name) {
  separate();
  text_.push_back('"');
  text_.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(kafka_name.front()))));
  text_.append(kafka_name.substr(1)).append("\":");
}

bool Printer::cut(std::size_t index, std::size_t count) {
  if (style_ == Style::kKafka || index < kLogElementsMax) return false;
  separate();
  text_.append("\"... ").append(std::to_string(count - index)).append(" more\"");
  return true;
}

void Printer::end_tags(const UnknownTags& unknown) {
  if (style_ == Style::kKafka || unknown.empty()) return;
  name("unknownTags");
  open('[');
  for (std::size_t i = 0; i < unknown.size() && !cut(i, unknown.size()); ++i) {
    separate();
    write(static_cast<std::int64_t>(unknown[i].tag));
  }
  close(']');
}

void Printer::write(std::int64_t value) { text_.append(std::to_string(value)); }

void Printer::write(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  const std::string_view digits(buffer, static_cast<std::size_t>(end - buffer));
  text_.append(digits);
  if (digits.find_first_of(".en") == std::string_view::npos) text_.append(".0");
}

void Printer::write(const std::string& value) {
  const std::size_t shown =
      style_ == Style::kLog ? std::min(value.size(), kLogStringBytesMax) : value.size();
  text_.push_back('"');
  append_escaped(text_, std::string_view(value).substr(0, shown));
  if (shown < value.size()) text_.append("...");
  text_.push_back('"');
}

void Printer::write(const Uuid& value) {
  text_.append("\"").append(value.to_string()).append("\"");
}

void Printer::write(ByteView value) {
  if (style_ == Style::kLog) {
    text_.append("\"<").append(std::to_string(value.size())).append(" bytes>\"");
    return;
  }
  text_.push_back('"');
  text_ += to_base64(value);
  text_.push_back('"');
}

void Printer::write(const Records& value) {
  if (value.is_null()) return put("null");
  if (style_ == Style::kKafka && value.bytes().in_memory()) return write(value.flatten().view());
  text_.append("\"<").append(std::to_string(value.size_bytes())).append(" bytes>\"");
}

}  // namespace ottla::wire
