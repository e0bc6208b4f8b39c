// coldseal-admin: the ceremony, and afterwards everything that administrators approve: people, floor, configuration, wipe. It
// signs certificate requests with the officers; it signs no code. It needs the TPM for itself: stop coldseald first.
#include <cstdio>
#include <functional>
#include <string>

#include "appliance/admin/acts.hpp"
#include "appliance/admin/ceremony.hpp"
#include "appliance/admin/certificates.hpp"
#include "appliance/admin/condition.hpp"
#include "appliance/admin/imports.hpp"
#include "appliance/admin/log_export.hpp"
#include "appliance/admin/requests.hpp"
#include "appliance/admin/submitters.hpp"
#include "appliance/clock.hpp"
#include "appliance/configuration.hpp"
#include "appliance/confinement.hpp"
#include "appliance/custody.hpp"
#include "appliance/layout.hpp"
#include "appliance/process_setup.hpp"
#include "appliance/terminal.hpp"
#include "appliance/trusted_clock.hpp"
#include "crypto/base/command_line.hpp"
#include "crypto/base/text.hpp"

namespace {

using appliance::AdminDesk;
using base::Result;

struct Words {   // of all subcommands
  std::string root = "/";
  std::string key_class;
  std::string file;
  std::string out;
  std::string name;
  std::string other_name;
  std::string mode = "development";
  std::string expires;
  std::string reason;
  std::size_t version = 0;
  unsigned quorum = 0;
  bool as_json = false;
  bool set_back = false;
  keys::SubjectName subject;
};

class Program {
 public:
  Program() : app_("Administers a Coldseal appliance: the ceremony, people, keys, certificates.", "coldseal-admin", COLDSEAL_VERSION) {
    app_.option("--root", words_.root, "folder that stands for /").existing_folder();
    app_.takes_sub();   // its own complaint hides what was mistyped
    add_ceremony();
    add_people();
    add_appliance();
    add_certificates();
    add_submitters();
    add_rules();
  }

  int run(int argc, char** argv) {
    if (const std::optional<int> ended = app_.parse(argc, argv)) return *ended;
    if (!action_) {
      std::fputs("coldseal-admin: what is to be done? coldseal-admin --help lists the subcommands\n", stderr);
      return 2;
    }
    const Result<void> done = as_owner_and_confined();
    if (done) return 0;
    std::fputs(("coldseal-admin: " + base::printable(done.error().text()) + "\n").c_str(), stderr);
    const bool usage = done.error().code() == base::Errc::usage || done.error().code() == base::Errc::malformed ||
                       done.error().code() == base::Errc::not_found;
    return usage ? 2 : 1;
  }

 private:
  Result<void> as_owner_and_confined() {
    TRY(appliance::become_owner_of(appliance::Layout(words_.root).state()));
    TRY(appliance::confine_console());
    return action_();
  }
  // What a subcommand does once everything was parsed.
  void on(base::Command& command, std::function<Result<void>()> action) {
    command.when_chosen([this, action = std::move(action)] { action_ = action; });
  }
  // The same with the TPM that the configuration names.
  void on_desk(base::Command& command, std::function<Result<void>(const AdminDesk&)> action) {
    on(command, [this, action = std::move(action)] { return at_desk(action); });
  }
  Result<void> at_desk(const std::function<Result<void>(const AdminDesk&)>& action) {
    const appliance::Layout layout(words_.root);
    const appliance::Configuration configuration = TRY(appliance::Configuration::load(layout));
    const appliance::TpmLock lock = TRY(appliance::TpmLock::take(layout));
    appliance::Custody custody(layout, configuration.tpm, configuration.mode);
    appliance::TrustedClock trusted(clock_, configuration.box.clock_days);
    const std::optional<base::Time> last = TRY(appliance::last_time_in(layout.audit_log()));
    if (last) trusted.know(*last);
    return action(AdminDesk{layout, custody, terminal_, trusted, clock_});
  }
  std::optional<std::string> key_class() const {
    return words_.key_class.empty() ? std::nullopt : std::optional<std::string>(words_.key_class);
  }
  std::optional<unsigned> quorum() const { return words_.quorum == 0 ? std::nullopt : std::optional<unsigned>(words_.quorum); }

