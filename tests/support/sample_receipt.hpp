// A receipt with every group filled, for tests and as the example in docs/exchange-format.md.
#pragma once

#include "crypto/transparency/receipt.hpp"

namespace tests {

transparency::Receipt sample_receipt();          // signed: two files, one of them a catalog
transparency::Receipt sample_refused_receipt();  // refused before a key was chosen

}  // namespace tests
