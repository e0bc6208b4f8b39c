// Text in and out: hex, base64, UTF-16, case folding, times, and making untrusted text safe to show.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace base {

using Time = std::chrono::sys_seconds;   // UTC, whole seconds

std::string hex(ByteView bytes);         // lower case
Result<Bytes> from_hex(std::string_view text);   // both cases; Errc::malformed otherwise
std::string base64(ByteView bytes);      // RFC 4648 section 4, padded
Result<Bytes> from_base64(std::string_view text);   // canonical only: padding required, no white space, no stray bits

// Digits and nothing else, no leading zero; none when it is not such a number or does not fit.
std::optional<std::uint64_t> whole_number(std::string_view text);

// Untrusted text as it may be shown: control characters, bidirectional overrides, and bytes that are not UTF-8
// become \x.. or \u.... escapes, so that nobody sees other than what is there.
std::string printable(std::string_view text);
// The same in at most so many bytes: what does not fit is left out at the end, between two characters, and "[...]" says so.
std::string shortened(std::string_view text, std::size_t most);
bool is_utf8(std::string_view text);

// ASCII only, as Windows compares INF and file names here: other characters stay as they are.
std::string lower_ascii(std::string_view text);
std::string upper_ascii(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);   // spaces and tabs
std::vector<std::string_view> comma_list(std::string_view list);   // "a,,b" is three parts; "" is one, empty
// How far apart two names are, to tell which one was meant: 2 for each letter inserted, removed or replaced, 1 for two neighbours swapped.
// Takes room and time for every pair of letters: hold the names to a limit first.
std::size_t edits(std::string_view a, std::string_view b);

Result<std::string> utf8_from_utf16le(ByteView bytes);   // Errc::malformed for odd lengths and lone surrogates
Result<std::string> utf8_from_utf16be(ByteView bytes);
Result<Bytes> utf16le_from_utf8(std::string_view text);
Result<Bytes> utf16be_from_utf8(std::string_view text);

// 2026-11-23T16:20:00Z (RFC 3339, UTC, whole seconds): the form in manifests, receipts and the log.
std::string rfc3339(Time time);
Result<Time> time_from_rfc3339(std::string_view text);
// 261123162000Z as in ASN.1 UTCTime (years 1950 to 2049).
std::string utc_time(Time time);
Result<Time> time_from_utc_time(std::string_view text);
// What people give on a command line: UTCTime, RFC 3339, or Unix seconds.
Result<Time> time_from_argument(std::string_view text);

}  // namespace base
