// Microsoft's block list of drivers, and other App Control policies in XML (SiPolicy): what they deny, as rules of our deny list. Reads Deny
// rules, and the files (FileAttrib) of signers that are denied; whoever signed them then, they are not to be signed again here. Signers as a
// whole, rules that allow, and paths are left out and counted. No document type, at most limits::kBlockListXmlBytes.
#pragma once

#include <cstddef>
#include <string>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

struct BlockList {
  std::string rules;            // lines of a deny list, sorted, each once
  std::size_t digests = 0;
  std::size_t names = 0;
  std::size_t left_out = 0;     // that have no digest or plain name we could hold against a file
  std::size_t whole_signers = 0;
};

// Errc::malformed, Errc::too_large, Errc::refused for a document type.
base::Result<BlockList> read_block_list(base::ByteView xml);

}  // namespace appliance
