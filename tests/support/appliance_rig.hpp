// A whole Coldseal in one folder: a software TPM, an appliance provisioned by its own programs, a certificate authority made
// with openssl, a submitter, a stick. Used by the end-to-end tests and by the demonstration, which therefore show the
// same thing. Everything goes through the real programs, typed at pseudo-terminals where people would type.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/faults.hpp"
#include "tests/support/process.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/tpm_proxy.hpp"

namespace tests {

struct TestOfficer {
  std::string name;
  std::string pin;
};

class ApplianceRig {
 public:
  using Step = std::function<void(const std::string& what)>;
  explicit ApplianceRig(std::filesystem::path folder, Step step = [](const std::string&) {}, bool show_screens = false);

  // TPM, ceremony, certificate, submitter. Afterwards the appliance may be started.
  void provision();
  // Before provision() or prepare(): the programs reach the TPM by way of proxy().
  void tap() { is_tapped_ = true; }
  TpmProxy& proxy() { return *proxy_; }
  // Its parts, for tests of the ceremony: a TPM and coldseal.toml; the ceremony's file; the ceremony as far as "yes".
  void prepare();
  void prepare_ceremony() const;
  std::unique_ptr<AtTerminal> begin_ceremony() const;
  void run_ceremony(const std::function<void(AtTerminal&)>& before_the_trial = {}) const;
  // Answers whatever the ceremony asks until it ends; its exit status. For when the TPM goes away in between.
  int try_ceremony() const;
  void run_again_to_its_end() const;   // the same once more; it must succeed
  std::filesystem::path ceremony_file() const { return folder_ / "ceremony/ceremony.toml"; }
  // A vendor's approval of what runs now: FILE.toml and FILE.sig.
  void approve_firmware(unsigned version, const std::filesystem::path& file) const;
  // An act of administrators: coldseal-admin with these words, approved by these people. `then` types what else is asked.
  void administer(const Command& words, const std::vector<TestOfficer>& who, const std::function<void(AtTerminal&)>& then = {}) const;
  static void approve_as(AtTerminal& terminal, const std::string& prompt, const std::vector<TestOfficer>& who);
  // Before start_daemon(): words before the program's, such as setpriv's, and options after it; and the folder of the programs.
  struct RunAs {
    Command daemon, daemon_options, courier, console;
    std::filesystem::path programs;   // empty: where they were built
  };
  void run_as(RunAs how) { run_as_ = std::move(how); }
  void start_daemon();
  void stop_daemon();
  // From the next start on coldseald runs under that fault layer, which must outlive it.
  void run_daemon_under(const Faults& faults) { faults_ = &faults; }
  void run_admin_under(const Faults* faults) { admin_faults_ = faults; }   // the ceremony, administer(); nullptr for no more
  Background& daemon() { return *daemon_; }
  Background start_courier(const Command& arguments) const;   // --stick DIR, --serial DEV
  Command courier(const Command& arguments) const;

  // Makes a request on the stick (or into another folder); its id. `extra` are further options.
  std::string make_request(const std::filesystem::path& package, const std::string& os, const std::filesystem::path& to,
                           const Command& extra = {}) const;
  void wait_for_journal(const std::string& id, const std::string& what) const;
  // At the console: opens the request, reads it, approves as these officers.
  void approve(const std::string& id, const std::vector<TestOfficer>& officers) const;
  // The same without expecting anything: whether it was signed. For when the TPM goes away in between.
  bool try_to_approve(const std::string& id, const std::vector<TestOfficer>& officers) const;
  // A console that has opened the request and stands at "a to approve, r to reject".
  std::unique_ptr<AtTerminal> open_request(const std::string& id) const;
  // outbox/<id>, when it is there.
  void wait_for_response(const std::string& id) const;

  std::filesystem::path root() const { return folder_ / "appliance"; }
  std::filesystem::path stick() const { return folder_ / "stick"; }
  std::filesystem::path state() const { return root() / "var/lib/coldseal"; }
  std::filesystem::path outbox(const std::string& id) const { return state() / "outbox" / id; }
  std::filesystem::path submitter_key() const { return folder_ / "host/build-1.pem"; }
  std::filesystem::path trust() const { return folder_ / "host/trust"; }          // root.pem, receipt-key.pem
  std::filesystem::path ca_root() const { return trust() / "root.pem"; }
  // What coldseal-admin status says of TPM, people and keys, but for the days that certificates are valid, which become fewer by themselves.
  std::string status() const;
  std::vector<std::string> audit_events(const std::string& id = {}) const;         // names, in order
  Swtpm& tpm() { return *tpm_; }
  static const std::vector<TestOfficer>& officers();
  static const std::vector<TestOfficer>& administrators();

 private:
  void certify_key() const;
  Command admin(const Command& words) const;   // coldseal-admin, under the fault layer if there is one
  Command command(Command before, const std::string& name, const Command& after) const;
  int answer_ceremony(std::string& screen) const;
  std::filesystem::path folder_;
  Step step_;
  bool show_screens_;
  bool is_tapped_ = false;
  RunAs run_as_;
  const Faults* faults_ = nullptr;
  const Faults* admin_faults_ = nullptr;
  std::unique_ptr<Swtpm> tpm_;
  std::unique_ptr<TpmProxy> proxy_;
  std::unique_ptr<Background> daemon_;
};

}  // namespace tests
