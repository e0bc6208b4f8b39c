// The host tool as people run it: keys, requests, inspection, collecting. verify has a file of its own.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/dsse.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/wire/request.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

Finished coldseal(Command arguments) {
  arguments.insert(arguments.begin(), program("coldseal"));
  return run(arguments);
}

bool has(const std::string& text, std::string_view wanted) { return text.find(wanted) != std::string::npos; }

std::size_t entries_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::recursive_directory_iterator(folder), fs::recursive_directory_iterator()));
}

class HostTool : public testing::Test {
 protected:
  HostTool() {
    fs::create_directory(stick());
    fs::copy(COLDSEAL_SAMPLE_DIR, package());
  }
  fs::path stick() const { return folder_ / "stick"; }
  fs::path package() const { return folder_ / "package"; }
  fs::path key() const { return folder_ / "k.pem"; }
  void make_key() const { run_well({program("coldseal"), "key", "create", "-o", key(), "--no-passphrase"}); }
  Finished create_request(const Command& more = {}) const {
    Command command = {"request", "create", package(), "--profile", "release", "--os", "10_X64", "--key", key(), "--to", stick()};
    command.insert(command.end(), more.begin(), more.end());
    return coldseal(command);
  }
  TempDir folder_;
};

TEST_F(HostTool, KeyCreateKeepsThePrivateKeyPrivateAndOverwritesNothing) {
  make_key();
  struct stat status {};
  ASSERT_EQ(stat(key().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const std::string before = read_text(key());
  EXPECT_TRUE(crypto::PublicKey::parse_pem(read_text(folder_ / "k.pub.pem")));
  EXPECT_EQ(coldseal({"key", "create", "-o", key(), "--no-passphrase"}).status, 1);
  EXPECT_EQ(read_text(key()), before);
  fs::remove(key());
  EXPECT_EQ(coldseal({"key", "create", "-o", key(), "--no-passphrase"}).status, 1) << "the public key is there still";
  EXPECT_FALSE(fs::exists(key()));
}

TEST_F(HostTool, KeyCreateAsksTwiceAndShowsNothingOfThePassPhrase) {
  AtTerminal terminal({program("coldseal"), "key", "create", "-o", key()});
  terminal.expect("Pass phrase for the new key");
  terminal.type("mountain river");
  terminal.expect("again");
  terminal.type("mountain river");
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  EXPECT_FALSE(has(terminal.screen(), "mountain river")) << terminal.screen();
  write_text(folder_ / "pass", "mountain river\n");
  EXPECT_EQ(create_request({"--passphrase-file", folder_ / "pass"}).status, 0);
}

TEST_F(HostTool, KeyCreateMakesNothingOfTwoDifferentOrShortPassPhrases) {
  AtTerminal different({program("coldseal"), "key", "create", "-o", key()});
  different.expect("Pass phrase for the new key");
  different.type("mountain river");
  different.expect("again");
  different.type("mountain rivers");
  EXPECT_EQ(different.wait(), 2) << different.screen();
  EXPECT_TRUE(has(different.screen(), "differ"));
  write_text(folder_ / "pass", "short\n");
  EXPECT_EQ(coldseal({"key", "create", "-o", key(), "--passphrase-file", folder_ / "pass"}).status, 2);
  EXPECT_FALSE(fs::exists(key()));
  EXPECT_FALSE(fs::exists(folder_ / "k.pub.pem"));
}

TEST_F(HostTool, RequestCreateWritesWhatTheApplianceReads) {
  make_key();
  const Finished made = create_request({"--note", "build 17", "--operations", "catalog,embed"});
  ASSERT_EQ(made.status, 0) << made.output;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(stick() / wire::kRequestsFolder)) found.push_back(entry.path());
  ASSERT_EQ(found.size(), 1U);
  const auto envelope = transparency::Envelope::parse(read_text(found[0] / wire::kManifestName), base::limits::kManifestBytes);
  ASSERT_TRUE(envelope);
  const auto payload = envelope->verify(*crypto::PublicKey::parse_pem(read_text(folder_ / "k.pub.pem")), transparency::kRequestPayloadType);
  ASSERT_TRUE(payload);
  const auto request = wire::Request::from_json(*payload);
  ASSERT_TRUE(request) << request.error().text();
  EXPECT_EQ(request->id(), found[0].filename().string());
  EXPECT_TRUE(has(made.output, request->id()));
  EXPECT_EQ(request->note, "build 17");
  EXPECT_EQ(request->operations, (std::vector<wire::Operation>{wire::Operation::embed, wire::Operation::catalog}));
  ASSERT_EQ(request->files.size(), 3U);
  for (const wire::FileEntry& file : request->files) {
    const base::Bytes there = read_file(found[0] / wire::kFilesFolder / file.path);
    EXPECT_EQ(there, read_file(package() / file.path));
    EXPECT_EQ(crypto::sha256(there), file.sha256);
  }
  ASSERT_EQ(create_request().status, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(stick() / wire::kRequestsFolder), fs::directory_iterator()), 2)
      << "the same package again is another request";
}

