#include "appliance/configuration.hpp"

#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;

std::string with(std::string_view what, std::string_view by) {
  std::string text(kConfigurationText);
  const std::size_t at = text.find(what);
  base::require(at != std::string::npos, "the text to be replaced is not in the configuration");
  return text.replace(at, what.size(), by);
}

void expect_refused(const std::string& text, const std::string& words, Errc code = Errc::malformed) {
  SCOPED_TRACE(words);
  expect_error(Configuration::parse(text), code, words);
}

TEST(ConfigurationText, IsReadAsItStands) {
  const Configuration read = must(Configuration::parse(kConfigurationText));
  EXPECT_EQ(read.name, "vault-1");
  EXPECT_EQ(read.tpm, "swtpm:path=/nowhere");
  ASSERT_EQ(read.profiles.size(), 1U);
  EXPECT_EQ(read.profiles[0].key_class, "release");
  EXPECT_EQ(read.profiles[0].operations, (std::vector<wire::Operation>{wire::Operation::embed, wire::Operation::catalog}));
  EXPECT_EQ(read.profiles[0].submitters, std::vector<std::string>{"build-1"});
  EXPECT_EQ(read.digest, crypto::sha256(base::as_bytes(kConfigurationText)));
}

TEST(ConfigurationText, RefusesSettingsItDoesNotKnowAndSaysWhere) {
  expect_refused(with("mode = ", "quorum = 1\nmode = "), "line 4: [appliance] has no setting \"quorum\"");
  expect_refused(with("key_class", "submiters = [\"x\"]\nkey_class"), "has no setting \"submiters\"");
  expect_refused(std::string(kConfigurationText) + "\n[extra]\na = 1\n", "the file has no setting \"extra\"");
}

TEST(ConfigurationText, RefusesWhatIsMissing) {
  expect_refused("", "[appliance] is missing");
  expect_refused(with("name = \"vault-1\"\n", ""), "[appliance] needs name");
  expect_refused(with("tpm = \"swtpm:path=/nowhere\"\n", ""), "[appliance] needs tpm");
  expect_refused(with("mode = \"development\"\n", ""), "[appliance] needs mode");
  expect_refused(with("name = \"release\"\n", ""), "[[profile]] needs name");
  expect_refused(with("key_class = \"release\"\n", ""), "profile \"release\" needs key_class");
  expect_refused(with("operations = [\"embed\", \"catalog\"]\n", ""), "profile \"release\" needs operations");
  expect_refused(with("submitters = [\"build-1\"]\n", ""), "profile \"release\" needs submitters");
  const std::string text(kConfigurationText);
  expect_refused(text.substr(0, text.find("[[profile]]")), "there is no [[profile]]");
}

TEST(ConfigurationText, TakesADescriptionAndAUrlForSignatures) {
  const auto read = Configuration::parse(with("submitters", "description = \"Example driver\"\nurl = \"https://example.com\"\nsubmitters"));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->profiles.at(0).form.attributes.description, "Example driver");
  EXPECT_EQ(read->profiles.at(0).form.attributes.url, "https://example.com");
  Profile other = read->profiles.at(0);
  other.form.attributes.url.clear();
  EXPECT_NE(profile_digest(other, {}), profile_digest(read->profiles.at(0), {}));   // officers approve them
  expect_refused(with("submitters", "url = \"https://exämple.com\"\nsubmitters"), "url: printable ASCII");
  expect_refused(with("submitters", "url = 1\nsubmitters"), "needs url");
  expect_refused(with("submitters", "description = \"" + std::string(5000, 'x') + "\"\nsubmitters"), "at most 4096 bytes");
}

