#include "tests/support/tpm_kills.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <sstream>
#include <stdexcept>

#include "crypto/transparency/audit_log_line.hpp"
#include "crypto/transparency/transcript.hpp"
#include "tests/support/crashes.hpp"
#include "tests/support/forged_request.hpp"

namespace tests {

namespace fs = std::filesystem;

SigningKills::SigningKills() : rig_(folder_ / "rig") {
  rig_.tap();
  rig_.provision();
  rig_.start_daemon();
  const std::string id = new_request();
  rig_.proxy().arm(0, Deed::pass);
  rig_.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
  rig_.wait_for_response(id);
  commands_ = rig_.proxy().commands();
}

std::string SigningKills::new_request() {
  const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_)));
  request.into_inbox();
  rig_.wait_for_journal(request.id(), "waits for the officers");
  ids_.push_back(request.id());
  return request.id();
}

std::string SigningKills::strike(int at, Deed deed) {
  const std::string where = fmt::format("command {} of {}: ", at, commands_);
  try {
    const std::string id = new_request();
    const std::vector<TestOfficer> two = {ApplianceRig::officers()[0], ApplianceRig::officers()[1]};
    rig_.proxy().arm(at, deed);
    const bool was_signed = rig_.try_to_approve(id, two);
    const bool struck = rig_.proxy().struck();
    rig_.proxy().arm(0, Deed::pass);
    if (!struck && !was_signed) return where + "nothing was struck, and nothing was signed";
    // Nothing is in the outbox but whole answers.
    for (const auto& entry : fs::directory_iterator(rig_.state() / "outbox")) {
      const bool whole = fs::exists(entry.path() / "receipt.dsse.json");
      const bool answer = entry.path().extension() != ".part" && entry.path().extension() != ".waiting";
      if (answer && !whole) return where + "a partial response: " + entry.path().string();
    }
    if (!was_signed && fs::exists(rig_.outbox(id))) return where + "the console heard of no signature and there is an answer";
    if (!rig_.tpm().is_running()) rig_.tpm().start();
    if (!rig_.daemon().is_running()) return where + "coldseald ended:\n" + rig_.daemon().log();
    if (!was_signed) rig_.approve(id, two);   // the next request works, and it is this one
    rig_.wait_for_response(id);
    const Finished verified = run({program("coldseal"), "verify", rig_.outbox(id) / "files", "--receipt", rig_.outbox(id) / "receipt.dsse.json",
                                   "--trust", rig_.trust()});
    if (verified.status != 0) return where + verified.output;
  } catch (const std::runtime_error& error) {
    if (!rig_.tpm().is_running()) rig_.tpm().start();
    return where + error.what() + "\n" + rig_.daemon().log();
  }
  return "";
}

std::string SigningKills::examine_log() const {
  transparency::AuditChain chain;
  std::istringstream lines(read_text(rig_.state() / "log/audit.jsonl"));
  std::multiset<std::string> delivered;
  for (std::string line; std::getline(lines, line);) {
    const auto read = chain.accept(line);
    if (!read) return "the log's chain is broken: " + read.error().text();
    if (read->event == transparency::AuditEvent::delivered_to_outbox) delivered.insert(read->request);
  }
  for (const std::string& id : ids_)
    if (delivered.count(id) != 1) return fmt::format("{} was answered {} times", id, delivered.count(id));
  return "";
}

namespace {

int file_calls_of(const Faults& faults) {
  std::uint64_t calls = 0;
  for (std::uint32_t kind = 0; kind < kFaultKinds; ++kind)
    if ((kDiskKinds & mask_of(static_cast<FaultKind>(kind))) != 0) calls += faults.points_of(static_cast<FaultKind>(kind));
  return static_cast<int>(calls);
}

fs::path transcript_of(const ApplianceRig& rig) { return rig.state() / "ceremony/transcript.json"; }

// What a ceremony that was interrupted must have come to: a transcript that holds and states everything, and an appliance that starts.
std::string examine_ceremony(ApplianceRig& rig) {
  const Finished verified = run({program("coldseal"), "verify-transcript", transcript_of(rig)});
  if (verified.status != 0) return verified.output;
  if (std::string missing = missing_from_transcript(transcript_of(rig)); !missing.empty()) return missing;
  rig.start_daemon();
  rig.stop_daemon();
  return "";
}

}  // namespace

