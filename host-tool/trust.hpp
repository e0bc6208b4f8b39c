// What --trust names: root certificates for code signatures, and receipt keys of appliances.
#pragma once

#include <string>
#include <vector>

#include "crypto/certificate.hpp"
#include "crypto/verify_signature.hpp"

namespace host_tool {

struct Trust {
  // Files, or folders whose *.pem, *.crt, *.cer and *.der files are read. PEM with CERTIFICATE and PUBLIC KEY blocks, or one
  // certificate in DER. Errc::usage for a private key or anything else in there, naming the file.
  static base::Result<Trust> load(const std::vector<std::string>& paths);

  std::vector<crypto::Certificate> roots;
  std::vector<crypto::PublicKey> receipt_keys;
};

}  // namespace host_tool
