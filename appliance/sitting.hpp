// One sitting: the officers stand at the console and approve one signing set, one PIN each, within five minutes. The
// TPM counts them; this only collects what it gave out. A sitting that ends without a signature leaves nothing behind.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "appliance/custody.hpp"
#include "appliance/signing_plan.hpp"
#include "appliance/spooled_request.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "tpm/quorum.hpp"

namespace appliance {

inline constexpr std::chrono::seconds kSittingTime{300};   // TPM tickets live no longer

class Sitting {
 public:
  using Ends = std::chrono::steady_clock::time_point;
  // Loads the key. Errc::too_large when the TPM is too slow to sign so many digests before approvals run out.
  static base::Result<std::unique_ptr<Sitting>> begin(Custody& custody, SpooledRequest spooled, KeyClass key_class,
                                                      SigningPlan plan, Ends ends);

  const std::string& id() const { return spooled_.id; }
  const SpooledRequest& spooled() const { return spooled_; }
  const KeyClass& key_class() const { return key_class_; }
  const SigningPlan& plan() const { return plan_; }
  Ends ends() const { return ends_; }
  std::chrono::milliseconds estimate() const;   // the TPM's own time for everything that is to be signed
  std::vector<std::string> approved() const;    // officers, in the order in which they came
  std::vector<std::string> may_still_approve() const;
  unsigned needed() const;                      // how many more; 0 when the signature can be made

  // One officer's PIN for the whole set. Errc::refused for a wrong PIN, a blocked officer, or one who approved before.
  base::Result<void> approve(const std::string& officer, base::SecretBytes pin);
  // Signs everything and writes the response's files. Stops at the first error.
  base::Result<std::vector<transparency::OutputFile>> sign(
      const std::filesystem::path& folder, const std::function<void(std::size_t done, std::size_t total)>& progress);

 private:
  Sitting(SpooledRequest spooled, KeyClass key_class, SigningPlan plan, tpm::QuorumKey key, Ends ends);
  SpooledRequest spooled_;
  KeyClass key_class_;
  SigningPlan plan_;
  tpm::QuorumKey key_;
  std::vector<tpm::Approval> approvals_;
  Ends ends_;
};

}  // namespace appliance
