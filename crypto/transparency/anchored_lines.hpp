// Which lines of an audit log are anchored in the TPM, and what the TPM must therefore hold. A line's data field "anchor" says
// it: its number there, or "provisional". coldseald holds its log against the TPM with this, an auditor an exported log
// against what the TPM certified.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "crypto/attest/log_anchor.hpp"
#include "crypto/base/result.hpp"
#include "crypto/transparency/audit_log_line.hpp"

namespace transparency {

inline constexpr std::string_view kAnchorField = "anchor";
inline constexpr std::string_view kProvisional = "provisional";

class AnchoredLines {
 public:
  void add(const AuditLine& line, const crypto::Digest& digest);   // every line, in order; SHA-256 of the line

  struct Line {
    std::uint64_t count = 0;
    crypto::Digest digest;
    std::uint64_t number = 0;   // in the log, from 1
  };
  struct Expected {
    attest::AnchorState state;
    crypto::Digest before_last;         // EXT without the last line
    std::optional<Line> last;           // anchored since the baseline
  };
  // Errc::mismatch when the baseline's line is not in the log; when since then the numbers have gaps, a line says nothing of an
  // anchor, or one of a kind that is always anchored has no number: the log was changed.
  base::Result<Expected> expected(const attest::AnchorBaseline& baseline) const;

 private:
  using Hash = std::array<std::uint8_t, 32>;   // a digest in as many bytes as it has: there may be millions
  struct Numbered {
    std::uint64_t count = 0;
    std::uint64_t number = 0;
    Hash hash{};
  };
  static crypto::Digest digest_of(const Hash& hash);
  std::deque<Numbered> lines_;
  std::vector<std::uint64_t> misfits_;   // numbers of lines that say nothing of an anchor, or not what their kind must
  using Head = std::array<std::uint8_t, 16>;   // the first half of a hash: enough to find a line by it
  std::deque<Head> heads_;   // of every line: a baseline names one
};

}  // namespace transparency
