// Receipts and lines of the audit log: what is read is written again byte for byte.
#include <cstdint>

#include "crypto/transparency/audit_log_line.hpp"
#include "crypto/transparency/receipt.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json = base::as_text({data, size});
  const base::Result<transparency::Receipt> receipt = transparency::Receipt::from_json(json);
  if (receipt) base::require(receipt->to_json().value_or("") == json, "a receipt is not written as it was read");

  transparency::AuditChain reader;
  const base::Result<transparency::AuditLine> line = reader.accept(json);
  if (line) {
    transparency::AuditChain writer;
    base::require(writer.append(line->at, line->event, line->request, line->data).value_or("") == json,
                  "an audit line is not written as it was read");
  }
  return 0;
}
