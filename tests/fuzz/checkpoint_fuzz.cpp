// Proofs about the audit log: what is read is written again byte for byte, and judging any of it ends.
#include <cstdint>

#include "crypto/transparency/checkpoint.hpp"
#include "crypto/transparency/log_anchor_proof.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::as_text({data, size});
  if (const auto proof = transparency::TlogProof::parse(text)) {
    base::require(proof->text() == text, "a log proof is not written as it was read");
    (void)proof->expect_leaf(base::as_bytes("a line"));
  }
  (void)transparency::parse_checkpoint(text);
  if (const auto anchor = transparency::LogAnchorProof::from_json(text))
    base::require(anchor->to_json() == text, "a log anchor is not written as it was read");
  return 0;
}