TEST(ConfigurationText, TakesRulesAndEachOfThemChangesWhatOfficersApprove) {
  const auto plain = Configuration::parse(kConfigurationText);
  for (const char* const rule : {"os = [\"10_X64\"]", "request_mib = 512", "certificate_days = 30", "signatures_a_day = 200", "crl_days = 7",
                                 "waiting_days = 30", "officers_may_submit = true", "blocking = [\"inf.pnplockdown-missing\"]"}) {
    const auto read = Configuration::parse(with("submitters", fmt::format("{}\nsubmitters", rule)));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_NE(profile_digest(read->profiles.at(0), {}), profile_digest(plain->profiles.at(0), {})) << rule;
  }
  const auto refuse = [](const std::string& rule, const std::string& words) { expect_refused(with("submitters", rule + "\nsubmitters"), words); };
  refuse("os = [\"10_X46\"]", "10_X64");
  refuse("os = []", "needs os");
  refuse("request_mib = 0", "needs request_mib = a whole number from 1 to 16384");
  refuse("request_mib = 16385", "from 1 to 16384");
  refuse("request_mib = -1", "from 1 to 16384");
  refuse("request_mib = 1.5", "needs request_mib");
  refuse("certificate_days = \"30\"", "needs certificate_days");
  refuse("signatures_a_day = 0", "needs signatures_a_day");
  refuse("blocking = [\"PnpLockdown\"]", "is not the id of a finding");
  refuse("blocking = [\"pe.no-nx\", \"inf.pnplokdown-missing\"]", "\"inf.pnplokdown-missing\" is not the id of a finding; did you mean inf.pnplockdown-missing?");
  refuse("blocking = [\"pe.page-hashes\"]", "is not the id of a finding");   // a verdict of coldseal verify, and none of an inspection
  refuse("blocking = [\"" + std::string(100'000, 'x') + "\"]", "an id of 100000 letters");
}

TEST(ConfigurationText, DualSigningIsOffUnlessAskedForAndOfficersApproveIt) {
  const auto plain = Configuration::parse(kConfigurationText);
  EXPECT_EQ(plain->profiles.at(0).form.sha1, crypto::Sha1::refused);
  const auto read = Configuration::parse(with("submitters", "dual_signing = true\nsubmitters"));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->profiles.at(0).form.sha1, crypto::Sha1::for_old_windows);
  EXPECT_NE(profile_digest(read->profiles.at(0), {}), profile_digest(plain->profiles.at(0), {}));
  EXPECT_EQ(Configuration::parse(with("submitters", "dual_signing = false\nsubmitters"))->profiles.at(0).form.sha1, crypto::Sha1::refused);
  for (const char* const wrong : {"1", "\"yes\""})
    expect_refused(with("submitters", fmt::format("dual_signing = {}\nsubmitters", wrong)), "needs dual_signing = true or false");
}

TEST(ConfigurationText, RefusesValuesOfTheWrongType) {
  expect_refused(with("name = \"vault-1\"", "name = 1"), "[appliance] needs name");
  expect_refused(with("[\"build-1\"]", "\"build-1\""), "needs submitters = [");
  expect_refused(with("[\"build-1\"]", "[1]"), "submitters holds something that is not text");
  expect_refused(with("[\"build-1\"]", "[]"), "needs submitters = [");
  expect_refused(with("[[profile]]", "[profile]"), "there is no [[profile]]");
  expect_refused("appliance = 1\n", "[appliance] is missing");
  expect_refused("profile = [1]\n[appliance]\nname = \"a\"\ntpm = \"b\"\nmode = \"development\"\n", "[[profile]] is not a table");
}

TEST(ConfigurationText, RefusesNamesThatAreNotPlain) {
  expect_refused(with("vault-1", "Vault 1"), "name = \"Vault 1\": lower-case letters");
  expect_refused(with("key_class = \"release\"", "key_class = \"../release\""), "lower-case letters");
  expect_refused(with("key_class = \"release\"", "key_class = \"" + std::string(65, 'a') + "\""), "lower-case letters");
  expect_refused(with("[\"build-1\"]", "[\"Build 1\"]"), "submitter \"Build 1\": lower-case");
}

TEST(ConfigurationText, RefusesTwoProfilesOfOneNameAndUnknownOperations) {
  const std::string text(kConfigurationText);
  expect_refused(text + text.substr(text.find("[[profile]]")), "profile \"release\" is there twice");
  expect_refused(with("\"embed\"", "\"embedd\""), "embedd");
  expect_refused(with("\"embed\"", "\"catalog\""), "\"catalog\" is there twice");
}

TEST(ConfigurationText, KnowsBothModesAndRefusesOthers) {
  EXPECT_EQ(Configuration::parse(with("development", "production"))->mode, attest::Mode::production);
  EXPECT_EQ(Configuration::parse(std::string(kConfigurationText))->mode, attest::Mode::development);
  expect_refused(with("development", "testing"), "production or development wanted", Errc::malformed);
}

TEST(ConfigurationText, RefusesBadTomlWithItsLine) {
  expect_refused(with("mode = ", "mode "), "line 4");
  expect_refused(with("[[profile]]", "[[profile]"), "line 6");
  expect_refused("name = \"\xFF\"\n", "line 1");
  expect_refused(with("name = \"vault-1\"", "name = \"vault-1\"\nname = \"vault-2\""), "line 3");
  expect_refused("a = " + std::string(100000, '['), "line 1");   // depth is bounded
}

TEST(ConfigurationText, HostileTextInAMessageIsPrintable) {
  const auto refused = Configuration::parse(with("mode = ", "\"\\u202E\\u001B[2J\" = 1\nmode = "));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().text().find('\x1B'), std::string::npos) << refused.error().text();
  EXPECT_EQ(refused.error().text().find("\xE2\x80\xAE"), std::string::npos) << refused.error().text();
}