CeremonyKills::CeremonyKills() {
  const TempDir folder;
  const Faults faults;
  ApplianceRig rig(folder / "rig");
  rig.tap();
  rig.prepare();
  rig.prepare_ceremony();
  rig.run_admin_under(&faults);
  rig.proxy().arm(0, Deed::pass);
  rig.run_ceremony();
  commands_ = rig.proxy().commands();
  file_calls_ = file_calls_of(faults);
}

std::string CeremonyKills::strike(int at, Deed deed) const {
  const std::string where = fmt::format("command {} of {}: ", at, commands_);
  try {
    const TempDir folder;
    ApplianceRig rig(folder / "rig");
    rig.tap();
    rig.prepare();
    rig.prepare_ceremony();
    rig.proxy().arm(at, deed);
    const int first = rig.try_ceremony();
    const bool struck = rig.proxy().struck();
    rig.proxy().arm(0, Deed::pass);
    if (!struck && first != 0) return where + "nothing was struck, and the ceremony failed";
    if (!rig.tpm().is_running()) rig.tpm().start();
    if (first != 0) rig.run_again_to_its_end();
    if (const std::string wrong = examine_ceremony(rig); !wrong.empty()) return where + wrong;
  } catch (const std::runtime_error& error) {
    return where + error.what();
  }
  return "";
}

std::string CeremonyKills::strike_program(int at, FaultDeed deed) const {
  std::string where = fmt::format("file call {} of {}: ", at, file_calls_);
  try {
    const TempDir folder;
    Faults faults;
    ApplianceRig rig(folder / "rig");
    rig.prepare();
    rig.prepare_ceremony();
    rig.run_admin_under(&faults);
    faults.arm(static_cast<std::uint64_t>(at), deed, kDiskKinds);
    const int first = rig.try_ceremony();
    where += faults.what() + ": ";
    if (first != (faults.struck() != 0 ? 128 + 9 : 0)) return where + fmt::format("it ended with status {}", first);
    faults.disarm();
    // The transcript is the last thing it writes: then there is nothing left to go on with.
    if (!fs::exists(transcript_of(rig))) rig.run_again_to_its_end();
    if (const std::string wrong = examine_ceremony(rig); !wrong.empty()) return where + wrong;
  } catch (const std::runtime_error& error) {
    return where + error.what();
  }
  return "";
}

std::string CeremonyKills::strike_program_again_and_again(int first, int& deaths) {
  std::string where;
  try {
    const TempDir folder;
    Faults faults;
    ApplianceRig rig(folder / "rig");
    rig.prepare();
    rig.prepare_ceremony();
    rig.run_admin_under(&faults);
    for (int at = first; !fs::exists(transcript_of(rig)); at += 7, ++deaths) {
      faults.arm(static_cast<std::uint64_t>(at), FaultDeed::kill, kDiskKinds);
      const int status = rig.try_ceremony();
      if (faults.struck() == 0 && status != 0) return where + fmt::format("then it ended with status {}", status);
      if (faults.struck() == 0) break;
      where += faults.what() + ", ";
    }
    faults.disarm();
    if (const std::string wrong = examine_ceremony(rig); !wrong.empty()) return where + wrong;
  } catch (const std::runtime_error& error) {
    return where + error.what();
  }
  return "";
}

std::string missing_from_transcript(const fs::path& transcript) {
  const auto read = transparency::SignedTranscript::from_json(read_text(transcript));
  if (!read) return read.error().text();
  std::string missing;
  for (const char* const words :
       {", firmware ", "the TPM is empty", "mode: development", "storage root key ", "the firmware that runs is version 1", "the audit log is anchored from count ",
        "administrator uma is enrolled", "administrator wes is enrolled", "officer ada is enrolled", "officer cay is enrolled", "administrators: any 2 of 3",
        "key class release: any 2 of 3", "receipt key made: ", "key name ", "1 officers cannot sign, 2 can", "identity key and endorsement key are in one TPM",
        "keys are certified by the identity key", "an index could not be defined any more (0x9a2)", "any 2 administrators together are the owner"}) {
    const auto count = std::count_if(read->transcript.stated.begin(), read->transcript.stated.end(),
                                     [&](const std::string& fact) { return fact.find(words) != std::string::npos; });
    if (count != 1) missing += fmt::format("\"{}\" is stated {} times\n", words, count);
  }
  return missing;
}