  void add_ceremony() {
    base::Command ceremony = app_.sub("ceremony", "make an appliance of a new TPM, from one reviewed file");
    ceremony.needs_sub();
    base::Command run = ceremony.sub("run", "begin, or go on after an interruption");
    run.option("FILE", words_.file, "the ceremony's file (docs/administrators-handbook.md)").required();
    on(run, [this] { return appliance::run_ceremony(appliance::Layout(words_.root), words_.file, terminal_, clock_); });

    base::Command firmware = app_.sub("firmware", "which firmware may sign");
    firmware.needs_sub();
    base::Command measure = firmware.sub("measure", "write down what runs now, for the vendor to sign");
    measure.option("--number", words_.version, "its version, a whole number that only grows").required();
    measure.option("--mode", words_.mode, "production or development").shows_default();
    measure.option("-o,--output", words_.file, "file to write (.toml); what is signed goes beside it (.tbs)").required();
    on(measure, [this]() -> Result<void> {
      const appliance::Layout layout(words_.root);
      const appliance::Configuration configuration = TRY(appliance::Configuration::load(layout));
      const std::optional<attest::Mode> mode = attest::mode_from_name(words_.mode);
      if (!mode) return base::fail(base::Errc::usage, "--mode is production or development");
      return appliance::measure_firmware(layout, configuration.tpm, words_.version, *mode, words_.file, terminal_);
    });
    base::Command approve = firmware.sub("approve", "use a vendor's approval: FILE.toml with FILE.sig beside it");
    approve.option("FILE", words_.file, "the approval").required();
    on_desk(approve, [this](const AdminDesk& desk) { return appliance::approve_firmware(desk, words_.file); });
  }

  // "officer" with a key class, "administrator" without.
  void add_people_of(const std::string& role, bool of_a_class) {
    base::Command group = app_.sub(role, of_a_class ? "who may approve signatures with a key class" : "who may administer");
    group.needs_sub();
    const auto with_class = [&](base::Command& command) {
      if (of_a_class) command.option("--key-class", words_.key_class, "which key").required();
    };
    const auto with_quorum = [&](base::Command& command) {
      command.option("--quorum", words_.quorum, "how many must approve from then on (default: as before)");
    };
    base::Command add = group.sub("add", "somebody joins, and types a PIN");
    add.option("NAME", words_.name, "who").required();
    with_class(add);
    with_quorum(add);
    on_desk(add, [this](const AdminDesk& desk) {
      return appliance::change_roster(desk, {key_class(), std::nullopt, words_.name, quorum()});
    });
    base::Command remove = group.sub("remove", "somebody leaves, at once");
    remove.option("NAME", words_.name, "who").required();
    with_class(remove);
    with_quorum(remove);
    on_desk(remove, [this](const AdminDesk& desk) {
      return appliance::change_roster(desk, {key_class(), words_.name, std::nullopt, quorum()});
    });
    base::Command replace = group.sub("replace", "one leaves and one joins; the same name twice: a forgotten PIN");
    replace.option("OLD", words_.name, "who leaves").required();
    replace.option("NEW", words_.other_name, "who joins").required();
    with_class(replace);
    on_desk(replace, [this](const AdminDesk& desk) {
      return appliance::change_roster(desk, {key_class(), words_.name, words_.other_name, std::nullopt});
    });
    base::Command pin = group.sub("pin", "somebody changes the own PIN; no administrator takes part");
    pin.option("NAME", words_.name, "who").required();
    with_class(pin);
    on_desk(pin, [this](const AdminDesk& desk) { return appliance::change_own_pin(desk, key_class(), words_.name); });
    base::Command unlock = group.sub("unlock", "let a blocked one try again; the PIN does not change");
    unlock.option("NAME", words_.name, "who").required();
    with_class(unlock);
    on_desk(unlock, [this](const AdminDesk& desk) { return appliance::unlock(desk, key_class(), words_.name); });
  }

