// The rules of the workflow with a TPM: who may submit, certificates and their revocation, deny list, requests that wait too long or are
// withdrawn, responses that were delivered. The appliance is provisioned by its own programs; the workflow runs in this process, so that
// the test decides what time it is.
#include "appliance/workflow.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "crypto/transparency/dsse.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

class MovableClock final : public appliance::Clock {
 public:
  base::Time now() const override { return appliance::SystemClock().now() + ahead; }
  // A clock that is moved here stands for time that went by.
  std::chrono::steady_clock::time_point steady() const override { return std::chrono::steady_clock::now() + (jumped ? hours(0) : ahead); }
  hours ahead{0};
  bool jumped = false;
};

class Rules : public testing::Test {
 protected:
  Rules() {
    rig_.provision();
    configuration_ = read_text(configuration_file());
  }
  fs::path configuration_file() const { return rig_.root() / "etc/coldseal/coldseal.toml"; }
  // With those lines in [appliance] and in the profile, approved by the administrators. Nothing must run.
  void approve_rules(const std::string& of_box, const std::string& of_profile) {
    std::string text = configuration_;
    text.insert(text.find("mode ="), of_box);
    write_text(configuration_file(), text + of_profile);
    rig_.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  }
  Finished admin(const Command& more) const {
    Command command{program("coldseal-admin"), "--root", rig_.root()};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }

  void start() {
    const appliance::Layout layout(rig_.root());
    auto configuration = appliance::Configuration::load(layout);
    ASSERT_TRUE(configuration) << configuration.error().text();
    lock_.emplace(*appliance::TpmLock::take(layout));
    auto started = appliance::Workflow::start({.layout = layout,
                                               .configuration = std::move(*configuration),
                                               .inspector = program("coldseal-inspector"),
                                               .clock = &clock_,
                                               .journal = [this](const std::string& line) { journal_ += line + "\n"; }});
    ASSERT_TRUE(started) << started.error().text();
    workflow_ = std::move(*started);
  }
  void stop() {
    workflow_.reset();
    lock_.reset();
  }
  // As coldseald does, with what is put off done at once.
  void look_around() {
    for (int round = 0; round < 2; ++round) {
      clock_.ahead += hours(1);
      workflow_->expire_sitting();
      workflow_->keep_house();
      workflow_->catch_up();
      workflow_->take_in();
      workflow_->inspect_received();
    }
  }
  std::string send(const fs::path& package = COLDSEAL_SAMPLE_DIR) {
    const ForgedRequest request(rig_, package, folder_ / ("host-" + std::to_string(++count_)));
    request.into_inbox();
    return request.id();
  }
  bool waits(const std::string& id) const {
    const auto list = workflow_->waiting().requests;
    return std::any_of(list.begin(), list.end(), [&](const auto& each) { return each.id == id; });
  }
  // "" when the approval begins.
  std::string refusal_of_approval(const std::string& id) {
    const auto begun = workflow_->begin_approval(id);
    return begun ? "" : begun.error().text();
  }
  // "" when it was signed.
  std::string refusal_of_pins() {
    for (const TestOfficer& officer : {ApplianceRig::officers()[0], ApplianceRig::officers()[1]}) {
      const auto entered = workflow_->enter_pin(officer.name, base::SecretBytes::copy_of(base::as_bytes(officer.pin)), [](std::size_t, std::size_t) {});
      if (!entered) return entered.error().text();
    }
    return "";
  }
  // Of the response: "signed", or the reason of a refusal.
  std::string answer(const std::string& id) const {
    const std::string file = rig_.outbox(id) / "receipt.dsse.json";
    if (!fs::exists(file)) return "no answer";
    const auto key = crypto::PublicKey::parse_pem(read_text(rig_.trust() / "receipt-key.pem"));
    const auto envelope = transparency::Envelope::parse(read_text(file), 1U << 24);
    const auto json = envelope->verify(*key, transparency::kStatementPayloadType);
    if (!json) return json.error().text();
    const auto receipt = transparency::Receipt::from_json(*json);
    if (!receipt) return receipt.error().text();
    return receipt->outcome == transparency::Outcome::done ? "signed" : receipt->reason;
  }
  static void expect_says(const std::string& text, const std::string& words) { EXPECT_NE(text.find(words), std::string::npos) << text; }

  TempDir folder_;
  ApplianceRig rig_{folder_ / "rig"};
  std::string configuration_;
  MovableClock clock_;
  std::string journal_;
  std::optional<appliance::TpmLock> lock_;
  std::unique_ptr<appliance::Workflow> workflow_;
  int count_ = 0;
};

