#include "crypto/base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace base {
namespace {

constexpr char32_t kNoCharacter = 0xFFFFFFFF;

// The next code point of UTF-8 text, and how many bytes it took; kNoCharacter for one byte that is not UTF-8.
struct CodePoint {
  char32_t value;
  std::size_t length;
};

CodePoint next_code_point(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = octet(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xF0 && first < 0xF5 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (length == 0 || first >= 0xF5 || text.size() < length) return {kNoCharacter, 1};
  char32_t value = length == 2 ? first & 0x1FU : length == 3 ? first & 0x0FU : first & 0x07U;
  for (std::size_t i = 1; i < length; ++i) {
    if ((octet(i) & 0xC0) != 0x80) return {kNoCharacter, 1};
    value = (value << 6) | (octet(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {kNoCharacter, 1};
  return {value, length};
}

// Characters that change how their neighbours look, or do not show at all.
bool hides_or_reorders(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x00AD || c == 0x061C || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) ||
         (c >= 0xE0000 && c <= 0xE0FFF);
}

void append_utf8(std::string& to, char32_t c) {
  const auto put = [&](char32_t octet) { to += static_cast<char>(static_cast<std::uint8_t>(octet)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | (c >> 6));
  } else {
    if (c < 0x10000) {
      put(0xE0 | (c >> 12));
    } else {
      put(0xF0 | (c >> 18));
      put(0x80 | ((c >> 12) & 0x3F));
    }
    put(0x80 | ((c >> 6) & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

Result<std::string> utf8_from_utf16(ByteView bytes, bool big_endian) {
  if (bytes.size() % 2 != 0) return fail(Errc::malformed, fmt::format("UTF-16 text of {} bytes", bytes.size()));
  const auto unit = [&](std::size_t at) -> char32_t {
    const unsigned first = bytes[at];
    const unsigned second = bytes[at + 1];
    return big_endian ? (first << 8) | second : (second << 8) | first;
  };
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 2) {
    char32_t c = unit(at);
    if (c >= 0xD800 && c <= 0xDFFF) {
      const bool paired = c < 0xDC00 && at + 2 < bytes.size() && unit(at + 2) >= 0xDC00 && unit(at + 2) <= 0xDFFF;
      if (!paired) return fail(Errc::malformed, fmt::format("UTF-16 surrogate without its partner at byte {}", at));
      c = 0x10000 + ((c - 0xD800) << 10) + (unit(at + 2) - 0xDC00);
      at += 2;
    }
    append_utf8(text, c);
  }
  return text;
}

Result<Bytes> utf16_from_utf8(std::string_view text, bool big_endian) {
  Bytes bytes;
  const auto put = [&](char32_t unit) {
    const auto high = static_cast<std::uint8_t>(unit >> 8);
    const auto low = static_cast<std::uint8_t>(unit & 0xFF);
    bytes.push_back(big_endian ? high : low);
    bytes.push_back(big_endian ? low : high);
  };
  while (!text.empty()) {
    const auto [c, length] = next_code_point(text);
    if (c == kNoCharacter) return fail(Errc::malformed, "text is not UTF-8");
    if (c >= 0x10000) {
      put(0xD800 + ((c - 0x10000) >> 10));
      put(0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
      put(c);
    }
    text.remove_prefix(length);
  }
  return bytes;
}

Result<unsigned> digits(std::string_view text, std::size_t at, std::size_t count) {
  unsigned value = 0;
  if (at + count > text.size()) return fail(Errc::malformed, "time is cut short");
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return fail(Errc::malformed, fmt::format("\"{}\" is not a time", printable(text)));
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

Result<Time> time_of(unsigned year, unsigned month, unsigned day, unsigned hour, unsigned minute, unsigned second) {
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(static_cast<int>(year)), std::chrono::month(month),
                            std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59)
    return fail(Errc::malformed, fmt::format("there is no time {:04}-{:02}-{:02} {:02}:{:02}:{:02}", year, month, day,
                                             hour, minute, second));
  return sys_days(date) + hours(hour) + minutes(minute) + seconds(second);
}

struct Fields {
  int year;
  unsigned month, day, hour, minute, second;
};

Fields fields_of(Time time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          static_cast<unsigned>(clock.hours().count()),
          static_cast<unsigned>(clock.minutes().count()),
          static_cast<unsigned>(clock.seconds().count())};
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t octet : bytes) {
    text += kDigits[octet >> 4];
    text += kDigits[octet & 15U];
  }
  return text;
}

Result<Bytes> from_hex(std::string_view text) {
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return fail(Errc::malformed, fmt::format("hex text of {} digits", text.size()));
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = nibble(text[i]);
    const int low = nibble(text[i + 1]);
    if (high < 0 || low < 0) return fail(Errc::malformed, fmt::format("\"{}\" is not hex", printable(text)));
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return bytes;
}

std::string base64(ByteView bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t present = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = (group << 8) | (k < present ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= present ? kBase64[(group >> (18 - 6 * k)) & 63U] : '=';
  }
  return text;
}

Result<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return fail(Errc::malformed, fmt::format("base64 text of {} characters", text.size()));
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::size_t present = 4;
    if (i + 4 == text.size() && text[i + 3] == '=') present = text[i + 2] == '=' ? 2 : 3;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t value = k < present ? kBase64.find(text[i + k]) : 0;
      if (value == std::string_view::npos) return fail(Errc::malformed, fmt::format("no base64 at character {}", i + k));
      group = (group << 6) | static_cast<std::uint32_t>(value);
    }
    for (std::size_t k = 0; k + 1 < present; ++k) bytes.push_back(static_cast<std::uint8_t>(group >> (16 - 8 * k)));
    const std::uint32_t stray = present == 4 ? 0 : group & ((1U << (8 * (4 - present))) - 1);
    if (stray != 0) return fail(Errc::malformed, "base64 text with stray bits at its end");
  }
  return bytes;
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const auto [c, length] = next_code_point(text);
    if (c == kNoCharacter)
      shown += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[0]));
    else if (hides_or_reorders(c))
      shown += c < 0x100 ? fmt::format("\\x{:02x}", static_cast<std::uint32_t>(c))
                         : fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
    else
      shown += text.substr(0, length);
    text.remove_prefix(length);
  }
  return shown;
}

