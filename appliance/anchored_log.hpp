// The audit log held against its anchor in the TPM (tpm/audit_anchor.hpp). Lines that matter are anchored: extended into the
// TPM and counted there, after they are on disk and before the step takes effect. Every line says which it is: the data field
// "anchor" holds the count, or "provisional": a provisional line's loss at the log's end would not be noticed.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "appliance/audit_log.hpp"
#include "crypto/base/result.hpp"
#include "crypto/transparency/anchored_lines.hpp"
#include "tpm/audit_anchor.hpp"

namespace appliance {

class AnchoredLog {
 public:
  struct Opened;
  using SeeLine = std::function<base::Result<void>(const transparency::AuditLine& line)>;
  // As AuditLog::open; every line is handed to `see`, which may be empty.
  static base::Result<Opened> open(const std::filesystem::path& file, const Clock& clock, const SeeLine& see = {});

  base::Time now() const { return log_.now(); }
  std::uint64_t lines() const { return log_.lines(); }
  const transparency::MerkleTree& tree() const { return log_.tree(); }
  const std::string& last_line() const { return log_.last_line(); }
  const crypto::Digest& head() const { return log_.head(); }

  // A line that is not anchored. Values of over limits::kNoteBytes are shortened, here and below.
  base::Result<transparency::AuditLine> append(transparency::AuditEvent event, const std::string& request,
                                               std::map<std::string, std::string> data);
  struct Anchored {
    transparency::AuditLine line;   // it is in the log, whatever follows
    base::Result<void> anchored;    // when this failed the step must not be taken; the next check makes up for the anchor
  };
  // check() must have succeeded with this TPM since it was opened.
  base::Result<Anchored> append_anchored(tpm::AuditAnchor& anchor, transparency::AuditEvent event, const std::string& request,
                                         std::map<std::string, std::string> data);

  // Holds the log against the TPM; only when it fits are a torn end's bytes cut off. One step of lag is what a power cut leaves: it is made up for, and said so in the log.
  // Errc::mismatch for everything else, saying which of the two is behind: do not sign.
  base::Result<void> check(tpm::AuditAnchor& anchor);
  // What administrators write into BASELINE to accept the log as it is.
  base::Result<tpm::AnchorBaseline> as_it_is(const tpm::AuditAnchor& anchor) const;

 private:
  base::Result<void> mend();
  AnchoredLog(AuditLog log, transparency::AnchoredLines lines) : log_(std::move(log)), lines_(std::move(lines)) {}

  AuditLog log_;
  transparency::AnchoredLines lines_;
  std::uint64_t next_count_ = 0;        // known after check()
};

struct AnchoredLog::Opened {
  AnchoredLog log;
};

}  // namespace appliance