TEST_F(Rules, ASubmittersKeyIsGoodUntilItExpiresAndNotAMomentLonger) {
  const base::Time until = clock_.now() + hours(20);
  const Finished renewed = admin({"submitter", "add", "build-1", folder_ / "rig/host/build-1.pub.pem", "--expires", base::rfc3339(until)});
  ASSERT_EQ(renewed.status, 0) << renewed.output;
  expect_says(admin({"submitter", "list"}).output, "until " + base::rfc3339(until));
  start();
  const std::string waiting = send();
  const std::string begun = send();
  look_around();
  ASSERT_TRUE(waits(waiting)) << journal_;
  ASSERT_TRUE(waits(begun)) << journal_;   // side by side
  ASSERT_EQ(refusal_of_approval(begun), "");
  expect_says(refusal_of_approval(waiting), "one at a time");
  clock_.ahead += hours(19);   // less than a day: no administrator is asked
  clock_.jumped = true;        // the sitting's five minutes are not over: only the key is
  const auto first = workflow_->enter_pin("ada", base::SecretBytes::copy_of(base::as_bytes(ApplianceRig::officers()[0].pin)), [](std::size_t, std::size_t) {});
  ASSERT_TRUE(first) << first.error().text();
  const auto last = workflow_->enter_pin("ben", base::SecretBytes::copy_of(base::as_bytes(ApplianceRig::officers()[1].pin)), [](std::size_t, std::size_t) {});
  ASSERT_FALSE(last);
  expect_says(last.error().text(), "submitter.expired");
  EXPECT_FALSE(fs::exists(rig_.outbox(begun)));
  EXPECT_TRUE(waits(begun));
  clock_.jumped = false;       // the same, as time that went by
  expect_says(refusal_of_approval(waiting), "submitter.expired");
  const std::string late = send();
  look_around();
  expect_says(answer(late), "submitter.expired: the key of submitter build-1 was enrolled until");
  EXPECT_TRUE(waits(waiting));   // officers may reject it, or the key is enrolled longer
}

TEST_F(Rules, ARevokedKeyAndAnOfficersKeyAreRefusedAtTheDoorAndBeforeOfficersAreAsked) {
  start();
  const std::string waiting = send();
  look_around();
  ASSERT_TRUE(waits(waiting)) << journal_;
  stop();
  const Finished person = admin({"submitter", "add", "build-1", folder_ / "rig/host/build-1.pub.pem", "--person", "cay"});
  ASSERT_EQ(person.status, 0) << person.output;
  start();
  expect_says(refusal_of_approval(waiting), "submitter.is-officer: submitter build-1 is the officer cay");
  const std::string by_officer = send();
  look_around();
  expect_says(answer(by_officer), "submitter.is-officer");
  stop();
  approve_rules("", "officers_may_submit = true\n");
  start();
  const std::string allowed = send();
  look_around();
  ASSERT_EQ(refusal_of_approval(allowed), "");
  ASSERT_EQ(refusal_of_pins(), "");
  EXPECT_EQ(answer(allowed), "signed");
  const std::string waits_for_revocation = send();
  look_around();
  stop();
  const Finished revoked = admin({"submitter", "revoke", "build-1", "--reason", "laptop stolen"});
  ASSERT_EQ(revoked.status, 0) << revoked.output;
  expect_says(admin({"submitter", "list"}).output, "revoked at");
  const Finished again = admin({"submitter", "add", "build-1", folder_ / "rig/host/build-1.pub.pem"});
  EXPECT_EQ(again.status, 1);
  expect_says(again.output, "submitter.revoked");
  start();
  expect_says(refusal_of_approval(waits_for_revocation), "submitter.revoked: the key of submitter build-1 was revoked");
  const std::string late = send();
  look_around();
  expect_says(answer(late), "laptop stolen");
}

class WithAuthority : public Rules {
 protected:
  WithAuthority() {
    write_text(ca() / "ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=" + (ca() / "index.txt").string() + "\ncrlnumber=" + (ca() / "crlnumber").string() +
                                    "\ndefault_md=sha256\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n");
    write_text(ca() / "index.txt", "");
    write_text(ca() / "crlnumber", "1000\n");
  }
  fs::path ca() const { return folder_ / "rig/ca"; }
  fs::path new_list(const std::string& name, int days = 30) {
    run_well({"openssl", "ca", "-config", ca() / "ca.cnf", "-gencrl", "-keyfile", ca() / "root.key", "-cert", rig_.ca_root(), "-crldays", std::to_string(days),
              "-out", ca() / name});
    return ca() / name;
  }
};