namespace {

const Command& unlocking() {
  static const Command kWords{"unlock", "ada", "--key-class", "release"};
  return kWords;
}
const Command& replacing() {
  static const Command kWords{"officer", "replace", "cay", "cay", "--key-class", "release"};
  return kWords;
}

}  // namespace

AdministrationKills::AdministrationKills() : rig_(folder_ / "rig") {
  rig_.tap();
  rig_.provision();
  rig_.proxy().arm(0, Deed::pass);
  if (!act(unlocking())) throw std::runtime_error("administrators cannot unlock an officer");
  commands_ = rig_.proxy().commands();
}

int AdministrationKills::file_calls() {
  if (file_calls_ != 0) return file_calls_;
  faults_.disarm();
  if (!act(replacing())) throw std::runtime_error("administrators cannot replace an officer");
  file_calls_ = file_calls_of(faults_);
  return file_calls_;
}

bool AdministrationKills::act(const Command& words) const {
  Command command{program("coldseal-admin"), "--root", rig_.root()};
  command.insert(command.end(), words.begin(), words.end());
  AtTerminal terminal(faults_.before(command));
  const std::vector<TestOfficer>& who = ApplianceRig::administrators();
  std::size_t next = 0;
  for (;;) {
    switch (terminal.expect_any({"administrator (", "PIN of ", "cay: new PIN", "cay: the same PIN again"})) {
      case 0:
        terminal.type(next < 2 ? who[next].name : "");
        break;
      case 1:
        terminal.type(who[next++].pin);
        break;
      case 2:
      case 3:
        terminal.type(ApplianceRig::officers()[2].pin);
        break;
      default:
        return terminal.wait() == 0;
    }
  }
}

std::string AdministrationKills::strike(int at, Deed deed) {
  const std::string where = fmt::format("command {} of {}: ", at, commands_);
  try {
    rig_.proxy().arm(at, deed);
    const bool done = act(unlocking());
    const bool struck = rig_.proxy().struck();
    rig_.proxy().arm(0, Deed::pass);
    if (!rig_.tpm().is_running()) rig_.tpm().start();
    if (!struck && !done) return where + "nothing was struck, and nothing was done";
    if (!done && !act(unlocking())) return where + "the act cannot be done again";
  } catch (const std::runtime_error& error) {
    return where + error.what();
  }
  return "";
}

std::string AdministrationKills::strike_program(int at, FaultDeed deed) {
  std::string where = fmt::format("file call {} of {}: ", at, file_calls());
  try {
    faults_.arm(static_cast<std::uint64_t>(at), deed, kDiskKinds);
    const bool done = act(replacing());
    const bool struck = faults_.struck() != 0;
    where += faults_.what() + ": ";
    faults_.disarm();
    if (!struck && !done) return where + "nothing was struck, and nothing was done";
    if (struck && done) return where + "it was struck, and did not die";
    if (const std::string wrong = examine_whole_log(rig_.state() / "log/audit.jsonl"); !wrong.empty()) return where + wrong;
    if (!done && !act(replacing())) return where + "the act cannot be done again";
  } catch (const std::runtime_error& error) {
    return where + error.what();
  }
  return "";
}

std::string AdministrationKills::examine_log() {
  try {
    rig_.start_daemon();
    const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / "host");
    request.into_inbox();
    rig_.wait_for_journal(request.id(), "waits for the officers");
    rig_.approve(request.id(), {ApplianceRig::officers()[0], ApplianceRig::officers()[2]});
    rig_.wait_for_response(request.id());
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

std::vector<int> todays_points(int all, int how_many) {
  const auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()).time_since_epoch().count();
  std::set<int> points;
  // Spread over all of it, and one further every day.
  for (int i = 0; i < how_many && i < all; ++i) points.insert(static_cast<int>((day + i * (all / how_many)) % all) + 1);
  return {points.begin(), points.end()};
}

}  // namespace tests
