#include "crypto/formats/inf_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace formats {

using base::Errc;
using base::fail;
namespace limits = base::limits;

namespace {

// What Windows-1252 puts at 0x80 to 0x9F; the five holes become the control characters of the same number, as Windows
// itself converts them.
constexpr std::array<std::uint16_t, 32> kWindows1252 = {
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D, 0x017D, 0x008F,
    0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};

std::string utf8_from_windows1252(ByteView bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const std::uint8_t octet : bytes) {
    const unsigned c = octet >= 0x80 && octet < 0xA0 ? kWindows1252[octet - 0x80U] : octet;
    const auto put = [&](unsigned unit) { text += static_cast<char>(static_cast<std::uint8_t>(unit)); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0U | (c >> 6));
      put(0x80U | (c & 0x3FU));
    } else {
      put(0xE0U | (c >> 12));
      put(0x80U | ((c >> 6) & 0x3FU));
      put(0x80U | (c & 0x3FU));
    }
  }
  return text;
}

bool starts_with(ByteView bytes, std::initializer_list<std::uint8_t> mark) {
  return bytes.size() >= mark.size() && std::equal(mark.begin(), mark.end(), bytes.begin());
}

struct Decoded {
  InfEncoding encoding;
  std::string text;
};

Result<Decoded> decoded_as(InfEncoding encoding, Result<std::string> text) {
  if (!text) return tl::unexpected<base::Error>(text.error());
  return Decoded{encoding, std::move(*text)};
}

Result<Decoded> decoded(ByteView bytes) {
  if (starts_with(bytes, {0xFF, 0xFE})) return decoded_as(InfEncoding::utf16le, base::utf8_from_utf16le(bytes.subspan(2)));
  if (starts_with(bytes, {0xFE, 0xFF})) return decoded_as(InfEncoding::utf16be, base::utf8_from_utf16be(bytes.subspan(2)));
  // Without a mark Windows guesses; ASCII text with a zero after each character is what its guess is right about.
  if (bytes.size() >= 2 && bytes.size() % 2 == 0 && bytes[0] != 0 && bytes[1] == 0)
    return decoded_as(InfEncoding::utf16le, base::utf8_from_utf16le(bytes));
  if (starts_with(bytes, {0xEF, 0xBB, 0xBF})) bytes = bytes.subspan(3);
  if (base::is_utf8(base::as_text(bytes))) return Decoded{InfEncoding::utf8, std::string(base::as_text(bytes))};
  return Decoded{InfEncoding::windows1252, utf8_from_windows1252(bytes)};
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

// One name or value being read: what stood in quotes keeps its spaces, the rest loses those at its ends.
class Token {
 public:
  void put(char c) {
    if (text_.empty() && !quoted_ && is_blank(c)) return;
    text_ += c;
  }
  void put_quoted(char c) {
    text_ += c;
    keep_ = text_.size();
  }
  void quote() {
    quoted_ = true;
    keep_ = text_.size();
  }
  bool quoted() const { return quoted_; }
  std::string take() {
    while (text_.size() > keep_ && is_blank(text_.back())) text_.pop_back();
    std::string taken = std::move(text_);
    *this = Token();
    return taken;
  }

 private:
  std::string text_;
  std::size_t keep_ = 0;
  bool quoted_ = false;
};

}  // namespace

class InfReader {
 public:
  explicit InfReader(std::string_view text) : text_(text) {}

  Result<InfFile> read(InfEncoding encoding) {
    inf_.encoding_ = encoding;
    while (!at_end()) {
      skip_blanks();
      if (at_end()) break;
      if (text_[at_] == '\n') {
        next_line();
      } else if (text_[at_] == ';') {
        skip_comment();
      } else if (text_[at_] == '[') {
        TRY(read_heading());
      } else {
        TRY(read_line());
      }
      if (number_ > limits::kInfLines) return fail(Errc::too_large, fmt::format("more than {} lines", limits::kInfLines));
    }
    read_strings();
    return std::move(inf_);
  }

 private:
  bool at_end() const { return at_ >= text_.size(); }
  void next_line() {
    ++at_;
    ++number_;
  }
  void skip_blanks() {
    while (!at_end() && is_blank(text_[at_])) ++at_;
  }
  void skip_comment() {   // up to the line's end, which stays
    while (!at_end() && text_[at_] != '\n') ++at_;
  }

  Result<void> read_heading() {
    const std::size_t end = text_.find_first_of("]\n", at_);
    if (end == std::string_view::npos || text_[end] == '\n')
      return fail(Errc::malformed, fmt::format("line {}: section heading without ]", number_));
    const std::string name(base::trim(text_.substr(at_ + 1, end - at_ - 1)));
    at_ = end;
    skip_comment();   // what follows the ] on its line is not read by Windows either
    const auto [place, is_new] = inf_.section_index_.try_emplace(base::lower_ascii(name), inf_.sections_.size());
    if (is_new) {
      if (inf_.sections_.size() == limits::kInfSections)
        return fail(Errc::too_large, fmt::format("line {}: more than {} sections", number_, limits::kInfSections));
      inf_.sections_.push_back({name, number_, {}});
    }
    current_ = place->second;
    return {};
  }