TEST_F(WithAuthority, ARevocationListIsDemandedMustBeFreshAndGoesForwardOnly) {
  approve_rules("", "crl_days = 3\n");
  start();
  const std::string id = send();
  look_around();
  expect_says(refusal_of_approval(id), "crl.missing");
  stop();
  const fs::path first = new_list("first.pem");
  const fs::path second = new_list("second.pem");
  const Finished imported = admin({"crl", "import", second});
  ASSERT_EQ(imported.status, 0) << imported.output;
  const Finished older = admin({"crl", "import", first});
  EXPECT_EQ(older.status, 1);
  expect_says(older.output, "crl.not-newer");
  // Another authority of the same name.
  run_well({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=Coldseal Example/CN=Coldseal Example Root", "-keyout", ca() / "evil.key",
            "-out", ca() / "evil.pem"});
  run_well({"openssl", "ca", "-config", ca() / "ca.cnf", "-gencrl", "-keyfile", ca() / "evil.key", "-cert", ca() / "evil.pem", "-crldays", "30", "-out", ca() / "evil-list.pem"});
  expect_says(admin({"crl", "import", ca() / "evil-list.pem"}).output, "crl.not-by-issuer");
  start();
  ASSERT_EQ(refusal_of_approval(id), "");
  ASSERT_EQ(refusal_of_pins(), "");
  EXPECT_EQ(answer(id), "signed");
  const std::string later = send();
  look_around();
  clock_.ahead += hours(24 * 4);
  expect_says(refusal_of_approval(later), "crl.too-old");
  stop();
  clock_.ahead -= hours(24 * 4);
  // Somebody puts the older list back.
  for (const auto& entry : fs::directory_iterator(rig_.state() / "crl")) run_well({"openssl", "crl", "-in", first, "-outform", "DER", "-out", entry.path()});
  start();
  expect_says(refusal_of_approval(later), "crl.changed");
  stop();
  // The authority takes the certificate back.
  write_text(ca() / "index.txt", "R\t351231235959Z\t261101000000Z,keyCompromise\t1001\tunknown\t/CN=Leaf\n");
  const Finished revoking = admin({"crl", "import", new_list("third.pem")});
  expect_says(revoking.output, "REVOKED: the certificate of");
  start();
  expect_says(refusal_of_approval(later), "certificate.revoked");
}

TEST_F(Rules, AFileOnTheApprovedDenyListIsRefusedAndAListThatNobodyApprovedStopsTheStart) {
  const fs::path xml = folder_ / "policy.xml";
  write_text(xml, "<SiPolicy xmlns=\"urn:schemas-microsoft-com:sipolicy\"><FileRules><Deny ID=\"1\" FileName=\"COLDSAMPLE.sys\" "
                  "MinimumFileVersion=\"0.0.0.0\" MaximumFileVersion=\"9.0.0.0\"/></FileRules></SiPolicy>");
  const Finished imported = admin({"deny-list", "import", xml});
  ASSERT_EQ(imported.status, 0) << imported.output;
  const appliance::Layout layout(rig_.root());
  const auto unapproved = appliance::Workflow::start({.layout = layout, .configuration = *appliance::Configuration::load(layout), .inspector = {}, .clock = &clock_,
                                                      .journal = [](const std::string&) {}});
  ASSERT_FALSE(unapproved);
  expect_says(unapproved.error().text(), "deny-list.not-approved");
  const std::string digest = crypto::sha256(read_file(layout.deny_list())).hex();
  expect_says(imported.output, "deny_list = \"" + digest + "\"");
  approve_rules("deny_list = \"" + digest + "\"\n", "blocking = [\"deny-list.name\", \"deny-list.digest\"]\n");
  start();
  const std::string id = send();
  look_around();
  expect_says(answer(id), "deny-list.name: version 0.0.0.0 of COLDSAMPLE.sys is on the deny list");
  stop();
  write_text(layout.deny_list(), read_text(layout.deny_list()) + "\n");
  const auto changed = appliance::Workflow::start({.layout = layout, .configuration = *appliance::Configuration::load(layout), .inspector = {}, .clock = &clock_,
                                                   .journal = [](const std::string&) {}});
  ASSERT_FALSE(changed);
  expect_says(changed.error().text(), "deny-list.changed");
}

