// Every subset of officers, counted by the TPM: all m-subsets sign; one less, one twice, or somebody else does not.
#include <optional>

#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;
using crypto::KeyAlgorithm;

class AnyQuorum : public Custody, public testing::WithParamInterface<std::pair<unsigned, unsigned>> {
 protected:
  // Of a batch, so that it can be used for every subset; made anew by who enters twice.
  Approval approval_of(QuorumKey& key, unsigned i) {
    const Officer& officer = key.quorum().officers.at(i);
    return must(key.approve(officer.name, secret(pin(officer)), std::vector<crypto::Digest>{driver, other}));
  }
};

TEST_P(AnyQuorum, SignsWithEverySubsetOfItsSizeAndWithNoSmallerOne) {
  const auto [m, n] = GetParam();
  const Quorum quorum = quorum_of(m, n);
  define(quorum);
  const KeyBlob made = must(make_key(quorum, KeyAlgorithm::ecdsa_p256));
  QuorumKey key = must(load(made, quorum));
  unsigned signed_by = 0;
  unsigned refused = 0;
  for (unsigned mask = 0; mask < 1U << n; ++mask) {
    const auto size = static_cast<unsigned>(__builtin_popcount(mask));
    if (size != m && size + 1 != m) continue;
    std::vector<Approval> given;
    for (unsigned i = 0; i < n; ++i)
      if ((mask >> i & 1U) != 0) given.push_back(approval_of(key, i));
    if (size == m) {
      ASSERT_OK(key.sign(driver, given));
      ++signed_by;
      continue;
    }
    expect_error(key.sign(driver, given), Errc::refused, "");
    ++refused;
    if (given.empty()) continue;
    // One of them once more makes no second officer.
    for (unsigned i = 0; i < n; ++i)
      if ((mask >> i & 1U) != 0) {
        given.push_back(approval_of(key, i));
        break;
      }
    expect_error(key.sign(driver, given), Errc::refused, "");
  }
  EXPECT_GT(signed_by, 0U);
  EXPECT_GT(refused, 0U);
}

TEST_P(AnyQuorum, RefusesSomebodyWhoIsNotOnItsRoster) {
  const auto [m, n] = GetParam();
  const Quorum quorum = quorum_of(m, n);
  define(quorum);
  const Officer eve{"eve", attest::kFirstOfficer + 20};
  must(define_officer(*device, eve, secret(pin(eve))));
  world.set_roster(*device, 0, quorum);
  Context& context = device->context();
  const NvIndex roster = must(NvIndex::open(context, attest::roster_index(0)));
  const crypto::Digest any = digest("any cpHash");
  // A quorum of the same size in which eve has somebody's place: the TPM follows her tree, and the roster refuses it.
  Quorum hers = quorum;
  hers.officers.back() = eve;
  const auto tree = must(tree_of(hers));
  std::vector<Ticket> given;
  for (unsigned i = n - m; i < n; ++i) {
    const auto entry = must(PinEntry::open(*device, hers.officers[i], secret(pin(hers.officers[i]))));
    given.push_back(must(entry->ticket(any, kApprovalLifetime)));
  }
  std::vector<const Ticket*> tickets(n, nullptr);
  for (unsigned i = 0; i < m; ++i) tickets[n - m + i] = &given[i];
  const Loaded session = must(policy_session(context));
  ASSERT_OK(satisfy_quorum(context, session, tree, hers.officers, tickets, any));
  expect_error(policy_roster(context, session, roster), Errc::refused, "roster in the TPM is not the roster on disk");
  // Her ticket under another's Name.
  ASSERT_OK(restart(context, session));
  expect_error(redeem(context, session, must(tree_of(quorum)).officers().back(), any, given.back()), Errc::refused, "not for this file and key");
}

INSTANTIATE_TEST_SUITE_P(Sizes, AnyQuorum,
                         testing::Values(std::pair(1U, 1U), std::pair(2U, 2U), std::pair(2U, 3U), std::pair(3U, 5U),
                                         std::pair(4U, 7U), std::pair(7U, 7U)),
                         [](const auto& size) {
                           return std::to_string(size.param.first) + "of" + std::to_string(size.param.second);
                         });

}  // namespace
}  // namespace tpm
