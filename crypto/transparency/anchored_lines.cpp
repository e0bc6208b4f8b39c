#include "crypto/transparency/anchored_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace transparency {

using base::Errc;
using base::fail;
using base::Result;

namespace {

// 0 for a provisional line.
std::uint64_t count_in(const AuditLine& line) {
  const auto field = line.data.find(std::string(kAnchorField));
  if (field == line.data.end()) return 0;
  std::uint64_t count = 0;
  const char* const last = std::to_address(field->second.end());
  const auto [end, error] = std::from_chars(field->second.data(), last, count);
  return error == std::errc{} && end == last ? count : 0;
}

bool is_zero(const crypto::Digest& digest) {
  return std::all_of(digest.bytes().begin(), digest.bytes().end(), [](std::uint8_t octet) { return octet == 0; });
}

}  // namespace

void AnchoredLines::add(const AuditLine& line, const crypto::Digest& digest) {
  heads_.push_back(digest);
  if (const std::uint64_t count = count_in(line); count != 0) lines_.push_back({count, digest, line.index + 1});
}

Result<AnchoredLines::Expected> AnchoredLines::expected(const attest::AnchorBaseline& baseline) const {
  std::uint64_t first = 0;
  if (!is_zero(baseline.head)) {
    const auto found = std::find(heads_.begin(), heads_.end(), baseline.head);
    if (found == heads_.end())
      return fail(Errc::mismatch, "audit log: the line that administrators accepted last is not in it; this is an older or another "
                                  "log: do not sign, keep the file, bring the newest copy");
    first = static_cast<std::uint64_t>(found - heads_.begin()) + 1;
  }
  Expected expected{{baseline.count, baseline.extended}, baseline.extended, std::nullopt};
  for (const Line& line : lines_) {
    if (line.number <= first) continue;
    if (line.count != expected.state.count + 1)
      return fail(Errc::mismatch, fmt::format("audit log: line {} says it is anchored as number {}, {} wanted; the log was changed: do "
                                              "not sign, keep the file, call an administrator", line.number, line.count, expected.state.count + 1));
    expected.before_last = expected.state.extended;
    expected.state = {line.count, attest::extended_by(expected.state.extended, line.digest)};
    expected.last = line;
  }
  return expected;
}

}  // namespace transparency
