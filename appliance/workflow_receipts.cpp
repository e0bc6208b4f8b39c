// What the workflow writes into receipts about the package, and that it can be written at all.
#include "appliance/receipt_parts.hpp"
#include "appliance/workflow.hpp"

namespace appliance {

using base::Result;

// What officers approve is signed before its receipt is written: a receipt that cannot be written is found here, before they are asked.
Result<void> Workflow::expect_receipt_of(const Prepared& prepared) const {
  const RequestRecord* const known = book_.find(prepared.spooled.id);
  transparency::Receipt draft;
  draft.request_id = known->id;
  draft.created = log_.now();
  draft.profile = known->profile;
  draft.submitter = {known->submitter, known->keyid};
  draft.appliance = {.name = settings_.configuration.name,
                     .mode = std::string(attest::mode_name(custody_.mode())),
                     .firmware_gate = custody_.firmware(),
                     .tpm = custody_.kind().empty() ? "not opened yet" : custody_.kind(),
                     .receipt_keyid = known->keyid,   // of the same size
                     .version = COLDSEAL_VERSION};
  for (const tpm::Officer& officer : prepared.key_class.quorum.officers) draft.approvals.push_back({officer.name, "PIN", draft.created});
  describe_signing(draft, prepared.key_class, prepared.identity, prepared.plan, prepared.inspection, prepared.plan.outputs_to_come());
  return expect_writable(std::move(draft), prepared.key_class.public_key);
}

void Workflow::describe_signing(transparency::Receipt& receipt, const KeyClass& key_class, const crypto::SigningIdentity& identity, const SigningPlan& plan,
                                const package::Inspection& inspection, std::vector<transparency::OutputFile> outputs) {
  receipt.outcome = transparency::Outcome::done;
  receipt.key_class = key_class.name;
  receipt.key = {key_class.key_name, crypto::sha256(key_class.public_key.der()), key_class.quorum.m};
  receipt.certificate = {identity.leaf().fingerprint(), identity.leaf().subject()};
  receipt.signing_set = plan.set();
  receipt.findings = findings_for_receipt(inspection.findings);
  for (const transparency::OutputFile& output : outputs)
    if (output.operation == transparency::OutputOperation::catalog_signed) receipt.catalogs.push_back(output.path);
  receipt.outputs = std::move(outputs);
}

}  // namespace appliance
