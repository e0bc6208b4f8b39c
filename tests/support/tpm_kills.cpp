#include "tests/support/tpm_kills.hpp"

#include <fmt/format.h>

#include <chrono>
#include <set>
#include <sstream>
#include <stdexcept>

#include "crypto/transparency/audit_log_line.hpp"
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

CeremonyKills::CeremonyKills() {
  const TempDir folder;
  ApplianceRig rig(folder / "rig");
  rig.tap();
  rig.prepare();
  rig.prepare_ceremony();
  rig.proxy().arm(0, Deed::pass);
  rig.run_ceremony();
  commands_ = rig.proxy().commands();
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
    const Finished verified = run({program("coldseal"), "verify-transcript", rig.state() / "ceremony/transcript.json"});
    if (verified.status != 0) return where + verified.output;
  } catch (const std::runtime_error& error) {
    return where + error.what();
  }
  return "";
}

AdministrationKills::AdministrationKills() : rig_(folder_ / "rig") {
  rig_.tap();
  rig_.provision();
  rig_.proxy().arm(0, Deed::pass);
  if (!act()) throw std::runtime_error("administrators cannot unlock an officer");
  commands_ = rig_.proxy().commands();
}

bool AdministrationKills::act() const {
  AtTerminal terminal({program("coldseal-admin"), "--root", rig_.root(), "unlock", "ada", "--key-class", "release"});
  const std::vector<TestOfficer>& who = ApplianceRig::administrators();
  std::size_t next = 0;
  for (;;) {
    switch (terminal.expect_any({"administrator (", "PIN of "})) {
      case 0:
        terminal.type(next < 2 ? who[next].name : "");
        break;
      case 1:
        terminal.type(who[next++].pin);
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
    const bool done = act();
    const bool struck = rig_.proxy().struck();
    rig_.proxy().arm(0, Deed::pass);
    if (!rig_.tpm().is_running()) rig_.tpm().start();
    if (!struck && !done) return where + "nothing was struck, and nothing was done";
    if (!done && !act()) return where + "the act cannot be done again";
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
