// The audit log on disk: one canonical JSON line a step, each holding the hash of the line before it, fsynced before
// the step takes effect. It is also the only database: what the appliance knows after a restart is what replaying it says.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "appliance/clock.hpp"
#include "crypto/base/result.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "crypto/transparency/merkle_tree.hpp"

namespace appliance {

class AuditLog {
 public:
  struct Opened;
  using SeeLine = std::function<base::Result<void>(const transparency::AuditLine& line, const crypto::Digest& digest)>;
  // Reads and checks every line, hands it to `see`, and keeps none. Nothing is written. A last line without its end was being
  // written when the power went: see torn(). Anything else that does not fit is Errc::mismatch: the log was changed; the error
  // names the line.
  static base::Result<AuditLog> open(const std::filesystem::path& file, const Clock& clock, const SeeLine& see);
  static base::Result<Opened> open(const std::filesystem::path& file, const Clock& clock);   // keeps all lines: for short logs
  AuditLog(AuditLog&& other) noexcept;
  AuditLog& operator=(AuditLog&& other) noexcept;
  ~AuditLog();

  // Bytes of a line without its end, behind the last whole one. Whoever knows that the log fits its anchor has them cut off by
  // mend(), which says so in a `recovered` line; that comes before any other line.
  std::uint64_t torn() const { return torn_; }
  base::Result<std::optional<transparency::AuditLine>> mend();   // nullopt when nothing was torn

  // The appliance's time: never before the last line's. Where the clock was set back, the last time is repeated.
  base::Time now() const;
  // On disk when this returns, with that time. After an error nothing was recorded, and the step must not be taken. What a
  // failed write left in the file is cut off before anything else is recorded; until that can be done every append fails.
  base::Result<transparency::AuditLine> append(transparency::AuditEvent event, const std::string& request,
                                               const std::map<std::string, std::string>& data);
  std::uint64_t lines() const { return chain_.lines(); }
  const crypto::Digest& head() const { return chain_.head(); }
  // Of all lines; it proves those that coldseald may yet answer about.
  const transparency::MerkleTree& tree() const { return tree_; }
  static constexpr std::uint64_t kProvableLines = 1U << 16;
  const std::string& last_line() const { return last_line_; }      // without its newline; empty for an empty log

 private:
  AuditLog(int descriptor, const Clock& clock) : descriptor_(descriptor), clock_(&clock) {}
  void take_in(std::string_view text);
  base::Result<void> cut_off_what_failed();
  int descriptor_ = -1;
  const Clock* clock_ = nullptr;
  std::uint64_t size_ = 0;   // bytes that are whole lines
  std::uint64_t torn_ = 0;
  bool has_more_ = false;    // bytes of a line that could not be written may lie behind them
  transparency::AuditChain chain_;
  transparency::MerkleTree tree_{kProvableLines};
  std::string last_line_;
};

struct AuditLog::Opened {
  AuditLog log;
  std::vector<transparency::AuditLine> lines;
};

}  // namespace appliance
