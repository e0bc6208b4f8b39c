// The appliance's programs used wrongly: each says what is wrong, ends with status 2, and leaves nothing behind.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tpm/response_code.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class WrongUsage : public testing::Test {
 protected:
  void expect_refused(const Command& command, const std::string& words) {
    const Finished finished = run(command);
    EXPECT_EQ(finished.status, 2) << command[0] << ": " << finished.output;
    EXPECT_NE(finished.output.find(words), std::string::npos) << "\"" << words << "\" is not in: " << finished.output;
    EXPECT_TRUE(fs::is_empty(root_)) << command[0];
  }
  Command admin(const Command& arguments) const {
    Command command{program("coldseal-admin"), "--root", root_.string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
  }
  // A ceremony's file with one thing wrong: `with` stands for `sound`.
  Command ceremony(const std::string& sound, const std::string& with) const {
    std::string text = R"([ceremony]
title = "trial"
mode = "development"
[firmware]
vendor_keys = ["vendor-a.pem", "vendor-b.pem"]
approval = "approval.toml"
floor = 1
[administrators]
quorum = 2
names = ["uma", "vic"]
[[key_class]]
name = "release"
quorum = 2
officers = ["ada", "ben"]
)";
    const std::size_t at = text.find(sound);
    if (at == std::string::npos) throw std::runtime_error("not in the file: " + sound);
    text.replace(at, sound.size(), with);
    const fs::path vendors = fs::path(COLDSEAL_TEST_DATA_DIR) / "vendor-keys";
    for (const char* name : {"vendor-a.pem", "vendor-b.pem"})
      fs::copy_file(vendors / name, folder_ / name, fs::copy_options::overwrite_existing);
    write_text(folder_ / "approval.toml", "version = 1\nmode = \"development\"\npolicy = \"" + std::string(64, '0') + "\"\n");
    write_text(folder_ / "approval.sig", "signature");
    write_text(folder_ / "ceremony.toml", text);
    return admin({"ceremony", "run", (folder_ / "ceremony.toml").string()});
  }
  WrongUsage() { fs::create_directories(root_); }
  TempDir folder_;
  const fs::path root_ = folder_ / "root";
};

TEST_F(WrongUsage, UnknownOptionsAndCommandsAreRefused) {
  for (const char* const name : {"coldseald", "coldseal-console", "coldseal-admin"}) {
    expect_refused({program(name), "--bogus"}, "--bogus");
    EXPECT_EQ(run({program(name), "--help"}).status, 0);
    EXPECT_EQ(run({program(name), "--version"}).status, 0);
  }
  expect_refused({program("coldseald"), "extra"}, "extra");
  expect_refused(admin({}), "lists the subcommands");
  expect_refused(admin({"destroy"}), "destroy");
}

// "u in the console's list, or coldseal-admin unlock": who reads it on a box types it there.
TEST_F(WrongUsage, EveryCommandThatAnAnswerOfTheTpmIsExplainedWithExists) {
  std::set<std::string> named;
  for (const tpm::KnownCode& known : tpm::known_codes()) {
    const tpm::Advice advice = tpm::advice(known.code, known.step);
    constexpr std::string_view kProgram = "coldseal-admin ";
    const std::size_t at = advice.recovery.find(kProgram);
    if (at != std::string::npos) named.insert(advice.recovery.substr(at + kProgram.size()));   // a recovery ends with it
  }
  EXPECT_GT(named.size(), 3U);
  // These are shown by an appliance, and then its ceremony is over and refused.
  EXPECT_FALSE(named.contains("ceremony run"));
  for (const std::string& words : named) {
    Command command{program("coldseal-admin")};
    std::istringstream each(words);
    for (std::string word; each >> word;) command.push_back(word);
    command.emplace_back("--help");
    const Finished help = run(command);   // of what is no command: the program's own
    EXPECT_NE(help.output.find("Usage: coldseal-admin " + words + " "), std::string::npos) << words << ": " << help.output;
  }
}

