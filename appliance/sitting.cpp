#include "appliance/sitting.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "crypto/base/text.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

Sitting::Sitting(SpooledRequest spooled, KeyClass key_class, SigningPlan plan, tpm::QuorumKey key, Ends ends)
    : spooled_(std::move(spooled)),
      key_class_(std::move(key_class)),
      plan_(std::move(plan)),
      key_(std::move(key)),
      ends_(ends) {}

Result<std::unique_ptr<Sitting>> Sitting::begin(Custody& custody, SpooledRequest spooled, KeyClass key_class,
                                                SigningPlan plan, Ends ends) {
  tpm::QuorumKey key = TRY(custody.load(key_class, plan.sha1()));
  std::unique_ptr<Sitting> sitting(
      new Sitting(std::move(spooled), std::move(key_class), std::move(plan), std::move(key), ends));
  // Half of the time is for people to type.
  if (sitting->estimate() > kSittingTime / 2)
    return fail(Errc::too_large, fmt::format("{} signatures would take this TPM {} s, and approvals live {} s: split the request",
                                             sitting->plan_.set().items.size(),
                                             std::chrono::duration_cast<std::chrono::seconds>(sitting->estimate()).count(),
                                             kSittingTime.count()));
  return sitting;
}

std::chrono::milliseconds Sitting::estimate() const { return key_.estimate(plan_.set().items.size()); }

std::vector<std::string> Sitting::approved() const {
  std::vector<std::string> names;
  for (const tpm::Approval& approval : approvals_) names.push_back(approval.officer());
  return names;
}

std::vector<std::string> Sitting::may_still_approve() const {
  const std::vector<std::string> done = approved();
  std::vector<std::string> names;
  for (const tpm::Officer& officer : key_.quorum().officers)
    if (std::find(done.begin(), done.end(), officer.name) == done.end()) names.push_back(officer.name);
  return names;
}

unsigned Sitting::needed() const {
  const auto have = static_cast<unsigned>(approvals_.size());
  return have < key_.quorum().m ? key_.quorum().m - have : 0;
}

Result<void> Sitting::approve(const std::string& officer, base::SecretBytes pin) {
  const std::vector<std::string> done = approved();
  if (std::find(done.begin(), done.end(), officer) != done.end())
    return fail(Errc::refused, fmt::format("{} has approved already; another officer is needed", base::printable(officer)));
  const std::vector<crypto::Digest> digests = plan_.digests();
  approvals_.push_back(TRY(key_.approve(officer, std::move(pin), digests)));
  return {};
}

Result<std::vector<transparency::OutputFile>> Sitting::sign(
    const std::filesystem::path& folder, const std::function<void(std::size_t, std::size_t)>& progress) {
  const std::size_t total = plan_.set().items.size();
  std::size_t done = 0;
  return plan_.carry_out(spooled_, folder, [&](const crypto::Digest& digest) -> Result<base::Bytes> {
    progress(done, total);
    base::Bytes signature = TRY(key_.sign(digest, approvals_));
    progress(++done, total);
    return signature;
  });
}

}  // namespace appliance
