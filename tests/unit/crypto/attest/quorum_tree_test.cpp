#include "crypto/attest/quorum_tree.hpp"

#include <gtest/gtest.h>

#include "tests/support/plain_index.hpp"

#include <set>

namespace attest {
namespace {

std::vector<Name> officers(unsigned n) {
  std::vector<Name> names;
  for (unsigned i = 0; i < n; ++i) names.push_back(name_of(tests::plain_index(0x01800001 + i)));
  return names;
}

QuorumTree tree(unsigned m, unsigned n) { return *QuorumTree::build(m, officers(n)); }

crypto::Digest signing_policy(const QuorumTree& quorum) { return Policy(quorum.digest()).command(CommandCode::sign).digest(); }

// By the calculator in Python, for indices 0x01800001 and following.
TEST(QuorumTree, AgreesWithAnotherCalculator) {
  EXPECT_EQ(signing_policy(tree(1, 1)).hex(), "e6813219bdf268c9c01b32d71cd5056710bba9e9e431a3372644c00d7794382f");
  EXPECT_EQ(signing_policy(tree(2, 2)).hex(), "88a905aa542b1b572364bef9e37725711891c1d92b31f97dd67f913f3aebfdb2");
  EXPECT_EQ(signing_policy(tree(2, 3)).hex(), "8088d39d33fd49112571fb9de35546dce87a3b7f373fd4a908bf7453de48162a");
  EXPECT_EQ(signing_policy(tree(3, 5)).hex(), "31dd45eca44c125f35572f465da701cfbc9de1621aab7ddbcda0c7269ee6730c");
  EXPECT_EQ(signing_policy(tree(4, 7)).hex(), "dcb0d7b6750d9d0e1aa349d7aca6b0278a2b7d634ac08b12773cbf78916d2ef3");
}

// PolicyOR as a TPM executes it: the session's digest must be in the list, and is replaced by the list's digest.
bool walk(const QuorumTree& quorum, const std::vector<std::size_t>& present, crypto::Digest& digest) {
  Policy session;
  for (const std::size_t i : present) session.secret(quorum.officers()[i]);
  digest = session.digest();
  const auto lists = quorum.path(present);
  if (!lists) return false;
  for (const auto& list : *lists) {
    if (list.size() < 2 || list.size() > kLargestOr) return false;
    if (std::find(list.begin(), list.end(), digest) == list.end()) return false;
    digest = Policy().any_of(list).digest();
  }
  return true;
}

TEST(QuorumTree, LetsEveryWholeSubsetThroughAndNoSmallerOne) {
  for (unsigned n = 1; n <= 7; ++n) {
    for (unsigned m = 1; m <= n; ++m) {
      const QuorumTree quorum = tree(m, n);
      for (unsigned mask = 0; mask < 1U << n; ++mask) {
        std::vector<std::size_t> present;
        for (unsigned i = 0; i < n; ++i)
          if ((mask >> i & 1U) != 0) present.push_back(i);
        crypto::Digest digest = Policy().digest();
        const bool through = walk(quorum, present, digest) && digest == quorum.digest();
        EXPECT_EQ(through, present.size() == m) << m << " of " << n << ", mask " << mask;
      }
    }
  }
}

TEST(QuorumTree, DependsOnOfficersTheirOrderAndTheirNumber) {
  std::set<std::string> digests;
  for (unsigned n = 1; n <= 7; ++n)
    for (unsigned m = 1; m <= n; ++m) digests.insert(signing_policy(tree(m, n)).hex());
  EXPECT_EQ(digests.size(), 28U);
  std::vector<Name> turned = officers(3);
  std::swap(turned[0], turned[2]);
  EXPECT_FALSE(QuorumTree::build(2, turned)->digest() == tree(2, 3).digest());
}

TEST(QuorumTree, RefusesQuorumsThatCannotBe) {
  EXPECT_FALSE(QuorumTree::build(0, officers(3)));
  EXPECT_FALSE(QuorumTree::build(4, officers(3)));
  EXPECT_FALSE(QuorumTree::build(0, {}));
  EXPECT_FALSE(QuorumTree::build(2, officers(8)));
  std::vector<Name> twice = officers(3);
  twice[2] = twice[0];
  EXPECT_FALSE(QuorumTree::build(2, twice));
}

TEST(QuorumTree, HasNoPathForStrangersOrForTooMany) {
  EXPECT_FALSE(tree(2, 3).path({0, 1, 2}));
  EXPECT_FALSE(tree(2, 3).path({3}));
  EXPECT_FALSE(tree(2, 3).path({0, 0}));
}

}  // namespace
}  // namespace attest
