#include "tests/support/sample_receipt.hpp"

#include <filesystem>

#include "crypto/base/text.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "crypto/transparency/checkpoint.hpp"
#include "crypto/transparency/merkle_tree.hpp"
#include "tests/support/software_key.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

using transparency::Receipt;

namespace {

Receipt common() {
  Receipt receipt;
  receipt.request_id = std::string(64, 'a');
  receipt.created = base::Time(std::chrono::seconds(1795450800));   // 2026-11-23T16:20:00Z
  receipt.appliance = {.name = "signing-1",
                       .mode = "development",
                       .firmware_gate = "not measured",
                       .tpm = "software",
                       .receipt_keyid = std::string(64, 'c'),
                       .version = "0.1.0"};
  return receipt;
}

Receipt in_sample_log(Receipt receipt) {
  SoftwareKey key = *SoftwareKey::from_pem(read_text(std::filesystem::path(COLDSEAL_TEST_DATA_DIR) / "keys/p256.key.pem"));
  return in_log(std::move(receipt), key);
}

}  // namespace

Receipt in_log(Receipt receipt, crypto::Signer& key) {
  using transparency::AuditEvent;
  transparency::AuditChain chain;
  transparency::MerkleTree tree;
  const auto append = [&](AuditEvent event, const std::string& request, const std::map<std::string, std::string>& data) {
    receipt.log.line = *chain.append(receipt.created, event, request, data);
    tree.add(base::as_bytes(receipt.log.line));
  };
  for (int i = 0; i < 17; ++i) append(AuditEvent::started, "", {{"version", "0.1.0"}});
  if (receipt.outcome == transparency::Outcome::done)
    append(AuditEvent::signed_, receipt.request_id,
           {{"signing-set", receipt.signing_set->fingerprint().hex()}, {"outputs", transparency::outputs_digest(receipt.outputs).hex()}});
  else if (receipt.outcome == transparency::Outcome::rejected)
    append(AuditEvent::rejected, receipt.request_id, {{"officer", receipt.rejection->officer}, {"reason", receipt.reason}});
  else
    append(AuditEvent::refused, receipt.request_id, {{"reason", receipt.reason}});
  receipt.log.index = chain.lines() - 1;
  receipt.log.head = chain.head().hex();
  transparency::TlogProof proof{receipt.log.index, tree.inclusion(receipt.log.index, tree.size()), {}};
  proof.checkpoint = *transparency::sign_checkpoint({transparency::log_origin(receipt.appliance.name), tree.size(), tree.root()}, key);
  receipt.log.tlog_proof = proof.text();
  return receipt;
}

Receipt sample_receipt() {
  Receipt receipt = common();
  const base::Bytes name(34, 0x0B);
  receipt.outcome = transparency::Outcome::done;
  receipt.profile = "release";
  receipt.key_class = "release";
  receipt.submitter = Receipt::Submitter{"build machine", std::string(64, 'b')};
  receipt.key = Receipt::Key{name, crypto::sha256(base::as_bytes("key")), 2};
  receipt.certificate = Receipt::Certificate{crypto::sha256(base::as_bytes("certificate")), "CN=Example Drivers"};
  receipt.signing_set = transparency::SigningSet{
      {{"driver.sys", "primary", crypto::sha256(base::as_bytes("attributes of driver.sys"))},
       {"driver.cat", "primary", crypto::sha256(base::as_bytes("attributes of driver.cat"))}},
      name,
      crypto::sha256(base::as_bytes("profile"))};
  receipt.approvals = {{"ana", "PIN", receipt.created - std::chrono::seconds(40)}, {"ben", "PIN", receipt.created}};
  receipt.findings = {{"inf.pnplockdown-missing", "note", "driver.inf", "PnpLockdown is not set"}};
  receipt.outputs = {
      {"driver.cat", crypto::sha256(base::as_bytes("catalog")), transparency::OutputOperation::catalog_signed},
      {"driver.inf", crypto::sha256(base::as_bytes("inf")), transparency::OutputOperation::unchanged},
      {"driver.sys", crypto::sha256(base::as_bytes("sys")), transparency::OutputOperation::embedded}};
  receipt.catalogs = {"driver.cat"};
  return in_sample_log(std::move(receipt));
}

Receipt sample_refused_receipt() {
  Receipt receipt = common();
  receipt.outcome = transparency::Outcome::refused;
  receipt.reason = "the submitter's key is not enrolled";
  return in_sample_log(std::move(receipt));
}

}  // namespace tests
