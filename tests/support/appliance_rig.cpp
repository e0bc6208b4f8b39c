#include "tests/support/appliance_rig.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

void provide_officer_pin(AtTerminal& terminal, const TestOfficer& officer) {
  terminal.expect(officer.name + ": new PIN");
  terminal.type(officer.pin);
  terminal.expect(officer.name + ": the same PIN again");
  terminal.type(officer.pin);
}

void expect_done(AtTerminal& terminal, const std::string& what) {
  const int status = terminal.wait();
  if (status != 0) throw std::runtime_error(fmt::format("{} ended with status {}:\n{}", what, status, terminal.screen()));
}

}  // namespace

const std::vector<TestOfficer>& ApplianceRig::officers() {
  static const std::vector<TestOfficer> kOfficers{{"ada", "314159"}, {"ben", "271828"}, {"cay", "161803"}};
  return kOfficers;
}

const std::vector<TestOfficer>& ApplianceRig::administrators() {
  static const std::vector<TestOfficer> kAdministrators{{"uma", "141421"}, {"vic", "173205"}, {"wes", "223606"}};
  return kAdministrators;
}

ApplianceRig::ApplianceRig(std::filesystem::path folder, Step step, bool show_screens)
    : folder_(std::move(folder)), step_(std::move(step)), show_screens_(show_screens) {
  for (const auto& needed : {root(), stick(), trust()}) std::filesystem::create_directories(needed);
}

void ApplianceRig::prepare() {
  step_("start a software TPM");
  tpm_ = std::make_unique<Swtpm>();
  if (is_tapped_) proxy_ = std::make_unique<TpmProxy>(*tpm_);
  write_text(root() / "etc/coldseal/coldseal.toml", fmt::format(R"([appliance]
name = "vault-1"
tpm = "{}"
mode = "development"

[[profile]]
name = "release"
key_class = "release"
operations = ["embed", "catalog"]
submitters = ["build-1"]
)",
                                                                proxy_ ? proxy_->tcti() : tpm_->tcti()));
}

void ApplianceRig::provision() {
  prepare();
  step_("a vendor approves the firmware that runs; a file for the ceremony is written");
  prepare_ceremony();
  step_("ceremony: three administrators (2 of 3) and three officers (2 of 3) choose PINs, the key is born, the TPM is closed");
  run_ceremony();
  std::filesystem::copy_file(state() / "keys/receipt/key.pem", trust() / "receipt-key.pem");
  step_("two officers approve a certificate request; a certificate authority answers it");
  certify_key();
  step_("enrol the build machine as submitter");
  run_well({program("coldseal"), "key", "create", "-o", submitter_key(), "--no-passphrase"});
  run_well({program("coldseal-admin"), "--root", root(), "submitter", "add", "build-1", folder_ / "host/build-1.pub.pem"});
}

void ApplianceRig::prepare_ceremony() const {
  const std::filesystem::path vendors = std::filesystem::path(COLDSEAL_TEST_DATA_DIR) / "vendor-keys";
  const std::filesystem::path folder = folder_ / "ceremony";
  std::filesystem::create_directories(folder);
  for (const char* name : {"vendor-a.pem", "vendor-b.pem"}) std::filesystem::copy_file(vendors / name, folder / name, std::filesystem::copy_options::overwrite_existing);
  approve_firmware(1, folder / "approval.toml");
  write_text(ceremony_file(), R"([ceremony]
title = "vault-1, first key"
mode = "development"

[firmware]
vendor_keys = ["vendor-a.pem", "vendor-b.pem"]
approval = "approval.toml"
floor = 1

[administrators]
quorum = 2
names = ["uma", "vic", "wes"]

[[key_class]]
name = "release"
quorum = 2
officers = ["ada", "ben", "cay"]
)");
}

void ApplianceRig::approve_firmware(unsigned version, const std::filesystem::path& file) const {
  const std::filesystem::path vendors = std::filesystem::path(COLDSEAL_TEST_DATA_DIR) / "vendor-keys";
  run_well({program("coldseal-admin"), "--root", root(), "firmware", "measure", "--number", std::to_string(version), "-o", file});
  std::filesystem::path message = file;
  std::filesystem::path signature = file;
  run_well({"openssl", "dgst", "-sha256", "-sign", vendors / "vendor-a.key.pem", "-out", signature.replace_extension(".sig"),
            message.replace_extension(".tbs")});
}

std::unique_ptr<AtTerminal> ApplianceRig::begin_ceremony() const {
  auto terminal = std::make_unique<AtTerminal>(admin({"ceremony", "run", ceremony_file()}), show_screens_);
  terminal->expect("type yes when they agree");
  terminal->type("yes");
  return terminal;
}