TEST_F(HostTool, RequestCreateListsEveryBadNameAndWritesNothing) {
  make_key();
  write_text(package() / "NUL.txt", "x");
  write_text(package() / "a:b", "x");
  write_text(package() / "Coldsample.SYS", "x");
  const Finished made = create_request();
  EXPECT_EQ(made.status, 1);
  for (const char* const wanted : {"NUL.txt", "a:b", "differ only in case", "3 names"}) EXPECT_TRUE(has(made.output, wanted)) << made.output;
  EXPECT_EQ(entries_in(stick()), 0U);
}

TEST_F(HostTool, RequestCreateStopsAtErrorsUnlessForced) {
  make_key();
  fs::remove(package() / "coldsample.sys");
  const Finished refused = create_request();
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_TRUE(has(refused.output, "no request was made"));
  EXPECT_EQ(entries_in(stick()), 0U);
  const Finished forced = create_request({"--force"});
  EXPECT_EQ(forced.status, 0) << forced.output;
  EXPECT_GT(entries_in(stick()), 0U);
}

TEST_F(HostTool, RequestCreateFollowsNoLinkOutOfThePackage) {
  make_key();
  fs::create_symlink("/etc/hostname", package() / "link");
  const Finished made = create_request();
  EXPECT_EQ(made.status, 1) << made.output;
  EXPECT_EQ(entries_in(stick()), 0U);
}

TEST_F(HostTool, RequestCreateWritesNothingAfterAWrongPassPhraseOrAWrongWord) {
  write_text(folder_ / "pass", "mountain river\n");
  write_text(folder_ / "wrong", "mountain rover\n");
  run_well({program("coldseal"), "key", "create", "-o", key(), "--passphrase-file", folder_ / "pass"});
  const Finished wrong = create_request({"--passphrase-file", folder_ / "wrong"});
  EXPECT_EQ(wrong.status, 1) << wrong.output;
  EXPECT_TRUE(has(wrong.output, "wrong pass phrase"));
  EXPECT_EQ(create_request({"--operations", "timestamp"}).status, 2);
  EXPECT_EQ(create_request({"--note", std::string(base::limits::kNoteBytes + 1, 'n')}).status, 2);
  EXPECT_EQ(create_request({"--note", "\xFF"}).status, 2);
  EXPECT_EQ(coldseal({"request", "create", package(), "--profile", "a b", "--os", "10_X64", "--key", key(), "--to", stick()}).status, 2);
  EXPECT_EQ(coldseal({"request", "create", package(), "--profile", "p", "--os", "11_X65", "--key", key(), "--to", stick()}).status, 2);
  EXPECT_EQ(coldseal({"request", "create", package(), "--profile", "p", "--os", "10_X64", "--key", key(), "--to", folder_ / "none"}).status, 2);
  EXPECT_EQ(entries_in(stick()), 0U);
}