TEST_F(WrongUsage, ARootThatDoesNotExistIsNotMade) {
  const fs::path nowhere = folder_ / "nowhere";
  for (const char* const name : {"coldseald", "coldseal-console"}) expect_refused({program(name), "--root", nowhere}, "does not exist");
  expect_refused({program("coldseal-admin"), "--root", nowhere, "status"}, "does not exist");
  EXPECT_FALSE(fs::exists(nowhere));
}

TEST_F(WrongUsage, AMissingConfigurationIsNamed) {
  expect_refused({program("coldseald"), "--root", root_}, "etc/coldseal/coldseal.toml: no such file");
  expect_refused(admin({"status"}), "etc/coldseal/coldseal.toml: no such file");
}

TEST_F(WrongUsage, AnImpossibleCeremonyIsRefusedBeforeTheTpmIsTouched) {
  const std::string of_class = "name = \"release\"\nquorum = 2";
  expect_refused(ceremony(of_class, "name = \"release\"\nquorum = 1"), "a quorum of 1 of 2");
  expect_refused(ceremony(of_class, "name = \"release\"\nquorum = 3"), "a quorum of 3 of 2");
  expect_refused(ceremony(of_class, "name = \"release\"\nquorum = \"two\""), "needs quorum");
  expect_refused(ceremony("\"release\"", "\"Release/..\""), "lower-case letters");
  expect_refused(ceremony("\"release\"", "\"receipt\""), "the appliance's own");
  expect_refused(ceremony("\"ada\", \"ben\"", "\"ada\", \"ada\""), "named twice");
  expect_refused(ceremony("\"ada\", \"ben\"", "\"ada\", \"Ben\""), "\"Ben\"");
  expect_refused(ceremony("\"ada\", \"ben\"", "\"ada\", \"r\""), "\"r\"");   // which the console takes for "reject"
  expect_refused(ceremony("\"ada\", \"ben\"", R"("o1", "o2", "o3", "o4", "o5", "o6", "o7", "o8")"), "at most 7");
  expect_refused(ceremony("quorum = 2\nnames", "quorum = 1\nnames"), "a quorum of 1 of 2");
  expect_refused(ceremony("mode = \"development\"", "mode = \"test\""), "production or development wanted");
  expect_refused(ceremony("floor = 1", "floor = 2"), "above the approved version");
  expect_refused(ceremony("floor = 1", "floor = 1\nbypass = true"), "has no setting \"bypass\"");
  expect_refused(ceremony("\"vendor-a.pem\", \"vendor-b.pem\"", "\"vendor-a.pem\""), "two vendor_keys wanted");
  expect_refused(ceremony("\"vendor-a.pem\", \"vendor-b.pem\"", "\"vendor-a.pem\", \"vendor-a.pem\""), "the same");
}

TEST_F(WrongUsage, ProductionRefusesDevelopmentVendorKeys) {
  const Finished finished = run(ceremony("mode = \"development\"", "mode = \"production\""));
  EXPECT_EQ(finished.status, 1) << finished.output;
  EXPECT_NE(finished.output.find("development vendor key"), std::string::npos) << finished.output;
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(WrongUsage, AKeyOrChainThatIsNoneIsNamed) {
  const fs::path junk = folder_ / "junk.pem";
  write_text(junk, "junk");
  expect_refused(admin({"submitter", "add", "build-1", junk}), "junk.pem: one PEM block \"PUBLIC KEY\" wanted");
  expect_refused(admin({"submitter", "add", "Build 1", junk}), "lower-case letters");
  expect_refused(admin({"submitter", "add", "build-1", folder_ / "none.pem"}), "none.pem: no such file");
  expect_refused(admin({"certificate", "--key-class", "release", junk}), "there is no key class \"release\"");
}

}  // namespace
}  // namespace tests