  void add_people() {
    add_people_of("officer", true);
    add_people_of("administrator", false);
    base::Command unlock = app_.sub("unlock", "let a blocked officer try again; the PIN does not change");
    unlock.option("--key-class", words_.key_class, "whose officer").required();
    unlock.option("OFFICER", words_.name, "who is blocked").required();
    on_desk(unlock, [this](const AdminDesk& desk) { return appliance::unlock(desk, key_class(), words_.name); });
  }

  void add_appliance() {
    base::Command floor = app_.sub("floor", "firmware older than this never signs again");
    floor.option("VERSION", words_.version, "the oldest that may").required();
    on_desk(floor, [this](const AdminDesk& desk) { return appliance::raise_floor(desk, words_.version); });
    base::Command configuration = app_.sub("configuration", "the rules in coldseal.toml");
    configuration.needs_sub();
    base::Command approve = configuration.sub("approve", "coldseal.toml as it is now becomes the one in force");
    on_desk(approve, [](const AdminDesk& desk) { return appliance::approve_configuration(desk); });
    base::Command clock = app_.sub("clock", "set the TPM's clock forward to this machine's time");
    clock.flag("--set-back", words_.set_back, "after a mistaken time in the future: the log goes on with this machine's earlier time, visibly");
    on_desk(clock, [this](const AdminDesk& desk) { return words_.set_back ? appliance::set_clock_back(desk) : appliance::set_clock(desk, clock_.now()); });
    base::Command lockout = app_.sub("lockout-reset", "end the TPM's own lockout");
    on_desk(lockout, [](const AdminDesk& desk) { return appliance::reset_lockout(desk); });
    base::Command log = app_.sub("log", "the audit log and its anchor in the TPM");
    log.needs_sub();
    base::Command rebaseline = log.sub("rebaseline", "accept the log as it is; visible for ever");
    on_desk(rebaseline, [](const AdminDesk& desk) { return appliance::rebaseline(desk); });
    base::Command exported = log.sub("export", "copy the log with proofs that anybody can check");
    exported.option("FOLDER", words_.file, "where to, such as a stick: a new folder is made there").required();
    on_desk(exported, [this](const AdminDesk& desk) { return appliance::export_log(desk, words_.file); });
    base::Command wipe = app_.sub("wipe", "destroy every key of this appliance");
    on_desk(wipe, [](const AdminDesk& desk) { return appliance::wipe(desk); });
    add_condition();
  }

  // These two work while coldseald runs: it answers for itself.
  void add_condition() {
    for (const bool doctor : {false, true}) {
      base::Command command = app_.sub(doctor ? "doctor" : "status",
                                       doctor ? "what needs somebody, and what to do; status 1 when anything does" : "TPM, firmware, people, keys, certificates, clock, log, space");
      command.flag("--json", words_.as_json, "as JSON, every item with its state");
      on(command, [this, doctor] {
        return appliance::show_condition(appliance::Layout(words_.root), {words_.as_json, doctor}, terminal_, clock_);
      });
    }
  }

  void add_certificates() {
    base::Command csr = app_.sub("csr", "make a certificate request (PKCS#10), approved by the officers");
    csr.option("--key-class", words_.key_class, "which key").required();
    csr.option("--common-name", words_.subject.common_name, "CN of the certificate: the publisher that Windows shows").required();
    csr.option("--organization", words_.subject.organization, "O");
    csr.option("--organizational-unit", words_.subject.organizational_unit, "OU");
    csr.option("--country", words_.subject.country, "C, two letters");
    csr.option("-o,--output", words_.out, "file to write (PEM)").required();
    on_desk(csr, [this](const AdminDesk& desk) {
      return appliance::request_certificate(desk, words_.key_class, words_.subject, words_.out);
    });
    base::Command certificate = app_.sub("certificate", "install the certificate chain of a key class");
    certificate.option("--key-class", words_.key_class, "which key").required();
    certificate.option("CHAIN", words_.file, "PEM file: the key's certificate, then its issuers").required();
    on(certificate, [this]() -> Result<void> {
      TRY(appliance::expect_chain(appliance::Layout(words_.root), words_.key_class, words_.file));
      return at_desk([this](const AdminDesk& desk) { return appliance::install_certificate(desk, words_.key_class, words_.file); });
    });
  }

