#include "crypto/transparency/anchored_lines.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace transparency {

using base::Errc;
using base::fail;
using base::Result;

namespace {

bool is_zero(const crypto::Digest& digest) {
  return std::all_of(digest.bytes().begin(), digest.bytes().end(), [](std::uint8_t octet) { return octet == 0; });
}

}  // namespace

void AnchoredLines::add(const AuditLine& line, const crypto::Digest& digest) {
  Hash hash{};
  std::copy_n(digest.bytes().begin(), hash.size(), hash.begin());
  Head& head = heads_.emplace_back();
  std::copy_n(hash.begin(), head.size(), head.begin());
  const auto field = line.data.find(std::string(kAnchorField));
  const std::string said = field == line.data.end() ? std::string() : field->second;
  const auto count = base::whole_number(said);
  if (count && *count != 0)
    lines_.push_back({*count, line.index + 1, hash});
  else if (said != kProvisional || is_anchored(line.event))
    misfits_.push_back(line.index + 1);
}

crypto::Digest AnchoredLines::digest_of(const Hash& hash) { return *crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, hash); }

Result<AnchoredLines::Expected> AnchoredLines::expected(const attest::AnchorBaseline& baseline) const {
  std::uint64_t first = 0;
  if (!is_zero(baseline.head)) {
    const auto is_it = [&baseline](const Head& head) { return std::equal(head.begin(), head.end(), baseline.head.bytes().begin()); };
    const auto found = std::find_if(heads_.begin(), heads_.end(), is_it);
    if (found == heads_.end())
      return fail(Errc::mismatch, "audit log: the line that administrators accepted last is not in it; this is an older or another "
                                  "log: do not sign, keep the file, bring the newest copy");
    first = static_cast<std::uint64_t>(found - heads_.begin()) + 1;
  }
  for (const std::uint64_t number : misfits_)
    if (number > first)
      return fail(Errc::mismatch, fmt::format("audit log: line {} is of a kind that is always anchored, and is not, or says nothing of its anchor; "
                                              "the log was changed: do not sign, keep the file, call an administrator", number));
  Expected expected{{baseline.count, baseline.extended}, baseline.extended, std::nullopt};
  for (const Numbered& line : lines_) {
    if (line.number <= first) continue;
    if (line.count != expected.state.count + 1)
      return fail(Errc::mismatch, fmt::format("audit log: line {} says it is anchored as number {}, {} wanted; the log was changed: do "
                                              "not sign, keep the file, call an administrator", line.number, line.count, expected.state.count + 1));
    expected.before_last = expected.state.extended;
    expected.state = {line.count, attest::extended_by(expected.state.extended, digest_of(line.hash))};
    expected.last = Line{line.count, digest_of(line.hash), line.number};
  }
  return expected;
}

}  // namespace transparency
