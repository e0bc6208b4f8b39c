#include "appliance/admin/block_list.hpp"

#include "crypto/base/limits.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;

// The form of Microsoft's driver block list: rules that deny by digest and by name, and files of signers that are denied.
std::string policy(const std::string& file_rules, const std::string& signers = "", const std::string& denied_signers = "") {
  return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<SiPolicy xmlns=\"urn:schemas-microsoft-com:sipolicy\" PolicyType=\"Base Policy\">\n<FileRules>\n"
         "<Allow ID=\"ID_ALLOW_ALL_1\" FriendlyName=\"\" FileName=\"*\" />\n" + file_rules + "</FileRules>\n<Signers>\n" + signers +
         "</Signers>\n<SigningScenarios><SigningScenario Value=\"131\"><ProductSigners><DeniedSigners>" + denied_signers +
         "</DeniedSigners></ProductSigners></SigningScenario></SigningScenarios></SiPolicy>\n";
}

base::Result<BlockList> read_policy(const std::string& xml) { return read_block_list(base::as_bytes(xml)); }

TEST(BlockList, TakesDigestsOfEitherLength) {
  const std::string sha1(40, 'A');
  const std::string sha256(64, 'B');
  const BlockList list = must(read_policy(policy("<Deny ID=\"ID_DENY_A\" FriendlyName=\"a.sys Hash Sha1\" Hash=\"" + sha1 + "\" />\n"
                                          "<Deny ID=\"ID_DENY_B\" FriendlyName=\"a.sys Hash Sha256\" Hash=\"" + sha256 + "\" />\n"
                                          "<Deny ID=\"ID_DENY_C\" FriendlyName=\"twice\" Hash=\"" + sha256 + "\" />\n"
                                          "<Deny ID=\"ID_DENY_D\" Hash=\"ABCD\" />\n")));
  EXPECT_EQ(list.rules, "sha1 " + base::lower_ascii(sha1) + "\nsha256 " + base::lower_ascii(sha256) + "\n");
  EXPECT_EQ(list.digests, 2U);
  EXPECT_EQ(list.left_out, 1U);
  EXPECT_TRUE(package::DenyList::parse(list.rules));
}

TEST(BlockList, TakesNamesWithTheVersionsThatAreDenied) {
  const BlockList list = must(read_policy(policy("<Deny ID=\"1\" FileName=\"range.sys\" MinimumFileVersion=\"1.0.0.0\" MaximumFileVersion=\"2.0.0.0\" />\n"
                                          "<Deny ID=\"2\" FileName=\"upto.sys\" MaximumFileVersion=\"3.1\" />\n"
                                          "<Deny ID=\"3\" FileName=\"bginfo.exe\" MinimumFileVersion=\"4.21.0.0\" />\n"
                                          "<Deny ID=\"4\" FileName=\"every.sys\" />\n"
                                          "<Deny ID=\"5\" FileName=\"*\" />\n<Deny ID=\"6\" FilePath=\"C:\\x\" />\n")));
  EXPECT_EQ(list.rules,
            "name 0.0.0.0 3.1.0.0 upto.sys\nname 0.0.0.0 4.21.0.0 bginfo.exe\nname 0.0.0.0 65535.65535.65535.65535 every.sys\nname 1.0.0.0 2.0.0.0 range.sys\n");
  EXPECT_EQ(list.names, 4U);
  EXPECT_EQ(list.left_out, 2U);
}

TEST(BlockList, TakesTheFilesOfSignersThatAreDeniedAndOfNoOthers) {
  const BlockList list = must(read_policy(policy("<FileAttrib ID=\"ID_FILEATTRIB_1\" FileName=\"cpuz.sys\" MinimumFileVersion=\"0.0.0.0\" MaximumFileVersion=\"1.0.4.3\" />\n"
                                          "<FileAttrib ID=\"ID_FILEATTRIB_2\" FileName=\"fine.sys\" MaximumFileVersion=\"9.9\" />\n",
                                          "<Signer ID=\"S1\" Name=\"one\"><CertRoot Type=\"TBS\" Value=\"AA\" /><FileAttribRef RuleID=\"ID_FILEATTRIB_1\" /></Signer>\n"
                                          "<Signer ID=\"S2\" Name=\"two\"><FileAttribRef RuleID=\"ID_FILEATTRIB_2\" /></Signer>\n"
                                          "<Signer ID=\"S3\" Name=\"whole\"><CertRoot Type=\"TBS\" Value=\"BB\" /></Signer>\n",
                                          "<DeniedSigner SignerId=\"S1\" /><DeniedSigner SignerId=\"S3\" />")));
  EXPECT_EQ(list.rules, "name 0.0.0.0 1.0.4.3 cpuz.sys\n");
  EXPECT_EQ(list.whole_signers, 1U);
}

TEST(BlockList, RefusesWhatIsNoPolicyAndWhatExpands) {
  expect_error(read_policy("<html/>"), Errc::malformed, "no SiPolicy element");
  expect_error(read_policy("<SiPolicy>\n<Deny"), Errc::malformed, "line 2");
  expect_error(read_policy(""), Errc::malformed, "line 1");
  expect_error(read_policy("<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><SiPolicy>&b;</SiPolicy>"), Errc::refused, "document type");
  std::string many = "<SiPolicy>";
  for (std::size_t i = 0; i < 10 * base::limits::kDenyListRules; ++i) many += "<a/>";
  expect_error(read_policy(many + "</SiPolicy>"), Errc::too_large, "elements");
  expect_error(read_policy(std::string(base::limits::kBlockListXmlBytes + 1, ' ')), Errc::too_large, "bytes, at most");
}

}  // namespace
}  // namespace appliance
