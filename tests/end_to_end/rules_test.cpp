// The rules of the workflow (workflow_rules.cpp) with a TPM: who may submit, certificates and their revocation, deny list, findings of the box.
#include "appliance/workflow.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/support/rules_fixture.hpp"
#include "usb/files/parcel.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class Rules : public RulesFixture {};

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

TEST_F(WithAuthority, ARevocationListWhoseFileWasNotWrittenIsImportedAgainWithoutAnotherLine) {
  const Finished imported = admin({"crl", "import", new_list("first.pem")});
  ASSERT_EQ(imported.status, 0) << imported.output;
  start();
  const std::string id = send();
  look_around();
  stop();
  const fs::path file = fs::directory_iterator(rig_.state() / "crl")->path();
  const fs::path in_the_way = file.string() + ".part";
  fs::create_directories(in_the_way / "x");
  const fs::path newer = new_list("newer.pem");
  EXPECT_EQ(admin({"crl", "import", newer}).status, 1);
  fs::remove_all(in_the_way);
  start();
  expect_says(refusal_of_approval(id), "crl.changed");
  stop();
  const auto acts = [&] {
    const std::vector<std::string> events = rig_.audit_events();
    return std::count(events.begin(), events.end(), "administration");
  };
  const auto before = acts();
  const Finished again = admin({"crl", "import", newer});
  ASSERT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(acts(), before);
  EXPECT_EQ(admin({"crl", "import", folder_ / "rig/ca/first.pem"}).status, 1);   // an older one is none
  start();
  EXPECT_EQ(refusal_of_approval(id), "");
}

TEST_F(Rules, WhatAProfileLimitsIsHeldBeforeOfficersAreAskedAndTheCertificatesDaysAgainAtTheLastPin) {
  const fs::path chain = rig_.state() / "keys/release/chain.pem";
  const std::string whole = read_text(chain);
  const auto refusal_under = [&](const std::string& rule) {
    approve_rules("", rule);
    start();
    const std::string id = send();
    look_around();
    EXPECT_TRUE(waits(id)) << journal_;
    const std::string refusal = refusal_of_approval(id);
    EXPECT_TRUE(waits(id)) << refusal;
    stop();
    return refusal;
  };
  expect_says(refusal_under("signatures_a_day = 1\n"), "profile.signatures-a-day: the profile allows 1 signatures in 24 hours; 0 were made");
  expect_says(refusal_under("certificate_days = 3650\n"), "certificate.expires-soon: the profile wants a certificate that is valid for 3650 days more");
  write_text(chain, read_text(rig_.root().parent_path() / "ca/release.pem"));
  expect_says(refusal_under(""), "certificate.chain-incomplete: the root is missing");
  write_text(chain, whole);

  // The rig's certificate is good for 365 days: so many days are left when the officers begin, and not when the last of them is done.
  approve_rules("clock_days = 3\n", "certificate_days = 364\n");
  start();
  const std::string id = send();
  look_around();
  ASSERT_EQ(refusal_of_approval(id), "");
  clock_.jumped = true;   // the sitting's five minutes are not over
  clock_.ahead += hours(23);
  expect_says(refusal_of_pins(), "certificate.expires-soon");
  EXPECT_FALSE(fs::exists(rig_.outbox(id)));
  EXPECT_TRUE(waits(id)) << journal_;
}

TEST_F(Rules, NothingIsSignedUnderAConfigurationThatWasChangedSinceColdsealdStarted) {
  start();
  const std::string id = send();
  look_around();
  ASSERT_TRUE(waits(id)) << journal_;
  const auto found = [&] {
    for (const appliance::CheckupItem& item : workflow_->checkup().items)
      if (item.name == "configuration") return std::string(item_state_name(item.state)) + " " + item.found;
    return std::string("no item");
  };
  expect_says(found(), "as administrators approved");
  ASSERT_EQ(refusal_of_approval(id), "");
  write_text(configuration_file(), configuration_ + "signatures_a_day = 1\n");
  expect_says(refusal_of_pins(), "configuration.changed");   // also once officers are at it
  EXPECT_FALSE(fs::exists(rig_.outbox(id)));
  expect_says(refusal_of_approval(id), "configuration.changed");
  expect_says(found(), "attention configuration.changed");
  fs::remove(configuration_file());
  expect_says(refusal_of_approval(id), "and cannot be read");
  write_text(configuration_file(), configuration_);
  expect_says(found(), "well ");
  EXPECT_EQ(refusal_of_approval(id), "");
  EXPECT_EQ(refusal_of_pins(), "");
}

