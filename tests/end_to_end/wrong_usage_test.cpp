// The appliance's programs used wrongly: each says what is wrong, ends with status 2, and leaves nothing behind.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

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
  Command provision(const std::string& key_class, const std::string& quorum, const Command& officers) const {
    Command command = admin({"provision", "--tpm", "swtpm:path=/nowhere", "--key-class", key_class, "--quorum", quorum});
    for (const std::string& officer : officers) command.insert(command.end(), {"--officer", officer});
    return command;
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

TEST_F(WrongUsage, ARootThatDoesNotExistIsNotMade) {
  const fs::path nowhere = folder_ / "nowhere";
  for (const char* const name : {"coldseald", "coldseal-console"}) expect_refused({program(name), "--root", nowhere}, "does not exist");
  expect_refused({program("coldseal-admin"), "--root", nowhere, "provision", "--tpm", "swtpm:path=/nowhere", "--key-class", "release",
                  "--quorum", "2", "--officer", "ada", "--officer", "ben"},
                 "does not exist");
  EXPECT_FALSE(fs::exists(nowhere));
}

TEST_F(WrongUsage, AMissingConfigurationIsNamed) {
  expect_refused({program("coldseald"), "--root", root_}, "etc/coldseal/coldseal.toml: no such file");
  expect_refused(admin({"status"}), "etc/coldseal/coldseal.toml: no such file");
}

TEST_F(WrongUsage, AnImpossibleKeyClassIsRefusedBeforeTheTpmIsTouched) {
  expect_refused(provision("release", "1", {"ada", "ben"}), "a quorum of 1 of 2");
  expect_refused(provision("release", "3", {"ada", "ben"}), "a quorum of 3 of 2");
  expect_refused(provision("release", "two", {"ada", "ben"}), "two");
  expect_refused(provision("Release/..", "2", {"ada", "ben"}), "lower-case letters");
  expect_refused(provision("receipt", "2", {"ada", "ben"}), "the appliance's own key");
  expect_refused(provision("release", "2", {"ada", "ada"}), "named twice");
  expect_refused(provision("release", "2", {"ada", "Ben"}), "officer \"Ben\"");
  expect_refused(provision("release", "2", {"ada", "r"}), "officer \"r\"");   // which the console takes for "reject"
  expect_refused(provision("release", "2", {"o1", "o2", "o3", "o4", "o5", "o6", "o7", "o8"}), "at most 7");
}

TEST_F(WrongUsage, AKeyOrChainThatIsNoneIsNamed) {
  const fs::path junk = folder_ / "junk.pem";
  write_text(junk, "junk");
  expect_refused(admin({"submitter", "build-1", junk}), "junk.pem: one PEM block \"PUBLIC KEY\" wanted");
  expect_refused(admin({"submitter", "Build 1", junk}), "lower-case letters");
  expect_refused(admin({"submitter", "build-1", folder_ / "none.pem"}), "none.pem: no such file");
  expect_refused(admin({"certificate", "--key-class", "release", junk}), "there is no key class \"release\"");
}

}  // namespace
}  // namespace tests
