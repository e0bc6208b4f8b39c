// coldseal-admin: provisioning, certificates, submitters. It makes keys and signs certificate requests with the officers; it
// signs no code. It needs the TPM for itself: stop coldseald first.
#include <cstdio>
#include <functional>
#include <string>

#include "appliance/admin/ceremony.hpp"
#include "appliance/configuration.hpp"
#include "appliance/custody.hpp"
#include "appliance/key_store.hpp"
#include "appliance/layout.hpp"
#include "appliance/process_setup.hpp"
#include "appliance/terminal.hpp"
#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/files/safe_write.hpp"

namespace {

using base::Result;

// Runs `use` with the TPM that the configuration names.
Result<void> with_tpm(const appliance::Layout& layout, const std::function<Result<void>(appliance::Custody&)>& use) {
  const appliance::Configuration configuration = TRY(appliance::Configuration::load(layout));
  const appliance::TpmLock lock = TRY(appliance::TpmLock::take(layout));
  appliance::Custody custody(layout, configuration.tpm);
  return use(custody);
}

Result<void> install_certificate(const appliance::Layout& layout, const std::string& key_class, const std::string& file,
                                 appliance::Terminal& terminal) {
  const base::Bytes pem = TRY(usb::read_file(file, base::limits::kPemBytes));
  TRY(base::within(file, appliance::install_chain(layout, key_class, base::as_text(pem))));
  terminal.show("certificate chain installed for key class " + key_class);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  appliance::harden_process();
  appliance::Terminal terminal;
  base::CommandLine app("Administers a Coldseal appliance: officers, keys, certificates, submitters.", "coldseal-admin",
                        COLDSEAL_VERSION);
  std::string root = "/";
  app.option("--root", root, "folder that stands for /").existing_folder();
  app.takes_sub();   // its own complaint hides what was mistyped

  appliance::ProvisioningPlan plan;
  base::Command provision = app.sub("provision", "make a key class: enrol its officers, then make its key in the TPM");
  provision.option("--tpm", plan.tcti, "where the TPM is, as a TCTI: device:/dev/tpmrm0").required();
  provision.option("--key-class", plan.key_class, "its name: release, test").required();
  provision.option("--quorum", plan.quorum, "how many officers must approve").required();
  provision.option("--officer", plan.officers, "an officer's name; once for each officer").required();

  std::string key_class;
  keys::SubjectName subject;
  std::string out;
  base::Command csr = app.sub("csr", "make a certificate request (PKCS#10), approved by the officers");
  csr.option("--key-class", key_class, "which key").required();
  csr.option("--common-name", subject.common_name, "CN of the certificate: the publisher that Windows shows").required();
  csr.option("--organization", subject.organization, "O");
  csr.option("--organizational-unit", subject.organizational_unit, "OU");
  csr.option("--country", subject.country, "C, two letters");
  csr.option("-o,--output", out, "file to write (PEM)").required();

  std::string chain;
  base::Command certificate = app.sub("certificate", "install the certificate chain of a key class");
  certificate.option("--key-class", key_class, "which key").required();
  certificate.option("CHAIN", chain, "PEM file: the key's certificate, then its issuers").required();

  std::string name;
  std::string key_file;
  base::Command submitter = app.sub("submitter", "enrol a submitter by their public key");
  submitter.option("NAME", name, "how this appliance calls them; a profile's submitters list names them").required();
  submitter.option("KEY", key_file, "PEM file made by coldseal key create (K.pub.pem)").required();

  std::string officer;
  base::Command unlock = app.sub("unlock", "let a blocked officer try again; the PIN does not change");
  unlock.option("--key-class", key_class, "whose officer").required();
  unlock.option("OFFICER", officer, "who is blocked").required();

  base::Command status = app.sub("status", "TPM, officers, keys and certificates");
  if (const std::optional<int> ended = app.parse(argc, argv)) return *ended;
  if (!app.has_chosen_sub()) {
    std::fputs("coldseal-admin: what is to be done? coldseal-admin --help lists the subcommands\n", stderr);
    return 2;
  }

  const appliance::Layout layout(root);
  Result<void> done;
  if (provision.was_chosen()) done = appliance::provision(layout, plan, terminal);
  if (csr.was_chosen())
    done = with_tpm(layout, [&](appliance::Custody& custody) {
      return appliance::request_certificate(layout, custody, key_class, subject, out, terminal);
    });
  if (certificate.was_chosen()) done = install_certificate(layout, key_class, chain, terminal);
  if (submitter.was_chosen()) done = appliance::enrol_submitter(layout, name, key_file, terminal);
  if (unlock.was_chosen())
    done = with_tpm(layout, [&](appliance::Custody& custody) {
      return appliance::unlock(layout, custody, key_class, officer, terminal);
    });
  if (status.was_chosen())
    done = with_tpm(layout, [&](appliance::Custody& custody) { return appliance::show_status(layout, custody, terminal); });
  if (done) return 0;
  std::fputs(("coldseal-admin: " + base::printable(done.error().text()) + "\n").c_str(), stderr);
  const bool usage = done.error().code() == base::Errc::usage || done.error().code() == base::Errc::malformed ||
                     done.error().code() == base::Errc::not_found;
  return usage ? 2 : 1;
}