  Result<void> push_field(InfLine& line, Token& token) {
    if (++fields_ > limits::kInfFields)
      return fail(Errc::too_large, fmt::format("line {}, [{}]: more than {} values in the file", line.number, base::printable(inf_.sections_[*current_].name), limits::kInfFields));
    line.fields.push_back(token.take());
    return {};
  }

  // A backslash with nothing but blanks or a comment after it joins the next line to this one.
  bool match_continuation() {
    std::size_t after = at_ + 1;
    while (after < text_.size() && is_blank(text_[after])) ++after;
    if (after < text_.size() && text_[after] != '\n' && text_[after] != ';') return false;
    at_ = after;
    skip_comment();
    if (!at_end()) next_line();
    skip_blanks();
    return true;
  }

  Result<void> read_line() {
    if (!current_) {   // Microsoft's own samples begin with a C comment: what stands before the first heading is not read
      skip_comment();
      return {};
    }
    InfLine line;
    line.number = number_;
    const std::size_t start = at_;
    Token token;
    bool in_quotes = false;
    bool seen_comma = false;
    while (!at_end() && text_[at_] != '\n') {
      if (at_ - start > limits::kInfLineBytes)
        return fail(Errc::too_large, fmt::format("line {}, [{}]: longer than {} bytes", line.number,
                                                 base::printable(inf_.sections_[*current_].name), limits::kInfLineBytes));
      const char c = text_[at_];
      if (in_quotes) {
        const bool doubled = c == '"' && at_ + 1 < text_.size() && text_[at_ + 1] == '"';
        if (c == '"' && !doubled)
          in_quotes = false;
        else if (c != '\r')
          token.put_quoted(c);
        at_ += doubled ? 2 : 1;
        continue;
      }
      if (c == ';') {
        skip_comment();
        break;
      }
      if (c == '\\' && match_continuation()) continue;
      ++at_;
      if (c == '"') {
        in_quotes = true;
        token.quote();
      } else if (c == '=' && !line.key && !seen_comma) {
        line.key = token.take();
      } else if (c == ',') {
        seen_comma = true;
        TRY(push_field(line, token));
      } else {
        token.put(c);
      }
    }
    const bool quoted = token.quoted();
    TRY(push_field(line, token));
    if (!quoted && line.fields.size() == 1 && line.fields[0].empty()) line.fields.clear();
    if (line.key || !line.fields.empty()) inf_.sections_[*current_].lines.push_back(std::move(line));
    return {};
  }

  // English first: that is what Inf2Cat and the Hardware Dashboard run on. 0009 is English of any country.
  void read_strings() {
    for (const std::string_view name : {"strings.0409", "strings.0009", "strings"}) {
      const InfSection* section = inf_.section(name);
      if (section == nullptr) continue;
      for (const InfLine& line : section->lines)
        if (line.key) inf_.strings_.try_emplace(base::lower_ascii(*line.key), line.field(0));
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint32_t number_ = 1;
  std::size_t fields_ = 0;
  std::optional<std::size_t> current_;
  InfFile inf_;
};

std::string_view InfLine::field(std::size_t index) const {
  return index < fields.size() ? std::string_view(fields[index]) : std::string_view();
}

Result<InfFile> InfFile::parse(ByteView bytes) {
  if (bytes.size() > limits::kInfBytes)
    return fail(Errc::too_large, fmt::format("INF of {} bytes, at most {} are read", bytes.size(), limits::kInfBytes));
  const Decoded whole = TRY(decoded(bytes));
  // Control-Z ends a text file, as in DOS.
  const std::string_view text = std::string_view(whole.text).substr(0, whole.text.find('\x1A'));
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return fail(Errc::malformed, fmt::format("line {}: NUL character; an INF is text",
                                             1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n')));
  return InfReader(text).read(whole.encoding);
}

const InfSection* InfFile::section(std::string_view name) const {
  const auto found = section_index_.find(base::lower_ascii(name));
  return found == section_index_.end() ? nullptr : &sections_[found->second];
}

const InfLine* InfFile::line(std::string_view section_name, std::string_view key) const {
  const InfSection* in = section(section_name);
  if (in == nullptr) return nullptr;
  for (const InfLine& candidate : in->lines) {
    if (!candidate.key) continue;
    const Result<std::string> name = expand(*candidate.key);
    if (name && base::equal_ignoring_case(*name, key)) return &candidate;
  }
  return nullptr;
}

Result<std::string> InfFile::expand(std::string_view text) const {
  std::string expanded;
  const auto put = [&](std::string_view part) -> Result<void> {
    if (part.size() > limits::kAttributeTextBytes - expanded.size())
      return fail(Errc::too_large, fmt::format("text of more than {} bytes after its %strings% are replaced", limits::kAttributeTextBytes));
    expanded += part;
    return {};
  };
  while (!text.empty()) {
    const std::size_t open = text.find('%');
    TRY(put(text.substr(0, open)));
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find('%', open + 1);
    if (close == std::string_view::npos) {
      TRY(put(text.substr(open)));
      break;
    }
    const auto value = strings_.find(base::lower_ascii(text.substr(open + 1, close - open - 1)));
    if (close == open + 1)
      TRY(put("%"));
    else if (value != strings_.end())
      TRY(put(value->second));
    else
      TRY(put(text.substr(open, close - open + 1)));
    text.remove_prefix(close + 1);
  }
  return expanded;
}

}  // namespace formats
