// The audit log in other people's hands: exported, proved, forged. Judged by coldseal audit and by a verifier that shares nothing
// with it (tests/interop/verify_receipt.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crypto/transparency/audit_log_line.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class ExportedLog : public testing::Test {
 protected:
  ExportedLog() : rig_(folder_ / "rig") { rig_.provision(); }

  std::string sign_one() {
    rig_.start_daemon();
    const Background courier = rig_.start_courier({"--stick", rig_.stick()});
    const std::string id = rig_.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig_.stick());
    rig_.wait_for_journal(id, "waits for the officers");
    rig_.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[2]});
    wait_until("the response is on the stick", [&] { return fs::exists(rig_.stick() / "coldseal/responses" / id / "receipt.dsse.json"); });
    run_well({program("coldseal"), "collect", "--from", rig_.stick(), "-o", folder_ / "signed"});
    rig_.stop_daemon();
    return id;
  }
  // The folder that was made.
  fs::path export_to(const std::string& name) const {
    const fs::path to = folder_ / name;
    run_well({program("coldseal-admin"), "--root", rig_.root(), "log", "export", to});
    std::vector<fs::path> made;
    for (const auto& entry : fs::directory_iterator(to)) made.push_back(entry.path());
    if (made.size() != 1) throw std::runtime_error("the export made " + std::to_string(made.size()) + " folders");
    return made.front();
  }
  Finished verify(const fs::path& log, const Command& more = {}) const {
    Command command = {program("coldseal"), "audit", "verify", log, "--key", rig_.trust() / "receipt-key.pem", "--transcript",
                       rig_.state() / "ceremony/transcript.json"};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }
  // The same checkpoint and the same word of the TPM over another log.
  Finished verify_forged(const fs::path& exported, const std::vector<std::string>& lines, bool has_end = true) const {
    const fs::path forged = folder_ / "forged";
    fs::remove_all(forged);
    fs::copy(exported, forged);
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    if (!has_end) text.pop_back();
    write_text(forged / "audit.log", text);
    return verify(forged);
  }
  static std::vector<std::string> lines_of(const fs::path& exported) {
    std::istringstream text(read_text(exported / "audit.log"));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  static void expect_wrong(const Finished& outcome, const std::string& words) {
    EXPECT_EQ(outcome.status, 1) << words << "\n" << outcome.output;
    EXPECT_NE(outcome.output.find(words), std::string::npos) << words << "\nis not in\n" << outcome.output;
  }

  const TempDir folder_;
  ApplianceRig rig_;
};

TEST_F(ExportedLog, IsProvedWithoutTheApplianceAndByAVerifierThatSharesNothingWithIt) {
  const std::string first = sign_one();
  const fs::path older = export_to("older");
  const std::string second = sign_one();
  const fs::path newer = export_to("newer");
  const Finished proved = verify(newer, {"--since", older / "checkpoint"});
  EXPECT_EQ(proved.status, 0) << proved.output;
  for (const char* const words : {"every line continues the one before", "signed by that key", "as the TPM certified", "it begins with the log of"})
    EXPECT_NE(proved.output.find(words), std::string::npos) << words << "\n" << proved.output;
  const auto json = nlohmann::json::parse(verify(newer, {"--since", older / "checkpoint", "--json"}).output);
  EXPECT_EQ(json["lines"], lines_of(newer).size());
  EXPECT_EQ(json["since"], lines_of(older).size());
  EXPECT_EQ(json["anchoredInTpm"], true);
  for (const std::string& id : {first, second}) {
    const fs::path response = folder_ / "signed" / id;
    const std::string said = run_well({"python3", fs::path(COLDSEAL_TEST_DATA_DIR).parent_path() / "interop/verify_receipt.py",
                                       response / "receipt.dsse.json", rig_.trust() / "receipt-key.pem", response / "files", newer});
    EXPECT_NE(said.find("it begins with the log that the receipt was made from"), std::string::npos) << said;
  }
  // And it refuses: another file, another key, another log.
  const fs::path response = folder_ / "signed" / first;
  const fs::path script = fs::path(COLDSEAL_TEST_DATA_DIR).parent_path() / "interop/verify_receipt.py";
  const auto judged = [&](const fs::path& key, const fs::path& exported) {
    return run({"python3", script, response / "receipt.dsse.json", key, response / "files", exported});
  };
  EXPECT_EQ(judged(rig_.trust() / "receipt-key.pem", older).status, 0);
  run_well({program("coldseal"), "key", "create", "--no-passphrase", "-o", folder_ / "stranger.pem"});
  expect_wrong(judged(folder_ / "stranger.pub.pem", older), "WRONG  receipt is signed");
  std::string changed = read_text(older / "audit.log");
  fs::copy(older, folder_ / "changed");
  changed.replace(changed.find("\"version\":\"") + 11, 1, "9");
  write_text(folder_ / "changed/audit.log", changed);
  expect_wrong(judged(rig_.trust() / "receipt-key.pem", folder_ / "changed"), "does not continue the log");
  write_text(folder_ / "changed/audit.log", read_text(older / "audit.log") + "{\"index\":0}\n");
  EXPECT_EQ(judged(rig_.trust() / "receipt-key.pem", folder_ / "changed").status, 1);
  const std::string good = read_text(response / "receipt.dsse.json");
  std::string retyped = good;
  const std::string type = "application/vnd.in-toto+json";
  retyped.replace(retyped.find(type), type.size(), "application/vnd.coldseal.request.v1+json");
  write_text(response / "receipt.dsse.json", retyped);
  expect_wrong(judged(rig_.trust() / "receipt-key.pem", older), "WRONG  it is of a receipt's type");
  write_text(response / "receipt.dsse.json", good);
  write_text(response / "files/extra.txt", "x");
  expect_wrong(judged(rig_.trust() / "receipt-key.pem", older), "WRONG  the files");
  const std::string shown = run_well({program("coldseal"), "audit", "show", newer, "--request", second.substr(0, 8)});
  for (const char* const words : {"received", "approved-by", "officer=", "signed ", "delivered-to-outbox"})
    EXPECT_NE(shown.find(words), std::string::npos) << words << "\n" << shown;
  EXPECT_EQ(shown.find(first.substr(0, 8)), std::string::npos) << shown;
}