std::string shortened(std::string_view text, std::size_t most) {
  constexpr std::string_view kLeftOut = "[...]";
  std::string shown = printable(text);
  if (shown.size() <= most) return shown;
  shown.resize(most - std::min(most, kLeftOut.size()));
  while (!is_utf8(shown)) shown.pop_back();
  return shown.append(kLeftOut.substr(0, most));
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto [c, length] = next_code_point(text);
    if (c == kNoCharacter) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

std::string upper_ascii(std::string_view text) {
  std::string upper(text);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return upper;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) { return lower_ascii(a) == lower_ascii(b); }

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string_view> comma_list(std::string_view list) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t comma = list.find(',');
    parts.push_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

Result<std::string> utf8_from_utf16le(ByteView bytes) { return utf8_from_utf16(bytes, false); }
Result<std::string> utf8_from_utf16be(ByteView bytes) { return utf8_from_utf16(bytes, true); }
Result<Bytes> utf16le_from_utf8(std::string_view text) { return utf16_from_utf8(text, false); }
Result<Bytes> utf16be_from_utf8(std::string_view text) { return utf16_from_utf8(text, true); }

std::string rfc3339(Time time) {
  const Fields f = fields_of(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", f.year, f.month, f.day, f.hour, f.minute, f.second);
}

Result<Time> time_from_rfc3339(std::string_view text) {
  const bool shaped = text.size() == 20 && text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' &&
                      text[16] == ':' && text[19] == 'Z';
  if (!shaped)
    return fail(Errc::malformed, fmt::format("\"{}\" is not a time such as 2026-11-23T16:20:00Z", printable(text)));
  const unsigned year = TRY(digits(text, 0, 4));
  const unsigned month = TRY(digits(text, 5, 2));
  const unsigned day = TRY(digits(text, 8, 2));
  const unsigned hour = TRY(digits(text, 11, 2));
  const unsigned minute = TRY(digits(text, 14, 2));
  const unsigned second = TRY(digits(text, 17, 2));
  return time_of(year, month, day, hour, minute, second);
}

std::string utc_time(Time time) {
  const Fields f = fields_of(time);
  require(f.year >= 1950 && f.year < 2050, "UTCTime holds the years 1950 to 2049 only");
  return fmt::format("{:02}{:02}{:02}{:02}{:02}{:02}Z", f.year % 100, f.month, f.day, f.hour, f.minute, f.second);
}

Result<Time> time_from_utc_time(std::string_view text) {
  if (text.size() != 13 || text[12] != 'Z')
    return fail(Errc::malformed, fmt::format("\"{}\" is not a time such as 261123162000Z", printable(text)));
  const unsigned year = TRY(digits(text, 0, 2));
  const unsigned month = TRY(digits(text, 2, 2));
  const unsigned day = TRY(digits(text, 4, 2));
  const unsigned hour = TRY(digits(text, 6, 2));
  const unsigned minute = TRY(digits(text, 8, 2));
  const unsigned second = TRY(digits(text, 10, 2));
  return time_of(year < 50 ? 2000 + year : 1900 + year, month, day, hour, minute, second);
}

Result<Time> time_from_argument(std::string_view text) {
  if (text.size() == 13 && text.back() == 'Z') return time_from_utc_time(text);
  if (text.find('-') != std::string_view::npos) return time_from_rfc3339(text);
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  constexpr std::int64_t kEndOf9999 = 253402300799;
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || seconds < 0 || seconds > kEndOf9999)
    return fail(Errc::usage, fmt::format("\"{}\" is not a time; give 261123162000Z, 2026-11-23T16:20:00Z or Unix seconds",
                                         printable(text)));
  return Time(std::chrono::seconds(seconds));
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  const bool is_number = !text.empty() && error == std::errc{} && end == last && (text == "0" || text.front() != '0');
  return is_number ? std::optional(number) : std::nullopt;
}

std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = 2 * (i + j);
        continue;
      }
      const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 2U);
      cost[i][j] = std::min({cost[i - 1][j] + 2, cost[i][j - 1] + 2, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost.back().back();
}

}  // namespace base