TEST_F(Rules, RequestsOfAProfileThatIsTakenAwayAreRefusedOrWithdrawnAndDoNotWaitForEver) {
  start();
  const std::string waiting = send();
  look_around();
  ASSERT_TRUE(waits(waiting)) << journal_;
  const std::string received = send();
  workflow_->take_in();
  stop();
  const std::size_t profile = configuration_.find("name = \"release\"", configuration_.find("[[profile]]"));
  ASSERT_NE(profile, std::string::npos) << configuration_;
  configuration_.replace(profile, std::string("name = \"release\"").size(), "name = \"nightly\"");
  approve_rules("", "");
  start();
  look_around();
  expect_says(answer(received), "profile.gone: the profile \"release\"");
  EXPECT_TRUE(waits(waiting));
  const auto review = workflow_->review(waiting);
  ASSERT_FALSE(review);
  expect_says(review.error().text(), "profile.gone");
  expect_says(review.error().text(), "coldseal-admin request withdraw " + waiting.substr(0, 12));
  expect_says(refusal_of_approval(waiting), "profile.gone");
  const TestOfficer& ada = ApplianceRig::officers()[0];
  const auto rejected = workflow_->reject(waiting, ada.name, base::SecretBytes::copy_of(base::as_bytes(ada.pin)), "no profile");
  ASSERT_FALSE(rejected);
  expect_says(rejected.error().text(), "profile.gone");
  stop();
  AtTerminal terminal({program("coldseal-admin"), "--root", rig_.root(), "request", "withdraw", waiting.substr(0, 12), "--administrator", "uma", "--reason", "gone"});
  terminal.expect("PIN of uma");
  terminal.type(ApplianceRig::administrators()[0].pin);
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  start();
  look_around();
  expect_says(answer(waiting), "request.withdrawn: gone");
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
  expect_says(answer(id), "deny-list.name: coldsample.sys: version 0.0.0.0 of COLDSAMPLE.sys is on the deny list");
  stop();
  write_text(layout.deny_list(), read_text(layout.deny_list()) + "\n");
  const auto changed = appliance::Workflow::start({.layout = layout, .configuration = *appliance::Configuration::load(layout), .inspector = {}, .clock = &clock_,
                                                   .journal = [](const std::string&) {}});
  ASSERT_FALSE(changed);
  expect_says(changed.error().text(), "deny-list.changed");
}

TEST_F(Rules, AFileThatSomebodyElseSignedIsShownAndRefusedWhereTheProfileSaysSo) {
  const fs::path theirs = folder_ / "theirs";
  run_well({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Another Vendor", "-addext", "extendedKeyUsage=codeSigning", "-keyout",
            folder_ / "their.key", "-out", folder_ / "their.pem"});
  fs::copy(COLDSEAL_SAMPLE_DIR, theirs, fs::copy_options::recursive);
  const fs::path driver = fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.sys";
  fs::remove(theirs / "coldsample.sys");
  run_well({program("test-signer"), "--key", folder_ / "their.key", "--cert", folder_ / "their.pem", "--in", driver, "--out", theirs / "coldsample.sys"});
  start();
  const std::string shown_only = send(theirs);
  look_around();
  ASSERT_TRUE(waits(shown_only)) << journal_;
  const auto document = workflow_->review(shown_only);
  ASSERT_TRUE(document) << document.error().text();
  std::string text;
  for (const auto& section : document->sections)
    for (const std::string& line : section.lines) text += line + "\n";
  expect_says(text, "pe.signed-by-other");
  expect_says(text, "Another Vendor");
  stop();
  approve_rules("", "blocking = [\"pe.signed-by-other\"]\n");
  start();
  expect_says(refusal_of_approval(shown_only), "what would be signed is not what was inspected");   // under other rules
  const std::string refused = send(theirs);
  const std::string unsigned_one = send();
  look_around();
  expect_says(answer(refused), "pe.signed-by-other: coldsample.sys: signed by CN=Another Vendor");
  EXPECT_TRUE(waits(unsigned_one)) << journal_;
}

TEST_F(Rules, AnAnswerNamesTheKeyThatSignedTheRequestThoughItsNameHasAnotherOneByNow) {
  const auto key = [&](const fs::path& file) { return crypto::PublicKey::parse_pem(read_text(file))->keyid(); };
  const std::string before = key(folder_ / "rig/host/build-1.pub.pem");
  start();
  const std::string id = send();
  look_around();
  ASSERT_TRUE(waits(id)) << journal_;
  stop();
  ASSERT_EQ(admin({"submitter", "revoke", "build-1", "--reason", "new machine"}).status, 0);
  write_text(folder_ / "pass", "mountain river\n");
  run_well({program("coldseal"), "key", "create", "-o", folder_ / "new.pem", "--passphrase-file", folder_ / "pass"});
  const Finished added = admin({"submitter", "add", "build-1", folder_ / "new.pub.pem"});
  ASSERT_EQ(added.status, 0) << added.output;
  start();
  const TestOfficer& ada = ApplianceRig::officers()[0];
  const auto rejected = workflow_->reject(id, ada.name, base::SecretBytes::copy_of(base::as_bytes(ada.pin)), "by an old key");
  ASSERT_TRUE(rejected) << rejected.error().text();
  expect_says(answer(id), "by an old key");
  EXPECT_EQ(read_text(rig_.outbox(id) / usb::kOwnerName), before);
  EXPECT_EQ(receipt(id)->submitter->keyid, before);
  EXPECT_EQ(receipt(id)->appliance.firmware_gate, "version 1 approved; image not measured");
}

}  // namespace
}  // namespace tests