TEST_F(Rules, RequestsThatWaitTooLongAndWithdrawnOnesGetTheirAnswerAndResponsesAreKeptAsLongAsWanted) {
  approve_rules("keep_days = 5\nspool_mib = 1\n", "waiting_days = 2\n");
  start();
  const std::string signed_one = send();
  const std::string old = send();
  look_around();
  ASSERT_EQ(refusal_of_approval(signed_one), "");
  ASSERT_EQ(refusal_of_pins(), "");
  clock_.ahead += hours(60);
  const std::string young = send();
  look_around();
  look_around();
  expect_says(answer(old), "request.expired: no officers signed it within 2 days");
  ASSERT_TRUE(waits(young)) << journal_;
  // Again with the same id: the same response, and nothing is signed.
  const std::string receipt = read_text(rig_.outbox(old) / "receipt.dsse.json");
  look_around();
  EXPECT_EQ(read_text(rig_.outbox(old) / "receipt.dsse.json"), receipt);
  // Delivered: kept for five days more, and then gone. What was not delivered stays.
  const auto mark = [&](const std::string& id, const std::string& of) {
    write_text(rig_.state() / "inbox" / (id + ".delivered"), crypto::sha256(base::as_bytes(of)).hex());
  };
  mark(signed_one, "another receipt");
  look_around();
  EXPECT_EQ(journal_.find("was delivered"), std::string::npos) << journal_;
  mark(signed_one, read_text(rig_.outbox(signed_one) / "receipt.dsse.json"));
  look_around();
  expect_says(journal_, "its response was delivered");
  EXPECT_TRUE(fs::is_empty(rig_.state() / "inbox"));
  EXPECT_TRUE(fs::exists(rig_.outbox(signed_one)));
  stop();
  AtTerminal terminal({program("coldseal-admin"), "--root", rig_.root(), "request", "withdraw", young.substr(0, 12), "--administrator", "uma", "--reason", "wrong branch"});
  terminal.expect("PIN of uma");
  terminal.type(ApplianceRig::administrators()[0].pin);
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  start();
  look_around();
  expect_says(answer(young), "request.withdrawn: wrong branch");
  clock_.ahead += hours(24 * 6);
  look_around();
  EXPECT_FALSE(fs::exists(rig_.outbox(signed_one)));
  EXPECT_TRUE(fs::exists(rig_.outbox(old)));
  stop();
  start();   // and the log says all of it again
  EXPECT_FALSE(waits(young));
}

TEST_F(Rules, AClockThatJumpedOverADayAsksForAdministratorsAndLeavesNoLineOfThatTime) {
  start();
  const std::string id = send();
  look_around();
  ASSERT_TRUE(waits(id)) << journal_;
  const base::Time right = clock_.now();
  clock_.jumped = true;
  clock_.ahead += hours(24 * 900);
  expect_says(refusal_of_approval(id), "clock.ahead");
  const auto document = workflow_->review(id);
  ASSERT_TRUE(document) << document.error().text();
  std::string shown;
  for (const std::string& each : document->sections.front().lines) shown += each + "\n";
  expect_says(shown, "it is " + base::rfc3339(clock_.now()).substr(0, 4));
  expect_says(shown, "clock.ahead");
  clock_.ahead -= hours(24 * 900);
  clock_.jumped = false;
  stop();
  std::ifstream log(rig_.state() / "log/audit.jsonl");
  for (std::string line; std::getline(log, line);) {
    const std::size_t at = line.find(R"("at":")") + 6;
    EXPECT_LE(*base::time_from_rfc3339(line.substr(at, 20)), right + hours(2)) << line;
  }
}

TEST_F(Rules, AMistakenFutureTimeIsSetBackByAdministratorsVisiblyForEver) {
  clock_.ahead = hours(24 * 90);   // nobody noticed: the first line of the log is of the ceremony, and coldseald believed what went by
  const std::string toml = configuration_;
  approve_rules("clock_days = 3650\n", "");
  start();
  const std::string id = send();
  workflow_->take_in();
  stop();
  clock_.ahead = hours(0);
  start();
  workflow_->inspect_received();
  ASSERT_TRUE(waits(id)) << journal_;
  expect_says(refusal_of_approval(id), "clock.behind");
  stop();
  rig_.administer({"clock", "--set-back"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  start();
  EXPECT_EQ(refusal_of_approval(id), "");
  EXPECT_EQ(refusal_of_pins(), "");
  EXPECT_EQ(answer(id), "signed");
  stop();
  const Finished again = admin({"clock", "--set-back"});
  EXPECT_EQ(again.status, 1);
  expect_says(again.output, "there is nothing to set back");
  // An auditor's chain goes on over that line, and shows it.
  const Finished shown = run({program("coldseal"), "audit", "show", rig_.state() / "log/audit.jsonl"});
  EXPECT_EQ(shown.status, 0) << shown.output;
  expect_says(shown.output, "the time goes back from");
}

}  // namespace
}  // namespace tests