  void add_submitters() {
    base::Command group = app_.sub("submitter", "who may send requests");
    group.needs_sub();
    base::Command add = group.sub("add", "enrol a submitter by their public key; again for another date");
    add.option("NAME", words_.name, "how this appliance calls them; a profile's submitters list names them").required();
    add.option("KEY", words_.file, "PEM file made by coldseal key create (K.pub.pem)").required();
    add.option("--expires", words_.expires, "until when their requests are taken (YYMMDDhhmmssZ, RFC 3339 or Unix seconds); left out: for ever");
    add.option("--person", words_.other_name, "whose key it is, by the name that person has or would have as an officer");
    on(add, [this]() -> Result<void> {
      std::optional<base::Time> expires;
      if (!words_.expires.empty()) expires = TRY(base::within("--expires", base::time_from_argument(words_.expires)));
      const appliance::EnrolmentWish wish{words_.name, words_.file, expires, words_.other_name};
      TRY(appliance::expect_sound(wish));   // before anything is opened
      return at_desk([&](const AdminDesk& desk) { return appliance::enrol_submitter(desk, wish); });
    });
    base::Command revoke = group.sub("revoke", "nothing that their key signed is taken any more, waiting requests too");
    revoke.option("NAME", words_.name, "who").required();
    revoke.option("--reason", words_.reason, "why; it stands in refusals").required();
    on_desk(revoke, [this](const AdminDesk& desk) { return appliance::revoke_submitter(desk, words_.name, words_.reason); });
    base::Command list = group.sub("list", "who is enrolled, and until when");
    on_desk(list, [](const AdminDesk& desk) { return appliance::list_submitters(desk); });
  }

  void add_rules() {
    base::Command crl = app_.sub("crl", "revocation lists of the certificates' authorities");
    crl.needs_sub();
    base::Command import_crl = crl.sub("import", "take a list that was carried in; only ever a newer one");
    import_crl.option("FILE", words_.file, "DER or PEM").required();
    on_desk(import_crl, [this](const AdminDesk& desk) { return appliance::import_revocation_list(desk, words_.file); });
    base::Command list_crls = crl.sub("list", "which are here, and how old");
    on_desk(list_crls, [](const AdminDesk& desk) { return appliance::show_revocation_lists(desk); });
    base::Command deny = app_.sub("deny-list", "files that are not to be signed");
    deny.needs_sub();
    base::Command import_deny = deny.sub("import", "take over Microsoft's block list of drivers, or another App Control policy");
    import_deny.option("FILE", words_.file, "SiPolicy XML").required();
    on_desk(import_deny, [this](const AdminDesk& desk) { return appliance::import_deny_list(desk, words_.file); });
    base::Command show_deny = deny.sub("show", "how many rules, and the digest for coldseal.toml");
    on_desk(show_deny, [](const AdminDesk& desk) { return appliance::show_deny_list(desk); });
    base::Command request = app_.sub("request", "requests that have no answer yet");
    request.needs_sub();
    base::Command list = request.sub("list", "which, and what they wait for");
    on_desk(list, [](const AdminDesk& desk) { return appliance::list_requests(desk); });
    base::Command withdraw = request.sub("withdraw", "take one back, with an administrator's PIN; the submitter is told why");
    withdraw.option("ID", words_.file, "its beginning, at least 8 digits").required();
    withdraw.option("--administrator", words_.name, "who does it").required();
    withdraw.option("--reason", words_.reason, "why").required();
    on_desk(withdraw, [this](const AdminDesk& desk) { return appliance::withdraw_request(desk, words_.file, words_.name, words_.reason); });
  }

  Words words_;
  base::CommandLine app_;
  appliance::Terminal terminal_;
  appliance::SystemClock clock_;
  std::function<Result<void>()> action_;
};

}  // namespace

int main(int argc, char** argv) {
  appliance::harden_process();
  return Program().run(argc, argv);
}