TEST_F(ExportedLog, EveryForgeryIsFoundAndTheFirstBadLineNamed) {
  sign_one();
  const fs::path exported = export_to("log");
  ASSERT_EQ(verify(exported).status, 0);
  const std::vector<std::string> lines = lines_of(exported);
  ASSERT_GT(lines.size(), 10U);
  const auto name = [](std::size_t index) { return "line " + std::to_string(index + 1); };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool is_last = i + 1 == lines.size();
    std::vector<std::string> forged = lines;
    forged.erase(forged.begin() + static_cast<std::ptrdiff_t>(i));   // removed
    expect_wrong(verify_forged(exported, forged), is_last ? "lines are missing from " + name(i) : name(i));
    forged = lines;
    forged.insert(forged.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);   // duplicated
    expect_wrong(verify_forged(exported, forged), name(i + 1));
    if (!is_last) {
      forged = lines;
      std::swap(forged[i], forged[i + 1]);   // reordered
      expect_wrong(verify_forged(exported, forged), name(i));
      forged.assign(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(i) + 1);   // truncated after it
      expect_wrong(verify_forged(exported, forged), "lines are missing from " + name(i + 1));
    }
    forged = lines;
    const std::size_t at = forged[i].find("\"at\":\"20") + 8;   // some years later: still a line
    ++forged[i][at];
    const Finished outcome = verify_forged(exported, forged);
    EXPECT_EQ(outcome.status, 1) << i << outcome.output;
    EXPECT_NE(outcome.output.find(is_last ? "was changed" : name(i + 1)), std::string::npos) << outcome.output;
  }
  expect_wrong(verify_forged(exported, lines, false), name(lines.size() - 1) + " has no end");
  for (const char* const file : {"checkpoint", "anchor.json"}) {
    fs::remove_all(folder_ / "forged");
    fs::copy(exported, folder_ / "forged");
    const std::string whole = read_text(exported / file);
    write_text(folder_ / "forged" / file, whole.substr(0, whole.size() - 1));
    expect_wrong(verify(folder_ / "forged"), file);
  }
  // A forger who makes the whole chain anew still lacks the key and the TPM.
  std::vector<std::string> anew;
  transparency::AuditChain chain;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i == 5) continue;
    const auto line = transparency::audit_line_from_json(lines[i]);
    anew.push_back(*chain.append(line->at, line->event, line->request, line->data));
  }
  expect_wrong(verify_forged(exported, anew), "lines are missing");
  anew.push_back(*chain.append(chain.last_at(), transparency::AuditEvent::started, "", {}));
  expect_wrong(verify_forged(exported, anew), "is of another log");
  // Another appliance's key, and another's word.
  run_well({program("coldseal"), "key", "create", "--no-passphrase", "-o", folder_ / "other.pem"});
  EXPECT_EQ(run({program("coldseal"), "audit", "verify", exported, "--key", folder_ / "other.pub.pem"}).status, 1);
  fs::remove_all(folder_ / "forged");
  fs::copy(exported, folder_ / "forged");
  std::string anchor = read_text(folder_ / "forged/anchor.json");
  anchor.replace(anchor.find("\"extended\""), 10, "\"extendet\"");
  write_text(folder_ / "forged/anchor.json", anchor);
  expect_wrong(verify(folder_ / "forged"), "anchor.json");
  // A transcript that does not hold is no witness, nor is another appliance's.
  std::string transcript = read_text(rig_.state() / "ceremony/transcript.json");
  transcript.replace(transcript.find("\"title\":\"") + 9, 1, "X");
  write_text(folder_ / "transcript.json", transcript);
  const auto with_transcript = [&](const fs::path& file, const Command& more = {}) {
    Command command = {program("coldseal"), "audit", "verify", exported, "--key", rig_.trust() / "receipt-key.pem", "--transcript", file};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  };
  expect_wrong(with_transcript(folder_ / "transcript.json"), "does not hold");
  expect_wrong(with_transcript(rig_.state() / "ceremony/transcript.json", {"--identity", folder_ / "other.pub.pem"}), "not the identity key that was expected");
}

