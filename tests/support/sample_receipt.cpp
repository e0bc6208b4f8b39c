#include "tests/support/sample_receipt.hpp"

#include "crypto/base/text.hpp"

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
  receipt.log = {.index = 17, .head = std::string(64, 'd')};
  return receipt;
}

}  // namespace

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
  return receipt;
}

Receipt sample_refused_receipt() {
  Receipt receipt = common();
  receipt.outcome = transparency::Outcome::refused;
  receipt.reason = "the submitter's key is not enrolled";
  return receipt;
}

}  // namespace tests