TEST(PlainName, IsLowerCaseLettersDigitsDashAndUnderscore) {
  EXPECT_TRUE(is_plain_name("build-1_a"));
  EXPECT_TRUE(is_plain_name(std::string(64, 'a')));
  for (const std::string& name : {std::string(), std::string("A"), std::string("a b"), std::string("../a"), std::string("a.b"),
                                  std::string("\xC3\xA4"), std::string(1, '\0'), std::string(65, 'a')})
    EXPECT_FALSE(is_plain_name(name)) << name;
}

class ConfigurationFile : public SmallAppliance {};

TEST_F(ConfigurationFile, IsReadWithTheEnrolledSubmitters) {
  const Configuration read = configuration();
  ASSERT_EQ(read.submitters.size(), 1U);
  EXPECT_EQ(read.submitters[0].name, "build-1");
  const std::string keyid = read.submitters[0].key.keyid();
  EXPECT_EQ(must(read.submitter_of_key(keyid))->name, "build-1");
  expect_error(read.submitter_of_key(std::string(64, '0')), Errc::refused, "not enrolled");
  EXPECT_EQ(must(read.profile("release"))->name, "release");
  expect_error(read.profile("golden"), Errc::not_found, "no profile \"golden\"");
}

TEST_F(ConfigurationFile, ThatIsMissingOrBadIsNamed) {
  tests::write_text(layout.configuration(), "[appliance]\nnmae = 1\n");
  expect_error(Configuration::load(layout), Errc::malformed, layout.configuration().string() + ": line 2");
  std::filesystem::remove(layout.configuration());
  expect_error(Configuration::load(layout), Errc::not_found, layout.configuration().string() + ": no such file");
}

TEST_F(ConfigurationFile, ASubmitterFileThatIsNoKeyIsNamed) {
  tests::write_text(layout.submitters() / "build-2.pem", "no key");
  const auto loaded = Configuration::load(layout);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_NE(loaded.error().text().find("build-2.pem"), std::string::npos) << loaded.error().text();
}

TEST_F(ConfigurationFile, OneKeyUnderTwoNamesIsRefused) {
  tests::write_text(layout.submitters() / "build-2.pem", submitter.public_key_pem());
  expect_error(Configuration::load(layout), Errc::malformed, "build-1 and build-2 have the same key");
}

TEST_F(ConfigurationFile, WithoutSubmittersIsStillAConfiguration) {
  std::filesystem::remove_all(layout.submitters());
  EXPECT_TRUE(configuration().submitters.empty());
}

}  // namespace
}  // namespace appliance