TEST_F(HostTool, InspectShowsAPackageAsTextAndAsOneObject) {
  const Finished text = coldseal({"inspect", package(), "--os", "10_X64"});
  EXPECT_EQ(text.status, 0) << text.output;
  EXPECT_TRUE(has(text.output, "coldsample.cat"));
  const Finished printed = coldseal({"inspect", package(), "--json"});
  const nlohmann::json object = nlohmann::json::parse(printed.output);
  EXPECT_EQ(object["catalogs"][0]["path"], "coldsample.cat");
  EXPECT_EQ(object["peFiles"].size(), 2U);
  fs::remove(package() / "coldsample.exe");
  EXPECT_EQ(coldseal({"inspect", package()}).status, 1);
  EXPECT_EQ(coldseal({"inspect", folder_ / "none"}).status, 2);
  EXPECT_EQ(coldseal({"inspect", package(), "--os", "none"}).status, 2);
}

TEST_F(HostTool, CollectCopiesResponsesOnce) {
  const std::string id(64, 'a');
  write_text(stick() / wire::kResponsesFolder / id / wire::kReceiptName, "a receipt");
  write_text(stick() / wire::kResponsesFolder / id / wire::kFilesFolder / "x/driver.sys", "signed");
  write_text(stick() / wire::kResponsesFolder / std::string(64, 'b') / wire::kFilesFolder / "half", "no receipt yet");
  const Finished one = coldseal({"collect", "--from", stick(), "-o", folder_ / "out", id});
  EXPECT_EQ(one.status, 0) << one.output;
  EXPECT_EQ(read_text(folder_ / "out" / id / wire::kReceiptName), "a receipt");
  EXPECT_EQ(read_text(folder_ / "out" / id / wire::kFilesFolder / "x/driver.sys"), "signed");
  EXPECT_TRUE(has(coldseal({"collect", "--from", stick(), "-o", folder_ / "out", id}).output, "was there already"));
  EXPECT_EQ(coldseal({"collect", "--from", stick(), "-o", folder_ / "out", std::string(64, 'b')}).status, 2);
  EXPECT_FALSE(fs::exists(folder_ / "out" / std::string(64, 'b')));
}

TEST_F(HostTool, CollectAndSendSayWhatTheyNeed) {
  EXPECT_EQ(coldseal({"collect", "-o", folder_ / "out"}).status, 2);
  EXPECT_EQ(coldseal({"collect", "--from", stick(), "-o", folder_ / "out", "../x"}).status, 2);
  EXPECT_EQ(coldseal({"collect", "--from", folder_ / "none", "-o", folder_ / "out"}).status, 2);
  make_key();
  ASSERT_EQ(create_request().status, 0);
  const fs::path request = fs::directory_iterator(stick() / wire::kRequestsFolder)->path();
  EXPECT_EQ(coldseal({"send", "--serial", folder_ / "no-device", request}).status, 2);
  EXPECT_EQ(coldseal({"send", "--serial", folder_ / "no-device", stick()}).status, 1) << "not the folder of a request";
  EXPECT_EQ(coldseal({"send", "--serial", "/dev/null"}).status, 2);
}

TEST_F(HostTool, HelpIsThereForEveryCommandWithAnExample) {
  for (const Command& command : {Command{"key", "create"}, {"request", "create"}, {"send"}, {"collect"}, {"inspect"}, {"verify"}, {"timestamp"},
                                 {"audit", "verify"}, {"slip"}}) {
    Command help = command;
    help.push_back("--help");
    const Finished shown = coldseal(help);
    EXPECT_EQ(shown.status, 0);
    EXPECT_TRUE(has(shown.output, "Example:") || has(shown.output, "Examples:")) << shown.output;
  }
  EXPECT_EQ(coldseal({}).status, 2);
  EXPECT_EQ(coldseal({"explode"}).status, 2);
  EXPECT_EQ(coldseal({"--version"}).status, 0);
}

}  // namespace
}  // namespace tests
