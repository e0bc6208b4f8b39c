#include "host-tool/trust.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/keys/pem.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Errc;
using base::fail;
using base::Result;

Result<void> add_bytes(base::ByteView bytes, Trust& trust) {
  constexpr std::uint8_t kSequence = 0x30;
  if (!bytes.empty() && bytes.front() == kSequence) {
    crypto::Certificate root = TRY(crypto::Certificate::parse(bytes));
    trust.roots.push_back(std::move(root));
    return {};
  }
  const std::vector<keys::PemBlock> blocks = TRY(keys::pem_blocks(base::as_text(bytes)));
  if (blocks.empty()) return fail(Errc::usage, "neither PEM nor a certificate in DER");
  for (const keys::PemBlock& block : blocks) {
    if (block.label == "CERTIFICATE") {
      crypto::Certificate root = TRY(crypto::Certificate::parse(block.der));
      trust.roots.push_back(std::move(root));
    } else if (block.label == "PUBLIC KEY") {
      crypto::PublicKey key = TRY(crypto::PublicKey::parse(block.der));
      trust.receipt_keys.push_back(std::move(key));
    } else {
      return fail(Errc::usage, fmt::format("a PEM block \"{}\"; CERTIFICATE (a root) or PUBLIC KEY (an appliance's "
                                           "receipt key) wanted", base::printable(block.label)));
    }
  }
  return {};
}

Result<void> add_file(const std::filesystem::path& file, Trust& trust) {
  const base::Bytes bytes = TRY(usb::read_file(file, base::limits::kPemBytes));
  return base::within(base::printable(file.string()), add_bytes(bytes, trust));
}

bool is_trust_file(const std::filesystem::path& file) {
  const std::string extension = base::lower_ascii(file.extension().string());
  return extension == ".pem" || extension == ".crt" || extension == ".cer" || extension == ".der";
}

}  // namespace

Result<Trust> Trust::load(const std::vector<std::string>& paths) {
  Trust trust;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      TRY(base::within("--trust", add_file(path, trust)));
      continue;
    }
    std::vector<std::filesystem::path> files;
    for (std::filesystem::directory_iterator at(path, error), end; !error && at != end; at.increment(error))
      if (is_trust_file(at->path())) files.push_back(at->path());
    if (error) return fail(Errc::io, fmt::format("--trust: {}: {}", base::printable(path), error.message()));
    if (files.empty()) return fail(Errc::usage, fmt::format("--trust: {}: no *.pem, *.crt, *.cer or *.der in it",
                                                            base::printable(path)));
    std::sort(files.begin(), files.end());
    for (const std::filesystem::path& file : files) TRY(base::within("--trust", add_file(file, trust)));
  }
  return trust;
}

}  // namespace host_tool
