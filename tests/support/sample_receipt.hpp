// A receipt with every group filled, for tests and as the example in docs/exchange-format.md.
#pragma once

#include "crypto/signer.hpp"
#include "crypto/transparency/receipt.hpp"

namespace tests {

transparency::Receipt sample_receipt();          // signed: two files, one of them a catalog
transparency::Receipt sample_refused_receipt();  // refused before a key was chosen
// The receipt with a log of 18 lines behind it, the last about it, and a checkpoint by that key: what to do after changing what
// the line says (request, signing set, outcome), or for another receipt key.
transparency::Receipt in_log(transparency::Receipt receipt, crypto::Signer& key);

}  // namespace tests