// Lines that the TPM never counted cannot be slipped in behind the last one that it did, not even by somebody who writes the disk.
TEST_F(ExportedLog, LinesThatMatterAddedOnTheDiskStopTheAppliance) {
  sign_one();
  const fs::path log = rig_.state() / "log/audit.jsonl";
  transparency::AuditChain chain;
  std::istringstream text(read_text(log));
  for (std::string line; std::getline(text, line);) ASSERT_TRUE(chain.accept(line));
  const std::string forged = *chain.append(chain.last_at(), transparency::AuditEvent::administration, "", {{"anchor", "provisional"}, {"what", "officer mallory was added"}});
  write_text(log, read_text(log) + forged + "\n");
  for (const Command& command : {Command{program("coldseald"), "--root", rig_.root()},
                                 Command{program("coldseal-admin"), "--root", rig_.root(), "log", "export", folder_ / "no"}})
    expect_wrong(run(command), "line " + std::to_string(chain.lines()) + " is of a kind that is always anchored");
  EXPECT_FALSE(fs::exists(folder_ / "no"));
}

TEST_F(ExportedLog, HoldsEveryInspectionThatItsLinesNameAndSaysWhichLinesIsNotThatAnyMore) {
  const std::string id = sign_one();
  const fs::path exported = export_to("log");
  EXPECT_NE(verify(exported).output.find("inspections 1 are there, each as the log names it"), std::string::npos);
  const std::string shown = run_well({program("coldseal"), "audit", "show", exported, "--request", id, "--facts"});
  for (const char* const words : {"as read", "Provider", "Coldseal Example"}) EXPECT_NE(shown.find(words), std::string::npos) << words << "\n" << shown;
  std::size_t line = 0;
  fs::path kept;
  const std::vector<std::string> lines = lines_of(exported);
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (const auto json = nlohmann::json::parse(lines[i]); json["event"] == "inspected") {
      line = i + 1;
      const std::string digest = json["data"]["inspection"];
      kept = exported / "inspections" / digest.substr(0, 2) / digest;
      EXPECT_EQ(run_well({"sha256sum", kept}).substr(0, 64), digest);   // as a third party would look
    }
  ASSERT_NE(line, 0U);
  const std::string named = "line " + std::to_string(line) + ": ";
  base::Bytes changed = read_file(kept);
  changed.back() ^= 1;
  write_file(kept, changed);
  expect_wrong(verify(exported), named + "the inspection kept for it is another");
  EXPECT_EQ(run({program("coldseal"), "audit", "show", exported, "--facts"}).status, 1);
  fs::remove(kept);
  expect_wrong(verify(exported), named + "the inspection that it names is not there");
  fs::remove_all(exported / "inspections");
  const Finished without = verify(exported);
  EXPECT_EQ(without.status, 0) << without.output;
  EXPECT_NE(without.output.find("inspections not looked at"), std::string::npos) << without.output;
  // The appliance's own copy, damaged: the export goes on without it and says so.
  const fs::path own = rig_.state() / "log/inspections" / kept.parent_path().filename() / kept.filename();
  write_file(own, changed);
  const std::string said = run_well({program("coldseal-admin"), "--root", rig_.root(), "log", "export", folder_ / "damaged"});
  EXPECT_NE(said.find("1 of 1 inspections that the log names are not there"), std::string::npos) << said;
}

TEST_F(ExportedLog, OlderCopiesAreRefusedAgainstANewerCheckpointAndTheTpm) {
  sign_one();
  const fs::path older = export_to("older");
  const std::string kept = read_text(rig_.state() / "log/audit.jsonl");
  sign_one();
  const fs::path newer = export_to("newer");
  expect_wrong(verify(older, {"--since", newer / "checkpoint"}), "lines are missing");
  // The older log with the newer word of the TPM.
  fs::copy_file(older / "audit.log", newer / "audit.log", fs::copy_options::overwrite_existing);
  fs::copy_file(older / "checkpoint", newer / "checkpoint", fs::copy_options::overwrite_existing);
  expect_wrong(verify(newer), "certified for another checkpoint");
  // And in its place on the appliance nothing is signed about it.
  write_text(rig_.state() / "log/audit.jsonl", kept);
  const Finished refused = run({program("coldseal-admin"), "--root", rig_.root(), "log", "export", folder_ / "forged"});
  EXPECT_EQ(refused.status, 1) << refused.output;
  const std::string first_missing = "lines are missing from line " + std::to_string(lines_of(older).size() + 1) + " on, or it is an older copy";
  EXPECT_NE(refused.output.find(first_missing), std::string::npos) << refused.output;
  EXPECT_FALSE(fs::exists(folder_ / "forged"));
}

}  // namespace
}  // namespace tests