void ApplianceRig::run_ceremony(const std::function<void(AtTerminal&)>& before_the_trial) const {
  const std::unique_ptr<AtTerminal> terminal = begin_ceremony();
  for (const TestOfficer& person : administrators()) provide_officer_pin(*terminal, person);
  for (const TestOfficer& person : officers()) provide_officer_pin(*terminal, person);
  if (before_the_trial) before_the_trial(*terminal);
  approve_as(*terminal, "officer (", {officers()[1], officers()[2]});
  expect_done(*terminal, "coldseal-admin ceremony run");
}

void ApplianceRig::administer(const Command& words, const std::vector<TestOfficer>& who,
                              const std::function<void(AtTerminal&)>& then) const {
  AtTerminal terminal(admin(words), show_screens_);
  approve_as(terminal, "administrator (", who);
  if (then) then(terminal);
  expect_done(terminal, "coldseal-admin " + words.front());
}

void ApplianceRig::approve_as(AtTerminal& terminal, const std::string& prompt, const std::vector<TestOfficer>& who) {
  for (const TestOfficer& person : who) {
    terminal.expect(prompt);
    terminal.type(person.name);
    terminal.expect("PIN of " + person.name);
    terminal.type(person.pin);
  }
}

void ApplianceRig::certify_key() const {
  const std::filesystem::path ca = folder_ / "ca";
  std::filesystem::create_directories(ca);
  AtTerminal terminal({program("coldseal-admin"), "--root", root(), "csr", "--key-class", "release", "--common-name",
                       "Coldseal Example Drivers", "--organization", "Coldseal Example", "--country", "DE", "-o", ca / "release.csr"},
                      show_screens_);
  approve_as(terminal, "officer (", {officers()[0], officers()[2]});
  expect_done(terminal, "coldseal-admin csr");
  write_text(ca / "leaf.ext", "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n");
  run_well({"openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-sha256", "-days", "3650", "-subj", "/O=Coldseal Example/CN=Coldseal Example Root",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", ca / "root.key", "-out", ca_root()});
  run_well({"openssl", "x509", "-req", "-sha256", "-days", "365", "-in", ca / "release.csr", "-CA", ca_root(), "-CAkey", ca / "root.key",
            "-set_serial", "0x1001", "-extfile", ca / "leaf.ext", "-out", ca / "release.pem"});
  write_text(ca / "chain.pem", read_text(ca / "release.pem") + read_text(ca_root()));
  run_well({program("coldseal-admin"), "--root", root(), "certificate", "--key-class", "release", ca / "chain.pem"});
}

Command ApplianceRig::admin(const Command& words) const {
  Command command{program("coldseal-admin"), "--root", root()};
  command.insert(command.end(), words.begin(), words.end());
  return admin_faults_ == nullptr ? command : admin_faults_->before(command);
}

Command ApplianceRig::command(Command before, const std::string& name, const Command& after) const {
  before.push_back(run_as_.programs.empty() ? program(name) : (run_as_.programs / name).string());
  before.insert(before.end(), {"--root", root()});
  before.insert(before.end(), after.begin(), after.end());
  return before;
}

void ApplianceRig::start_daemon() {
  const Command started = command(run_as_.daemon, "coldseald", run_as_.daemon_options);
  daemon_ = std::make_unique<Background>(faults_ == nullptr ? started : faults_->before(started), folder_ / "coldseald.log");
  wait_until("coldseald listens", [this] {
    if (!daemon_->is_running()) throw std::runtime_error("coldseald ended:\n" + daemon_->log());
    return std::filesystem::exists(root() / "run/coldseal/console.sock");
  });
}

void ApplianceRig::stop_daemon() {
  daemon_.reset();
  std::filesystem::remove(root() / "run/coldseal/console.sock");
}

Command ApplianceRig::courier(const Command& arguments) const { return command(run_as_.courier, "coldseal-courier", arguments); }

Background ApplianceRig::start_courier(const Command& arguments) const { return Background(courier(arguments), folder_ / "courier.log"); }

std::string ApplianceRig::make_request(const std::filesystem::path& package, const std::string& os,
                                       const std::filesystem::path& to, const Command& extra) const {
  std::filesystem::create_directories(to);
  Command command{program("coldseal"), "request", "create", package, "--profile", "release", "--os", os, "--key", submitter_key(), "--to", to};
  command.insert(command.end(), extra.begin(), extra.end());
  const std::string output = run_well(command);
  // The id is the name of the folder that was not there before; the program also prints it.
  for (const auto& entry : std::filesystem::directory_iterator(to / "coldseal/requests")) {
    const std::string id = entry.path().filename().string();
    if (output.find(id) != std::string::npos) return id;
  }
  throw std::runtime_error("request create did not say which request it made:\n" + output);
}

void ApplianceRig::wait_for_journal(const std::string& id, const std::string& what) const {
  wait_until("coldseald says of " + id.substr(0, 8) + ": " + what, [&] {
    std::istringstream lines(daemon_->log());
    for (std::string line; std::getline(lines, line);)
      if (line.find(id.substr(0, 8)) != std::string::npos && line.find(what) != std::string::npos) return true;
    if (!daemon_->is_running()) throw std::runtime_error("coldseald ended:\n" + daemon_->log());
    return false;
  });
}

std::unique_ptr<AtTerminal> ApplianceRig::open_request(const std::string& id) const {
  auto console = std::make_unique<AtTerminal>(command(run_as_.console, "coldseal-console", {}), show_screens_);
  const std::string list = console->expect("number to read a request");
  const std::size_t at = list.find(id.substr(0, 8));
  if (at == std::string::npos) throw std::runtime_error("the console does not list " + id + ":\n" + list);
  // "  2  1a2b3c4d  from ...": the number before the id.
  const std::size_t line = list.rfind('\n', at);
  console->type(std::to_string(std::stoi(list.substr(line + 1, at - line - 1))));
  console->expect("a to approve, r to reject");
  return console;
}

void ApplianceRig::approve(const std::string& id, const std::vector<TestOfficer>& who) const {
  const std::unique_ptr<AtTerminal> console = open_request(id);
  console->type("a");
  console->expect("type yes");
  console->type("yes");
  for (const TestOfficer& officer : who) {
    console->expect("officer (");
    console->type(officer.name);
    console->expect("PIN of " + officer.name);
    console->type(officer.pin);
  }
  console->expect("is signed");
  console->expect("number to read a request");
  console->type("q");
  expect_done(*console, "coldseal-console");
}

bool ApplianceRig::try_to_approve(const std::string& id, const std::vector<TestOfficer>& who) const {
  const std::unique_ptr<AtTerminal> console = open_request(id);
  console->type("a");
  console->expect("type yes");
  console->type("yes");
  std::size_t next = 0;
  for (;;) {
    switch (console->expect_any({"officer (", "PIN of ", "is signed", "number to read a request"})) {
      case 0:
        console->type(next < who.size() ? who[next].name : "");   // nobody left: Enter stops
        break;
      case 1:
        console->type(who[next++].pin);
        break;
      case 2:
        return true;
      default:
        return false;
    }
  }
}

int ApplianceRig::try_ceremony() const {
  std::string ignored;
  return answer_ceremony(ignored);
}

void ApplianceRig::run_again_to_its_end() const {
  std::string screen;
  if (const int status = answer_ceremony(screen); status != 0) throw std::runtime_error(fmt::format("the ceremony ended with {}:\n{}", status, screen));
}

int ApplianceRig::answer_ceremony(std::string& screen) const {
  AtTerminal terminal(admin({"ceremony", "run", ceremony_file()}), show_screens_);
  std::vector<TestOfficer> everybody = administrators();
  everybody.insert(everybody.end(), officers().begin(), officers().end());
  std::vector<std::string> prompts = {"type yes when they agree", "officer (2", "officer (1", "PIN of ben", "PIN of cay"};
  for (const TestOfficer& person : everybody) {
    prompts.push_back(person.name + ": new PIN");
    prompts.push_back(person.name + ": the same PIN again");
  }
  const std::vector<std::string> answers = {"yes", "ben", "cay", officers()[1].pin, officers()[2].pin};
  // A software TPM on a busy machine looks for its RSA primes for minutes now and then.
  constexpr std::chrono::seconds kPatience{600};
  for (std::size_t which = terminal.expect_any(prompts, kPatience); which < prompts.size(); which = terminal.expect_any(prompts, kPatience))
    terminal.type(which < answers.size() ? answers[which] : everybody[(which - answers.size()) / 2].pin);
  const int status = terminal.wait(kPatience);
  screen = terminal.screen();
  return status;
}

void ApplianceRig::wait_for_response(const std::string& id) const {
  wait_until("the response to " + id.substr(0, 8) + " is in the outbox", [&] { return std::filesystem::exists(outbox(id)); });
}

std::string ApplianceRig::status() const {
  const std::string shown = run_well({program("coldseal-admin"), "--root", root(), "status"});
  const std::string facts = shown.substr(0, shown.find("check-up by"));
  return std::regex_replace(facts, std::regex(", [0-9]+ days left"), "");
}

std::vector<std::string> ApplianceRig::audit_events(const std::string& id) const {
  std::vector<std::string> events;
  std::istringstream lines(read_text(state() / "log/audit.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    if (id.empty() || json.at("request") == id) events.push_back(json.at("event"));
  }
  return events;
}

}  // namespace tests
